//! One frame out of a buffer.

use amq_protocol::frame::parsing::parse_content_header;
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, parse_class};
use bytes::{Buf, Bytes, BytesMut};

use super::depth::{MAX_DEPTH, Malformed, check_table};
use crate::failure::{Code, Failure};

/// A frame from a client.
#[derive(Debug)]
pub(crate) enum Frame {
    Method(u16, AMQPClass),
    Header(u16, Box<ContentHeader>),
    Body(u16, Bytes),
    Heartbeat,
}

/// The header of a message's content.
#[derive(Debug)]
pub(crate) struct ContentHeader {
    pub(crate) class: u16,
    pub(crate) size: u64,
    pub(crate) properties: AMQPProperties,
    /// The properties as they came, flags first: handed to consumers unchanged.
    pub(crate) raw: Bytes,
}

/// Takes the next frame out of `buffer`; none when it is not complete. `limit` is the negotiated frame-max.
///
/// # Errors
/// A connection failure. A frame that announces more than `limit` is refused before it is buffered.
pub(crate) fn next_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Frame>, Failure> {
    let Some(&[kind, c1, c0, s3, s2, s1, s0]) = buffer.first_chunk::<7>() else {
        return Ok(None);
    };
    if !matches!(kind, 1 | 2 | 3 | 8) {
        return Err(frame_error(format!("frame type {kind} is unknown")));
    }
    let channel = u16::from_be_bytes([c1, c0]);
    let size = u32::from_be_bytes([s3, s2, s1, s0]) as usize;
    if size.saturating_add(8) > limit {
        return Err(frame_error(format!(
            "a frame of {size} bytes of payload is over the negotiated frame-max of {limit}"
        )));
    }
    if buffer.len() < size + 8 {
        return Ok(None);
    }
    let mut payload = buffer.split_to(size + 8).freeze();
    if payload[size + 7] != 206 {
        return Err(frame_error(format!(
            "a frame on channel {channel} does not end with byte 206"
        )));
    }
    payload.advance(7);
    payload.truncate(size);
    match kind {
        1 => method(&payload).map(|class| Some(Frame::Method(channel, class))),
        2 => header(payload).map(|header| Some(Frame::Header(channel, Box::new(header)))),
        3 => Ok(Some(Frame::Body(channel, payload))),
        _ if channel == 0 => Ok(Some(Frame::Heartbeat)),
        _ => Err(Failure::connection(
            Code::UnexpectedFrame,
            format!("a heartbeat on channel {channel}"),
        )),
    }
}

fn frame_error(text: impl Into<String>) -> Failure {
    Failure::connection(Code::FrameError, text)
}

fn malformed(what: Malformed) -> Failure {
    match what {
        Malformed::TooDeep => frame_error(format!("a field table is nested more than {MAX_DEPTH} deep")),
        Malformed::Broken => frame_error("a field table is malformed"),
    }
}

/// Who sends a method.
enum Direction {
    Client,
    Server,
    Unknown,
}

fn direction(class: u16, method: u16) -> Direction {
    match (class, method) {
        (10, 11 | 21 | 31 | 40 | 50 | 51 | 70)
        | (20, 10 | 20 | 21 | 40 | 41)
        | (30, 10)
        | (40, 10 | 20 | 30 | 40)
        | (50, 10 | 20 | 30 | 40 | 50)
        | (60, 10 | 20 | 30 | 40 | 70 | 80 | 90 | 100 | 110 | 120)
        | (85, 10)
        | (90, 10 | 20 | 30) => Direction::Client,
        (10, 10 | 20 | 30 | 41 | 60 | 61 | 71)
        | (20, 11)
        | (30, 11)
        | (40, 11 | 21 | 31 | 51)
        | (50, 11 | 21 | 31 | 41 | 51)
        | (60, 11 | 21 | 31 | 50 | 60 | 71 | 72 | 111)
        | (85, 11)
        | (90, 11 | 21 | 31) => Direction::Server,
        _ => Direction::Unknown,
    }
}

fn method(payload: &[u8]) -> Result<AMQPClass, Failure> {
    let Some((&[c1, c0, m1, m0], arguments)) = payload.split_first_chunk::<4>() else {
        return Err(frame_error("a method frame is too short for a method"));
    };
    let (class, method) = (u16::from_be_bytes([c1, c0]), u16::from_be_bytes([m1, m0]));
    match direction(class, method) {
        Direction::Client => {}
        Direction::Server => {
            return Err(Failure::connection(
                Code::CommandInvalid,
                format!("method {method} of class {class} is not for clients to send"),
            ));
        }
        Direction::Unknown => {
            return Err(Failure::connection(
                Code::NotImplemented,
                format!("method {method} of class {class} is unknown"),
            ));
        }
    }
    if let Some(at) = table_offset(class, method, arguments)? {
        check_table(arguments.get(at..).unwrap_or_default()).map_err(malformed)?;
    }
    // The parser drops the prefetch size, which we must refuse.
    if (class, method) == (60, 10) && arguments.len() >= 4 && arguments[..4] != [0; 4] {
        return Err(Failure::connection(
            Code::NotImplemented,
            "prefetch_size!=0 is not supported",
        ));
    }
    match parse_class(payload) {
        Ok(([], class)) => Ok(class),
        Ok((rest, _)) => Err(frame_error(format!(
            "{} bytes follow the arguments of method {method} of class {class}",
            rest.len()
        ))),
        Err(_) => Err(frame_error(format!(
            "the arguments of method {method} of class {class} are malformed"
        ))),
    }
}

