//! Why a resource could not be made so.

use std::io;
use std::path::{Path, PathBuf};

use node::command::{CommandError, Ended};

/// A resource that could not be made so.
#[derive(Debug, thiserror::Error)]
#[error("{resource}{}: {}{cause}", action_text(action), property_text(property.as_deref()))]
pub struct ResourceError {
    /// Kind and name: `file[/etc/motd]`.
    pub resource: String,
    /// What was to be done; empty when it was not said, and the kind is not known.
    pub action: String,
    /// The property that is wrong, if one is.
    pub property: Option<String>,
    /// What was wrong.
    #[source]
    pub cause: Cause,
}

/// What was wrong.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// There is no such kind on this platform.
    #[error("there is no such resource{}", hint(*closest))]
    UnknownKind {
        /// A name that is nearly the same.
        closest: Option<&'static str>,
    },
    /// The kind has no such action.
    #[error("there is no such action{}", hint(*closest))]
    UnknownAction {
        /// A name that is nearly the same.
        closest: Option<&'static str>,
    },
    /// The kind has no such property.
    #[error("there is no such property{}", hint(*closest))]
    UnknownProperty {
        /// A name that is nearly the same.
        closest: Option<&'static str>,
    },
    /// A property that this action needs is not set.
    #[error("it is required")]
    Missing,
    /// A value is not one that the property takes.
    #[error("{0}")]
    Invalid(String),
    /// There is no such user.
    #[error("there is no user `{0}`")]
    NoUser(String),
    /// There is no such group.
    #[error("there is no group `{0}`")]
    NoGroup(String),
    /// The folder that a file should be in is missing.
    #[error("the folder `{}` does not exist", .0.display())]
    NoFolder(PathBuf),
    /// Something else is where a file, folder or link should be.
    #[error("`{}` is {what}, not {wanted}", path.display())]
    Type {
        /// Where.
        path: PathBuf,
        /// What is there: `a directory`.
        what: &'static str,
        /// What should be there: `a file`.
        wanted: &'static str,
    },
    /// The system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A program cannot be started.
    #[error("{error}{}", error.source_text())]
    Command {
        /// What the system said.
        #[from]
        error: CommandError,
    },
    /// A program failed.
    #[error("`{command}` failed: {ended}{}", output_text(output))]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        ended: Ended,
        /// The end of its output.
        output: String,
    },
    /// Content was refused by a check that the recipe asks for.
    #[error(
        "the new content fails its verification `{command}`: {ended}{}",
        output_text(output)
    )]
    Verification {
        /// The check.
        command: String,
        /// How it ended.
        ended: Ended,
        /// The end of its output.
        output: String,
    },
    /// Bytes that are not those that were asked for.
    #[error("`{what}` has the checksum {found}, not {wanted}")]
    Checksum {
        /// What was fetched.
        what: String,
        /// What its checksum is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// Something could not be fetched.
    #[error("cannot {method} `{url}`: {reason}")]
    Http {
        /// The method.
        method: String,
        /// The address, without what is secret in it.
        url: String,
        /// What the other side or the system said.
        reason: String,
        /// The status, if there was an answer.
        status: Option<u16>,
    },
    /// A package cannot be had.
    #[error("{0}")]
    Package(String),
    /// A service cannot be brought there.
    #[error("{0}")]
    Service(String),
    /// This machine cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// A resource that is a part of this one could not be made so.
    #[error("{0}")]
    Within(Box<ResourceError>),
}

trait SourceText {
    fn source_text(&self) -> String;
}

impl SourceText for CommandError {
    fn source_text(&self) -> String {
        std::error::Error::source(self)
            .map(|source| format!(": {source}"))
            .unwrap_or_default()
    }
}

fn action_text(action: &str) -> String {
    if action.is_empty() {
        String::new()
    } else {
        format!(" action {action}")
    }
}

fn property_text(property: Option<&str>) -> String {
    property
        .map(|name| format!("property `{name}`: "))
        .unwrap_or_default()
}

fn hint(closest: Option<&str>) -> String {
    closest
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

fn output_text(output: &str) -> String {
    let output = output.trim_end();
    if output.is_empty() {
        String::new()
    } else {
        format!("\n{output}")
    }
}

impl Cause {
    /// For `map_err`: the system refused to do something with a path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The class of exception that a recipe would rescue under Chef.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::UnknownKind { .. } => "Chef::Exceptions::NoSuchResourceType",
            Self::UnknownAction { .. } => "Chef::Exceptions::UnsupportedAction",
            Self::UnknownProperty { .. } => "NoMethodError",
            Self::Missing | Self::Invalid(_) => "Chef::Exceptions::ValidationFailed",
            Self::NoUser(_) => "Chef::Exceptions::UserIDNotFound",
            Self::NoGroup(_) => "Chef::Exceptions::GroupIDNotFound",
            Self::NoFolder(_) => "Chef::Exceptions::EnclosingDirectoryDoesNotExist",
            Self::Type { .. } => "Chef::Exceptions::FileTypeMismatch",
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "Errno::ENOENT",
                io::ErrorKind::PermissionDenied => "Errno::EACCES",
                _ => "SystemCallError",
            },
            Self::Command {
                error: CommandError::Denied { .. },
            } => "Errno::EACCES",
            Self::Command { .. } => "Errno::ENOENT",
            Self::Failed {
                ended: Ended::TimedOut,
                ..
            } => "Mixlib::ShellOut::CommandTimeout",
            Self::Failed { .. } => "Mixlib::ShellOut::ShellCommandFailed",
            Self::Verification { .. } => "Chef::Exceptions::ValidationFailed",
            Self::Checksum { .. } => "Chef::Exceptions::ChecksumMismatch",
            Self::Http { .. } => "Net::HTTPServerException",
            Self::Package(_) => "Chef::Exceptions::Package",
            Self::Service(_) => "Chef::Exceptions::Service",
            Self::Within(error) => error.cause.exception(),
            Self::Unsupported(_) => "Chef::Exceptions::UnsupportedPlatform",
        }
    }
}

/// A cause, and the property that is to blame.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) property: Option<&'static str>,
    pub(crate) cause: Cause,
}

impl Failure {
    /// The value of a property is not right.
    pub(crate) fn invalid(property: &'static str, why: impl Into<String>) -> Self {
        Self {
            property: Some(property),
            cause: Cause::Invalid(why.into()),
        }
    }

    /// A property that is needed is not set.
    pub(crate) fn missing(property: &'static str) -> Self {
        Self {
            property: Some(property),
            cause: Cause::Missing,
        }
    }
}

impl<T: Into<Cause>> From<T> for Failure {
    fn from(cause: T) -> Self {
        Self {
            property: None,
            cause: cause.into(),
        }
    }
}
