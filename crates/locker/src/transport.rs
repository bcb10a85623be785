//! How `object_store` talks to a server: our client, our credential, and the server's own words when it
//! refuses.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpService,
};
use reqwest::{Method, StatusCode, Url, header};

use crate::access::Credential;
use crate::{Error, is_private};

/// Most bytes of an error body that are looked at.
pub(crate) const MAX_SENTENCE: usize = 4096;
/// Most signed URLs that are remembered.
const MAX_SIGNED: usize = 4096;

/// A client with a credential.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    /// For requests with a body.
    uploads: reqwest::Client,
    credential: Option<Credential>,
    /// For a server of ours that sends readers on to the storage behind it.
    signed: Option<Signed>,
}

/// Signed URLs that a server handed out. Whoever has one may read one blob for a time, so they are asked for
/// again before that time is over.
#[derive(Debug, Clone)]
struct Signed {
    /// Believes the authorities of this machine, knows no credential.
    client: reqwest::Client,
    known: Arc<Mutex<HashMap<String, (Url, Instant)>>>,
}

impl Transport {
    pub(crate) fn new(client: reqwest::Client, credential: Option<Credential>) -> Self {
        Self {
            uploads: client.clone(),
            client,
            credential,
            signed: None,
        }
    }

    /// The same transport. A redirect to other storage is followed with `client`, without the credential.
    pub(crate) fn following(self, client: reqwest::Client) -> Self {
        let known = Arc::default();
        Self {
            signed: Some(Signed { client, known }),
            ..self
        }
    }

    /// The same transport, sending bodies with `uploads`.
    pub(crate) fn uploading(self, uploads: reqwest::Client) -> Self {
        Self { uploads, ..self }
    }

    /// Adds our credential, when it is one for every request.
    pub(crate) fn authorise(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.credential {
            Some(credential) => credential.apply(request),
            None => request,
        }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        if self.credential.is_some() {
            let header = self
                .authorise(self.client.get(parts.uri.to_string()))
                .build()
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
                .headers_mut()
                .remove(header::AUTHORIZATION);
            if let Some(header) = header {
                parts.headers.insert(header::AUTHORIZATION, header);
            }
        }
        let client = match parts.method {
            Method::PUT | Method::POST => &self.uploads,
            _ => &self.client,
        };
        HttpService::call(client, HttpRequest::from_parts(parts, body)).await
    }
}

impl Signed {
    /// The signed URL of what is at `url` of the server, as long as it is good.
    fn known(&self, url: &str) -> Option<Url> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (signed, until) = known.get(url)?;
        (Instant::now() < *until).then(|| signed.clone())
    }

    fn forget(&self, url: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(url);
    }

    /// Where a redirect leads. It is remembered for as long as the server says.
    fn learn(&self, url: &str, redirect: &HttpResponse) -> Result<Url, HttpError> {
        let header = |name| redirect.headers().get(name).and_then(|value| value.to_str().ok());
        let refused = |sentence: &str| {
            let refusal = Refusal {
                status: redirect.status(),
                sentence: sentence.to_owned(),
            };
            HttpError::new(HttpErrorKind::Unknown, refusal)
        };
        let target = header(header::LOCATION)
            .and_then(|location| Url::parse(location).ok())
            .ok_or_else(|| refused("the server sends us elsewhere but does not say where"))?;
        if !is_private(&target) {
            return Err(refused(
                "the server sends us to storage that does not speak https",
            ));
        }
        if let Some(age) = header(header::CACHE_CONTROL).and_then(max_age) {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MAX_SIGNED {
                known.clear();
            }
            known.insert(url.to_owned(), (target.clone(), Instant::now() + age));
        }
        Ok(target)
    }
}

/// The seconds of `max-age` in a `Cache-Control` header.
fn max_age(header: &str) -> Option<Duration> {
    let seconds = header
        .split(',')
        .find_map(|directive| directive.trim().strip_prefix("max-age="))?;
    seconds.parse().ok().map(Duration::from_secs)
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let signed = self.signed.as_ref().filter(|_| request.method() == Method::GET);
        let Some(signed) = signed else {
            return expect_success(self.ask(request).await?).await;
        };
        let (parts, _) = request.into_parts();
        let again = || HttpRequest::from_parts(parts.clone(), HttpRequestBody::empty());
        let at = |target: &Url| {
            let mut request = again();
            *request.uri_mut() = target
                .as_str()
                .parse()
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
            Ok::<_, HttpError>(request)
        };
        let url = parts.uri.to_string();
        if let Some(target) = signed.known(&url) {
            let response = HttpService::call(&signed.client, at(&target)?).await?;
            if !matches!(
                response.status(),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            ) {
                return expect_success(response).await;
            }
            // Over before its time: the server makes a new one.
            signed.forget(&url);
        }
        let response = self.ask(again()).await?;
        if response.status() != StatusCode::TEMPORARY_REDIRECT {
            return expect_success(response).await;
        }
        let target = signed.learn(&url, &response)?;
        expect_success(HttpService::call(&signed.client, at(&target)?).await?).await
    }
}

