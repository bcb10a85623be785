//! What the fuzzers in `fuzz/` run: the bytes of a client that may be anybody. Tests replay the seeds through the same functions.
//!
//! Each function takes any bytes and panics when a promise does not hold.

mod connection;
mod seeds;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::parsing::parse_field_table;
use bytes::BytesMut;

#[cfg(test)]
pub(crate) use connection::Guest;
pub use connection::connection;
pub use seeds::{connection_seeds, frame_seeds, header_seeds, table_seeds};

use crate::codec::{
    FRAME_MAX, FRAME_MIN, Frame, Malformed, check_table, next_frame, properties_from_bytes, put_method,
    reborn, table_bytes, table_from_bytes,
};
use crate::engine::read_arguments;

/// Reads frames: how the bytes are cut makes no difference, and a method that was read is written and read again as the same.
///
/// # Panics
/// When that does not hold.
pub fn frames(bytes: &[u8]) {
    let mut whole = BytesMut::from(bytes);
    let all = read_all(&mut whole);
    let step = 1 + usize::from(bytes.first().copied().unwrap_or(0) % 16);
    let mut cut = BytesMut::new();
    let mut parts = Vec::new();
    for part in bytes.chunks(step) {
        cut.extend_from_slice(part);
        parts.extend(read_all(&mut cut));
        if parts.last().is_some_and(Result::is_err) {
            break;
        }
    }
    assert_eq!(shown(&all), shown(&parts), "cut into parts of {step} bytes");
    for frame in all.into_iter().flatten() {
        if let Frame::Method(channel, class) = frame {
            let before = format!("{class:?}");
            let mut out = BytesMut::new();
            put_method(&mut out, channel, class);
            let again = next_frame(&mut out, FRAME_MAX);
            let is_same = matches!(&again, Ok(Some(Frame::Method(number, class)))
                if *number == channel && format!("{class:?}") == before);
            assert!(is_same, "{before} was read again as {again:?}");
        }
    }
}

fn read_all(buffer: &mut BytesMut) -> Vec<Result<Frame, String>> {
    let mut frames = Vec::new();
    loop {
        match next_frame(buffer, FRAME_MIN) {
            Ok(Some(frame)) => frames.push(Ok(frame)),
            Ok(None) => return frames,
            Err(failure) => {
                frames.push(Err(failure.to_string()));
                return frames;
            }
        }
    }
}

fn shown(frames: &[Result<Frame, String>]) -> Vec<String> {
    frames.iter().map(|frame| format!("{frame:?}")).collect()
}

/// Reads a field table, as arguments and as headers too: what is refused is no table for the parser either, and what was read is
/// written and read again as the same.
///
/// # Panics
/// When that does not hold.
pub fn tables(bytes: &[u8]) {
    match check_table(bytes) {
        Err(Malformed::Broken) => assert!(parse_field_table(bytes).is_err(), "a table was refused"),
        Err(Malformed::TooDeep) => {}
        Ok(length) => assert!(length <= bytes.len(), "a table of {length} bytes"),
    }
    if let Some(table) = table_from_bytes(bytes) {
        let again = table_bytes(&table);
        assert_eq!(check_table(&again), Ok(again.len()), "{table:?}");
        // As text: a number that is none is not equal to itself.
        let read = table_from_bytes(&again).map(|table| format!("{table:?}"));
        assert_eq!(read, Some(format!("{table:?}")));
        read_arguments(&table);
    }
}

/// Reads the header of a message: the log gives the same properties, and a message that dies keeps all but its headers and its
/// expiration.
///
/// # Panics
/// When that does not hold.
pub fn headers(payload: &[u8]) {
    let Ok(length) = u32::try_from(payload.len()) else {
        return;
    };
    let mut frame = BytesMut::from(&[2, 0, 1][..]);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&[206]);
    let Ok(Some(Frame::Header(_, header))) = next_frame(&mut frame, FRAME_MAX) else {
        return;
    };
    let logged = properties_from_bytes(&header.raw);
    let shown = |properties: &AMQPProperties| format!("{properties:?}");
    assert_eq!(logged.as_ref().map(shown), Some(shown(&header.properties)));
    let headers = header.properties.headers().clone().unwrap_or_default();
    read_arguments(&headers);
    let dead = properties_from_bytes(&reborn(&header.properties, headers.clone()));
    let without = |properties: AMQPProperties| {
        let fields = (
            properties.content_type().clone(),
            properties.content_encoding().clone(),
            *properties.delivery_mode(),
            *properties.priority(),
            properties.correlation_id().clone(),
            properties.reply_to().clone(),
        );
        let more = (
            properties.message_id().clone(),
            *properties.timestamp(),
            properties.kind().clone(),
            properties.user_id().clone(),
            properties.app_id().clone(),
            properties.cluster_id().clone(),
        );
        (fields, more)
    };
    let expiration = dead.as_ref().map(|dead| dead.expiration().clone());
    assert_eq!(expiration, Some(None), "it would die of it again");
    let read = dead
        .as_ref()
        .map(|dead| format!("{:?}", dead.headers().clone().unwrap_or_default()));
    assert_eq!(read, Some(format!("{headers:?}")));
    assert_eq!(dead.map(without), Some(without(header.properties)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A seed with some of its bytes changed, its end cut off, and the end of another one behind it.
    fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
        let seed = prop::sample::select(seeds);
        let cut = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<prop::sample::Index>()));
        (seed.clone(), seed, changes, cut).prop_map(|(mut bytes, other, changes, cut)| {
            if let Some((end, start)) = cut.filter(|_| !bytes.is_empty() && !other.is_empty()) {
                bytes.truncate(end.index(bytes.len()));
                bytes.extend(&other[start.index(other.len())..]);
            }
            for (place, byte) in changes {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            bytes
        })
    }

    #[test]
    fn seeds_keep_the_promises() {
        frame_seeds().iter().for_each(|seed| frames(seed));
        table_seeds().iter().for_each(|seed| tables(seed));
        header_seeds().iter().for_each(|seed| headers(seed));
        connection_seeds().iter().for_each(|seed| connection(seed));
    }

    proptest! {
        #[test]
        fn mutated_frames_keep_the_promises(bytes in mutated(frame_seeds())) {
            frames(&bytes);
        }

        #[test]
        fn mutated_tables_keep_the_promises(bytes in mutated(table_seeds())) {
            tables(&bytes);
        }

        #[test]
        fn mutated_headers_keep_the_promises(bytes in mutated(header_seeds())) {
            headers(&bytes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn mutated_connections_keep_the_promises(bytes in mutated(connection_seeds())) {
            connection(&bytes);
        }
    }
}
