//! What the server tells a node, over its command queue or as answer to a long-poll.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One command to one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Names the command in logs and answers.
    pub id: Uuid,
    /// When the server gave it.
    pub timestamp: Timestamp,
    /// The session that it is meant for: a node that was started anew ignores commands of its
    /// earlier life.
    pub cluster_session_id: String,
    /// What to do.
    #[serde(flatten)]
    pub kind: CommandKind,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum CommandKind {
    /// Stop all work; the machine is about to be deleted.
    Terminate {
        /// For people.
        reason: String,
    },
    /// Fetch the configuration and converge now.
    Converge,
    /// Who may log in has changed: fetch the configuration and keep it. No converge follows.
    Users,
    /// A command that this version does not know. It is acknowledged and logged.
    #[serde(other)]
    Unknown,
}
