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

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) session: SessionId,
    pub(super) channel: u16,
    pub(super) tag: Arc<str>,
    pub(super) no_ack: bool,
    pub(super) exclusive: bool,
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
    /// Ordered by message number.
    pub(super) ready: VecDeque<Entry>,
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
        let place = self
            .ready
            .partition_point(|other| other.message.number < entry.message.number);
        self.ready.insert(place, entry);
    }

    pub(super) fn consumer(&mut self, session: SessionId, channel: u16, tag: &str) -> Option<&mut Consumer> {
        self.consumers.iter_mut().find(|consumer| {
            consumer.session == session && consumer.channel == channel && &*consumer.tag == tag
        })
    }
}
