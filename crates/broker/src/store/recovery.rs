//! The log read back: definitions and the messages that are still in queues.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::record::{Definition, Definitions, Record};
use super::segment::{self, Found};
use crate::error::Error;

/// A message that is in at least one queue.
#[derive(Debug)]
pub(crate) struct RecoveredMessage {
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) properties: Bytes,
    /// None when there was no room for it; then it is the end of its record.
    pub(crate) body: Option<Bytes>,
    /// Bytes of the body.
    pub(crate) body_size: usize,
    /// Queue, and when it expires there in milliseconds since 1970, 0 for never.
    pub(crate) queues: BTreeMap<u64, u64>,
    /// The segment that holds it.
    pub(crate) segment: u64,
    /// Its bytes in that segment.
    pub(crate) size: u64,
    /// Where it ends there.
    pub(crate) end: u64,
}

/// What the log said.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) definitions: Definitions,
    /// By number, which is their order in every queue.
    pub(crate) messages: BTreeMap<u64, RecoveredMessage>,
    /// Segments and their sizes in bytes.
    pub(crate) segments: BTreeMap<u64, u64>,
    /// Segments with damage, to be copied and kept aside.
    pub(crate) damaged: BTreeSet<u64>,
    /// The position for the next record.
    pub(crate) position: u64,
}

#[derive(Default)]
struct Replay {
    exchanges: BTreeMap<String, Definition>,
    queues: BTreeMap<u64, Definition>,
    bindings: Vec<Definition>,
    messages: BTreeMap<u64, RecoveredMessage>,
    /// Messages of a queue, so that its deletion does not look at all of them.
    by_queue: HashMap<u64, BTreeSet<u64>>,
    next_message: u64,
    next_queue: u64,
    /// Bytes of bodies that may still be kept in memory.
    room: usize,
}

/// Reads the log in `folder`, cuts a torn tail off, and makes the folder when there is none. At most `room` bytes of bodies are
/// kept in memory.
///
/// # Errors
/// When the system refuses to read, write or create. Damaged content is no error: it is logged and reported in
/// [`Recovered::damaged`].
pub(crate) fn recover(folder: &Path, room: usize) -> Result<Recovered, Error> {
    durable::create_folder(folder, 0o700)?;
    let mut numbers = BTreeSet::new();
    let entries = fs::read_dir(folder).map_err(Error::io("read", folder))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("read", folder))?;
        numbers.extend(segment::number_of(&entry.path()));
    }
    let newest = numbers.last().copied();
    let mut replay = Replay {
        room,
        ..Replay::default()
    };
    let mut recovered = Recovered::default();
    let mut last = None;
    for number in numbers {
        let path = segment::path(folder, number);
        let bytes = Bytes::from(fs::read(&path).map_err(Error::io("read", &path))?);
        let contents = segment::read(number, &bytes, last);
        let torn = bytes.len() - contents.good;
        if contents.damaged || (torn > 0 && Some(number) != newest) {
            tracing::error!(
                segment = %path.display(),
                "the message log is damaged: good records were kept, the rest is lost; the segment is kept aside",
            );
            recovered.damaged.insert(number);
        } else if torn > 0 {
            tracing::warn!(segment = %path.display(), bytes = torn, "cut the torn end of the message log");
            truncate(&path, contents.good)?;
        }
        recovered.segments.insert(number, contents.good as u64);
        for Found {
            position,
            size,
            end,
            record,
        } in contents.records
        {
            last = Some(position);
            recovered.position = position + size as u64;
            replay.apply(record, (number, size as u64, end as u64));
        }
    }
    replay.finish(&mut recovered);
    Ok(recovered)
}

fn truncate(path: &PathBuf, length: usize) -> Result<(), Error> {
    let file: File = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(Error::io("write", path))?;
    file.set_len(length as u64)
        .and_then(|()| file.sync_all())
        .map_err(Error::io("write", path))
}

