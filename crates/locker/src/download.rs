//! Downloading blobs to files: whole or not at all, checked while they come, large ones in parallel ranges that a
//! later try goes on with.
//!
//! A large blob grows in `.NAME.part` beside its destination. `.NAME.part.json` says which pieces of it are on the
//! disk, and of which blob: its `ETag` must still be the same for a later try to go on.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use futures_util::{TryStreamExt, stream};
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::checksum::Hasher;
use crate::store::{Blob, blocking};
use crate::{Checksum, Digests, Error, Locker};

/// The most that is taken from a locker when the size of a blob is not known: 1 TiB.
const MAX_BLOB: u64 = 1 << 40;
/// Blobs of this size in bytes and above come in pieces.
const LARGE: u64 = 32 << 20;
/// Smallest size of a piece in bytes.
const PIECE: u64 = 8 << 20;
/// Most pieces of a blob, so that the list of them stays small.
const MAX_PIECES: u64 = 1024;
/// How many pieces come at the same time.
const PARALLEL: usize = 4;
/// How much of a piece is gathered before it is written. With [`PARALLEL`] it bounds the memory of a download.
const BUFFER: usize = 256 << 10;
/// Longest part of a file's name that the name of its partial file repeats, in bytes.
const MAX_NAME: usize = 200;

/// How far a transfer of one blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes that are here.
    pub done: u64,
    /// Bytes of the whole blob.
    pub total: u64,
}

/// The file that a blob becomes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) path: &'a Path,
    /// Its permission bits, exactly.
    pub(crate) mode: u32,
    /// Whether the download ends only when the file is on the disk. Who downloads many files flushes them all at once,
    /// which takes a fraction of the time.
    pub(crate) flush: bool,
}

/// Told how far a transfer is, often and from any thread.
pub type Watch<'a> = &'a (dyn Fn(Transfer) + Sync);

impl Locker {
    /// Downloads a blob to the file `dest`, which gets exactly the permission bits `mode`.
    ///
    /// The bytes are checked against `expected`, flushed to the disk, and appear as `dest` in one step: it has the
    /// old content or all of the new. The folder must exist. A large blob of a server comes in parallel ranges, and
    /// when it is cut, also by a crash, the next call goes on where it was. Memory does not grow with its size. What
    /// the cache of [`Locker::with_cache`] holds is not downloaded at all.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with both sums, [`Error::NotFound`] and the other errors of the locker;
    /// [`Error::Io`] when `dest` cannot be written. `dest` is untouched then.
    pub async fn fetch(
        &self,
        path: &str,
        dest: &Path,
        mode: u32,
        expected: &Checksum,
    ) -> Result<Digests, Error> {
        self.fetch_watched(path, dest, mode, expected, &|_| {}).await
    }

    /// Like [`Locker::fetch`], and tells how far it is.
    ///
    /// # Errors
    /// As [`Locker::fetch`].
    pub async fn fetch_watched(
        &self,
        path: &str,
        dest: &Path,
        mode: u32,
        expected: &Checksum,
        watch: Watch<'_>,
    ) -> Result<Digests, Error> {
        let target = Target {
            path: dest,
            mode,
            flush: true,
        };
        self.fetch_to(path, target, expected, watch).await
    }

    pub(crate) async fn fetch_to(
        &self,
        path: &str,
        target: Target<'_>,
        expected: &Checksum,
        watch: Watch<'_>,
    ) -> Result<Digests, Error> {
        let (Some(cache), Some(sha256)) = (self.cache(), &expected.sha256) else {
            return self.download(path, target, expected, watch).await;
        };
        let (taken, sha256) = (cache.clone(), sha256.clone());
        let (at, mode, flush) = (target.path.to_owned(), target.mode, target.flush);
        let found = blocking(move || {
            let path = &at;
            taken.take(&sha256, Target { path, mode, flush })
        })
        .await?;
        if let Some(digests) = found {
            self.compare(path, expected, &digests)?;
            let total = digests.size;
            watch(Transfer { done: total, total });
            return Ok(digests);
        }
        let digests = self.download(path, target, expected, watch).await?;
        let (kept, cache, at) = (digests.clone(), cache.clone(), target.path.to_owned());
        blocking(move || {
            cache.keep(&kept, &at);
            Ok(())
        })
        .await?;
        Ok(digests)
    }

