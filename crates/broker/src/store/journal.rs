//! The engine's side of the log.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use super::record::Record;
use super::segment;
use super::writer::{self, Door, Synced, Work};
use crate::error::Error;

/// Where a record went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Safe once [`Synced::position`] is at least this.
    pub(crate) position: u64,
    /// The segment that holds it.
    pub(crate) segment: u64,
    /// Bytes in that segment.
    pub(crate) size: u64,
    /// Where it ends in the segment's file.
    pub(crate) end: u64,
}

#[derive(Debug, Default)]
struct Segment {
    size: u64,
    /// Bytes of messages that are still in a queue.
    live: u64,
}

/// Appends records in the order of events. Closed and joined when dropped.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    door: Arc<Door>,
    writer: Option<JoinHandle<()>>,
    position: u64,
    /// The last one is being written.
    segments: BTreeMap<u64, Segment>,
    segment_size: u64,
    definitions: u64,
}

impl Journal {
    /// Goes on after `segments`, from `position`. The first thing to do is [`Journal::rotate`].
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn open(
        folder: &Path,
        segment_size: u64,
        position: u64,
        segments: &BTreeMap<u64, u64>,
    ) -> Result<Self, Error> {
        let door = Arc::new(Door::new(position));
        let writer = {
            let door = Arc::clone(&door);
            let folder = folder.to_owned();
            thread::Builder::new()
                .name("broker-log".to_owned())
                .spawn(move || writer::run(&folder, &door))
                .map_err(|source| Error::Thread { source })?
        };
        Ok(Self {
            folder: folder.to_owned(),
            door,
            writer: Some(writer),
            position,
            segments: segments
                .iter()
                .map(|(number, size)| (*number, Segment { size: *size, live: 0 }))
                .collect(),
            segment_size,
            definitions: 0,
        })
    }

    /// Follows how far the log is safe.
    pub(crate) fn synced(&self) -> watch::Receiver<Synced> {
        self.door.synced.subscribe()
    }

    /// The position after the last record.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of all segments.
    pub(crate) fn size(&self) -> u64 {
        self.segments.values().map(|segment| segment.size).sum()
    }

    /// Appends a record. An urgent one makes the writer start at once.
    pub(crate) fn append(&mut self, record: &Record, urgent: bool) -> Receipt {
        let mut receipt = Receipt::default();
        let start = self.position;
        self.door.append(urgent, |buffer| {
            receipt.size = segment::frame(buffer, start, record) as u64;
            start + receipt.size
        });
        self.position += receipt.size;
        receipt.position = self.position;
        if let Some(mut entry) = self.segments.last_entry() {
            receipt.segment = *entry.key();
            let segment = entry.get_mut();
            segment.size += receipt.size;
            receipt.end = segment.size;
            if matches!(record, Record::Message { .. }) {
                segment.live += receipt.size;
            }
        }
        receipt
    }

    /// Reads the last bytes of a record that ends at `end` of a segment. It must be on the disk already. Blocks.
    ///
    /// # Errors
    /// When the system refuses, or the file is shorter.
    pub(crate) fn read_tail(&self, segment: u64, end: u64, length: usize) -> std::io::Result<Vec<u8>> {
        let file = File::open(segment::path(&self.folder, segment))?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, end.saturating_sub(length as u64))?;
        Ok(bytes)
    }

    /// Counts a recovered message.
    pub(crate) fn retain(&mut self, segment: u64, size: u64) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.live += size;
        }
    }

    /// A message left its last durable queue.
    pub(crate) fn release(&mut self, segment: u64, size: u64) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.live = segment.live.saturating_sub(size);
        }
    }

    /// The segment is full: time for [`Journal::rotate`]. Many definitions make longer segments, so that writing
    /// them stays a small part.
    pub(crate) fn full(&self) -> bool {
        self.segments
            .last_key_value()
            .is_none_or(|(_, segment)| segment.size >= self.segment_size.max(4 * self.definitions))
    }

    /// Starts a new segment with all definitions.
    pub(crate) fn rotate(&mut self, definitions: &Record) {
        let number = self.segments.last_key_value().map_or(1, |(number, _)| number + 1);
        self.door.push(Work::Rotate(number));
        self.segments.insert(
            number,
            Segment {
                size: segment::HEADER as u64,
                live: 0,
            },
        );
        self.definitions = self.append(definitions, true).size;
    }

    /// The oldest segment, when the log is more waste than content: its live messages should be appended again and
    /// the segment dropped. Keeps the log below twice its content and a few segments.
    pub(crate) fn oldest_if_wasteful(&self) -> Option<u64> {
        let (total, live) = self.segments.values().fold((0, 0), |(total, live), segment| {
            (total + segment.size, live + segment.live)
        });
        let limit = self.segment_size.max(4 * self.definitions);
        let many = self.segments.len() as u64 > 8 + 2 * total / limit;
        let oldest = self
            .segments
            .first_key_value()
            .filter(|_| self.segments.len() > 1)?;
        (oldest.1.live == 0 || many || total > 2 * live + 4 * limit).then_some(*oldest.0)
    }

    /// Removes a segment once everything appended before is safe.
    pub(crate) fn drop_segment(&mut self, number: u64) {
        self.segments.remove(&number);
        self.door.push(Work::Remove(number));
    }

    /// Keeps a damaged segment aside once everything appended before is safe.
    pub(crate) fn set_aside(&mut self, number: u64) {
        self.segments.remove(&number);
        self.door.push(Work::SetAside(number));
    }

    /// Writes everything that was appended and ends the writer.
    pub(crate) fn close(&mut self) {
        self.door.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the message log panicked");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}
