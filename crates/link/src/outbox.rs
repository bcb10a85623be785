//! Messages that wait for the server: one durable file each.
//!
//! Every program of the node may add messages; only the daemon takes them out, after the server confirmed
//! them. All writers and the remover hold the lock `.lock` in the folder, so that a temporary file without a
//! lock holder is a leftover of a program that was killed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use durable::Recovered;
use jiff::Timestamp;
use protocol::{Envelope, MessageType};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Only root and its group may read what a node says.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// The last sequence number of messages that are gone. Written when the newest one is removed, so that numbers
/// rise even when the clock of the machine is set back.
const LAST_SEQUENCE: &str = ".sequence";

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Number of messages.
    pub messages: usize,
    /// Size of all messages, in bytes.
    pub bytes: u64,
    /// Size of one message, in bytes. Far below what the server accepts in one request.
    pub message_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 10_000,
            bytes: 64 << 20,
            message_bytes: 1 << 20,
        }
    }
}

/// Who speaks. All of it is for people: the server goes by the credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// Name of the cluster.
    pub cluster_name: String,
    /// Id of the node.
    pub node_id: String,
    /// The machine, in its provider's terms.
    pub instance_id: String,
    /// One value from the start of a node to its termination.
    pub cluster_session_id: String,
}

impl Sender {
    /// An envelope of this sender with a fresh id. Its sequence number is the time in microseconds.
    pub fn envelope(&self, now: Timestamp, kind: MessageType, data: Value) -> Envelope {
        Envelope {
            id: Uuid::now_v7(),
            sequence: u64::try_from(now.as_microsecond()).unwrap_or(0),
            cluster_name: self.cluster_name.clone(),
            node_id: self.node_id.clone(),
            instance_id: self.instance_id.clone(),
            cluster_session_id: self.cluster_session_id.clone(),
            timestamp: now,
            kind,
            data,
        }
    }
}

/// A message that could not be put into the outbox or taken out of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too much waits already. Nothing that was accepted is given up for something new.
    #[error("the outbox `{folder}` is full: {messages} messages, {bytes} bytes (limit {limit})", folder = folder.display())]
    Full {
        /// The folder.
        folder: PathBuf,
        /// How many messages wait.
        messages: usize,
        /// Their size.
        bytes: u64,
        /// The limit that was met, in words.
        limit: String,
    },
    /// One message is larger than a message may be.
    #[error("the message has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size as JSON.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The message has no JSON form.
    #[error("the message cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// A file or the folder could not be read or written.
    #[error(transparent)]
    File(#[from] durable::Error),
    /// The system refused.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// One file of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Place in the order.
    pub sequence: u64,
    /// Id of the message.
    pub id: Uuid,
}

impl Entry {
    fn file_name(&self) -> String {
        format!("{:020}-{}.json", self.sequence, self.id)
    }

    fn parse(name: &str) -> Option<Self> {
        let (sequence, id) = name.strip_suffix(".json")?.split_once('-')?;
        if sequence.len() != 20 {
            return None;
        }
        Some(Self {
            sequence: sequence.parse().ok()?,
            id: id.parse().ok()?,
        })
    }
}

/// What became of one file.
#[derive(Debug)]
pub enum Message {
    /// It was read.
    Read(Box<Envelope>),
    /// It is gone, taken out meanwhile.
    Gone,
    /// It is no message; it was moved aside for somebody to look at.
    Broken {
        /// Where it is now.
        to: PathBuf,
        /// What is wrong with it.
        error: durable::Error,
    },
}

/// The folder `run/outbox` of a node.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
    limits: Limits,
}

/// What is in the folder, as the lock holder sees it.
#[derive(Default)]
struct Listing {
    waiting: Vec<Entry>,
    files: usize,
    bytes: u64,
    leftovers: Vec<PathBuf>,
}

