//! A locker behind a server of ours: `http(s)://host/lockers/NAME`.
//!
//! Reading goes through `object_store`, which resumes a download that was cut. Its HTTP store can
//! neither stream an upload nor list without WebDAV, so these two speak to the server themselves.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::{Body, StatusCode, Url, header};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::{Access, Credential, Entry, Error};

/// How long a server may take no piece of an upload, and how long it may think after the last.
const STALL: Duration = Duration::from_secs(120);
/// Most bytes of an error body that are looked at.
const MAX_SENTENCE: usize = 4096;
/// Most bytes of a listing.
const MAX_LISTING: usize = 64 << 20;

/// Our client for one locker.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    uploads: reqwest::Client,
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
        let tls = |source| Error::Tls {
            url: base.to_string(),
            source,
        };
        Ok(Self {
            client: access.trust.client().map_err(tls)?,
            uploads: access.trust.upload_client().map_err(tls)?,
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

    /// Stores what the stream brings. It may take any time as long as the server takes piece after piece.
    pub(crate) async fn put<S>(&self, path: &str, size: Option<u64>, stream: S) -> Result<(), Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        self.put_within(STALL, path, size, stream).await
    }

    async fn put_within<S>(
        &self,
        stall: Duration,
        path: &str,
        size: Option<u64>,
        stream: S,
    ) -> Result<(), Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let (moved, mut progress) = watch::channel(());
        // The sender goes with the stream; after its last piece the server has its time to answer.
        let stream = stream.inspect(move |_| {
            moved.send_replace(());
        });
        let mut request = self.uploads.put(self.url(path)).body(Body::wrap_stream(stream));
        if let Some(size) = size {
            request = request.header(header::CONTENT_LENGTH, size);
        }
        let stalled = async {
            while let Ok(Ok(())) = timeout(stall, progress.changed()).await {}
            // Either nothing moved, or all was sent and only the answer is missing.
            if progress.has_changed().is_err() {
                tokio::time::sleep(stall).await;
            }
        };
        tokio::select! {
            result = self.send(request, path) => result.map(drop),
            () = stalled => Err(Error::Away {
                locker: self.base.to_string(),
                path: path.to_owned(),
                source: Box::new(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("the server took nothing for {} s", stall.as_secs()),
                )),
            }),
        }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn http() -> (Http, TcpListener) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/lockers/x", listener.local_addr().unwrap());
        (
            Http::new(url.parse().unwrap(), &Access::default()).unwrap(),
            listener,
        )
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_is_given_up() {
        let (http, listener) = http().await;
        let server = tokio::spawn(async move { listener.accept().await.unwrap() });
        let endless = stream::repeat_with(|| Ok(Bytes::from(vec![0; 1 << 20])));
        let stall = Duration::from_millis(200);
        let error = http.put_within(stall, "a", None, endless).await.unwrap_err();
        assert!(matches!(error, Error::Away { .. }), "{error:?}");
        drop(server.await.unwrap());
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let (http, listener) = http().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut all = Vec::new();
            // Until the client goes.
            let _ = stream.read_to_end(&mut all).await;
            all.len()
        });
        let one = stream::iter([Ok(Bytes::from_static(b"x"))]);
        let stall = Duration::from_millis(200);
        let error = http.put_within(stall, "a", Some(1), one).await.unwrap_err();
        assert!(matches!(error, Error::Away { .. }), "{error:?}");
        drop(http);
        assert!(server.await.unwrap() > 0);
    }

    #[tokio::test]
    async fn an_upload_may_take_longer_than_a_silence_may() {
        let (http, listener) = http().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"end") {
                stream.read_buf(&mut received).await.unwrap();
            }
            stream
                .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        });
        let stall = Duration::from_secs(1);
        let pace = Duration::from_millis(100);
        let slow = stream::iter(0..15).then(move |_| async move {
            tokio::time::sleep(pace).await;
            Ok(Bytes::from_static(b"piece"))
        });
        let end = stream::iter([Ok(Bytes::from_static(b"end"))]);
        http.put_within(stall, "a", Some(78), slow.chain(end))
            .await
            .unwrap();
        server.await.unwrap();
    }
}
