//! Places at which tests kill a program, to see what the next one makes of what it finds.
//!
//! In release builds there are none. In others a program whose environment has [`LIST`] writes the name of each place
//! that it comes to into the file of that name, one a line; with [`KILL`] it dies without a word at the place of that
//! number, counted from 0.

/// Names the file that gets the names of the places.
pub const LIST: &str = "JETPACK_FAILPOINT_LIST";
/// The number of the place to die at.
pub const KILL: &str = "JETPACK_FAILPOINT_KILL";

/// A place of this name is reached.
#[cfg(not(debug_assertions))]
#[inline]
pub fn reached(_name: &str) {}

/// A place of this name is reached.
#[cfg(debug_assertions)]
pub fn reached(name: &str) {
    active::reached(name);
}

#[cfg(debug_assertions)]
mod active {
    use std::fs::File;
    use std::io::Write;
    use std::sync::{Mutex, OnceLock, PoisonError};

    struct Failpoints {
        list: Option<File>,
        left: Option<usize>,
    }

    static FAILPOINTS: OnceLock<Option<Mutex<Failpoints>>> = OnceLock::new();

    pub(super) fn reached(name: &str) {
        let Some(failpoints) = FAILPOINTS.get_or_init(from_environment) else {
            return;
        };
        let mut failpoints = failpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = &mut failpoints.list {
            // A test that misses a line fails by itself.
            let _ = writeln!(list, "{name}");
        }
        match failpoints.left {
            Some(0) => std::process::abort(),
            Some(left) => failpoints.left = Some(left - 1),
            None => {}
        }
    }

    fn from_environment() -> Option<Mutex<Failpoints>> {
        let list = std::env::var_os(super::LIST);
        let left = std::env::var(super::KILL).ok();
        if list.is_none() && left.is_none() {
            return None;
        }
        Some(Mutex::new(Failpoints {
            list: list.and_then(|path| crate::append(path.as_ref(), 0o600).ok()),
            left: left.and_then(|left| left.parse().ok()),
        }))
    }
}