impl Outbox {
    /// The outbox in this folder, which is made when the first message comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::with_limits(folder, Limits::default())
    }

    /// An outbox with limits of its own.
    pub fn with_limits(folder: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            folder: folder.into(),
            limits,
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a message. When this returns, the message survives a loss of power.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::TooLarge`] when a limit is met; [`Error::File`] and [`Error::Io`] when
    /// the folder cannot be written. Nothing is kept then.
    pub fn enqueue(
        &self,
        sender: &Sender,
        now: Timestamp,
        kind: MessageType,
        data: &impl Serialize,
    ) -> Result<Envelope, Error> {
        let data = serde_json::to_value(data).map_err(Error::Json)?;
        let mut envelope = sender.envelope(now, kind, data);
        durable::create_folder(&self.folder, FOLDER_MODE)?;
        let _lock = self.lock()?;
        let listing = self.list(true)?;
        for leftover in &listing.leftovers {
            // Without a lock holder nobody finishes it any more; if it stays, the next one tries again.
            let _ = fs::remove_file(leftover);
        }
        let newest = listing.waiting.last().map_or(0, |entry| entry.sequence);
        let last = newest.max(self.last_sequence()?);
        envelope.sequence = envelope.sequence.max(last + 1);
        let mut bytes = serde_json::to_vec(&envelope).map_err(Error::Json)?;
        bytes.push(b'\n');
        self.check_limits(&listing, bytes.len() as u64)?;
        let entry = Entry {
            sequence: envelope.sequence,
            id: envelope.id,
        };
        durable::write(&self.folder.join(entry.file_name()), FILE_MODE, &bytes)?;
        Ok(envelope)
    }

    fn check_limits(&self, listing: &Listing, size: u64) -> Result<(), Error> {
        let Limits {
            messages,
            bytes,
            message_bytes,
        } = self.limits;
        if size > message_bytes {
            return Err(Error::TooLarge {
                bytes: size,
                limit: message_bytes,
            });
        }
        let limit = if listing.files >= messages {
            format!("{messages} messages")
        } else if listing.bytes + size > bytes {
            format!("{bytes} bytes")
        } else {
            return Ok(());
        };
        Err(Error::Full {
            folder: self.folder.clone(),
            messages: listing.files,
            bytes: listing.bytes,
            limit,
        })
    }

    /// The messages that wait, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be read. A folder that does not exist is empty.
    pub fn waiting(&self) -> Result<Vec<Entry>, Error> {
        Ok(self.list(false)?.waiting)
    }

    /// Reads one message.
    ///
    /// # Errors
    /// [`Error::File`] when the file can be neither read nor moved aside.
    pub fn read(&self, entry: &Entry) -> Result<Message, Error> {
        let path = self.folder.join(entry.file_name());
        Ok(match durable::recover_json(&path)? {
            Recovered::Read(envelope) => Message::Read(Box::new(envelope)),
            Recovered::Absent => Message::Gone,
            Recovered::MovedAside { to, error } => Message::Broken { to, error },
        })
    }

    /// Takes out messages that the server has confirmed.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Io`] when the folder cannot be written. What is left is sent again, and the
    /// server drops it by its id.
    pub fn remove(&self, entries: &[Entry]) -> Result<(), Error> {
        let Some(highest) = entries.iter().map(|entry| entry.sequence).max() else {
            return Ok(());
        };
        let _lock = self.lock()?;
        let newest = self.waiting()?.last().map(|entry| entry.sequence);
        if newest.is_none_or(|newest| newest <= highest) && self.last_sequence()? < highest {
            durable::write_json(&self.folder.join(LAST_SEQUENCE), FILE_MODE, &highest)?;
        }
        for entry in entries {
            let path = self.folder.join(entry.file_name());
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        durable::sync_folder(&self.folder)?;
        Ok(())
    }

    fn last_sequence(&self) -> Result<u64, Error> {
        Ok(
            match durable::recover_json::<u64>(&self.folder.join(LAST_SEQUENCE))? {
                Recovered::Read(sequence) => sequence,
                Recovered::Absent | Recovered::MovedAside { .. } => 0,
            },
        )
    }

    /// Held until the file is dropped; the kernel releases it when the program dies.
    fn lock(&self) -> Result<File, Error> {
        let path = self.folder.join(".lock");
        let file = durable::append(&path, FILE_MODE)?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(file)
    }

    fn list(&self, sizes: bool) -> Result<Listing, Error> {
        let cannot_read = || Error::io("read", &self.folder);
        let mut listing = Listing::default();
        let folder = match fs::read_dir(&self.folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            Err(error) => return Err(cannot_read()(error)),
        };
        for file in folder {
            let file = file.map_err(cannot_read())?;
            let name = file.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(".new-") {
                listing.leftovers.push(file.path());
                continue;
            }
            if name.starts_with('.') {
                continue;
            }
            // Files that were moved aside count too: they fill the disk as well.
            listing.files += 1;
            if sizes {
                // Gone between the two calls: nothing to count.
                listing.bytes += file.metadata().map_or(0, |metadata| metadata.len());
            }
            listing.waiting.extend(Entry::parse(name));
        }
        listing.waiting.sort();
        Ok(listing)
    }
}

#[cfg(test)]
mod tests;
