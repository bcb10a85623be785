//! How the session stands, for `jetpack status` and for those who wait for a delivery.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A transport in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// AMQP 0-9-1.
    Amqp,
    /// HTTP requests.
    Https,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amqp => "AMQP",
            Self::Https => "HTTPS",
        })
    }
}

/// How the session stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// The transport that works now; none while the server is away.
    pub over: Option<Over>,
    /// Address of the server on that transport.
    pub address: Option<String>,
    /// Since when it is connected, or not connected any more.
    pub since: Option<Timestamp>,
    /// When the server last confirmed something.
    pub last_contact: Option<Timestamp>,
    /// What last went wrong; it stays after a recovery.
    pub last_error: Option<String>,
    /// When it went wrong.
    pub last_error_time: Option<Timestamp>,
    /// What the server says against this node; only while that holds.
    pub refused: Option<String>,
    /// When AMQP is tried again.
    pub next_attempt: Option<Timestamp>,
    /// Messages of the outbox that were confirmed in this session.
    pub delivered: u64,
    /// Messages that no queue of the server takes; they wait.
    pub returned: usize,
}

impl LinkState {
    /// Whether a message would go out now.
    pub fn is_connected(&self) -> bool {
        self.over.is_some()
    }

    pub(crate) fn connect(&mut self, over: Over, address: String, now: Timestamp) {
        if self.over != Some(over) {
            self.since = Some(now);
        }
        self.over = Some(over);
        self.address = Some(address);
        self.refused = None;
        if over == Over::Amqp {
            self.next_attempt = None;
        }
    }

    pub(crate) fn disconnect(
        &mut self,
        error: String,
        refused: Option<String>,
        next: Option<Timestamp>,
        now: Timestamp,
    ) {
        if self.over.take().is_some() || self.since.is_none() {
            self.since = Some(now);
        }
        self.address = None;
        self.refused = refused;
        self.note(error, next, now);
    }

    /// Trouble with one transport while the other works.
    pub(crate) fn note(&mut self, error: String, next: Option<Timestamp>, now: Timestamp) {
        self.last_error = Some(error);
        self.last_error_time = Some(now);
        self.next_attempt = next;
    }
}
