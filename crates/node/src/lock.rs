//! Locks between processes, which say who holds them.
//!
//! The system releases a lock when its process ends, however it ends, so none is ever stale. The file
//! stays and tells the losers who won.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Deadline};

/// How often a lock that is held is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// Somebody who only looks at a lock, with [`Lock::holder`], holds it for a moment. That must not pass for a
/// holder, so a lock is tried this often,
const LOOKS: u32 = 5;
/// with this pause.
const LOOK: Duration = Duration::from_millis(5);

/// The process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// What it does, for people: `jetpack converge`.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` (process {}, since {:.0})",
            self.what, self.pid, self.since
        )
    }
}

/// A lock that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("`{}` is locked by {}", path.display(), describe(holder.as_ref()))]
    Held {
        /// The lock.
        path: PathBuf,
        /// Who holds it; none when it has not said so yet.
        holder: Option<Holder>,
    },
    /// The system refused.
    #[error("cannot lock `{}`", path.display())]
    Io {
        /// The lock.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn describe(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), Holder::to_string)
}

/// A lock that is held until it is dropped. Child processes do not inherit it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock or says who holds it. `what` is what the others are told.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process, or another part of this one, holds it.
    pub fn take(path: &Path, what: &str, clock: &dyn Clock) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640);
        let mut file = options.open(path).map_err(failed)?;
        let mut looks = LOOKS;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if looks > 0 => looks -= 1,
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held {
                        path: path.to_owned(),
                        holder: read_holder(&mut file),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            thread::sleep(LOOK);
        }
        let holder = Holder {
            pid: Pid::this().as_raw(),
            what: what.to_owned(),
            since: clock.now(),
        };
        let text = serde_json::to_vec(&holder).map_err(|error| failed(error.into()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .map_err(failed)?;
        Ok(Self { file })
    }

    /// Takes the lock, waiting for it until the deadline.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn wait(path: &Path, what: &str, clock: &dyn Clock, deadline: &Deadline) -> Result<Self, LockError> {
        loop {
            match Self::take(path, what, clock) {
                Err(LockError::Held { .. }) if !deadline.passed(clock) => thread::sleep(RETRY),
                result => return result,
            }
        }
    }

    /// Who holds the lock at `path` now, without taking it. For reports only: it may change at once.
    pub fn holder(path: &Path) -> Option<Holder> {
        let mut file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read_holder(&mut file),
            _ => None,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The next loser must not read our name. Closing the file releases the lock.
        let _ = self.file.set_len(0);
    }
}

/// The holder may be between taking the lock and writing its name, so a name of a process that is gone
/// is not believed.
fn read_holder(file: &mut File) -> Option<Holder> {
    for attempt in 0..5 {
        if attempt > 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let mut text = Vec::new();
        file.rewind().ok()?;
        file.take(64 << 10).read_to_end(&mut text).ok()?;
        if let Ok(holder) = serde_json::from_slice::<Holder>(&text)
            && kill(Pid::from_raw(holder.pid), None) != Err(nix::errno::Errno::ESRCH)
        {
            return Some(holder);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock};

    #[test]
    fn the_second_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("converge.lock");
        let clock = ManualClock::at("2026-11-23T10:00:00Z".parse().unwrap());
        let lock = Lock::take(&path, "jetpack converge", &clock).unwrap();
        let error = Lock::take(&path, "other", &clock).unwrap_err();
        let text = error.to_string();
        let pid = std::process::id();
        assert!(
            text.ends_with(&format!(
                "is locked by `jetpack converge` (process {pid}, since 2026-11-23T10:00:00Z)"
            )),
            "{text}"
        );
        assert_eq!(Lock::holder(&path).unwrap().what, "jetpack converge");
        drop(lock);
        assert!(Lock::holder(&path).is_none());
        Lock::take(&path, "other", &clock).unwrap();
    }

    #[test]
    fn what_a_killed_holder_left_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        durable::write(
            &path,
            0o640,
            b"{\"pid\":1,\"what\":\"x\",\"since\":\"2026-01-01T00:00:00Z\"}",
        )
        .unwrap();
        assert!(Lock::holder(&path).is_none());
        Lock::take(&path, "next", &SystemClock).unwrap();
    }

    #[test]
    fn those_who_look_do_not_keep_others_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let done = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    Lock::holder(&path);
                    thread::sleep(Duration::from_micros(100));
                }
            });
            let taken: Vec<_> = (0..200)
                .map(|_| Lock::take(&path, "x", &SystemClock).map(drop))
                .collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(taken.iter().all(Result::is_ok), "{taken:?}");
        });
    }

    #[test]
    fn waiting_ends_with_the_holder_or_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path, "first", &SystemClock).unwrap();
        let soon = Deadline::after(&SystemClock, Duration::from_millis(50));
        Lock::wait(&path, "second", &SystemClock, &soon).unwrap_err();
        let late = Deadline::after(&SystemClock, Duration::from_secs(30));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::wait(&path, "second", &SystemClock, &late).map(drop));
            drop(lock);
            waiting.join().unwrap().unwrap();
        });
    }
}
