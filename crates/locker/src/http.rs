//! A locker behind a server of ours: `http(s)://host/lockers/NAME`.
//!
//! Reading goes through `object_store`, which resumes a download that was cut. Its HTTP store can
//! neither stream an upload nor list without WebDAV, so these two speak to the server themselves.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::{Body, Url, header};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::transport::{MAX_SENTENCE, Refusal, Transport, sentence};
use crate::{Access, Entry, Error, Trust};

/// How long a server may take no piece of an upload, and how long it may think after the last.
const STALL: Duration = Duration::from_secs(120);
/// Most bytes of a listing.
const MAX_LISTING: usize = 64 << 20;

/// Our client for one locker.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    uploads: reqwest::Client,
    transport: Transport,
    /// Without a slash at the end.
    base: Url,
}

impl Http {
    pub(crate) fn new(base: Url, access: &Access) -> Result<Self, Error> {
        let tls = |source| Error::Tls {
            url: base.to_string(),
            source,
        };
        let client = access.trust.client().map_err(tls)?;
        let transport = Transport::new(client.clone(), access.credential.clone());
        Ok(Self {
            client,
            uploads: access.trust.upload_client().map_err(tls)?,
            transport: transport.following(Trust::System.client().map_err(tls)?),
            base,
        })
    }

    /// What `object_store` reads with.
    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
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
        let request = self.transport.authorise(request);
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

    /// Removes a blob.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(self.client.delete(self.url(path)), path)
            .await
            .map(drop)
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
