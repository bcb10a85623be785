//! What resources fetch over HTTP.

use std::fs::File;
use std::io::Write;
use std::thread;

use locker::Trust;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::act::Act;
use super::error::Cause;

/// As many places may send us on, as in Chef.
const MOST_REDIRECTS: usize = 10;
/// How much of an answer that is no success an error shows.
const MOST_REASON: usize = 2000;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    /// Believe any certificate.
    pub(crate) anybody: bool,
}

/// An answer, with its body in the file that was given.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }
}

/// An address without what may be secret in it: name, password and query.
pub(crate) fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return url.split(['?', '#']).next().unwrap_or_default().to_owned();
    };
    // Neither fails for an address that has a host; others have none of these.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

impl Fetch {
    pub(crate) fn get(url: &str) -> Self {
        Self {
            method: Method::GET,
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            anybody: false,
        }
    }

    fn failed(&self, reason: impl Into<String>, status: Option<u16>) -> Cause {
        Cause::Http {
            method: self.method.to_string(),
            url: shown(&self.url),
            reason: reason.into(),
            status,
        }
    }

    /// The body of an answer that is a success.
    pub(crate) fn bytes(&self, act: &Act<'_>) -> Result<Vec<u8>, Cause> {
        let mut bytes = Vec::new();
        self.send(act, &mut bytes)?;
        Ok(bytes)
    }

    /// The text of an answer that is a success.
    pub(crate) fn text(&self, act: &Act<'_>) -> Result<String, Cause> {
        Ok(String::from_utf8_lossy(&self.bytes(act)?).into_owned())
    }

    /// Sends the request and writes the body of a success to a file.
    pub(crate) fn save(&self, act: &Act<'_>, file: &mut File) -> Result<Answer, Cause> {
        self.send(act, file)
    }

    /// Sends the request. An answer that is neither a success nor `304 Not Modified` is an error.
    fn send(&self, act: &Act<'_>, out: &mut (impl Write + Send)) -> Result<Answer, Cause> {
        let (stop, limit) = (act.options.stop.clone(), act.options.time_limit);
        // Whoever calls may be on `tokio` himself, where nobody may wait.
        let result = thread::scope(|scope| {
            let work = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| self.failed(error.to_string(), None))?;
                runtime.block_on(async {
                    tokio::select! {
                        answer = self.exchange(out) => answer,
                        () = stop.requested() => Err(self.failed("it was stopped", None)),
                        () = tokio::time::sleep(limit) => Err(self.failed("the time limit was reached", None)),
                    }
                })
            });
            work.join()
        });
        result.unwrap_or_else(|_| Err(self.failed("the work on it has crashed", None)))
    }

    async fn exchange(&self, out: &mut (impl Write + Send)) -> Result<Answer, Cause> {
        let trust = if self.anybody {
            Trust::Anybody
        } else {
            Trust::System
        };
        let client = client_of(&trust).map_err(|error| self.failed(error, None))?;
        let mut url = Url::parse(&self.url).map_err(|error| self.failed(error.to_string(), None))?;
        let (mut method, mut body, mut private) = (self.method.clone(), self.body.clone(), true);
        for _ in 0..=MOST_REDIRECTS {
            let mut request = client.request(method.clone(), url.clone());
            for (name, value) in &self.headers {
                // What is secret is for the first host alone.
                if private
                    || !(name.eq_ignore_ascii_case(AUTHORIZATION.as_str())
                        || name.eq_ignore_ascii_case("cookie"))
                {
                    request = request.header(name, value);
                }
            }
            if let Some(body) = &body {
                request = request.body(body.clone());
            }
            let mut answer = request
                .send()
                .await
                .map_err(|error| self.failed(reason(&error), None))?;
            let status = answer.status();
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            if let Some(to) = to.filter(|_| status.is_redirection() && status != StatusCode::NOT_MODIFIED) {
                let next = url
                    .join(to)
                    .map_err(|error| self.failed(error.to_string(), Some(status.as_u16())))?;
                private &= next.host() == url.host() && next.scheme() == url.scheme();
                url = next;
                if !matches!(status.as_u16(), 307 | 308) && method != Method::HEAD {
                    method = Method::GET;
                    body = None;
                }
                continue;
            }
            if !status.is_success() && status != StatusCode::NOT_MODIFIED {
                let text = answer.text().await.unwrap_or_default();
                let text: String = text.trim().chars().take(MOST_REASON).collect();
                let reason = if text.is_empty() {
                    status.to_string()
                } else {
                    format!("{status}: {text}")
                };
                return Err(self.failed(reason, Some(status.as_u16())));
            }
            let headers = answer.headers().clone();
            while let Some(piece) = answer
                .chunk()
                .await
                .map_err(|error| self.failed(reason(&error), None))?
            {
                out.write_all(&piece)
                    .map_err(|error| self.failed(error.to_string(), None))?;
            }
            return Ok(Answer {
                status: status.as_u16(),
                headers,
            });
        }
        Err(self.failed(
            format!("it leads through more than {MOST_REDIRECTS} other addresses"),
            None,
        ))
    }

    pub(crate) fn json(mut self, text: String) -> Self {
        self.body = Some(text.into_bytes());
        self.headers
            .push((CONTENT_TYPE.to_string(), "application/json".to_owned()));
        self
    }
}

/// A client that believes what `trust` says.
pub(super) fn client_of(trust: &Trust) -> Result<reqwest::Client, String> {
    // Whoever came first has set the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    trust.client().map_err(|error| error.to_string())
}

/// An error with its causes, without the address, which may hold secrets.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut words = Vec::new();
    while let Some(error) = source {
        words.push(error.to_string());
        source = error.source();
    }
    if error.is_timeout() {
        words.insert(0, "the server is silent".to_owned());
    }
    if words.is_empty() {
        words.push("it failed".to_owned());
    }
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_addresses_are_not_shown() {
        assert_eq!(
            shown("https://jo:pass@example.com/a/b?sig=secret#x"),
            "https://example.com/a/b"
        );
        assert_eq!(shown("not an address?x"), "not an address");
    }
}
