//! Bytes to frames and back, with every bound checked before anything is built from foreign bytes.

mod depth;
mod properties;
mod read;
mod write;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use depth::{Malformed, check_table};
pub(crate) use properties::{properties_from_bytes, reborn};
pub(crate) use read::{ContentHeader, Frame, next_frame};
pub(crate) use write::{
    Content, put_ack, put_content, put_deliver, put_get_ok, put_heartbeat, put_method, put_nack, put_return,
    short, table_bytes, table_from_bytes,
};

/// The smallest frame-max that a peer may ask for; also the bound before it is negotiated.
pub(crate) const FRAME_MIN: usize = 8192;
/// The largest frame that is accepted and sent, in bytes, its seven bytes of header and end byte included.
pub(crate) const FRAME_MAX: usize = 131_072;
