//! Messages as `cyclecloud messages tail` shows them (ours).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /cloud/api/messages/stream`: one message on its way through the broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassingMessage {
    /// When the server saw it.
    pub time: Timestamp,
    /// The exchange that it was published to.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// The property `content-type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The property `message-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The property `user-id`, which the broker has checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Headers that are text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body: JSON as itself, other UTF-8 as a string.
    #[serde(default)]
    pub body: Value,
    /// The body in base64, when it is neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}
