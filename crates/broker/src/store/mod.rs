//! The durable log: what must survive `kill -9` and a power cut.
//!
//! # Format
//! A folder of segments `NNNNNNNNNNNNNNNNNNNN.log`, numbered upwards, each at most about `segment_size` bytes.
//! All numbers are little-endian.
//!
//! | segment | |
//! |---|---|
//! | 8 bytes | `AMQPLOG1` |
//! | u64 | the segment's number |
//! | records | until the end of the file |
//!
//! | record | |
//! |---|---|
//! | u32 | length of the payload |
//! | u32 | CRC-32 (IEEE) of the length, the position and the payload |
//! | u64 | position: bytes appended before this record since the log was made; grows from record to record |
//! | payload | first byte is the kind, see [`Record`]; texts and bytes have a u32 length first |
//!
//! Every segment starts with one [`Record::Definitions`] that holds all durable exchanges, queues and bindings and
//! the next numbers to give. So nothing but live messages keeps an old segment, and the oldest one can go as soon
//! as they are copied to the head ([`Journal::oldest_if_wasteful`]). A message's position in its queue is its number, so copies keep the
//! order.
//!
//! # Writing
//! The [`Journal`] is the side of the broker's engine: it encodes records into a buffer, in the order of events.
//! One writer thread takes the whole buffer, writes it, calls `fdatasync` once, and then announces the position
//! that is safe ([`Synced`]); confirms wait for it. Removals are not urgent: they go with the next group, or alone after
//! 20 ms. When the disk refuses, the writer cuts the segment back to what was safe, waits, and writes the
//! group again: nothing is confirmed meanwhile and publishers stand still.
//!
//! # Reading
//! See [`recover`]: a torn tail of the last segment is cut off; other damage is reported, skipped to the next good record, and the
//! segment is kept aside as `*.broken` after its live messages were copied to the head.

mod journal;
mod record;
mod recovery;
mod segment;
mod writer;

pub(crate) use journal::{Journal, Receipt};
pub(crate) use record::{Definition, Definitions, Record};
pub(crate) use recovery::{Recovered, recover};
pub(crate) use writer::Synced;
