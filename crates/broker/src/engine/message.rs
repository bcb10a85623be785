//! A message and its share of memory and disk.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// A message, shared by all queues that hold it.
///
/// When there is not much room, the body of a message in the log is in its segment only: see [`Engine::body`](super::Engine).
#[derive(Debug)]
pub(crate) struct Message {
    /// Given at publishing, growing: the order in every queue.
    pub(crate) number: u64,
    pub(crate) exchange: Box<str>,
    pub(crate) key: Box<str>,
    /// As they came from the publisher, flags first.
    pub(crate) properties: Bytes,
    /// None while it is only on the disk.
    body: Mutex<Option<Bytes>>,
    /// Bytes of the body.
    size: usize,
    /// Queues that hold it, in `ready` or as unacknowledged.
    holders: AtomicU32,
    /// The durable ones of them; 0 for a transient message.
    durable_holders: AtomicU32,
    segment: AtomicU64,
    size_on_disk: AtomicU64,
    /// Where its record ends in the segment; the body is the last of it.
    end: AtomicU64,
}

impl Message {
    pub(crate) fn new(number: u64, exchange: &str, key: &str, properties: Bytes, body: Bytes) -> Self {
        Self {
            number,
            exchange: exchange.into(),
            key: key.into(),
            properties,
            size: body.len(),
            body: Mutex::new(Some(body)),
            holders: AtomicU32::new(0),
            durable_holders: AtomicU32::new(0),
            segment: AtomicU64::new(0),
            size_on_disk: AtomicU64::new(0),
            end: AtomicU64::new(0),
        }
    }

    /// A message from the log. Without a body, it is on the disk only and this is its size.
    pub(super) fn recovered(
        number: u64,
        exchange: &str,
        key: &str,
        properties: Bytes,
        (body, size): (Option<Bytes>, usize),
    ) -> Self {
        Self {
            size,
            body: Mutex::new(body),
            ..Self::new(number, exchange, key, properties, Bytes::new())
        }
    }

    /// The body, if it is in memory.
    pub(super) fn body(&self) -> Option<Bytes> {
        self.lock().clone()
    }

    /// Bytes of the body, wherever it is.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Leaves the body on the disk only; returns the bytes that this frees.
    pub(super) fn page_out(&self) -> usize {
        self.lock().take().map_or(0, |body| body.len())
    }

    /// Puts the body back into memory; returns the bytes that this takes.
    pub(super) fn page_in(&self, body: Bytes) -> usize {
        match &mut *self.lock() {
            Some(_) => 0,
            empty => {
                *empty = Some(body);
                self.size
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its share of memory in bytes, roughly.
    pub(crate) fn weight(&self) -> usize {
        const OVERHEAD: usize = 200;
        let body = self.lock().as_ref().map_or(0, Bytes::len);
        OVERHEAD + self.exchange.len() + self.key.len() + self.properties.len() + body
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

    /// Where its record ends in the segment.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    pub(super) fn put(&self, (segment, size, end): (u64, u64, u64)) {
        self.segment.store(segment, Ordering::Relaxed);
        self.size_on_disk.store(size, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
    }
}
