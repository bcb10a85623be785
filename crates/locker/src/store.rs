//! The locker itself: reading, writing and listing blobs.

use std::io::{self, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStoreExt, PutPayload};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use crate::backend::{self, Backend};
use crate::checksum::Hasher;
use crate::{Access, Cache, Cause, Checksum, Error, Transfer, Watch, cloud, path, transport};

/// Size of the pieces in which blobs are written to storage. S3 wants at least 5 MiB.
const PART: usize = 8 << 20;
/// Size of the pieces in which files are read.
const CHUNK: usize = 256 << 10;

/// Object storage with projects and blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Locker {
    url: String,
    backend: Backend,
    cache: Option<Cache>,
}

/// One blob in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path from the top of the locker.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// What is known of a blob without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// Changes when the blob changes; goes into the HTTP header of that name as it is. A download
    /// that was cut is resumed only when the server sends it.
    pub e_tag: Option<String>,
}

/// A blob, or a range of one, being read.
pub struct Blob {
    /// The whole blob.
    pub meta: Meta,
    /// The bytes that `stream` brings.
    pub range: Range<u64>,
    /// The bytes. Ends early only with an error.
    pub stream: BoxStream<'static, Result<Bytes, Error>>,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob")
            .field("meta", &self.meta)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl Locker {
    /// Opens `file:///folder` or `http(s)://host/lockers/NAME`, which is all that a node needs. Does not talk to a
    /// server yet.
    ///
    /// # Errors
    /// [`Error::Url`] for what is no locker, [`Error::Folder`] when the folder of a file locker is
    /// missing, [`Error::Tls`] when the pinned authority is not valid.
    pub fn open(url: &str, access: &Access) -> Result<Self, Error> {
        Self::open_with(url, access, backend::no_cloud)
    }

    /// Opens a locker of any kind: also `az://ACCOUNT/CONTAINER`, `s3://BUCKET` and `gs://BUCKET`, each with a folder
    /// behind it or not. It adds 3 MB to a program.
    ///
    /// # Errors
    /// As [`Locker::open`], and [`Error::Url`] for a credential of another kind of storage.
    pub fn open_any(url: &str, access: &Access) -> Result<Self, Error> {
        Self::open_with(url, access, cloud::open)
    }

    fn open_with(url: &str, access: &Access, open_cloud: backend::OpenCloud) -> Result<Self, Error> {
        let (url, backend) = backend::open(url, access, open_cloud)?;
        Ok(Self {
            url,
            backend,
            cache: None,
        })
    }

    /// The same locker. Content whose SHA-256 is known beforehand is taken from `cache` when it is there, and kept in it
    /// when it was downloaded.
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Self {
        Self {
            cache: Some(cache),
            ..self
        }
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// The URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Looks at a blob without reading it.
    ///
    /// # Errors
    /// [`Error::NotFound`] and the other errors of the locker.
    pub async fn head(&self, path: &str) -> Result<Meta, Error> {
        let location = self.location(path)?;
        let meta = self.backend.store.head(&location).await;
        meta.map(Meta::from).map_err(|error| self.error(error, path))
    }

    /// Starts to read a blob, or the given bytes of it. A range that ends behind the blob is cut.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Range`] when the range starts behind the blob, and the other
    /// errors of the locker.
    pub async fn read(&self, path: &str, range: Option<Range<u64>>) -> Result<Blob, Error> {
        let location = self.location(path)?;
        if let Some(range) = &range {
            let size = self.head(path).await?.size;
            if range.is_empty() || range.start >= size {
                return Err(Error::Range {
                    locker: self.url.clone(),
                    path: path.to_owned(),
                    size,
                });
            }
        }
        self.read_at(path, &location, range).await
    }

    /// Like [`Locker::read`] for a caller that knows the size of the blob.
    pub(crate) async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Blob, Error> {
        let location = self.location(path)?;
        self.read_at(path, &location, Some(range)).await
    }

    async fn read_at(
        &self,
        path: &str,
        location: &object_store::path::Path,
        range: Option<Range<u64>>,
    ) -> Result<Blob, Error> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let result = self.backend.store.get_opts(location, options).await;
        let result = result.map_err(|error| self.error(error, path))?;
        let meta = Meta::from(result.meta);
        let range = result.range;
        let (locker, name) = (self.url.clone(), path.to_owned());
        let stream = match result.payload {
            // `object_store` would read it in pieces of 8 KiB, each on another thread.
            GetResultPayload::File(file, file_path) => {
                let mut file = tokio::fs::File::from_std(file);
                let positioned = file.seek(SeekFrom::Start(range.start)).await;
                positioned.map_err(Error::io("read", &file_path))?;
                ReaderStream::with_capacity(file.take(range.end - range.start), CHUNK)
                    .map_err(move |source| Error::Storage {
                        locker: locker.clone(),
                        path: name.clone(),
                        source: Box::new(source),
                    })
                    .boxed()
            }
            GetResultPayload::Stream(stream) => stream
                .map_err(move |error| transport::error_of(error, &locker, &name))
                .boxed(),
        };
        Ok(Blob { meta, range, stream })
    }

    /// Reads a blob of at most `limit` bytes into memory.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::NotFound`] and the other errors of the locker.
    pub async fn get_bytes(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let mut blob = self.read(path, None).await?;
        self.check_size(path, blob.meta.size, limit)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
            self.check_size(path, bytes.len() as u64, limit)?;
        }
        Ok(bytes)
    }

