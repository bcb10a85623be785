//! What `jetpack send` gave, as an AMQP message of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use protocol::{Custom, Envelope, MessageType};
use serde::Deserialize;

/// A message as the plug-ins of the site get it: exactly the key, content type, headers and body that were given, with
/// the id of the envelope, by which a repeated delivery is known.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

/// The publication that a custom message asks for. None for other messages, and for what has no such meaning: it goes
/// to the server like any message, so that it does not wait here for ever.
pub(super) fn publication(envelope: &Envelope) -> Option<Publication> {
    if envelope.kind != MessageType::Custom {
        return None;
    }
    let read = || -> Result<Publication, String> {
        let custom = Custom::deserialize(&envelope.data).map_err(|error| error.to_string())?;
        custom.check().map_err(|error| error.to_string())?;
        let body = STANDARD.decode(&custom.body).map_err(|error| error.to_string())?;
        let mut headers = FieldTable::default();
        for (key, value) in custom.headers {
            headers.insert(key.into(), AMQPValue::LongString(LongString::from(value)));
        }
        Ok(Publication {
            routing_key: custom.routing_key.into(),
            properties: BasicProperties::default()
                .with_content_type(custom.content_type.into())
                .with_headers(headers)
                .with_message_id(envelope.id.to_string().into()),
            body,
        })
    };
    read()
        .inspect_err(|error| {
            tracing::warn!(
                "the custom message {} cannot be published as such: {error}",
                envelope.id
            );
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::outbox::Sender;

    fn envelope(data: Value) -> Envelope {
        Sender::default().envelope(Timestamp::UNIX_EPOCH, MessageType::Custom, data)
    }

    #[test]
    fn key_type_headers_and_bytes_are_those_that_were_given() {
        let envelope = envelope(json!({
            "routing_key": "a.b", "content_type": "x/y", "headers": {"k": "v"}, "body": "/wA=",
        }));
        let publication = publication(&envelope).unwrap();
        assert_eq!(publication.routing_key.as_str(), "a.b");
        assert_eq!(publication.body, b"\xff\x00");
        let properties = publication.properties;
        assert_eq!(
            properties.message_id().as_ref().unwrap().as_str(),
            envelope.id.to_string()
        );
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "x/y");
        let headers = properties.headers().as_ref().unwrap().inner();
        assert_eq!(headers["k"], AMQPValue::LongString("v".into()));
    }

    #[test]
    fn what_has_no_meaning_is_left_to_the_server() {
        for data in [
            json!(1),
            json!({}),
            json!({"routing_key": "a", "content_type": "", "body": "?"}),
            json!({"routing_key": "k".repeat(256), "content_type": "", "body": ""}),
        ] {
            assert!(publication(&envelope(data)).is_none());
        }
        let mut log = envelope(json!({"routing_key": "a", "content_type": "", "body": ""}));
        assert!(publication(&log).is_some());
        log.kind = MessageType::Log;
        assert!(publication(&log).is_none());
    }
}
