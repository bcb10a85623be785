//! Who may connect to the broker, and what they may do there.

use broker::{Authentication, Authority, Permissions, Scope, TopicPermission};
use protocol::topology;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::app::SharedApp;
use crate::auth::is_node_id;
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
            let node = self.app.auth.node(user, password).await.inspect_err(log).ok()?;
            return node.map(|node| of_node(&node));
        }
        let account = self
            .app
            .auth
            .account(user, password)
            .await
            .inspect_err(log)
            .ok()?;
        account
            .filter(|account| account.is_administrator())
            .map(|_| Permissions::everything())
    }
}

impl Authority for Gate {
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a [u8]) -> Authentication<'a> {
        Box::pin(self.permissions(user, password))
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
