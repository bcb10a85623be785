//! Frames into a buffer. The methods of the hot path are written by hand; the rest by the codec.

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::types::generation::gen_field_table;
use amq_protocol::types::parsing::parse_field_table;
use amq_protocol::types::{FieldTable, ShortString};
use bytes::{BufMut, Bytes, BytesMut};

use super::depth::check_table;

/// What a message carries besides its method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    /// As they came from the publisher, flags first.
    pub(crate) properties: &'a Bytes,
    pub(crate) body: &'a Bytes,
}

/// Text as a short string, cut at 255 bytes.
pub(crate) fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    ShortString::try_new(&text[..end]).unwrap_or_default()
}

/// A method frame.
pub(crate) fn put_method(out: &mut BytesMut, channel: u16, class: AMQPClass) {
    let frame = AMQPFrame::Method(channel, class);
    match gen_frame::<Vec<u8>>(&frame)(WriteContext::from(Vec::new())) {
        Ok(written) => out.extend_from_slice(&written.into_inner().0),
        // A vector grows, so this cannot be reached; silence would be worse than a line in the log.
        Err(error) => tracing::error!(?error, "cannot write a method frame"),
    }
}

/// A table as bytes, length first.
pub(crate) fn table_bytes(table: &FieldTable) -> Vec<u8> {
    match gen_field_table::<Vec<u8>>(table)(WriteContext::from(Vec::new())) {
        Ok(written) => written.into_inner().0,
        Err(error) => {
            tracing::error!(?error, "cannot write a field table");
            vec![0; 4]
        }
    }
}

/// A table from [`table_bytes`]; none when the bytes are not one.
pub(crate) fn table_from_bytes(bytes: &[u8]) -> Option<FieldTable> {
    check_table(bytes).ok()?;
    parse_field_table(bytes).ok().map(|(_, table)| table)
}

/// A heartbeat.
pub(crate) fn put_heartbeat(out: &mut BytesMut) {
    out.extend_from_slice(&[8, 0, 0, 0, 0, 0, 0, 206]);
}

fn put_short(out: &mut BytesMut, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    out.put_u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

fn put_basic(out: &mut BytesMut, channel: u16, method: u16, arguments: impl FnOnce(&mut BytesMut)) {
    out.put_u8(1);
    out.put_u16(channel);
    let at = out.len();
    out.put_u32(0);
    out.put_u16(60);
    out.put_u16(method);
    arguments(out);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    out.put_u8(206);
}

/// `basic.deliver`.
pub(crate) fn put_deliver(
    out: &mut BytesMut,
    channel: u16,
    consumer: &str,
    tag: u64,
    redelivered: bool,
    exchange: &str,
    key: &str,
) {
    put_basic(out, channel, 60, |out| {
        put_short(out, consumer);
        out.put_u64(tag);
        out.put_u8(redelivered.into());
        put_short(out, exchange);
        put_short(out, key);
    });
}

/// `basic.get-ok`.
pub(crate) fn put_get_ok(
    out: &mut BytesMut,
    channel: u16,
    tag: u64,
    redelivered: bool,
    exchange: &str,
    key: &str,
    left: usize,
) {
    put_basic(out, channel, 71, |out| {
        out.put_u64(tag);
        out.put_u8(redelivered.into());
        put_short(out, exchange);
        put_short(out, key);
        out.put_u32(u32::try_from(left).unwrap_or(u32::MAX));
    });
}

/// `basic.return`.
pub(crate) fn put_return(out: &mut BytesMut, channel: u16, code: u16, text: &str, exchange: &str, key: &str) {
    put_basic(out, channel, 50, |out| {
        out.put_u16(code);
        put_short(out, text);
        put_short(out, exchange);
        put_short(out, key);
    });
}

/// `basic.ack`, the confirm of a publisher.
pub(crate) fn put_ack(out: &mut BytesMut, channel: u16, tag: u64, multiple: bool) {
    put_basic(out, channel, 80, |out| {
        out.put_u64(tag);
        out.put_u8(multiple.into());
    });
}

/// `basic.nack`, the refusal that a publisher hears.
pub(crate) fn put_nack(out: &mut BytesMut, channel: u16, tag: u64, multiple: bool) {
    put_basic(out, channel, 120, |out| {
        out.put_u64(tag);
        out.put_u8(multiple.into());
    });
}

/// Header and body frames of at most `frame_max` bytes.
pub(crate) fn put_content(out: &mut BytesMut, channel: u16, content: Content<'_>, frame_max: usize) {
    out.put_u8(2);
    out.put_u16(channel);
    out.put_u32(u32::try_from(12 + content.properties.len()).unwrap_or(u32::MAX));
    out.put_u16(60);
    out.put_u16(0);
    out.put_u64(content.body.len() as u64);
    out.extend_from_slice(content.properties);
    out.put_u8(206);
    for chunk in content.body.chunks(frame_max - 8) {
        out.put_u8(3);
        out.put_u16(channel);
        out.put_u32(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
        out.extend_from_slice(chunk);
        out.put_u8(206);
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::parse_frame;
    use amq_protocol::protocol::basic;

    use super::*;

    #[test]
    fn hand_written_methods_are_what_the_codec_reads() {
        let mut out = BytesMut::new();
        put_deliver(&mut out, 3, "tag", 7, true, "exchange", "key");
        put_return(&mut out, 3, 312, "NO_ROUTE", "e", "k");
        put_get_ok(&mut out, 3, 1, false, "e", "k", 5);
        put_ack(&mut out, 3, 9, true);
        let mut rest = &out[..];
        let mut methods = Vec::new();
        while !rest.is_empty() {
            let (after, frame) = parse_frame(rest).unwrap();
            let AMQPFrame::Method(3, AMQPClass::Basic(method)) = frame else {
                panic!("{frame}");
            };
            methods.push(method);
            rest = after;
        }
        assert_eq!(
            methods,
            [
                basic::AMQPMethod::Deliver(basic::Deliver {
                    consumer_tag: "tag".into(),
                    delivery_tag: 7,
                    redelivered: true,
                    exchange: "exchange".into(),
                    routing_key: "key".into(),
                }),
                basic::AMQPMethod::Return(basic::Return {
                    reply_code: 312,
                    reply_text: "NO_ROUTE".into(),
                    exchange: "e".into(),
                    routing_key: "k".into(),
                }),
                basic::AMQPMethod::GetOk(basic::GetOk {
                    delivery_tag: 1,
                    redelivered: false,
                    exchange: "e".into(),
                    routing_key: "k".into(),
                    message_count: 5,
                }),
                basic::AMQPMethod::Ack(basic::Ack {
                    delivery_tag: 9,
                    multiple: true,
                }),
            ]
        );
    }

    #[test]
    fn bodies_are_cut_to_the_frame_size() {
        let mut out = BytesMut::new();
        let body = Bytes::from(vec![7; 10_000]);
        let content = Content {
            properties: &Bytes::from_static(&[0, 0]),
            body: &body,
        };
        put_content(&mut out, 1, content, 4096);
        let mut rest = &out[..];
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let (after, frame) = parse_frame(rest).unwrap();
            if let AMQPFrame::Body(_, part) = frame {
                sizes.push(part.len());
            }
            rest = after;
        }
        assert_eq!(sizes, [4088, 4088, 1824]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short(&"é".repeat(200)).as_str().len(), 254);
    }
}