    /// Stores bytes as one blob: a reader finds the old content or the new.
    ///
    /// # Errors
    /// The errors of the locker. The blob is as it was then.
    pub async fn put(&self, path: &str, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let location = self.location(path)?;
        let bytes = bytes.into();
        if let Some(http) = &self.backend.http {
            let size = bytes.len() as u64;
            let stored = http.put(path, Some(size), stream::iter([Ok(bytes)])).await;
            return stored.map_err(Error::of_locker);
        }
        let stored = self.backend.store.put(&location, PutPayload::from(bytes)).await;
        stored
            .map(drop)
            .map_err(|error| self.error(error, path).of_locker())
    }

    /// Stores a file as one blob, in pieces: memory does not grow with its size.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Upload`] when it is not what `expected`
    /// says, and the errors of the locker. The blob is as it was then.
    pub async fn put_file(&self, path: &str, source: &Path, expected: &Checksum) -> Result<(), Error> {
        self.put_file_watched(path, source, expected, &|_| {}).await
    }

    /// Like [`Locker::put_file`], and tells how much was taken.
    ///
    /// # Errors
    /// As [`Locker::put_file`].
    pub async fn put_file_watched(
        &self,
        path: &str,
        source: &Path,
        expected: &Checksum,
        tell: Watch<'_>,
    ) -> Result<(), Error> {
        let file = tokio::fs::File::open(source).await;
        let file = file.map_err(Error::io("read", source))?;
        let size = file.metadata().await.map_err(Error::io("read", source))?.len();
        let changed = {
            let source = source.to_owned();
            move || io::Error::other(format!("`{}` was changed meanwhile", source.display()))
        };
        if expected.size.is_some_and(|expected| expected != size) {
            return Err(self.broken_off(path, changed()));
        }
        let expected = expected.clone();
        let mut hasher = Some(Hasher::default());
        // The stream must own what it uses, and `tell` is lent: how far it is is looked at from here.
        let (moved, mut progress) = watch::channel(0);
        // Not one byte more than announced, should the file grow meanwhile.
        let stream = ReaderStream::with_capacity(file.take(size), CHUNK).map(move |chunk| {
            let chunk = chunk?;
            if let Some(sums) = &mut hasher {
                sums.update(&chunk);
                moved.send_replace(sums.size());
            }
            // The last piece is held back until all is known to be right.
            match hasher.take_if(|sums| sums.size() == size) {
                Some(sums) => expected
                    .compare(&sums.finish())
                    .map(|()| chunk)
                    .map_err(|_| changed()),
                None => Ok(chunk),
            }
        });
        let mut stored = std::pin::pin!(self.put_sized(path, Some(size), stream));
        let total = size;
        loop {
            tokio::select! {
                biased;
                stored = &mut stored => {
                    if stored.is_ok() {
                        tell(Transfer { done: total, total });
                    }
                    return stored;
                }
                Ok(()) = progress.changed() => {
                    let done = *progress.borrow_and_update();
                    tell(Transfer { done, total });
                }
            }
        }
    }