    async fn download(
        &self,
        path: &str,
        target: Target<'_>,
        expected: &Checksum,
        watch: Watch<'_>,
    ) -> Result<Digests, Error> {
        let blob = self.read(path, None).await?;
        let limit = expected.size.unwrap_or(MAX_BLOB);
        if blob.meta.size != limit && expected.size.is_some() {
            return Err(self.mismatch(
                path,
                "size in bytes",
                limit.to_string(),
                blob.meta.size.to_string(),
            ));
        }
        self.check_size(path, blob.meta.size, limit)?;
        let e_tag = match &blob.meta.e_tag {
            Some(e_tag) if blob.meta.size >= LARGE && !self.is_local() => e_tag.clone(),
            _ => return self.fetch_whole(blob, path, target, expected, watch).await,
        };
        let Target { path: dest, mode, .. } = target;
        let size = blob.meta.size;
        drop(blob);
        let source = Source {
            version: 1,
            locker: self.url().to_owned(),
            path: path.to_owned(),
            size,
            e_tag,
            piece: PIECE.max(size.div_ceil(MAX_PIECES)),
        };
        let partial = {
            let (dest, source) = (dest.to_owned(), source.clone());
            blocking(move || Partial::open(&dest, source)).await?
        };
        let outcome = match partial {
            Some(partial) => self.fetch_ranges(partial, dest, mode, expected, watch).await,
            // Somebody else is at it, or a stranger's file is in the way.
            None => Err(Failure::Ranges),
        };
        match outcome {
            Ok(digests) => Ok(digests),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Ranges) => {
                let blob = self.read(path, None).await?;
                self.check_size(path, blob.meta.size, limit)?;
                self.fetch_whole(blob, path, target, expected, watch).await
            }
            Err(Failure::Stale) => {
                // What an earlier try had left was not what we believed it to be.
                let dest = dest.to_owned();
                let partial = {
                    let dest = dest.clone();
                    blocking(move || Partial::open(&dest, source)).await?
                };
                match partial {
                    Some(partial) => self
                        .fetch_ranges(partial, &dest, mode, expected, watch)
                        .await
                        .map_err(|failure| failure.into_error(self, path)),
                    None => Err(Failure::Stale.into_error(self, path)),
                }
            }
        }
    }

    /// The blob as one stream, to a temporary file in the same folder that is renamed.
    async fn fetch_whole(
        &self,
        mut blob: Blob,
        path: &str,
        target: Target<'_>,
        expected: &Checksum,
        watch: Watch<'_>,
    ) -> Result<Digests, Error> {
        let Target {
            path: dest,
            mode,
            flush,
        } = target;
        let limit = expected.size.unwrap_or(MAX_BLOB);
        let total = blob.meta.size;
        let folder = folder_of(dest);
        let temporary = {
            let folder = folder.clone();
            blocking(move || {
                tempfile::Builder::new()
                    .prefix(".new-")
                    .permissions(Permissions::from_mode(mode))
                    .tempfile_in(&folder)
                    .map_err(Error::io("create a file in", &folder))
            })
            .await?
        };
        let file = temporary.as_file().try_clone();
        let mut file = tokio::fs::File::from_std(file.map_err(Error::io("write", dest))?);
        let mut hasher = Hasher::default();
        watch(Transfer { done: 0, total });
        while let Some(chunk) = blob.stream.try_next().await? {
            hasher.update(&chunk);
            self.check_size(path, hasher.size(), limit)?;
            file.write_all(&chunk).await.map_err(Error::io("write", dest))?;
            let done = hasher.size();
            watch(Transfer { done, total });
        }
        file.flush().await.map_err(Error::io("write", dest))?;
        let digests = hasher.finish();
        self.compare(path, expected, &digests)?;

        let dest = dest.to_owned();
        blocking(move || {
            let path = &dest;
            Target { path, mode, flush }.put(temporary)
        })
        .await?;
        Ok(digests)
    }

    /// The missing pieces of a partial file, then the check of all of it.
    async fn fetch_ranges(
        &self,
        partial: Partial,
        dest: &Path,
        mode: u32,
        expected: &Checksum,
        watch: Watch<'_>,
    ) -> Result<Digests, Failure> {
        let partial = Arc::new(partial);
        let is_resumed = partial.is_resumed;
        let total = partial.source.size;
        let done = AtomicU64::new(partial.bytes_done());
        let say = |bytes: u64| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            watch(Transfer { done, total });
        };
        say(0);
        let fetched = stream::iter(partial.missing().into_iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(PARALLEL, async |piece| {
                self.fetch_piece(&partial, piece, &say).await
            })
            .await;
        if let Err(error) = fetched {
            return Err(match error {
                // The server does not know ranges.
                Error::Storage { .. } => {
                    partial.discard();
                    Failure::Ranges
                }
                error => {
                    // The disk is not left full, and what is of another blob is of no use.
                    if error.is_disk_full() || matches!(error, Error::Mismatch { .. }) {
                        partial.discard();
                    }
                    Failure::Error(error)
                }
            });
        }
        let digests = {
            let partial = Arc::clone(&partial);
            blocking(move || partial.digests()).await?
        };
        if let Err(error) = self.compare(&partial.source.path, expected, &digests) {
            partial.discard();
            return Err(if is_resumed { Failure::Stale } else { error.into() });
        }
        let dest = dest.to_owned();
        blocking(move || partial.persist(&dest, mode)).await?;
        Ok(digests)
    }

    async fn fetch_piece(
        &self,
        partial: &Arc<Partial>,
        piece: u64,
        say: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let Source {
            path, size, e_tag, ..
        } = &partial.source;
        let range = partial.source.range(piece);
        let mut blob = self.read_range(path, range.clone()).await?;
        if blob.meta.e_tag.as_ref() != Some(e_tag) || blob.meta.size != *size || blob.range != range {
            let actual = blob.meta.e_tag.unwrap_or_default();
            return Err(self.mismatch(path, "ETag", e_tag.clone(), actual));
        }
        let mut offset = range.start;
        let mut buffer = BytesMut::new();
        loop {
            let chunk = blob.stream.try_next().await?;
            let is_end = chunk.is_none();
            if let Some(chunk) = chunk {
                buffer.extend_from_slice(&chunk);
            }
            if (is_end && !buffer.is_empty()) || buffer.len() >= BUFFER {
                let bytes = buffer.split().freeze();
                let length = bytes.len() as u64;
                if offset + length > range.end {
                    return Err(self.mismatch(
                        path,
                        "size in bytes",
                        range.end.to_string(),
                        (offset + length).to_string(),
                    ));
                }
                let partial = Arc::clone(partial);
                blocking(move || {
                    let written = partial.file.write_all_at(&bytes, offset);
                    written.map_err(Error::io("write", &partial.path))
                })
                .await?;
                offset += length;
                say(length);
            }
            if is_end {
                break;
            }
        }
        if offset != range.end {
            return Err(self.mismatch(path, "size in bytes", range.end.to_string(), offset.to_string()));
        }
        let partial = Arc::clone(partial);
        blocking(move || partial.keep(piece)).await
    }

    fn compare(&self, path: &str, expected: &Checksum, digests: &Digests) -> Result<(), Error> {
        expected.compare(digests).map_err(|difference| {
            self.mismatch(path, difference.what, difference.expected, difference.actual)
        })
    }
}

