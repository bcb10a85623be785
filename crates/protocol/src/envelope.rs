//! The envelope around every message of a node, the same on AMQP and HTTPS.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A message from a node. On AMQP it is the JSON body of one message, on HTTPS a member of
/// [`Messages`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// UUIDv7, made by the node. The server stores each id once, however often it arrives.
    pub id: Uuid,
    /// Rises with every message of a node; gaps are allowed. It restores the order when several
    /// servers read one inbox.
    pub sequence: u64,
    /// The cluster as the node knows it. For people: the server goes by the credential.
    #[serde(default)]
    pub cluster_name: String,
    /// The node as it knows itself. For people: the server goes by the credential.
    #[serde(default)]
    pub node_id: String,
    /// The machine, in its provider's terms.
    #[serde(default)]
    pub instance_id: String,
    /// One value from the start of a node to its termination.
    #[serde(default)]
    pub cluster_session_id: String,
    /// When the node made the message, by its own clock.
    pub timestamp: Timestamp,
    /// What `data` holds.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// The content, in the shape that belongs to `kind`.
    #[serde(default)]
    pub data: Value,
}

/// The kinds of messages (design, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// `jetpack log`: [`crate::Log`].
    Log,
    /// Progress and result of a converge: [`crate::Installation`].
    Installation,
    /// Verdicts of HealthCheck.
    Health,
    /// `jetpack condition`: [`crate::Condition`].
    Condition,
    /// `jetpack autoscale`: [`crate::Autoscale`].
    Autoscale,
    /// `jetpack shutdown`, and the last word of a node that was told to terminate:
    /// [`crate::Shutdown`].
    Shutdown,
    /// `jetpack props`: [`crate::Properties`].
    Props,
    /// State of the accounts on the node.
    Users,
    /// Result of `jetpack test`: [`crate::TestReport`].
    Test,
    /// Sign of life: [`crate::Heartbeat`].
    Heartbeat,
    /// `jetpack send`: [`crate::Custom`].
    Custom,
}

impl MessageType {
    /// The word on the wire, and the last part of the routing key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Installation => "installation",
            Self::Health => "health",
            Self::Condition => "condition",
            Self::Autoscale => "autoscale",
            Self::Shutdown => "shutdown",
            Self::Props => "props",
            Self::Users => "users",
            Self::Test => "test",
            Self::Heartbeat => "heartbeat",
            Self::Custom => "custom",
        }
    }
}

/// Body of `POST /clusterlink/messages`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Messages {
    /// In the order in which the node made them.
    pub messages: Vec<Envelope>,
}