impl Replay {
    fn apply(&mut self, record: Record, (segment, size, end): (u64, u64, u64)) {
        match record {
            Record::Definitions(definitions) => {
                self.exchanges.clear();
                self.queues.clear();
                self.bindings.clear();
                self.next_message = self.next_message.max(definitions.next_message);
                self.next_queue = self.next_queue.max(definitions.next_queue);
                for definition in definitions.all {
                    self.define(definition);
                }
            }
            Record::Defined(definition) => self.define(definition),
            Record::Gone(definition) => self.forget(&definition),
            Record::Message {
                number,
                queues,
                exchange,
                key,
                properties,
                body,
            } => {
                self.next_message = self.next_message.max(number + 1);
                for (queue, _) in &queues {
                    self.by_queue.entry(*queue).or_default().insert(number);
                }
                // A message that is read twice counts twice; there is only less room.
                let kept = body.len() <= self.room;
                if kept {
                    self.room -= body.len();
                }
                self.messages.insert(
                    number,
                    RecoveredMessage {
                        exchange,
                        key,
                        // Not a slice: it would keep the whole segment in memory.
                        properties: Bytes::copy_from_slice(&properties),
                        body_size: body.len(),
                        body: kept.then(|| Bytes::copy_from_slice(&body)),
                        queues: queues.into_iter().collect(),
                        segment,
                        size,
                        end,
                    },
                );
            }
            Record::Removed { queue, messages } => {
                for number in messages {
                    self.next_message = self.next_message.max(number + 1);
                    self.remove(queue, number);
                }
            }
        }
    }

    fn remove(&mut self, queue: u64, number: u64) {
        if let Some(numbers) = self.by_queue.get_mut(&queue) {
            numbers.remove(&number);
        }
        if let Some(message) = self.messages.get_mut(&number) {
            message.queues.remove(&queue);
            if message.queues.is_empty() {
                self.room += message.body.as_ref().map_or(0, Bytes::len);
                self.messages.remove(&number);
            }
        }
    }

    fn define(&mut self, definition: Definition) {
        match &definition {
            Definition::Exchange { name, .. } => {
                self.exchanges.insert(name.clone(), definition);
            }
            Definition::Queue { id, .. } => {
                self.next_queue = self.next_queue.max(id + 1);
                self.queues.insert(*id, definition);
            }
            Definition::QueueBinding { .. } | Definition::ExchangeBinding { .. } => {
                self.bindings.push(definition)
            }
        }
    }

    fn forget(&mut self, definition: &Definition) {
        match definition {
            Definition::Exchange { name, .. } => {
                self.exchanges.remove(name);
                self.bindings.retain(|binding| match binding {
                    Definition::QueueBinding { source, .. } => source != name,
                    Definition::ExchangeBinding {
                        source, destination, ..
                    } => source != name && destination != name,
                    _ => true,
                });
            }
            Definition::Queue { id, .. } => {
                self.queues.remove(id);
                self.bindings.retain(
                    |binding| !matches!(binding, Definition::QueueBinding { queue, .. } if queue == id),
                );
                for number in self.by_queue.remove(id).unwrap_or_default() {
                    self.remove(*id, number);
                }
            }
            binding => self.bindings.retain(|other| other != binding),
        }
    }

    fn finish(mut self, recovered: &mut Recovered) {
        // A message may be read before its queue: the definitions move to the head, the message stays behind.
        self.messages.retain(|_, message| {
            message.queues.retain(|queue, _| self.queues.contains_key(queue));
            !message.queues.is_empty()
        });
        recovered.definitions = Definitions {
            next_message: self.next_message.max(1),
            next_queue: self.next_queue.max(1),
            all: self
                .exchanges
                .into_values()
                .chain(self.queues.into_values())
                .chain(self.bindings)
                .collect(),
        };
        recovered.messages = self.messages;
    }
}
