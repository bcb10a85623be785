//! The properties of a message, taken apart and put together again.

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::basic::{AMQPProperties, gen_properties, parse_properties};
use amq_protocol::types::FieldTable;
use bytes::Bytes;

use super::depth::check_table;

/// Properties from their bytes, flags first; none when they are not any. What the log holds was checked once.
pub(crate) fn properties_from_bytes(raw: &[u8]) -> Option<AMQPProperties> {
    const HEADERS: u8 = 1 << 5;
    if raw.first()? & HEADERS != 0 {
        let mut at = 2;
        for bit in [7, 6] {
            if raw[0] & (1 << bit) != 0 {
                at += 1 + usize::from(*raw.get(at)?);
            }
        }
        check_table(raw.get(at..)?).ok()?;
    }
    parse_properties(raw).ok().map(|(_, properties)| properties)
}

/// The same properties with other headers, and without an expiration: a message that has died once does not die of it again.
pub(crate) fn reborn(properties: &AMQPProperties, headers: FieldTable) -> Bytes {
    let mut new = AMQPProperties::default().with_headers(headers);
    macro_rules! keep {
        ($($get:ident $with:ident),*) => {
            $(if let Some(value) = properties.$get() {
                new = new.$with(value.clone());
            })*
        };
    }
    keep!(
        content_type with_content_type,
        content_encoding with_content_encoding,
        delivery_mode with_delivery_mode,
        priority with_priority,
        correlation_id with_correlation_id,
        reply_to with_reply_to,
        message_id with_message_id,
        timestamp with_timestamp,
        kind with_type,
        user_id with_user_id,
        app_id with_app_id,
        cluster_id with_cluster_id
    );
    match gen_properties::<Vec<u8>>(&new)(WriteContext::from(Vec::new())) {
        Ok(written) => written.into_inner().0.into(),
        Err(error) => {
            tracing::error!(?error, "cannot write the properties of a message");
            Bytes::from_static(&[0, 0])
        }
    }
}