/// The response, or else what the server said.
async fn expect_success(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let code = response
        .headers()
        .get("x-ms-error-code")
        .and_then(|code| code.to_str().ok())
        .map(str::to_owned);
    let mut body = Vec::new();
    let mut stream = response.into_body().bytes_stream();
    while let Some(Ok(chunk)) = stream.next().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_SENTENCE {
            break;
        }
    }
    // Failures of the server are tried again, refusals are not.
    let kind = if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        HttpErrorKind::Request
    } else {
        HttpErrorKind::Unknown
    };
    let sentence = match (sentence(&body), code) {
        (sentence, Some(code)) if sentence.is_empty() => code,
        (sentence, _) => sentence,
    };
    Err(HttpError::new(kind, Refusal { status, sentence }))
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// What a server said when it did not do what was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) sentence: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.sentence)
    }
}

impl StdError for Refusal {}

impl Refusal {
    pub(crate) fn into_error(self, locker: &str, path: &str) -> Error {
        Self::error(self.status, self.sentence, locker, path)
    }

    fn error(status: StatusCode, reason: String, locker: &str, path: &str) -> Error {
        let (locker, path) = (locker.to_owned(), path.to_owned());
        match status {
            StatusCode::NOT_FOUND => Error::NotFound { locker, path },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Unauthorised { locker, path, reason },
            _ => Error::Server {
                locker,
                path,
                status: status.as_u16(),
                reason,
            },
        }
    }
}

/// The error behind one of `object_store`.
pub(crate) fn error_of(error: object_store::Error, locker: &str, path: &str) -> Error {
    if matches!(error, object_store::Error::NotFound { .. }) {
        return Error::NotFound {
            locker: locker.to_owned(),
            path: path.to_owned(),
        };
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(known) = cause {
        // A file where the path has a folder: there can be nothing behind it.
        if known
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::NotADirectory)
        {
            return Error::NotFound {
                locker: locker.to_owned(),
                path: path.to_owned(),
            };
        }
        if let Some(refusal) = known.downcast_ref::<Refusal>() {
            return Refusal::error(refusal.status, refusal.sentence.clone(), locker, path);
        }
        if let Some(http) = known.downcast_ref::<HttpError>()
            && http.source().is_none_or(|source| !source.is::<Refusal>())
        {
            return Error::Away {
                locker: locker.to_owned(),
                path: path.to_owned(),
                source: Box::new(Innermost::of(http)),
            };
        }
        cause = known.source();
    }
    Error::Storage {
        locker: locker.to_owned(),
        path: path.to_owned(),
        source: Box::new(error),
    }
}

/// The last words of a chain of causes: the layers above only repeat them.
#[derive(Debug)]
struct Innermost(String);

impl Innermost {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut last = error;
        while let Some(cause) = last.source() {
            last = cause;
        }
        Self(last.to_string())
    }
}

impl fmt::Display for Innermost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Innermost {}

/// What a body says: `{"error": "<sentence>"}` of servers like ours, `<Code>` and `<Message>` of object
/// storage, or else the first line of a plain text.
pub(crate) fn sentence(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        error: String,
    }
    if let Ok(body) = serde_json::from_slice::<Body>(body) {
        return first_line(&body.error);
    }
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(value, _)| first_line(value))
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _) => code,
        (None, _) => first_line(&text),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_every_kind_of_server() {
        for (body, words) in [
            (&br#"{"error": "no\nmore"}"#[..], "no"),
            (
                "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:1</Message></Error>".as_bytes(),
                "AuthenticationFailed: Server failed.",
            ),
            (b"<Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket"),
            (b"go away\nplease", "go away"),
            (b"", ""),
        ] {
            assert_eq!(sentence(body), words);
        }
    }

    #[test]
    fn the_age_of_a_redirect() {
        assert_eq!(max_age("private, max-age=600"), Some(Duration::from_secs(600)));
        assert_eq!(max_age("no-store"), None);
        assert_eq!(max_age("max-age=soon"), None);
    }
}