impl Target<'_> {
    /// A temporary file of the same folder takes its place.
    pub(crate) fn put(self, temporary: NamedTempFile) -> Result<(), Error> {
        temporary
            .as_file()
            // The umask may have taken bits away.
            .set_permissions(Permissions::from_mode(self.mode))
            .and_then(|()| {
                if self.flush {
                    temporary.as_file().sync_all()
                } else {
                    Ok(())
                }
            })
            .map_err(Error::io("write", self.path))?;
        let kept = temporary.persist(self.path);
        kept.map_err(|error| Error::io("write", self.path)(error.error))?;
        if self.flush {
            durable::sync_folder(&folder_of(self.path))?;
        }
        Ok(())
    }
}

/// Why a download in ranges did not succeed.
enum Failure {
    Error(Error),
    /// Ranges are not to be had: the blob can still come as one stream.
    Ranges,
    /// It went on with what was there, and the sum of all is wrong.
    Stale,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    fn into_error(self, locker: &Locker, path: &str) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Ranges | Self::Stale => Error::Away {
                locker: locker.url().to_owned(),
                path: path.to_owned(),
                source: Box::new(io::Error::other("its ranges are not those of one blob")),
            },
        }
    }
}

/// What a partial file is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    version: u32,
    locker: String,
    path: String,
    /// Bytes.
    size: u64,
    e_tag: String,
    /// Size of a piece in bytes; the last one may be smaller.
    piece: u64,
}

