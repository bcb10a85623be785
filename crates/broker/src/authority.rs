//! Who may connect, and what they may do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::failure::{Code, Failure};

/// The answer of [`Authority::authenticate`]: what the user may do, or none for a wrong name or password.
pub type Authentication<'a> = Pin<Box<dyn Future<Output = Option<Permissions>> + Send + 'a>>;

/// The answer of [`Authority::authenticate_certificate`]: the user and what it may do.
pub type CertificateAuthentication<'a> =
    Pin<Box<dyn Future<Output = Option<(String, Permissions)>> + Send + 'a>>;

/// Knows the users. The embedder's; the broker keeps no accounts.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Checks a name and password, once for each connection. Should take the same time for a wrong name as for a wrong
    /// password; the broker itself delays the answer to a refused client.
    ///
    /// A user that is refused from now on keeps connections that are open: see [`Broker::close_user`](crate::Broker::close_user).
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a [u8]) -> Authentication<'a>;

    /// Whose certificate this is (DER), which TLS has verified already: the mechanism EXTERNAL. Without an answer of the embedder it
    /// is nobody's.
    fn authenticate_certificate<'a>(&'a self, certificate: &'a [u8]) -> CertificateAuthentication<'a> {
        let _ = certificate;
        Box::pin(std::future::ready(None))
    }

    /// What a user that was let in may do in a vhost; none when it may not enter it. Without an answer of the embedder, everybody may
    /// enter `/` and nothing else.
    fn enter(&self, user: &str, vhost: &str, permissions: Permissions) -> Option<Permissions> {
        let _ = user;
        (vhost == "/").then_some(permissions)
    }
}

/// One way to name resources (exchanges and queues).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every resource. The only pattern that covers the default exchange as well.
    Everything,
    /// The resource of this name.
    Name(String),
    /// All resources whose names start so.
    Prefix(String),
}

impl Pattern {
    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Name(own) => own == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

/// Resources that a permission covers; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(pub Vec<Pattern>);

impl Scope {
    /// Covers everything.
    #[must_use]
    pub fn everything() -> Self {
        Self(vec![Pattern::Everything])
    }

    /// Covers nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Covers the resources of these names.
    pub fn names<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(|name| Pattern::Name(name.into())).collect())
    }

    fn covers(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.covers(name))
    }
}

/// Under which routing keys a user may publish to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPermission {
    /// The exchange.
    pub exchange: String,
    /// A key must start with one of these. None listed: no key is right.
    pub prefixes: Vec<String>,
}

/// What a user may do.
///
/// As in RabbitMQ: `configure` is declare and delete; `write` is publish to an exchange and bind a queue (or exchange) as the
/// destination; `read` is consume, get and purge a queue and bind an exchange as the source. A passive declare needs any of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Declare and delete.
    pub configure: Scope,
    /// Publish to exchanges, bind queues.
    pub write: Scope,
    /// Consume from, get from and purge queues, bind to exchanges.
    pub read: Scope,
    /// Limits on routing keys. An exchange that is not listed has none.
    pub topics: Vec<TopicPermission>,
}

impl Permissions {
    /// May do everything.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            configure: Scope::everything(),
            write: Scope::everything(),
            read: Scope::everything(),
            topics: Vec::new(),
        }
    }
}

/// What kind of thing is touched, for the error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource {
    Exchange,
    Queue,
}

/// What is done to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Configure,
    Write,
    Read,
    /// Look at it.
    Any,
}

impl Permissions {
    /// # Errors
    /// 403 that names the resource.
    pub(crate) fn check(
        &self,
        user: &str,
        access: Access,
        resource: Resource,
        name: &str,
    ) -> Result<(), Failure> {
        let allowed = match access {
            Access::Configure => self.configure.covers(name),
            Access::Write => self.write.covers(name),
            Access::Read => self.read.covers(name),
            Access::Any => self.configure.covers(name) || self.write.covers(name) || self.read.covers(name),
        };
        if allowed {
            return Ok(());
        }
        let access = match access {
            Access::Configure => "configure",
            Access::Write => "write",
            Access::Read => "read",
            Access::Any => "any",
        };
        let kind = match resource {
            Resource::Exchange => "exchange",
            Resource::Queue => "queue",
        };
        let name = if name.is_empty() { "amq.default" } else { name };
        Err(Failure::channel(
            Code::AccessRefused,
            format!("{access} access to {kind} '{name}' in vhost '/' refused for user '{user}'"),
        ))
    }

    /// # Errors
    /// 403 that names the exchange and the key.
    pub(crate) fn check_topic(&self, user: &str, exchange: &str, key: &str) -> Result<(), Failure> {
        let mut listed = self
            .topics
            .iter()
            .filter(|topic| topic.exchange == exchange)
            .peekable();
        if listed.peek().is_none()
            || listed.any(|topic| {
                topic
                    .prefixes
                    .iter()
                    .any(|prefix| key.starts_with(prefix.as_str()))
            })
        {
            return Ok(());
        }
        Err(Failure::channel(
            Code::AccessRefused,
            format!(
                "write access to topic '{key}' in exchange '{exchange}' in vhost '/' refused for user '{user}'"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_names_prefixes_or_everything() {
        let scope = Scope(vec![
            Pattern::Name("inbox".to_owned()),
            Pattern::Prefix("node.".to_owned()),
        ]);
        for (name, covered) in [
            ("inbox", true),
            ("inbox2", false),
            ("node.1", true),
            ("nod", false),
            ("", false),
        ] {
            assert_eq!(scope.covers(name), covered, "{name}");
        }
        assert!(Scope::everything().covers(""));
        assert!(!Scope::nothing().covers(""));
    }

    #[test]
    fn topics_limit_only_the_exchange_that_is_listed() {
        let permissions = Permissions {
            topics: vec![TopicPermission {
                exchange: "node".to_owned(),
                prefixes: vec!["c.n.".to_owned()],
            }],
            ..Permissions::everything()
        };
        assert!(permissions.check_topic("u", "node", "c.n.status").is_ok());
        assert!(permissions.check_topic("u", "other", "anything").is_ok());
        let failure = permissions
            .check_topic("u", "node", "c.other.status")
            .unwrap_err();
        assert_eq!(failure.code, Code::AccessRefused);
        assert!(failure.text.contains("c.other.status") && failure.text.contains("'node'"));
    }
}
