//! What the embedder chooses.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time of day, which messages and queues expire by.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place where the broker looks at the clock"
            )]
            let now = SystemTime::now();
            now.duration_since(UNIX_EPOCH).unwrap_or_default()
        })
    }

    /// A clock that returns the time since 1970.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from((self.0)().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How a broker runs. [`Settings::new`] has values for production.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the message log; made when there is none, locked while the broker runs.
    pub dir: PathBuf,
    /// Names of vhosts beside `/`. Each has exchanges, queues, a log and a limit of memory of its own. None.
    pub vhosts: Vec<String>,
    /// Bytes of a segment of the log, about. 16 MiB.
    pub segment_size: u64,
    /// The largest body of a message, in bytes. A publisher of more gets 406 on its channel. 16 MiB.
    pub max_body: u64,
    /// Bytes of messages in memory above which connections that publish are not read from, until consumers took a
    /// tenth away. Above half of it, what is on the disk leaves the memory. 512 MiB.
    pub memory_limit: usize,
    /// Bytes that must be free where the log is; with less, connections that publish are not read from. 50 MB, as RabbitMQ.
    pub disk_free_limit: u64,
    /// Connections, those not yet logged in included; more are closed at once. 20,000.
    pub max_connections: usize,
    /// How long a client may take from the first byte to the open connection. 10 s.
    pub handshake_timeout: Duration,
    /// How long a wrong password waits for its answer. 1 s.
    pub refusal_delay: Duration,
    /// The heartbeat that is proposed; a client may choose another, or none. 60 s, as RabbitMQ.
    pub heartbeat: Duration,
    /// How long a peer may take to answer a close, at shutdown too. 3 s.
    pub close_timeout: Duration,
    /// The time of day.
    pub clock: Clock,
}

impl Settings {
    /// The values for production, with the log in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            dir: dir.into(),
            vhosts: Vec::new(),
            segment_size: 16 * MIB as u64,
            max_body: 16 * MIB as u64,
            memory_limit: 512 * MIB,
            disk_free_limit: 50_000_000,
            max_connections: 20_000,
            handshake_timeout: Duration::from_secs(10),
            refusal_delay: Duration::from_secs(1),
            heartbeat: Duration::from_secs(60),
            close_timeout: Duration::from_secs(3),
            clock: Clock::system(),
        }
    }
}