    /// Stores what a stream brings as one blob, at once when the stream has ended: a stream that
    /// fails, and a caller that goes away, leave the blob as it was. Memory does not grow with its
    /// size.
    ///
    /// # Errors
    /// [`Error::Upload`] when the stream fails, and the errors of the locker.
    pub async fn put_stream<S, E>(&self, path: &str, stream: S) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        self.put_sized(path, None, stream).await
    }

    async fn put_sized<S, E>(&self, path: &str, size: Option<u64>, stream: S) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        let location = self.location(path)?;
        if let Some(http) = &self.backend.http {
            // The client only knows that the body failed. Why it failed is told here.
            let broken = Arc::new(Mutex::new(None));
            let stream = stream.map_err({
                let broken = Arc::clone(&broken);
                move |error| {
                    *lock(&broken) = Some(error.into());
                    io::Error::other("the body broke off")
                }
            });
            let stored = http.put(path, size, stream).await;
            let broken = lock(&broken).take();
            return match broken {
                Some(source) => Err(self.broken_off(path, source)),
                None => stored.map_err(Error::of_locker),
            };
        }
        let stream = stream.map_err(|source| self.broken_off(path, source));
        let mut stream = std::pin::pin!(stream);
        let Some(first) = part(&mut stream).await? else {
            return self.put(path, Bytes::new()).await;
        };
        if first.len() < PART {
            return self.put(path, first).await;
        }
        let upload = self.backend.store.put_multipart(&location).await;
        let mut upload = upload.map_err(|error| self.error(error, path).of_locker())?;
        let mut next = Some(first);
        let written = async {
            while let Some(bytes) = next.take() {
                let stored = upload.put_part(PutPayload::from(bytes)).await;
                stored.map_err(|error| self.error(error, path).of_locker())?;
                next = part(&mut stream).await?;
            }
            let completed = upload.complete().await;
            completed.map(drop).map_err(|error| self.error(error, path))
        }
        .await;
        if written.is_err() {
            // The first error is the one that counts.
            let _ = upload.abort().await;
        }
        written
    }

    /// Removes a blob.
    ///
    /// # Errors
    /// [`Error::NotFound`] and the other errors of the locker.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let location = self.location(path)?;
        if let Some(http) = &self.backend.http {
            return http.delete(path).await;
        }
        // Some storage says yes to what it does not have.
        self.head(path).await?;
        let deleted = self.backend.store.delete(&location).await;
        deleted.map_err(|error| self.error(error, path))
    }

    /// A URL that opens one blob for reading to whoever has it, for a time. None when this kind of locker, or its
    /// credential, makes no such URLs, or not for this name.
    ///
    /// # Errors
    /// The errors of the locker: for some credentials its storage is asked for a key to sign with.
    pub async fn signed_url(&self, path: &str, lifetime: Duration) -> Result<Option<String>, Error> {
        let location = self.location(path)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
        let Some(signer) = &self.backend.signer else {
            return Ok(None);
        };
        if self.backend.signs_plain_only && !location.as_ref().bytes().all(is_plain) {
            return Ok(None);
        }
        let signed = signer.signed_url(Method::GET, &location, lifetime).await;
        signed
            .map(|url| Some(url.into()))
            .map_err(|error| self.error(error, path))
    }

    /// Whether reading it is reading files of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.backend.is_local
    }

    /// All blobs below the folder `prefix`, sorted by path; all of the locker when it is empty.
    ///
    /// # Errors
    /// The errors of the locker. A folder that does not exist is an empty one.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let prefix = prefix.trim_end_matches('/');
        let folder = self.backend.prefix.trim_end_matches('/');
        let location = match prefix {
            "" if folder.is_empty() => None,
            "" => Some(object_store::path::Path::from(folder)),
            prefix => Some(self.location(prefix)?),
        };
        let mut entries = match &self.backend.http {
            Some(http) => {
                let entries = http.list(prefix).await.map_err(Error::of_locker)?;
                // These names become names of files.
                for entry in &entries {
                    path::check(&entry.path)?;
                }
                entries
            }
            None => {
                let stream = self.backend.store.list(location.as_ref());
                let entries = stream.try_filter_map(async |meta| {
                    let path = meta.location.as_ref().strip_prefix(&self.backend.prefix);
                    // Other tools make names that we do not take, such as markers of folders.
                    let path = path.filter(|path| path::check(path).is_ok());
                    Ok(path.map(|path| Entry {
                        path: path.to_owned(),
                        size: meta.size,
                    }))
                });
                let entries = entries.try_collect::<Vec<_>>().await;
                entries.map_err(|error| self.error(error, prefix).of_locker())?
            }
        };
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn location(&self, path: &str) -> Result<object_store::path::Path, Error> {
        path::check(path)?;
        object_store::path::Path::parse(format!("{}{path}", self.backend.prefix))
            .map_err(|_| path::PathError::new(path, "has a character that storage does not take").into())
    }

    fn error(&self, error: object_store::Error, path: &str) -> Error {
        transport::error_of(error, &self.url, path)
    }

    fn broken_off(&self, path: &str, source: impl Into<Cause>) -> Error {
        Error::Upload {
            locker: self.url.clone(),
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn mismatch(&self, path: &str, what: &'static str, expected: String, actual: String) -> Error {
        Error::Mismatch {
            locker: self.url.clone(),
            path: path.to_owned(),
            what,
            expected,
            actual,
        }
    }

    pub(crate) fn check_size(&self, path: &str, size: u64, limit: u64) -> Result<(), Error> {
        if size <= limit {
            return Ok(());
        }
        Err(Error::TooLarge {
            locker: self.url.clone(),
            path: path.to_owned(),
            limit,
        })
    }
}

impl From<object_store::ObjectMeta> for Meta {
    fn from(meta: object_store::ObjectMeta) -> Self {
        Self {
            size: meta.size,
            e_tag: meta.e_tag,
        }
    }
}

/// The next [`PART`] bytes of a stream, fewer at its end, none behind it.
async fn part<S>(stream: &mut S) -> Result<Option<Bytes>, Error>
where
    S: Stream<Item = Result<Bytes, Error>> + Unpin,
{
    let mut bytes = BytesMut::new();
    while bytes.len() < PART {
        match stream.try_next().await? {
            Some(chunk) => bytes.extend_from_slice(&chunk),
            None if bytes.is_empty() => return Ok(None),
            None => break,
        }
    }
    Ok(Some(bytes.freeze()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what blocks on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::Io {
                action: "finish the work on",
                path: PathBuf::from("files"),
                source: io::Error::other(error),
            }),
        },
    }
}
