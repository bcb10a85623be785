//! What `jetpack send` gave, from nodes that reach the server over HTTPS only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use protocol::{Custom, Envelope, MessageType};
use serde::Deserialize;

/// A message for the exchange `cyclecloud.custom`, the same as the node itself would publish over AMQP.
#[derive(Debug, Clone)]
pub struct Publication {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Publication {
    /// What a message asks to be published; none for messages that ask for nothing of the kind.
    ///
    /// # Errors
    /// When a custom message has no such meaning, in words.
    pub fn of(envelope: &Envelope) -> Result<Option<Self>, String> {
        if envelope.kind != MessageType::Custom {
            return Ok(None);
        }
        let custom = Custom::deserialize(&envelope.data).map_err(|error| error.to_string())?;
        custom.check().map_err(|error| error.to_string())?;
        let body = STANDARD.decode(&custom.body).map_err(|error| error.to_string())?;
        let mut headers = FieldTable::default();
        for (key, value) in custom.headers {
            headers.insert(key.into(), AMQPValue::LongString(LongString::from(value)));
        }
        Ok(Some(Self {
            routing_key: custom.routing_key.into(),
            properties: BasicProperties::default()
                .with_content_type(custom.content_type.into())
                .with_headers(headers)
                .with_message_id(envelope.id.to_string().into()),
            body,
        }))
    }

    /// The routing key.
    pub fn routing_key(&self) -> &str {
        self.routing_key.as_str()
    }
}
