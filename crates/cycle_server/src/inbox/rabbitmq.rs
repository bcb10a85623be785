//! The accounts of nodes and plug-ins on a RabbitMQ, made through its management API.
//!
//! RabbitMQ asks nobody who may do what, as our own broker asks the [`Gate`](super::Gate): so each node gets an account there
//! when it fetches its configuration, with the same permissions, and loses it when it goes.

use std::time::Duration;

use protocol::topology;
use reqwest::{Client, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::settings::MessageSettings;
use crate::store::Node;

const TIMEOUT: Duration = Duration::from_secs(20);

/// RabbitMQ did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// The client could not be made.
    #[error("the authority of `messages.ca_file` cannot be used")]
    Client(#[source] reqwest::Error),
    /// There is no answer.
    #[error("RabbitMQ's management API at `{url}` does not answer")]
    Away {
        /// Where it is.
        url: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// It refused.
    #[error("RabbitMQ's management API at `{url}` answered {status} for `{path}`: {reason}")]
    Refused {
        /// Where it is.
        url: String,
        /// What was asked for.
        path: String,
        /// Its status.
        status: StatusCode,
        /// What it said.
        reason: String,
    },
}

/// The management API of the site's RabbitMQ.
#[derive(Debug)]
pub struct Management {
    client: Client,
    url: String,
    user: String,
    password: SecretString,
    vhost: String,
}

impl Management {
    /// The API that the settings name. Nothing is asked yet.
    ///
    /// # Errors
    /// When the pinned authority is not one.
    pub fn new(settings: &MessageSettings) -> Result<Self, ManagementError> {
        let builder = Client::builder().timeout(TIMEOUT);
        let builder = match &settings.ca {
            Some(ca) => {
                let certificates = reqwest::Certificate::from_pem_bundle(ca.as_bytes());
                builder.tls_certs_only(certificates.map_err(ManagementError::Client)?)
            }
            None => builder,
        };
        Ok(Self {
            client: builder.build().map_err(ManagementError::Client)?,
            url: settings.management_url.clone(),
            user: settings.uri.authority.userinfo.username.clone(),
            password: settings.password.clone(),
            vhost: escaped(&settings.uri.vhost),
        })
    }

    /// Makes the account of a node, or renews it: it may do what the [`Gate`](super::Gate) would let it do.
    ///
    /// # Errors
    /// When RabbitMQ does not answer or refuses.
    pub async fn admit(&self, node: &Node, secret: &str) -> Result<(), ManagementError> {
        let id = &node.id;
        self.ask(
            Method::PUT,
            &format!("/api/users/{id}"),
            Some(&json!({"password": secret, "tags": ""})),
        )
        .await?;
        let write = any_of(&[topology::NODE_EXCHANGE, topology::CUSTOM_EXCHANGE]);
        let read = any_of(&[&topology::command_queue(id)]);
        self.permit(id, &json!({"configure": "^$", "write": write, "read": read}))
            .await?;
        let own = format!("^{}", literal(&topology::node_prefix(&node.cluster, id)));
        self.ask(
            Method::PUT,
            &format!("/api/topic-permissions/{}/{id}", self.vhost),
            Some(&json!({"exchange": topology::NODE_EXCHANGE, "write": own, "read": "^$"})),
        )
        .await
    }

    /// Takes the account of a node away; RabbitMQ closes its connections with it. One that is gone is no error.
    ///
    /// # Errors
    /// When RabbitMQ does not answer or refuses.
    pub async fn expel(&self, node_id: &str) -> Result<(), ManagementError> {
        let path = format!("/api/users/{node_id}");
        match self.ask(Method::DELETE, &path, None).await {
            Err(ManagementError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => Ok(()),
            result => result,
        }
    }

    async fn permit(&self, user: &str, permissions: &Value) -> Result<(), ManagementError> {
        let path = format!("/api/permissions/{}/{user}", self.vhost);
        self.ask(Method::PUT, &path, Some(permissions)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), ManagementError> {
        let request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .basic_auth(&self.user, Some(self.password.expose_secret()));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.map_err(|source| ManagementError::Away {
            url: self.url.clone(),
            source,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let reason: Value = answer.json().await.unwrap_or_default();
        let reason = reason["reason"].as_str().or_else(|| reason["error"].as_str());
        Err(ManagementError::Refused {
            url: self.url.clone(),
            path: path.to_owned(),
            status,
            reason: reason.unwrap_or("no reason given").to_owned(),
        })
    }
}

/// A regular expression for exactly these names.
fn any_of(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    format!("^({})$", names.join("|"))
}

/// A name in a regular expression.
fn literal(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if !character.is_alphanumeric() && character != '_' && character != '-' {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// A name as one step of a path.
fn escaped(name: &str) -> String {
    name.bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => path.push(char::from(byte)),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_only_themselves() {
        assert_eq!(any_of(&["cyclecloud.node", "a-b"]), r"^(cyclecloud\.node|a-b)$");
        assert_eq!(literal("a.b*_c"), r"a\.b\*_c");
        assert_eq!(escaped("/"), "%2F");
        assert_eq!(escaped("prod-1"), "prod-1");
    }
}
