//! What the server answers over HTTP: the node's configuration, and messages when AMQP is not to be had.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use protocol::{Envelope, IssueUpload, Messages, NewSecret, NodeConfiguration};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The archive of a report has up to half a gigabyte.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(1800);
/// Two URLs and a time.
const MAX_UPLOAD_ANSWER: usize = 64 << 10;
/// A CA file is a few kilobytes.
const MAX_CA: usize = 256 << 10;
/// The configuration of a node with its whole `[[[configuration]]]` tree.
const MAX_CONFIGURATION: usize = 16 << 20;
/// The attributes of all nodes of a large cluster.
const MAX_NODES: usize = 256 << 20;
/// The server's errors are one sentence.
const MAX_ERROR: usize = 64 << 10;

/// Why a call did not succeed, by what there is to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is not there or not well: the same call may succeed later.
    #[error("the server at `{url}` is away ({reason})")]
    Away {
        /// What was called.
        url: String,
        /// In words; if it was the network, its innermost cause. The errors around that one only say that a request
        /// was being sent, so they are no source of this one.
        reason: String,
    },
    /// The server knows no such node, or no longer, or another one has this id.
    #[error("the server refused this node: {reason}")]
    Refused {
        /// 404, 409 or 410.
        status: u16,
        /// The server's sentence.
        reason: String,
    },
    /// The credential is not accepted.
    #[error("the server does not accept the credential of this node: {reason}")]
    Unauthorised {
        /// The server's sentence.
        reason: String,
    },
    /// The server answered what it should not.
    #[error("unexpected answer from `{url}`: {reason}")]
    Unexpected {
        /// What was called.
        url: String,
        /// In words.
        reason: String,
        /// What is wrong with it.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The address of the server is not usable.
    #[error("`{url}` {problem}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The CA certificate is not usable.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The server's CA is not the one that was announced.
    #[error("the CA of `{url}` has the fingerprint {found}, not {wanted}")]
    Fingerprint {
        /// The server.
        url: String,
        /// Of the certificate that the server gave.
        found: String,
        /// As announced.
        wanted: String,
    },
    /// The HTTP client cannot be made.
    #[error("cannot set up HTTP")]
    Client(#[source] reqwest::Error),
}

impl Error {
    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// Who calls.
#[derive(Clone)]
pub enum Credential {
    /// The node's secret alone, while it has no id yet.
    Bearer(SecretString),
    /// The node's id and its secret.
    Basic {
        /// Node id.
        user: String,
        /// The node's secret.
        password: SecretString,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(_) => f.write_str("Bearer"),
            Self::Basic { user, .. } => write!(f, "Basic({user})"),
        }
    }
}

/// The server as this node calls it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerApi {
    client: Client,
    url: Url,
    credential: Credential,
}

impl ServerApi {
    /// A client for the server at `url`. With `ca` (PEM) only certificates of that CA are accepted, else those
    /// of the platform's roots.
    ///
    /// # Errors
    /// [`Error::Address`] when the URL is not one of HTTP, or is without TLS and not on this machine;
    /// [`Error::Tls`] when the CA is not usable.
    pub fn new(url: &str, ca: Option<&[u8]>, credential: Credential) -> Result<Self, Error> {
        let parsed = parse_url(url)?;
        let mut builder = builder();
        if let Some(ca) = ca {
            let config = tls::pinned(ca)?;
            builder = builder.tls_backend_preconfigured((*config).clone());
        }
        Ok(Self {
            client: builder.build().map_err(Error::Client)?,
            url: parsed,
            credential,
        })
    }

    /// The same server, called by somebody else.
    #[must_use]
    pub fn with_credential(&self, credential: Credential) -> Self {
        Self {
            credential,
            ..self.clone()
        }
    }

