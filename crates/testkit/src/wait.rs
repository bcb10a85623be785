//! Waiting for a condition instead of sleeping for a time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long tests wait for something that should happen soon. Long, because machines may be slow: a test that passes does
/// not take this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until the answer is there.
///
/// # Panics
/// With `what` and the last reason when [`PATIENCE`] is over.
#[track_caller]
pub fn wait_for<T, E: Display>(what: &str, mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(reason) if Instant::now() > deadline => {
                panic!("waited {} s for {what}: {reason}", PATIENCE.as_secs())
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
