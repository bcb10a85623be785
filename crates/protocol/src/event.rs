//! The event log of the server, as its readers see it.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Rises by at least one with every event; `after=ID` continues from here.
    pub id: i64,
    /// When it happened: the node's time for messages of nodes, the server's for its own.
    pub time: Timestamp,
    /// The cluster it belongs to; none for events of the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Name of the node it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What kind of news it is.
    pub level: Level,
    /// How much it matters.
    pub priority: Priority,
    /// A fixed word to count by: `log`, `phase`, `node`, `cluster`, `site`.
    pub category: String,
    /// The text.
    pub message: String,
}

/// What kind of news a message is. It says nothing of its importance: see [`Priority`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is as it should be.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// How much a message matters. The cluster page shows medium and above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// For the record.
    Low,
    /// For the people who watch this cluster.
    Medium,
    /// For everybody.
    High,
}

impl Level {
    /// The word that people type and read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The priority of a message of this level when its sender gave none: `high` for errors,
    /// `medium` otherwise.
    pub fn default_priority(self) -> Priority {
        if self == Self::Error {
            Priority::High
        } else {
            Priority::Medium
        }
    }
}

impl Priority {
    /// The word that people type and read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A word that is neither a level nor a priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not one of {allowed}")]
pub struct WordError {
    given: String,
    allowed: &'static str,
}

impl FromStr for Level {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        match word {
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            _ => Err(WordError {
                given: word.to_owned(),
                allowed: "info, warn, error",
            }),
        }
    }
}

impl FromStr for Priority {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        match word {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(WordError {
                given: word.to_owned(),
                allowed: "low, medium, high",
            }),
        }
    }
}
