//! A queue: messages in order, and the consumers that take turns.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::arguments::QueueOptions;
use super::exchange::Binding;
use super::message::Message;
use super::state::SessionId;

/// Names a queue for ever; never given twice.
pub(crate) type QueueId = u64;

/// A message in one queue.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: Arc<Message>,
    /// It may have been delivered before.
    pub(super) redelivered: bool,
    /// Milliseconds since 1970.
    pub(super) expires_at: Option<u64>,
}

/// Messages that wait, ordered by their numbers.
#[derive(Debug, Default)]
pub(super) struct Ready {
    entries: VecDeque<Entry>,
    /// Of the bodies.
    bytes: u64,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn push_back(&mut self, entry: Entry) {
        self.bytes += entry.message.size() as u64;
        self.entries.push_back(entry);
    }

    pub(super) fn put_back(&mut self, entry: Entry) {
        self.bytes += entry.message.size() as u64;
        let place = self
            .entries
            .partition_point(|other| other.message.number < entry.message.number);
        self.entries.insert(place, entry);
    }

    pub(super) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(entry.message.size() as u64);
        Some(entry)
    }

    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        self.bytes = 0;
        std::mem::take(&mut self.entries).into()
    }
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) session: SessionId,
    pub(super) channel: u16,
    pub(super) tag: Arc<str>,
    pub(super) no_ack: bool,
    pub(super) exclusive: bool,
    /// Who has a higher one is asked first.
    pub(super) priority: i64,
    /// How many it may have unacknowledged; 0 for any number.
    pub(super) prefetch: u16,
    pub(super) unacked: u32,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: QueueId,
    pub(super) name: Arc<str>,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    /// The connection that alone may use it, and with which it ends.
    pub(super) owner: Option<SessionId>,
    /// A field table, length first.
    pub(super) arguments: Vec<u8>,
    pub(super) options: QueueOptions,
    pub(super) ready: Ready,
    pub(super) unacked: usize,
    pub(super) consumers: Vec<Consumer>,
    /// Whose turn it is.
    pub(super) turn: usize,
    /// Source exchange and binding, to be undone with the queue.
    pub(super) bindings: HashSet<(Arc<str>, Binding)>,
    /// When it was last used, in milliseconds since 1970.
    pub(super) used: u64,
}

impl Queue {
    /// It is in the log. An exclusive queue ends with its connection, whatever it says about durability.
    pub(super) fn logged(&self) -> bool {
        self.durable && self.owner.is_none()
    }

    /// Puts an entry back where it was.
    pub(super) fn put_back(&mut self, mut entry: Entry) {
        entry.redelivered = true;
        self.ready.put_back(entry);
    }

    /// There is more in it than it may hold, or would be with `more` messages of so many bytes.
    pub(super) fn is_over(&self, (more, bytes): (u64, u64)) -> bool {
        let length = self.ready.len() as u64 + more;
        let size = self.ready.bytes() + bytes;
        self.options.max_length.is_some_and(|most| length > most)
            || self.options.max_length_bytes.is_some_and(|most| size > most)
    }

    /// The very consumer that has this tag: another one may have come under its name since.
    pub(super) fn consumer(&mut self, tag: &Arc<str>) -> Option<&mut Consumer> {
        self.consumers
            .iter_mut()
            .find(|consumer| Arc::ptr_eq(&consumer.tag, tag))
    }
}
