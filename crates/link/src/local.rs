//! The daemon's socket on this machine: one line asks, one line of JSON answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use node::socket::with_short_name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::session::LinkState;

/// Asks for delivery of everything that waits.
pub const DELIVER: &str = "deliver";
/// Asks how the daemon stands.
pub const STATUS: &str = "status";
/// How long `deliver` waits for the server's confirmation.
pub const DELIVER_PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer.
const MAX_ANSWER: u64 = 1 << 20;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// The server has it.
    Delivered,
    /// The server is not there. The daemon delivers it when it is.
    Away,
    /// The server is there and has not confirmed it yet.
    Pending,
}

impl DeliveryState {
    /// An answer without a reason.
    pub fn plain(self) -> Delivery {
        Delivery {
            state: self,
            reason: None,
        }
    }

    /// An answer with a reason.
    pub fn because(self, reason: impl Into<String>) -> Delivery {
        Delivery {
            state: self,
            reason: Some(reason.into()),
        }
    }
}

/// Answer to [`DELIVER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What became of it.
    pub state: DeliveryState,
    /// Why it is not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the daemon is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// It asks the server who this node is.
    Joining,
    /// It asks the server, which refuses this node.
    Refused,
    /// A converge is at work.
    Converging,
    /// The last converge failed; it waits for the next.
    Waiting,
    /// The node is converged.
    Idle,
    /// The server has told the node to end.
    Terminated,
}

/// Answer to [`STATUS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// What it is at.
    pub activity: Activity,
    /// Why: the refusal, the reason of the end, the last error while joining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Process of the converge at work, if this daemon started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converge_pid: Option<i32>,
    /// When it tries again what failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// Contact with the server; none until the node has joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkState>,
}

/// The daemon did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens at the socket.
    #[error("jetpackd is not running")]
    NotRunning,
    /// The socket cannot be used.
    #[error("cannot talk to jetpackd at `{socket}`", socket = socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The answer has no meaning: the daemon is of another version.
    #[error("jetpackd at `{socket}` gave an answer that means nothing to this version", socket = socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Asks the daemon to deliver now, and waits for what becomes of it.
///
/// # Errors
/// When the daemon does not run or does not answer.
pub fn deliver(socket: &Path) -> Result<Delivery, Error> {
    ask(socket, DELIVER, DELIVER_PATIENCE + Duration::from_secs(2))
}

/// Tells the daemon that something waits, and does not wait for an answer. Without a daemon there is nobody
/// to tell.
pub fn knock(socket: &Path) {
    if let Ok(mut stream) = with_short_name(socket, |name| UnixStream::connect(name)) {
        let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
        let _ = stream.write_all(format!("{DELIVER}\n").as_bytes());
    }
}

/// Asks the daemon how it stands.
///
/// # Errors
/// When the daemon does not run or does not answer.
pub fn status(socket: &Path) -> Result<DaemonStatus, Error> {
    ask(socket, STATUS, Duration::from_secs(2))
}

fn ask<T: DeserializeOwned>(socket: &Path, question: &str, patience: Duration) -> Result<T, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotRunning,
        _ => Error::Io {
            socket: socket.to_owned(),
            source,
        },
    };
    let mut stream = with_short_name(socket, |name| UnixStream::connect(name)).map_err(failed)?;
    stream
        .set_read_timeout(Some(patience))
        .and_then(|()| stream.set_write_timeout(Some(patience)))
        .and_then(|()| stream.write_all(format!("{question}\n").as_bytes()))
        .map_err(failed)?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_ANSWER))
        .read_line(&mut line)
        .map_err(failed)?;
    serde_json::from_str(&line).map_err(|source| Error::Answer {
        socket: socket.to_owned(),
        source,
    })
}
