//! Credentials of requests, as arguments of handlers.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::ApiError;
use crate::app::SharedApp;
use crate::store::{AccountRecord, Node};

/// A person or an autoscaler. Has an account that may do everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    name: String,
    administrator: bool,
    plugin: bool,
}

/// A node, known by its credential.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeIdentity {
    node: Box<Node>,
}

/// Either of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Identity {
    /// A person or an autoscaler.
    Account(Account),
    /// A node.
    Node(NodeIdentity),
}

impl Account {
    pub(super) fn new(record: &AccountRecord) -> Self {
        Self {
            name: record.name.clone(),
            administrator: record.administrator,
            plugin: record.profile.plugin,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may listen to messages.
    pub fn hears_messages(&self) -> bool {
        self.administrator || self.plugin
    }

    /// Whether it may do everything.
    pub fn is_administrator(&self) -> bool {
        self.administrator
    }
}

impl NodeIdentity {
    /// The node as it was when the request came.
    pub fn node(&self) -> &Node {
        &self.node
    }
}

impl FromRequestParts<SharedApp> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, ApiError> {
        let (user, password) = basic(parts).ok_or_else(ApiError::no_credential)?;
        if is_node_id(&user) {
            let node = app.auth.node(&user, &password, app.clock.now()).await?;
            let node = node.map(Box::new).ok_or_else(ApiError::wrong_credential)?;
            return Ok(Self::Node(NodeIdentity { node }));
        }
        let account = app.auth.account(&user, &password).await?;
        account.map(Self::Account).ok_or_else(ApiError::wrong_credential)
    }
}

impl FromRequestParts<SharedApp> for Account {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, ApiError> {
        match Identity::from_request_parts(parts, app).await? {
            Identity::Account(account) if account.administrator => Ok(account),
            Identity::Account(account) => Err(ApiError::forbidden(format!(
                "the account `{}` is not an administrator",
                account.name
            ))),
            Identity::Node(_) => Err(ApiError::forbidden("nodes may not do this")),
        }
    }
}

impl FromRequestParts<SharedApp> for NodeIdentity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, ApiError> {
        match Identity::from_request_parts(parts, app).await? {
            Identity::Node(node) => Ok(node),
            Identity::Account(_) => Err(ApiError::forbidden("only nodes may do this")),
        }
    }
}

/// Whether a user name is that of a node. No account may have such a name.
pub(crate) fn is_node_id(user: &str) -> bool {
    user.len() == 32 && user.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn basic(parts: &Parts) -> Option<(String, String)> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