/// Where the field table of a method's arguments starts, for the methods that have one.
fn table_offset(class: u16, method: u16, arguments: &[u8]) -> Result<Option<usize>, Failure> {
    // Bytes before, short strings, bytes of flags after them.
    let (before, strings, flags) = match (class, method) {
        (10, 11) => (0, 0, 0),
        (40, 10) => (2, 2, 1),
        (40, 30 | 40) => (2, 3, 1),
        (50, 10) => (2, 1, 1),
        (50, 20) => (2, 3, 1),
        (50, 50) => (2, 3, 0),
        (60, 20) => (2, 2, 1),
        _ => return Ok(None),
    };
    let mut at: usize = before;
    for _ in 0..strings {
        let length = arguments.get(at).ok_or_else(|| {
            frame_error(format!(
                "the arguments of method {method} of class {class} are truncated"
            ))
        })?;
        at += 1 + usize::from(*length);
    }
    Ok(Some(at + flags))
}

fn header(payload: Bytes) -> Result<ContentHeader, Failure> {
    const PROPERTIES: usize = 12;
    if payload.len() < PROPERTIES + 2 {
        return Err(frame_error("a content header is truncated"));
    }
    let flags = u16::from_be_bytes([payload[PROPERTIES], payload[PROPERTIES + 1]]);
    if flags & 0b11 != 0 {
        return Err(frame_error(
            "a content header has property flags that are unknown",
        ));
    }
    if flags & (1 << 13) != 0 {
        let mut at = PROPERTIES + 2;
        for bit in [15, 14] {
            if flags & (1 << bit) != 0 {
                at += 1 + usize::from(*payload.get(at).unwrap_or(&0));
            }
        }
        check_table(payload.get(at..).unwrap_or_default()).map_err(malformed)?;
    }
    match parse_content_header(&payload[..]) {
        Ok(([], parsed)) => Ok(ContentHeader {
            class: parsed.class_id,
            size: parsed.body_size,
            properties: parsed.properties,
            raw: payload.slice(PROPERTIES..),
        }),
        _ => Err(frame_error("the properties of a content header are malformed")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Frame>, Failure> {
        next_frame(&mut BytesMut::from(bytes), 4096)
    }

    fn code(bytes: &[u8]) -> Code {
        read(bytes).unwrap_err().code
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_from_its_header_alone() {
        assert_eq!(code(&[1, 0, 1, 0x7f, 0xff, 0xff, 0xff]), Code::FrameError);
        assert!(read(&[1, 0, 1, 0, 0, 0x0f, 0xf8]).unwrap().is_none());
        assert_eq!(code(&[1, 0, 1, 0, 0, 0x0f, 0xf9]), Code::FrameError);
    }

    #[test]
    fn broken_frames_get_the_codes_of_the_table() {
        assert_eq!(
            code(&[7, 0, 0, 0, 0, 0, 0, 206]),
            Code::FrameError,
            "unknown type"
        );
        assert_eq!(code(&[8, 0, 0, 0, 0, 0, 0, 205]), Code::FrameError, "bad end");
        assert_eq!(
            code(&[8, 0, 1, 0, 0, 0, 0, 206]),
            Code::UnexpectedFrame,
            "heartbeat on a channel"
        );
        let method = |class: u8, method: u8, arguments: &[u8]| {
            let mut bytes = vec![1, 0, 1, 0, 0, 0, 4 + u8::try_from(arguments.len()).unwrap()];
            bytes.extend([0, class, 0, method]);
            bytes.extend(arguments);
            bytes.push(206);
            bytes
        };
        assert_eq!(code(&method(99, 10, &[])), Code::NotImplemented, "unknown class");
        assert_eq!(code(&method(50, 99, &[])), Code::NotImplemented, "unknown method");
        assert_eq!(
            code(&method(50, 11, &[])),
            Code::CommandInvalid,
            "from server to client"
        );
        assert_eq!(code(&method(50, 10, &[0, 0])), Code::FrameError, "truncated");
        assert_eq!(code(&method(20, 10, &[0, 1])), Code::FrameError, "too long");
        assert_eq!(
            code(&method(60, 10, &[0, 0, 0, 1, 0, 1, 0])),
            Code::NotImplemented,
            "prefetch size"
        );
        assert!(read(&method(60, 10, &[0, 0, 0, 0, 0, 1, 0])).unwrap().is_some());
    }

    #[test]
    fn a_frame_is_taken_only_when_complete() {
        let bytes = [8, 0, 0, 0, 0, 0, 0, 206];
        for length in 0..8 {
            assert!(read(&bytes[..length]).unwrap().is_none());
        }
        assert!(matches!(read(&bytes), Ok(Some(Frame::Heartbeat))));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn garbage_in_a_well_formed_frame_never_panics(
            kind in 1u8..4,
            class in prop::sample::select(vec![10u8, 20, 40, 50, 60, 85]),
            method in 0u8..120,
            arguments in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut payload = vec![0, class, 0, method];
            payload.extend(arguments);
            let mut bytes = vec![kind, 0, 1];
            bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
            bytes.extend(payload);
            bytes.push(206);
            let _ = read(&bytes);
        }
    }
}
