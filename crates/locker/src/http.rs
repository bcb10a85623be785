//! A locker behind a server of ours: `http(s)://host/lockers/NAME`.
//!
//! Reading goes through `object_store`, which resumes a download that was cut. Its HTTP store can
//! neither stream an upload nor list without WebDAV, so these two speak to the server themselves.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use async_trait::async_trait;
use futures_util::StreamExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::{StatusCode, Url, header};

use crate::{Access, Credential, Entry, Error};

/// Most bytes of an error body that are looked at.
const MAX_SENTENCE: usize = 4096;
/// Most bytes of a listing.
const MAX_LISTING: usize = 64 << 20;

/// Our client for one locker.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    credential: Option<Credential>,
    /// Without a slash at the end.
    base: Url,
}

/// What a server said when it did not do what was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    sentence: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.sentence)
    }
}

impl StdError for Refusal {}

impl Http {
    pub(crate) fn new(base: Url, access: &Access) -> Result<Self, Error> {
        let client = access.trust.client().map_err(|source| Error::Tls {
            url: base.to_string(),
            source,
        })?;
        Ok(Self {
            client,
            credential: access.credential.clone(),
            base,
        })
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        // An http URL always has a path.
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.extend(path.split('/'));
        }
        url
    }

    async fn send(&self, request: reqwest::RequestBuilder, path: &str) -> Result<reqwest::Response, Error> {
        let request = match &self.credential {
            Some(credential) => credential.apply(request),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.away(path, error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = bounded(response, MAX_SENTENCE).await.unwrap_or_default();
        Err(Refusal {
            status,
            sentence: sentence(&body),
        }
        .into_error(self.base.as_str(), path))
    }

    pub(crate) async fn put(&self, path: &str, size: Option<u64>, body: reqwest::Body) -> Result<(), Error> {
        let mut request = self.client.put(self.url(path)).body(body);
        if let Some(size) = size {
            request = request.header(header::CONTENT_LENGTH, size);
        }
        self.send(request, path).await.map(drop)
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let request = self.client.get(self.url("")).query(&[("list", prefix)]);
        let response = self.send(request, prefix).await?;
        let body = bounded(response, MAX_LISTING)
            .await
            .map_err(|error| self.away(prefix, error))?;
        serde_json::from_slice(&body).map_err(|source| Error::Invalid {
            locker: self.base.to_string(),
            path: format!("?list={prefix}"),
            source: Box::new(source),
        })
    }

    fn away(&self, path: &str, error: reqwest::Error) -> Error {
        Error::Away {
            locker: self.base.to_string(),
            path: path.to_owned(),
            source: Box::new(error.without_url()),
        }
    }
}

impl Refusal {
    fn into_error(self, locker: &str, path: &str) -> Error {
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

/// Lets `object_store` use our client, with our credential, and learn the server's own words.
#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        if let Some(credential) = &self.credential {
            let header = credential
                .apply(self.client.get(self.base.clone()))
                .build()
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
                .headers_mut()
                .remove(header::AUTHORIZATION);
            if let Some(header) = header {
                parts.headers.insert(header::AUTHORIZATION, header);
            }
        }
        let response = HttpService::call(&self.client, HttpRequest::from_parts(parts, body)).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
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
        Err(HttpError::new(
            kind,
            Refusal {
                status,
                sentence: sentence(&body),
            },
        ))
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// `{"error": "<sentence>"}`, or else the first line of a plain text.
fn sentence(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        error: String,
    }
    let text = match serde_json::from_slice::<Body>(body) {
        Ok(body) => body.error,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// The body, cut off after `limit` bytes.
async fn bounded(response: reqwest::Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut stream = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == limit {
            break;
        }
    }
    Ok(body)
}