impl Source {
    fn range(&self, piece: u64) -> std::ops::Range<u64> {
        let start = piece * self.piece;
        start..self.size.min(start + self.piece)
    }

    fn pieces(&self) -> u64 {
        self.size.div_ceil(self.piece)
    }
}

/// `.NAME.part.json`
#[derive(Debug, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    source: Source,
    /// The pieces that are on the disk, counted from 0.
    done: BTreeSet<u64>,
}

/// A blob that is only partly here. The lock on its file ends with the process.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
    file: File,
    state_path: PathBuf,
    source: Source,
    done: Mutex<BTreeSet<u64>>,
    /// Whether an earlier try left something.
    is_resumed: bool,
}

impl Partial {
    /// Opens or makes the partial file of `dest`. None when another process holds it, or it is not ours.
    fn open(dest: &Path, source: Source) -> Result<Option<Self>, Error> {
        let folder = folder_of(dest);
        let name = dest.file_name().unwrap_or_default().to_string_lossy();
        let mut end = name.len().min(MAX_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let mut file_name = OsString::from(format!(".{}.part", &name[..end]));
        let path = folder.join(&file_name);
        file_name.push(".json");
        let state_path = folder.join(file_name);

        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // In a folder that others write to, the name may be a link of theirs.
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path);
        let file = match file {
            Ok(file) => file,
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => return Ok(None),
            Err(error) => return Err(Error::io("create", &path)(error)),
        };
        let metadata = file.metadata().map_err(Error::io("read", &path))?;
        let is_ours = metadata.is_file()
            && metadata.uid() == nix::unistd::geteuid().as_raw()
            && metadata.nlink() == 1
            && metadata.mode() & 0o022 == 0;
        if !is_ours || file.try_lock().is_err() {
            return Ok(None);
        }
        // An unreadable state is none: the download starts again.
        let known: Option<State> = durable::read_json(&state_path).ok().flatten();
        let done = known
            .filter(|known| known.source == source && metadata.len() == source.size)
            .map(|known| known.done)
            .unwrap_or_default();
        if done.is_empty() {
            file.set_len(0)
                .and_then(|()| file.set_len(source.size))
                .map_err(Error::io("write", &path))?;
        }
        Ok(Some(Self {
            is_resumed: !done.is_empty(),
            path,
            file,
            state_path,
            source,
            done: Mutex::new(done),
        }))
    }

    fn done(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(&self) -> Vec<u64> {
        let done = self.done();
        (0..self.source.pieces())
            .filter(|piece| !done.contains(piece))
            .collect()
    }

    fn bytes_done(&self) -> u64 {
        let length = |piece: &u64| {
            let range = self.source.range(*piece);
            range.end.saturating_sub(range.start)
        };
        self.done().iter().map(length).sum()
    }

    /// Remembers a piece: first its bytes are on the disk, then the word that they are.
    fn keep(&self, piece: u64) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::io("write", &self.path))?;
        let mut done = self.done();
        done.insert(piece);
        let state = State {
            source: self.source.clone(),
            done: done.clone(),
        };
        Ok(durable::write_json(&self.state_path, 0o600, &state)?)
    }

    fn digests(&self) -> Result<Digests, Error> {
        let mut file = &self.file;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; BUFFER];
        file.rewind().map_err(Error::io("read", &self.path))?;
        loop {
            let count = file.read(&mut buffer).map_err(Error::io("read", &self.path))?;
            if count == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&buffer[..count]);
        }
    }

    /// The whole blob takes its place.
    fn persist(&self, dest: &Path, mode: u32) -> Result<(), Error> {
        self.file
            .set_permissions(Permissions::from_mode(mode))
            .and_then(|()| self.file.sync_all())
            .and_then(|()| std::fs::rename(&self.path, dest))
            .map_err(Error::io("write", dest))?;
        durable::sync_folder(&folder_of(dest))?;
        Ok(durable::remove(&self.state_path)?)
    }

    /// Forgets all of it. Should that fail, the next try finds out.
    fn discard(&self) {
        let _ = durable::remove(&self.state_path);
        let _ = durable::remove(&self.path);
    }
}

pub(crate) fn folder_of(dest: &Path) -> PathBuf {
    match dest.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => Path::new(".").to_owned(),
    }
}
