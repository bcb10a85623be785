//! One request over HTTPS for code of recipes: whatever comes back is an answer.

use std::thread;
use std::time::Duration;

use locker::Trust;
use node::command::Stop;
use reqwest::{Method, Url};

use super::http::{client_of, reason, shown};

/// Most bytes of an answer. It is in memory, and then in that of Ruby.
const MOST_BYTES: usize = 256 << 20;

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificates {
    /// Those of the machine's authorities.
    System,
    /// Those of these authorities, in PEM.
    Of(String),
    /// Anybody's. Only on a user's express wish.
    Anybody,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// `GET`, `POST` …
    pub method: String,
    /// Where to.
    pub url: String,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// What is sent; nothing when it is empty.
    pub body: Vec<u8>,
    /// Whose certificates are believed.
    pub certificates: Certificates,
    /// How long it may take.
    pub time_limit: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status: 200, 404 …
    pub status: u16,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {reason}")]
pub struct ExchangeError {
    method: String,
    /// Without what may be secret in it.
    url: String,
    reason: String,
}

impl Exchange {
    /// Sends the request. A redirect is an answer like others.
    ///
    /// # Errors
    /// When there is no whole answer: the server is away, its certificate is not believed, the time is over.
    pub fn send(&self, stop: &Stop) -> Result<Answer, ExchangeError> {
        // Whoever calls may be on `tokio` himself, where nobody may wait.
        let result = thread::scope(|scope| {
            let work = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?;
                runtime.block_on(async {
                    tokio::select! {
                        answer = self.exchange() => answer,
                        () = stop.requested() => Err("it was stopped".to_owned()),
                        () = tokio::time::sleep(self.time_limit) => Err("the time limit was reached".to_owned()),
                    }
                })
            });
            work.join()
        });
        let result = result.unwrap_or_else(|_| Err("the work on it has crashed".to_owned()));
        result.map_err(|reason| ExchangeError {
            method: self.method.clone(),
            url: shown(&self.url),
            reason,
        })
    }

    async fn exchange(&self) -> Result<Answer, String> {
        let trust = match &self.certificates {
            Certificates::System => Trust::System,
            Certificates::Anybody => Trust::Anybody,
            Certificates::Of(pem) => Trust::Pinned(pem.clone()),
        };
        let client = client_of(&trust)?;
        let url = Url::parse(&self.url).map_err(|error| error.to_string())?;
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|error| error.to_string())?;
        let mut request = client.request(method, url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.body.is_empty() {
            request = request.body(self.body.clone());
        }
        let mut answer = request.send().await.map_err(|error| reason(&error))?;
        let headers = answer.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        let headers = headers.collect();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| reason(&error))? {
            if body.len() + piece.len() > MOST_BYTES {
                return Err(format!("the answer is longer than {MOST_BYTES} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status: answer.status().as_u16(),
            headers,
            body,
        })
    }
}
