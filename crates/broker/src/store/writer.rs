//! The one thread that writes the log.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::segment;

/// How long a removal may wait for a group to go with.
pub(crate) const LAZY: Duration = Duration::from_millis(20);
/// How long the writer waits before it tries again what the disk refused.
const RETRY: Duration = Duration::from_secs(1);

/// How far the log is on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    /// Records that start before this position are safe.
    pub(crate) position: u64,
    /// What the disk last refused, until it works again.
    pub(crate) trouble: Option<String>,
}

/// What the writer is asked to do, in order.
#[derive(Debug)]
pub(super) enum Work {
    Write(Vec<u8>),
    /// Start the segment of this number.
    Rotate(u64),
    /// The segment is not needed any more, once everything before is safe.
    Remove(u64),
    /// The segment is damaged: keep it aside, once everything before is safe.
    SetAside(u64),
}

#[derive(Debug, Default)]
struct Backlog {
    work: VecDeque<Work>,
    /// The position after the last record in `work`.
    position: u64,
    urgent: bool,
    closed: bool,
}

/// The door between the journal and the writer.
#[derive(Debug)]
pub(super) struct Door {
    backlog: Mutex<Backlog>,
    wake: Condvar,
    pub(super) synced: watch::Sender<Synced>,
}

impl Door {
    pub(super) fn new(position: u64) -> Self {
        Self {
            backlog: Mutex::new(Backlog {
                position,
                ..Backlog::default()
            }),
            wake: Condvar::new(),
            synced: watch::Sender::new(Synced {
                position,
                trouble: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends bytes through `fill`, which returns the position after them.
    pub(super) fn append(&self, urgent: bool, fill: impl FnOnce(&mut Vec<u8>) -> u64) {
        let mut backlog = self.lock();
        let buffer = match backlog.work.back_mut() {
            Some(Work::Write(buffer)) => buffer,
            _ => {
                backlog.work.push_back(Work::Write(Vec::new()));
                match backlog.work.back_mut() {
                    Some(Work::Write(buffer)) => buffer,
                    // Pushed just above.
                    _ => return,
                }
            }
        };
        let position = fill(buffer);
        backlog.position = position;
        let wake = if urgent {
            !backlog.urgent
        } else {
            backlog.work.len() == 1
        };
        backlog.urgent |= urgent;
        drop(backlog);
        if wake {
            self.wake.notify_one();
        }
    }

    pub(super) fn push(&self, work: Work) {
        let mut backlog = self.lock();
        backlog.work.push_back(work);
        backlog.urgent = true;
        drop(backlog);
        self.wake.notify_one();
    }

    /// Lets the writer finish what there is and end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// The next group; none when the log is closed and everything is written.
    fn next(&self) -> Option<(VecDeque<Work>, u64)> {
        let mut backlog = self.lock();
        while backlog.work.is_empty() && !backlog.closed {
            backlog = self.wake.wait(backlog).unwrap_or_else(PoisonError::into_inner);
        }
        if !backlog.urgent && !backlog.closed {
            (backlog, _) = self
                .wake
                .wait_timeout_while(backlog, LAZY, |backlog| !backlog.urgent && !backlog.closed)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if backlog.work.is_empty() {
            return None;
        }
        backlog.urgent = false;
        Some((std::mem::take(&mut backlog.work), backlog.position))
    }

    fn closed(&self) -> bool {
        self.lock().closed
    }
}

/// A segment that is being written.
struct Open {
    file: File,
    path: PathBuf,
    /// Bytes that are safe.
    safe: u64,
}

/// Writes until the door is closed and the backlog is empty.
pub(super) fn run(folder: &Path, door: &Door) {
    let mut open: Option<Open> = None;
    while let Some((work, position)) = door.next() {
        let mut bytes = Vec::new();
        let mut after = Vec::new();
        for item in work {
            match item {
                Work::Write(mut more) if bytes.is_empty() => bytes = std::mem::take(&mut more),
                Work::Write(more) => bytes.extend(more),
                Work::Rotate(number) => {
                    if !commit(door, open.as_mut(), &bytes) {
                        return;
                    }
                    bytes.clear();
                    let Some(next) = insist(door, || create(folder, number)) else {
                        return;
                    };
                    open = Some(next);
                }
                Work::Remove(_) | Work::SetAside(_) => after.push(item),
            }
        }
        if !commit(door, open.as_mut(), &bytes) {
            return;
        }
        door.synced.send_replace(Synced {
            position,
            trouble: None,
        });
        for item in after {
            let done = match item {
                Work::Remove(number) => fs::remove_file(segment::path(folder, number)),
                Work::SetAside(number) => set_aside(folder, number),
                _ => Ok(()),
            };
            // What stays is read again at the next start, which changes nothing.
            if let Err(error) = done {
                tracing::warn!(%error, folder = %folder.display(), "cannot tidy the message log");
            }
        }
    }
}

fn create(folder: &Path, number: u64) -> io::Result<Open> {
    let path = segment::path(folder, number);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    let header = segment::header(number);
    file.write_all(&header)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(Open {
        file,
        path,
        safe: header.len() as u64,
    })
}

/// Keeps a damaged segment for somebody to look at, and at most the four newest of them.
fn set_aside(folder: &Path, number: u64) -> io::Result<()> {
    const KEPT: usize = 4;
    let path = segment::path(folder, number);
    fs::rename(&path, path.with_extension("log.broken"))?;
    let mut broken: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "broken"))
        .collect();
    broken.sort();
    for old in broken.iter().rev().skip(KEPT) {
        fs::remove_file(old)?;
    }
    File::open(folder)?.sync_all()
}

/// Writes and flushes one group; false when the log was closed while the disk refused.
fn commit(door: &Door, open: Option<&mut Open>, bytes: &[u8]) -> bool {
    let Some(open) = open else {
        return true;
    };
    if bytes.is_empty() {
        return true;
    }
    let mut first = true;
    let written = insist(door, || {
        if !std::mem::take(&mut first) {
            // After a failed flush nobody knows which pages are on the disk: write them all anew.
            open.file = OpenOptions::new().write(true).open(&open.path)?;
            open.file.set_len(open.safe)?;
            io::Seek::seek(&mut open.file, io::SeekFrom::End(0))?;
        }
        open.file.write_all(bytes)?;
        open.file.sync_data()
    });
    open.safe += bytes.len() as u64;
    written.is_some()
}

/// Tries until it works; none when the log was closed meanwhile.
fn insist<T>(door: &Door, mut attempt: impl FnMut() -> io::Result<T>) -> Option<T> {
    loop {
        match attempt() {
            Ok(value) => return Some(value),
            Err(error) => {
                let text = error.to_string();
                let news = door.synced.send_if_modified(|synced| {
                    let news = synced.trouble.as_ref() != Some(&text);
                    synced.trouble = Some(text.clone());
                    news
                });
                if news {
                    tracing::error!(%error, "cannot write the message log; publishers wait until it works again");
                }
                let backlog = door.lock();
                let (backlog, _) = door
                    .wake
                    .wait_timeout_while(backlog, RETRY, |backlog| !backlog.closed)
                    .unwrap_or_else(PoisonError::into_inner);
                drop(backlog);
                if door.closed() {
                    return None;
                }
            }
        }
    }
}
