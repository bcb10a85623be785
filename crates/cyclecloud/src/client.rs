//! Calls to the server.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use terminal::ResultExt;

use crate::config::Server;

/// The longest that one call may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 256 << 20;
/// Most bytes of the answer of a server that says no.
const MAX_SENTENCE: usize = 64 << 10;
/// Sent along, as other clients do.
const VERSION: &str = concat!("cyclecloud-cli:", env!("CARGO_PKG_VERSION"));

/// The server, ready to be called.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: Server,
}

/// What can be sent with a call.
pub(crate) enum Body<'a> {
    Empty,
    Form(&'a [(&'a str, &'a str)]),
    Json(Vec<u8>),
}

impl Client {
    pub(crate) fn new(server: Server) -> anyhow::Result<Self> {
        let http = server
            .access()?
            .trust
            .client()
            .with_context(|| format!("cannot set up TLS for `{}`", server.url))?;
        Ok(Self { http, server })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The URL of a resource; the steps are quoted.
    pub(crate) fn url(&self, steps: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.server.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            // The path of a server without a prefix is one empty step.
            path.pop_if_empty().extend(steps);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        steps: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let url = self.url(steps, query);
        let body = self.call(Method::GET, url.clone(), Body::Empty).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("the answer of `{url}` is not as expected"))
            .hint("is this the address of an application server?")
    }

    pub(crate) async fn post(&self, steps: &[&str], body: Body<'_>) -> anyhow::Result<String> {
        self.post_to(self.url(steps, &[]), body).await
    }

    pub(crate) async fn post_to(&self, url: Url, body: Body<'_>) -> anyhow::Result<String> {
        let answer = self.call(Method::POST, url, body).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// A call with a JSON body, or with none, and a JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        steps: &[&str],
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<T> {
        let url = self.url(steps, &[]);
        let body = match body {
            Some(body) => Body::Json(serde_json::to_vec(body)?),
            None => Body::Empty,
        };
        let answer = self.call(method, url.clone(), body).await?;
        serde_json::from_slice(&answer).with_context(|| format!("the answer of `{url}` is not as expected"))
    }

    pub(crate) async fn delete(&self, steps: &[&str]) -> anyhow::Result<()> {
        self.call(Method::DELETE, self.url(steps, &[]), Body::Empty)
            .await?;
        Ok(())
    }

    async fn call(&self, method: Method, url: Url, body: Body<'_>) -> anyhow::Result<Vec<u8>> {
        let mut request = self.http.request(method, url).timeout(TIMEOUT);
        if let Body::Form(fields) = body {
            let mut form = Url::parse("form:")?;
            form.query_pairs_mut().extend_pairs(fields);
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned());
        } else if let Body::Json(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = match self.send(request).await {
            Ok(response) => response,
            Err(error) => return error.report(),
        };
        match read(response, MAX_ANSWER).await {
            Ok(body) => Ok(body),
            Err(error) => self.away(error).report(),
        }
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn stream(&self, url: Url) -> Result<reqwest::Response, CallError> {
        self.send(self.http.get(url).header("accept", "text/event-stream"))
            .await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, CallError> {
        let request = request
            .basic_auth(&self.server.username, Some(self.server.password.expose_secret()))
            .header("x-cycle-client-version", VERSION);
        let response = request.send().await.map_err(|error| self.away(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read(response, MAX_SENTENCE).await.unwrap_or_default();
        Err(CallError::Refused {
            status,
            sentence: sentence(&body),
        })
    }

    fn away(&self, error: reqwest::Error) -> CallError {
        CallError::Away {
            url: shown(&self.server.url).to_owned(),
            source: error.without_url(),
        }
    }
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The server did not answer: trying again later can help.
    #[error("cannot reach the server `{url}`")]
    Away {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// The server said no, in its own words.
    #[error("{}", if sentence.is_empty() { format!("the server answered {status}") } else { sentence.clone() })]
    Refused { status: StatusCode, sentence: String },
}

impl CallError {
    /// Whether the same call can succeed later, with nothing changed here.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Refused { status, .. } => status.is_server_error(),
        }
    }

    /// Adds what a person can do.
    pub(crate) fn report<T>(self) -> anyhow::Result<T> {
        let hint = match &self {
            Self::Away { source, .. } if innermost(source).contains("certificate") => {
                "give the server's authority with `cyclecloud initialize --force --ca FILE`"
            }
            Self::Away { .. } => {
                "is the server running, and is this its address? `cyclecloud initialize --force` sets another"
            }
            Self::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED => {
                "run `cyclecloud initialize --force` with the right user and password"
            }
            Self::Refused { status, .. } if status.is_redirection() => {
                "is this the address of an application server?"
            }
            Self::Refused { .. } => return Err(self.into()),
        };
        Err(self).hint(hint)
    }
}

/// The URL as people write it.
pub(crate) fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

fn innermost(error: &reqwest::Error) -> String {
    let mut last: &(dyn std::error::Error + 'static) = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// `{"error": "<sentence>"}`, or a plain text; nothing of a page for browsers.
fn sentence(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Error {
        error: String,
    }
    match serde_json::from_slice::<Error>(body) {
        Ok(body) => body.error,
        Err(_) if body.trim_ascii_start().starts_with(b"<") => String::new(),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

/// The body; an answer beyond the limit is cut, and then no JSON.
async fn read(response: reqwest::Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut stream = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > limit {
            body.truncate(limit);
            break;
        }
    }
    Ok(body)
}

/// Checks a name before it becomes a step of a URL, where `..` would lead elsewhere.
pub(crate) fn check_name(what: &str, name: &str) -> anyhow::Result<()> {
    if let Err(error) = protocol::check_name(what, name) {
        bail!("{error}");
    }
    Ok(())
}