    /// The server.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Fetches the node's configuration. The first success binds the secret to the node; later calls refresh.
    ///
    /// # Errors
    /// [`Error::Refused`] when the id is unknown, another node's or over; [`Error::Away`] when a later try may
    /// succeed.
    pub async fn fetch_configuration(&self, userdata: &str) -> Result<NodeConfiguration, Error> {
        let response = self
            .call(Method::GET, &["clusterlink", "userdata", userdata], |r| r)
            .await?;
        let url = response.url().to_string();
        let body = bounded(response, MAX_CONFIGURATION).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Unexpected {
            url,
            reason: "it is not the configuration of a node".to_owned(),
            source: Some(error.into()),
        })
    }

    /// Sends messages, in order. When this returns, the server has stored all of them.
    ///
    /// # Errors
    /// None of them may be counted as sent then.
    pub async fn post_messages(&self, messages: Vec<Envelope>) -> Result<(), Error> {
        let body = Messages { messages };
        self.call(Method::POST, &["clusterlink", "messages"], |request| {
            request.json(&body)
        })
        .await?;
        Ok(())
    }

    /// Tells the server the secret that this node is to be known by. May be repeated.
    ///
    /// # Errors
    /// [`Error::Away`] when a later try may succeed; the server may know the secret by then.
    pub async fn renew_secret(&self, next: &SecretString) -> Result<(), Error> {
        let body = NewSecret {
            secret: next.expose_secret().to_owned(),
        };
        self.call(Method::POST, &["clusterlink", "secret"], |request| {
            request.json(&body)
        })
        .await?;
        Ok(())
    }

    /// Uploads the archive of a report, of `length` bytes, under its name `CLUSTER-NODE-UUID.zip`; with `sign` the answer
    /// has a URL that needs no account.
    ///
    /// # Errors
    /// [`Error::Away`] when a later try may succeed.
    pub async fn upload_issue(
        &self,
        name: &str,
        archive: tokio::fs::File,
        length: u64,
        sign: bool,
    ) -> Result<IssueUpload, Error> {
        let response = self
            .call(Method::PUT, &["clusterlink", "issues", name], |request| {
                request
                    .timeout(UPLOAD_TIMEOUT)
                    .query(&[("sign", sign)])
                    .header(CONTENT_TYPE, "application/zip")
                    // The server can refuse one that is too large before it is sent.
                    .header(CONTENT_LENGTH, length)
                    .body(archive)
            })
            .await?;
        let url = response.url().to_string();
        let body = bounded(response, MAX_UPLOAD_ANSWER).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Unexpected {
            url,
            reason: "it does not say where the report is".to_owned(),
            source: Some(error.into()),
        })
    }

    /// The attributes of the nodes of this node's cluster that let others know of them, by the name of the node; with a role or
    /// recipe those that have it.
    ///
    /// # Errors
    /// [`Error::Away`] when a later try may succeed.
    pub async fn discoverable(
        &self,
        role: Option<&str>,
        recipe: Option<&str>,
    ) -> Result<Vec<Map<String, Value>>, Error> {
        let wanted: Vec<(&str, &str)> = [("role", role), ("recipe", recipe)]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        let response = self
            .call(Method::GET, &["clusterlink", "discoverable"], |request| {
                request.query(&wanted)
            })
            .await?;
        let url = response.url().to_string();
        let body = bounded(response, MAX_NODES).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Unexpected {
            url,
            reason: "it does not say which nodes there are".to_owned(),
            source: Some(error.into()),
        })
    }

    /// Lets the other nodes of the cluster know these attributes of this node, in the place of those before.
    ///
    /// # Errors
    /// [`Error::Away`] when a later try may succeed.
    pub async fn store_discoverable(&self, attributes: &Map<String, Value>) -> Result<(), Error> {
        self.call(Method::PUT, &["clusterlink", "discoverable"], |request| {
            request.json(attributes)
        })
        .await?;
        Ok(())
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let url = join(&self.url, path)?;
        let request = self.client.request(method, url.clone());
        let request = match &self.credential {
            Credential::Bearer(secret) => request.bearer_auth(secret.expose_secret()),
            Credential::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
        };
        let response = fill(request)
            .send()
            .await
            .map_err(|error| away(&self.url, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let reason = sentence(response).await;
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Unauthorised { reason },
            StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::GONE => Error::Refused {
                status: status.as_u16(),
                reason,
            },
            _ if status.is_server_error()
                || status == StatusCode::TOO_MANY_REQUESTS
                || status == StatusCode::REQUEST_TIMEOUT =>
            {
                Error::Away {
                    url: self.url.to_string(),
                    reason,
                }
            }
            _ => Error::Unexpected {
                url: url.to_string(),
                reason,
                source: None,
            },
        })
    }
}

