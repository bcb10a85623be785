//! `[messages]`: a RabbitMQ in place of the server's own broker.

use std::path::{Path, PathBuf};

use lapin::uri::{AMQPScheme, AMQPUri};
use protocol::Amqp;
use secrecy::SecretString;
use serde::Deserialize;

use super::SettingsError;

/// The section as it is written.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fragment {
    url: Option<String>,
    password_file: Option<PathBuf>,
    management_url: Option<String>,
    node_url: Option<String>,
    ca_file: Option<PathBuf>,
    #[serde(flatten)]
    pub(super) unknown: std::collections::BTreeMap<String, toml::Value>,
}

/// The RabbitMQ that carries the messages.
#[derive(Debug, Clone)]
pub struct MessageSettings {
    /// Where the server itself connects. The password is [`MessageSettings::password`].
    pub uri: AMQPUri,
    /// The password of the account in `uri`, which is an administrator of RabbitMQ.
    pub password: SecretString,
    /// Its management API, without a slash at the end.
    pub management_url: String,
    /// What nodes are told.
    pub reach: Amqp,
    /// The authority to trust (PEM), for both; the platform's when there is none.
    pub ca: Option<String>,
}

impl Fragment {
    /// Whether a secret is in the settings themselves.
    pub(super) fn holds_secret(&self) -> bool {
        let uri = self.url.as_deref().and_then(|url| url.parse::<AMQPUri>().ok());
        // `guest` is what a URL without a password means.
        self.password_file.is_none() && uri.is_some_and(|uri| uri.authority.userinfo.password != "guest")
    }

    /// The settings, checked; none without a `url`. Relative paths are below the server's `folder`.
    pub(super) fn settings(self, folder: &Path) -> Result<Option<MessageSettings>, SettingsError> {
        let Some(url) = self.url else {
            let other = [
                ("messages.management_url", self.management_url),
                ("messages.node_url", self.node_url),
            ];
            return match other.into_iter().find_map(|(key, value)| Some((key, value?))) {
                Some((key, value)) => Err(SettingsError::Value {
                    key,
                    value,
                    problem: "it means nothing without `messages.url`",
                }),
                None => Ok(None),
            };
        };
        let mut uri = parse("messages.url", &url)?;
        let read = |path: &Path| {
            let path = folder.join(path);
            std::fs::read_to_string(&path).map_err(|source| SettingsError::Read { path, source })
        };
        if let Some(file) = &self.password_file {
            uri.authority.userinfo.password = read(file)?.trim().to_owned();
        }
        let password = SecretString::from(std::mem::take(&mut uri.authority.userinfo.password));
        let management_url = self.management_url.unwrap_or_else(|| match uri.scheme {
            AMQPScheme::AMQPS => format!("https://{}:15671", host(&uri)),
            AMQPScheme::AMQP => format!("http://{}:15672", host(&uri)),
        });
        private("messages.management_url", &management_url, &management_url)?;
        let reach = match &self.node_url {
            Some(url) => parse("messages.node_url", url)?,
            None => uri.clone(),
        };
        let ca = self.ca_file.as_deref().map(read).transpose()?;
        Ok(Some(MessageSettings {
            password,
            management_url: management_url.trim_end_matches('/').to_owned(),
            reach: Amqp {
                host: Some(reach.authority.host.clone()),
                port: reach.authority.port,
                tls: reach.scheme == AMQPScheme::AMQPS,
                vhost: uri.vhost.clone(),
                ca: ca.clone(),
            },
            uri,
            ca,
        }))
    }
}

fn host(uri: &AMQPUri) -> String {
    let host = &uri.authority.host;
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.clone(),
    }
}

/// Host and port of `amqp_url`. Whether there is TLS follows from the address that is listened on.
pub(super) fn place(url: &str) -> Result<(String, u16), SettingsError> {
    let uri: AMQPUri = url.parse().map_err(|_| SettingsError::Value {
        key: "amqp_url",
        value: url.to_owned(),
        problem: "a URL like `amqps://host:5671` is expected",
    })?;
    Ok((uri.authority.host, uri.authority.port))
}

/// The error never repeats the URL, which may hold a password.
fn parse(key: &'static str, url: &str) -> Result<AMQPUri, SettingsError> {
    let uri: AMQPUri = url.parse().map_err(|_| SettingsError::Value {
        key,
        value: url.split(['@', '?']).next_back().unwrap_or_default().to_owned(),
        problem: "a URL like `amqps://user:password@host:5671/vhost` is expected",
    })?;
    let (scheme, shown) = match uri.scheme {
        AMQPScheme::AMQPS => ("https", "amqps"),
        AMQPScheme::AMQP => ("http", "amqp"),
    };
    private(
        key,
        &format!("{scheme}://{}", host(&uri)),
        &format!("{shown}://{}", host(&uri)),
    )?;
    Ok(uri)
}

/// Credentials leave this machine over TLS only. `url` has a scheme of the web; `shown` is as the administrator knows it.
fn private(key: &'static str, url: &str, shown: &str) -> Result<(), SettingsError> {
    let wrong = |problem| SettingsError::Value {
        key,
        value: shown.to_owned(),
        problem,
    };
    let parsed =
        reqwest::Url::parse(url).map_err(|_| wrong("a URL like `https://host:15671` is expected"))?;
    match locker::is_private(&parsed) {
        true => Ok(()),
        false => Err(wrong("it is neither over TLS nor on this machine")),
    }
}
