//! Flushing markers to the disk behind the backs of the scripts.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::syncfs;
use tokio::task::JoinHandle;

/// How long a marker may wait: each flush makes everybody wait who writes to the same disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// More files than this are flushed with their whole file system, which takes one turn of the disk and not one each.
const FEW: usize = 8;

/// Flushes files a while after they were written, many at a time.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    shared: Arc<Shared>,
    timer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Vec<PathBuf>>,
    /// Held while files are flushed; the first error of a flush that nobody waited for.
    flushing: Mutex<Option<durable::Error>>,
}

impl Flusher {
    /// Flushes the file soon. To be called in a runtime.
    pub(crate) fn add(&mut self, path: PathBuf) {
        lock(&self.shared.pending).push(path);
        if self.timer.as_ref().is_none_or(JoinHandle::is_finished) {
            let shared = Arc::clone(&self.shared);
            self.timer = Some(tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                // It is waited for by `finish`, through the lock.
                let _ = tokio::task::spawn_blocking(move || shared.flush()).await;
            }));
        }
    }

    /// Flushes all that still waits.
    ///
    /// # Errors
    /// The first error of all flushes.
    pub(crate) async fn finish(self) -> Result<(), durable::Error> {
        if let Some(timer) = self.timer {
            timer.abort();
        }
        let shared = self.shared;
        let flushed = tokio::task::spawn_blocking(move || {
            shared.flush();
            match lock(&shared.flushing).take() {
                Some(error) => Err(error),
                None => Ok(()),
            }
        });
        // A task that ended without a word has flushed nothing, as a power cut would.
        flushed.await.unwrap_or(Ok(()))
    }
}

impl Shared {
    fn flush(&self) {
        let mut failed = lock(&self.flushing);
        let files = std::mem::take(&mut *lock(&self.pending));
        if let Err(error) = flush(&files) {
            failed.get_or_insert(error);
        }
    }
}

fn flush(files: &[PathBuf]) -> Result<(), durable::Error> {
    if files.len() <= FEW {
        return files
            .iter()
            .try_for_each(|file| unless_gone(durable::flush(file)));
    }
    // All markers are below one folder, on one file system.
    if let Some(folder) = files.first().and_then(|file| file.parent()) {
        let failed = |source| durable::Error::Io {
            action: "write",
            path: folder.to_owned(),
            source,
        };
        let flushed = File::open(folder).and_then(|folder| Ok(syncfs(folder)?));
        return unless_gone(flushed.map_err(failed));
    }
    Ok(())
}

/// A script may have removed the whole tree.
fn unless_gone(flushed: Result<(), durable::Error>) -> Result<(), durable::Error> {
    match flushed {
        Err(durable::Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        flushed => flushed,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_flushed_is_told_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        for count in [1, FEW + 1] {
            let mut flusher = Flusher::default();
            for number in 0..count {
                let file = folder.path().join(number.to_string());
                durable::write_unflushed(&file, 0o600, b"x").unwrap();
                flusher.add(file);
            }
            flusher.finish().await.unwrap();
        }
        let mut flusher = Flusher::default();
        flusher.add(folder.path().join("removed/x"));
        flusher.finish().await.unwrap();
        let mut flusher = Flusher::default();
        flusher.add(folder.path().join("0/x"));
        let error = flusher.finish().await.unwrap_err();
        assert!(error.to_string().contains("0/x"), "{error}");
        Flusher::default().finish().await.unwrap();
    }
}
