//! Who may connect to the broker, and what they may do there.

use broker::{Authentication, Authority, Pattern, Permissions, Scope, TopicPermission};
use protocol::topology;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::app::SharedApp;
use crate::auth::{Account, is_node_id};
use crate::store::{Node, StoreError};

/// User name of the server's own connection. No account can have it.
pub(super) const SERVER: &str = "cycle_server.internal";

/// The authority of the embedded broker: the server itself, nodes, and accounts.
#[derive(Debug)]
pub struct Gate {
    app: SharedApp,
    own_password: SecretString,
}

impl Gate {
    /// A gate that lets the server in with this password.
    pub fn new(app: SharedApp, own_password: SecretString) -> Self {
        Self { app, own_password }
    }

    async fn permissions(&self, user: &str, password: &[u8]) -> Option<Permissions> {
        if user == SERVER {
            let own = self.own_password.expose_secret().as_bytes();
            return bool::from(own.ct_eq(password)).then(Permissions::everything);
        }
        let password = str::from_utf8(password).ok()?;
        let log = |error: &StoreError| {
            tracing::error!(error = terminal::chain(error), user, "cannot check a login")
        };
        if is_node_id(user) {
            let node = self
                .app
                .auth
                .node(user, password, self.app.clock.now())
                .await
                .inspect_err(log)
                .ok()?;
            return node.map(|node| of_node(&node));
        }
        let account = self
            .app
            .auth
            .account(user, password)
            .await
            .inspect_err(log)
            .ok()?;
        let account = account.filter(Account::hears_messages)?;
        Some(match account.is_administrator() {
            true => Permissions::everything(),
            false => of_plugin(account.name()),
        })
    }
}

impl Authority for Gate {
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a [u8]) -> Authentication<'a> {
        Box::pin(self.permissions(user, password))
    }
}

/// A plug-in has queues of its own, hears all that nodes and others say, and publishes custom messages. It cannot read the
/// commands of a node, nor speak for one.
fn of_plugin(name: &str) -> Permissions {
    // The second are the names that the broker makes up.
    let own = || {
        vec![
            Pattern::Prefix(format!("plugin.{name}.")),
            Pattern::Prefix("amq.gen-".to_owned()),
        ]
    };
    let exchange = |name: &str| Pattern::Name(name.to_owned());
    let with = |mut scope: Vec<Pattern>, more: &[&str]| {
        scope.extend(more.iter().map(|name| exchange(name)));
        Scope(scope)
    };
    Permissions {
        configure: Scope(own()),
        write: with(own(), &[topology::CUSTOM_EXCHANGE]),
        read: with(own(), &[topology::NODE_EXCHANGE, topology::CUSTOM_EXCHANGE]),
        topics: Vec::new(),
    }
}

/// A node publishes under its own prefix, sends custom messages, and reads its own commands.
fn of_node(node: &Node) -> Permissions {
    Permissions {
        configure: Scope::nothing(),
        write: Scope::names([topology::NODE_EXCHANGE, topology::CUSTOM_EXCHANGE]),
        read: Scope::names([topology::command_queue(&node.id)]),
        topics: vec![TopicPermission {
            exchange: topology::NODE_EXCHANGE.to_owned(),
            prefixes: vec![topology::node_prefix(&node.cluster, &node.id)],
        }],
    }
}
