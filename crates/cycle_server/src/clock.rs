//! The server's clock, as an argument.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time of day. Deadlines within the process are on tokio's monotonic clock instead.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A clock that is passed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
