//! Asking a metadata service: plain HTTP, no proxy, no redirect, a bounded answer, one deadline.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use node::backoff::Backoff;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout_at};

use super::{GOOGLE, LINK_LOCAL};

/// Largest answer that is read, in bytes. Azure's is about 8 KiB.
const MAX_BODY: usize = 1 << 20;
/// How much longer a service is waited for that has answered and asks for patience.
const PATIENCE: u32 = 5;
/// Between tries while it asks for patience.
const BUSY: Backoff = Backoff {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(2),
};

/// A metadata service did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no HTTP client.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// Nobody answered.
    #[error("`{url}` did not answer within {} ms", waited.as_millis())]
    Silent {
        /// What was asked for.
        url: String,
        /// For how long.
        waited: Duration,
    },
    /// The connection failed or broke.
    #[error("cannot read `{url}`")]
    Broken {
        /// What was asked for.
        url: String,
        /// What the system or the protocol said.
        #[source]
        source: reqwest::Error,
    },
    /// It answered, and not with success.
    #[error("`{url}` answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// Its answer.
        status: StatusCode,
        /// The body, as far as it was read.
        body: Vec<u8>,
    },
    /// The answer does not end.
    #[error("the answer of `{url}` is larger than {} KiB", MAX_BODY / 1024)]
    TooLarge {
        /// What was asked for.
        url: String,
    },
    /// Something else answers there.
    #[error("the answer of `{url}` is not {expected}")]
    Unexpected {
        /// What was asked for.
        url: String,
        /// What it should have been.
        expected: &'static str,
    },
}

/// A client for all services of a machine.
pub(super) fn client() -> Result<Client, Error> {
    // The client wants to know how TLS is done, though no service speaks it. An error means that it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("jetpack/", env!("CARGO_PKG_VERSION")))
        .tls_certs_only([])
        .http1_only()
        // What a proxy sees is not for it, and it is another machine's metadata that it would get.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    if let Ok(address) = LINK_LOCAL.parse::<Ipv4Addr>() {
        builder = builder.resolve(GOOGLE, SocketAddr::from((address, 80)));
    }
    builder.build().map_err(Error::Client)
}

/// The service of one cloud, while it is asked.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    base: String,
    start: Instant,
    timeout: Duration,
    /// It exists: it has answered something.
    answered: AtomicBool,
}

/// An answer with success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) url: String,
}

impl Service {
    /// A service at a URL, to be waited for from now on.
    pub(super) fn new(client: Client, base: String, timeout: Duration) -> Self {
        Self {
            client,
            base,
            start: Instant::now(),
            timeout,
            answered: AtomicBool::new(false),
        }
    }

    fn waited(&self) -> Duration {
        if self.answered.load(Ordering::Relaxed) {
            self.timeout.saturating_mul(PATIENCE)
        } else {
            self.timeout
        }
    }

    /// What is at a path, with these headers. A service that asks for patience gets it.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.base);
        let mut failures = 0;
        loop {
            let waited = self.waited();
            let asked = timeout_at(self.start + waited, self.once(method.clone(), &url, headers)).await;
            let Ok(answer) = asked else {
                // It may have answered meanwhile, and only its body is slow.
                if self.waited() > waited {
                    continue;
                }
                return Err(Error::Silent { url, waited });
            };
            let (status, retry_after, answer) = answer?;
            if status.is_success() {
                return Ok(answer);
            }
            failures += 1;
            let busy = BUSY.pause(failures, node::random::fraction());
            let pause = retry_after.map_or(busy, |seconds| busy.max(Duration::from_secs(seconds)));
            let until = Instant::now() + pause;
            if !asks_for_patience(status) || until >= self.start + self.waited() {
                let body = answer.body;
                return Err(Error::Status { url, status, body });
            }
            sleep(pause).await;
        }
    }

    async fn once(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(StatusCode, Option<u64>, Answer), Error> {
        let broken = |source: reqwest::Error| Error::Broken {
            url: url.to_owned(),
            source: source.without_url(),
        };
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await.map_err(broken)?;
        self.answered.store(true, Ordering::Relaxed);
        let status = response.status();
        let headers = response.headers().clone();
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Error::TooLarge { url: url.to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        let url = url.to_owned();
        Ok((status, retry_after, Answer { headers, body, url }))
    }
}

impl Answer {
    /// The answer as a JSON object.
    pub(super) fn object(&self, expected: &'static str) -> Result<Map<String, Value>, Error> {
        serde_json::from_slice(&self.body).map_err(|_| self.unexpected(expected))
    }

    /// The answer as text; bytes that are not UTF-8 are replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn unexpected(&self, expected: &'static str) -> Error {
        Error::Unexpected {
            url: self.url.clone(),
            expected,
        }
    }
}

/// Azure answers so when it is asked too often, and while its service is renewed.
fn asks_for_patience(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::GONE || status.is_server_error()
}
