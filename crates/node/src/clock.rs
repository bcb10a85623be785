//! Time as an argument.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Where time comes from. Code that writes times or waits takes one, so that tests own the time.
pub trait Clock: Send + Sync {
    /// The time of day, for people and files. It may jump: never wait by it.
    fn now(&self) -> Timestamp;

    /// The monotonic time, for waits and durations.
    fn instant(&self) -> Instant;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug)]
pub struct ManualClock {
    start: (Timestamp, Instant),
    passed: Mutex<Duration>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            start: (now, Instant::now()),
            passed: Mutex::default(),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.passed()).unwrap_or(SignedDuration::MAX);
        self.start.0.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    fn instant(&self) -> Instant {
        self.start.1 + self.passed()
    }
}

/// The monotonic time at which to stop waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `wait` from now. A wait beyond what the system can count ends in 100 years.
    pub fn after(clock: &dyn Clock, wait: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        let now = clock.instant();
        Self(now.checked_add(wait).unwrap_or_else(|| now + FAR))
    }

    /// What is left; zero when it has passed.
    pub fn remaining(&self, clock: &dyn Clock) -> Duration {
        self.0.saturating_duration_since(clock.instant())
    }

    /// Whether it has passed.
    pub fn passed(&self, clock: &dyn Clock) -> bool {
        self.remaining(clock).is_zero()
    }

    /// As the system counts, for `tokio::time::timeout_at` and the like.
    pub fn instant(&self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_when_its_time_is_over() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let deadline = Deadline::after(&clock, Duration::from_secs(10));
        clock.advance(Duration::from_secs(9));
        assert_eq!(deadline.remaining(&clock), Duration::from_secs(1));
        clock.advance(Duration::from_secs(2));
        assert!(deadline.passed(&clock));
        assert_eq!(clock.now().as_second(), 11);
    }

    #[test]
    fn a_wait_without_end_does_not_overflow() {
        assert!(!Deadline::after(&SystemClock, Duration::MAX).passed(&SystemClock));
    }
}
