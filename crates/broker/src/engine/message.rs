//! A message and its share of memory and disk.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;

/// A message, shared by all queues that hold it.
///
/// Bodies are in memory. Everything that reads one goes through [`Message::body`], so that it can come from the
/// segment instead, whose number is known here.
#[derive(Debug)]
pub(crate) struct Message {
    /// Given at publishing, growing: the order in every queue.
    pub(crate) number: u64,
    pub(crate) exchange: Box<str>,
    pub(crate) key: Box<str>,
    /// As they came from the publisher, flags first.
    pub(crate) properties: Bytes,
    body: Bytes,
    /// Queues that hold it, in `ready` or as unacknowledged.
    holders: AtomicU32,
    /// The durable ones of them; 0 for a transient message.
    durable_holders: AtomicU32,
    segment: AtomicU64,
    size_on_disk: AtomicU64,
}

impl Message {
    pub(crate) fn new(number: u64, exchange: &str, key: &str, properties: Bytes, body: Bytes) -> Self {
        Self {
            number,
            exchange: exchange.into(),
            key: key.into(),
            properties,
            body,
            holders: AtomicU32::new(0),
            durable_holders: AtomicU32::new(0),
            segment: AtomicU64::new(0),
            size_on_disk: AtomicU64::new(0),
        }
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its share of memory in bytes, roughly.
    pub(crate) fn weight(&self) -> usize {
        const OVERHEAD: usize = 200;
        OVERHEAD + self.exchange.len() + self.key.len() + self.properties.len() + self.body.len()
    }

    pub(super) fn held(&self, queues: u32, durable: u32) {
        self.holders.fetch_add(queues, Ordering::Relaxed);
        self.durable_holders.fetch_add(durable, Ordering::Relaxed);
    }

    /// One queue less; true when it was the last.
    pub(super) fn released(&self) -> bool {
        self.holders.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// One durable queue less; true when it was the last.
    pub(super) fn released_durably(&self) -> bool {
        self.durable_holders.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// It is in the log for at least one queue.
    pub(super) fn logged(&self) -> bool {
        self.durable_holders.load(Ordering::Relaxed) > 0
    }

    /// Segment and bytes there.
    pub(super) fn place(&self) -> (u64, u64) {
        (
            self.segment.load(Ordering::Relaxed),
            self.size_on_disk.load(Ordering::Relaxed),
        )
    }

    pub(super) fn put(&self, segment: u64, size: u64) {
        self.segment.store(segment, Ordering::Relaxed);
        self.size_on_disk.store(size, Ordering::Relaxed);
    }
}
