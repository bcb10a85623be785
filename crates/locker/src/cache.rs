//! What this machine has downloaded, by its content: the same bytes are not downloaded twice, whichever project, version
//! or locker they come from.
//!
//! A file is kept under its SHA-256 as a copy of its own, because scripts may change what they were given. It is
//! checked again whenever it is used; one that was damaged counts as none.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;

use crate::checksum::Hasher;
use crate::download::{Target, folder_of};
use crate::{Digests, Error};

/// Size of the pieces in which files are copied.
const CHUNK: usize = 256 << 10;
/// Most files that are kept.
const MAX_FILES: usize = 20_000;

/// Content that was downloaded before. Cheap to clone; several processes may use one folder.
#[derive(Debug, Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Most bytes that are kept.
    limit: u64,
    /// What is there, once somebody has looked.
    usage: Mutex<Option<Usage>>,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    bytes: u64,
    files: usize,
}

/// One file that is kept.
struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// A cache in `folder`, which is made when something is kept, of at most `limit` bytes. What was not used for the
    /// longest time goes first.
    pub fn new(folder: impl Into<PathBuf>, limit: u64) -> Self {
        let inner = Inner {
            folder: folder.into(),
            limit,
            usage: Mutex::new(None),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    fn path(&self, sha256: &str) -> Option<PathBuf> {
        let is_sum = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_sum.then(|| self.inner.folder.join(sha256.to_ascii_lowercase()))
    }

    /// Puts the content of this sum at its target in one step. None when it is not here.
    pub(crate) fn take(&self, sha256: &str, target: Target<'_>) -> Result<Option<Digests>, Error> {
        let Some(path) = self.path(sha256) else {
            return Ok(None);
        };
        let Ok(mut source) = File::open(&path) else {
            return Ok(None);
        };
        let folder = folder_of(target.path);
        let mut temporary = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(target.mode))
            .tempfile_in(&folder)
            .map_err(Error::io("create a file in", &folder))?;
        let Some(digests) = copy(&mut source, &mut temporary).map_err(Error::io("write", target.path))?
        else {
            return Ok(None);
        };
        if !digests.sha256.eq_ignore_ascii_case(sha256) {
            self.forget(&path);
            return Ok(None);
        }
        // Remembers that it is in use; when that fails it only goes sooner.
        let _ = futimens(&source, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
        target.put(temporary)?;
        Ok(Some(digests))
    }

    /// Keeps a copy of a file that was just downloaded. That it cannot be kept is no failure: it is downloaded again.
    pub(crate) fn keep(&self, digests: &Digests, source: &Path) {
        let Some(path) = self.path(&digests.sha256) else {
            return;
        };
        // One blob must not drive out all others.
        if digests.size > self.inner.limit / 2 || path.exists() {
            return;
        }
        let copied = || -> Result<bool, Error> {
            let folder = &self.inner.folder;
            durable::create_folder(folder, 0o700)?;
            self.make_room(digests.size)?;
            let mut file = File::open(source).map_err(Error::io("read", source))?;
            let mut temporary = tempfile::Builder::new()
                .prefix(".new-")
                .tempfile_in(folder)
                .map_err(Error::io("create a file in", folder))?;
            let Some(copied) = copy(&mut file, &mut temporary).map_err(Error::io("write", &path))? else {
                return Ok(false);
            };
            if copied != *digests {
                return Ok(false);
            }
            let kept = temporary.persist(&path);
            kept.map_err(|error| Error::io("write", &path)(error.error))?;
            Ok(true)
        };
        if matches!(copied(), Ok(true))
            && let Some(usage) = &mut *self.usage()
        {
            usage.bytes += digests.size;
            usage.files += 1;
        }
    }

    fn usage(&self) -> std::sync::MutexGuard<'_, Option<Usage>> {
        self.inner.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, path: &Path) {
        let _ = durable::remove(path);
        *self.usage() = None;
    }

    /// Removes what was not used for the longest time until `bytes` more fit.
    fn make_room(&self, bytes: u64) -> Result<(), Error> {
        let mut usage = self.usage();
        let fits = |usage: &Usage| usage.bytes + bytes <= self.inner.limit && usage.files < MAX_FILES;
        if usage.as_ref().is_some_and(fits) {
            return Ok(());
        }
        let mut kept = self.kept()?;
        let mut now = Usage {
            bytes: kept.iter().map(|kept| kept.bytes).sum(),
            files: kept.len(),
        };
        kept.sort_by_key(|kept| kept.used);
        for old in kept {
            if fits(&now) {
                break;
            }
            durable::remove(&old.path)?;
            now.bytes -= old.bytes;
            now.files -= 1;
        }
        *usage = Some(now);
        Ok(())
    }

    fn kept(&self) -> Result<Vec<Kept>, Error> {
        let folder = &self.inner.folder;
        let entries = fs::read_dir(folder).map_err(Error::io("read", folder))?;
        let mut kept = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("read", folder))?;
            // Somebody else may have removed it by now.
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified().map_err(Error::io("read", folder))?;
            kept.push(Kept {
                path: entry.path(),
                bytes: metadata.len(),
                used,
            });
        }
        Ok(kept)
    }
}

/// Copies and sums up. None when the source cannot be read to its end.
fn copy(source: &mut impl Read, dest: &mut impl Write) -> io::Result<Option<Digests>> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(None),
        };
        hasher.update(&buffer[..count]);
        dest.write_all(&buffer[..count])?;
    }
    dest.flush()?;
    Ok(Some(hasher.finish()))
}