/// Fetches the CA certificate of a server that is not trusted yet, and accepts it only when SHA-256 of its DER
/// form is `fingerprint` (64 hex digits).
///
/// # Errors
/// [`Error::Fingerprint`] when it is another one; [`Error::Away`] when a later try may succeed.
pub async fn fetch_ca(url: &str, fingerprint: &str) -> Result<Vec<u8>, Error> {
    let base = parse_url(url)?;
    // The fingerprint is the check: nothing else of this connection is believed, and nothing secret is sent.
    let client = builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(Error::Client)?;
    let url = join(&base, &["ca.pem"])?;
    let response = client
        .get(url.clone())
        .send()
        .await
        .map_err(|error| away(&base, &error))?;
    let status = response.status();
    if !status.is_success() {
        let reason = sentence(response).await;
        return Err(if status.is_server_error() {
            Error::Away {
                url: base.to_string(),
                reason,
            }
        } else {
            Error::Unexpected {
                url: url.to_string(),
                reason,
                source: None,
            }
        });
    }
    let pem = bounded(response, MAX_CA).await?;
    let found = tls::fingerprint(&pem)?;
    if found != fingerprint {
        return Err(Error::Fingerprint {
            url: base.to_string(),
            found,
            wanted: fingerprint.to_owned(),
        });
    }
    Ok(pem)
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("jetpack/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        // A redirect would carry the credential or the trust elsewhere.
        .redirect(reqwest::redirect::Policy::none())
}

fn parse_url(given: &str) -> Result<Url, Error> {
    let address = |problem| Error::Address {
        url: given.to_owned(),
        problem,
    };
    let url: Url = given.parse().map_err(|_| address("is not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(address(
            "is without TLS: use `https`, `http` is for addresses of this machine only",
        )),
        _ => Err(address("is not an `https` URL")),
    }
}

/// Whether the host of the URL is this machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

/// Whether a host name or address is this machine itself.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn join(base: &Url, path: &[&str]) -> Result<Url, Error> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::Address {
            url: base.to_string(),
            problem: "cannot have a path",
        })?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

fn away(url: &Url, error: &reqwest::Error) -> Error {
    let reason = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        // The innermost cause says it: `Connection refused`, `invalid peer certificate`.
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        text
    };
    Error::Away {
        url: url.to_string(),
        reason,
    }
}

async fn bounded(mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
    let url = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(&url, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::Unexpected {
                url: url.to_string(),
                reason: format!("it is longer than {limit} bytes"),
                source: None,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The server's error sentence, or the status when there is none.
async fn sentence(response: Response) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: String,
    }
    let status = response.status();
    let body = bounded(response, MAX_ERROR).await.unwrap_or_default();
    match serde_json::from_slice::<Body>(&body) {
        Ok(Body { error }) => error,
        Err(_) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_this_machine_only() {
        for good in [
            "https://server:9443",
            "http://127.0.0.1:8080",
            "http://localhost:1/x",
            "http://[::1]:8080",
        ] {
            parse_url(good).unwrap();
        }
        for bad in [
            "http://server:8080",
            "http://10.0.0.4",
            "ftp://127.0.0.1",
            "server:8080",
            "",
        ] {
            parse_url(bad).unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_told_once_with_the_cause() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Nobody listens at a port below 1024 that has no service; it is refused at once.
        let credential = Credential::Bearer("s".to_owned().into());
        let api = ServerApi::new("http://127.0.0.1:9", None, credential).unwrap();
        let error = api.fetch_configuration("u").await.unwrap_err();
        assert!(error.is_away());
        assert_eq!(
            node::trace::chain(&error),
            "the server at `http://127.0.0.1:9/` is away (Connection refused (os error 111))"
        );
    }

    #[test]
    fn an_id_cannot_leave_its_path() {
        let url = join(
            &"https://s/base/".parse().unwrap(),
            &["clusterlink", "userdata", "../../x"],
        )
        .unwrap();
        assert_eq!(url.as_str(), "https://s/base/clusterlink/userdata/..%2F..%2Fx");
    }

    #[test]
    fn a_credential_is_not_printed() {
        let credential = Credential::Basic {
            user: "n1".to_owned(),
            password: "hunter2".to_owned().into(),
        };
        assert_eq!(format!("{credential:?}"), "Basic(n1)");
    }
}
