//! What the peer is told when something is refused.

use std::fmt;

/// The reply codes of AMQP 0-9-1 that this broker sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NoRoute = 312,
    ConnectionForced = 320,
    AccessRefused = 403,
    NotFound = 404,
    ResourceLocked = 405,
    PreconditionFailed = 406,
    FrameError = 501,
    CommandInvalid = 503,
    ChannelError = 504,
    UnexpectedFrame = 505,
    ResourceError = 506,
    NotAllowed = 530,
    NotImplemented = 540,
    InternalError = 541,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::NoRoute => "NO_ROUTE",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }
}

/// What a failure ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Channel,
    Connection,
}

/// A refusal: how far it reaches, its code, and a sentence for the person at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) extent: Extent,
    pub(crate) code: Code,
    pub(crate) text: String,
}

impl Failure {
    /// A failure that ends the channel only.
    pub(crate) fn channel(code: Code, text: impl Into<String>) -> Self {
        Self {
            extent: Extent::Channel,
            code,
            text: text.into(),
        }
    }

    /// A failure that ends the connection.
    pub(crate) fn connection(code: Code, text: impl Into<String>) -> Self {
        Self {
            extent: Extent::Connection,
            code,
            text: text.into(),
        }
    }

    /// The same refusal, as it is said in another vhost than `/`, which the engine knows nothing of.
    pub(crate) fn in_vhost(mut self, vhost: &str) -> Self {
        if vhost != "/" {
            self.text = self.text.replace("in vhost '/'", &format!("in vhost '{vhost}'"));
        }
        self
    }

    /// Asked for something that does not exist.
    pub(crate) fn no_queue(name: &str) -> Self {
        Self::channel(Code::NotFound, format!("no queue '{name}' in vhost '/'"))
    }

    /// Asked for something that does not exist.
    pub(crate) fn no_exchange(name: &str) -> Self {
        Self::channel(Code::NotFound, format!("no exchange '{name}' in vhost '/'"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.code.name(), self.text)
    }
}
