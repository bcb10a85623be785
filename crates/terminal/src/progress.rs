//! A line that says how far a transfer is.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two drawings.
const PACE: Duration = Duration::from_millis(100);
/// Cells of the bar.
const CELLS: u64 = 24;

/// A bar on stderr, drawn again and again on one line: only when stderr is a terminal. May be told from any thread.
#[derive(Debug)]
pub struct Bar {
    label: String,
    state: Option<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    drawn: Option<Instant>,
    /// What was there when it began does not count for the speed.
    first: Option<u64>,
    farthest: u64,
    /// Characters on the line.
    width: usize,
}

impl Bar {
    /// A bar with a label, for instance the name of a file. Nothing is drawn yet.
    pub fn new(label: impl Into<String>) -> Self {
        let state = std::io::stderr().is_terminal().then(|| {
            Mutex::new(State {
                started: Instant::now(),
                drawn: None,
                first: None,
                farthest: 0,
                width: 0,
            })
        });
        Self {
            label: label.into(),
            state,
        }
    }

    /// So many bytes of all are done.
    pub fn set(&self, done: u64, total: u64) {
        let Some(state) = &self.state else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        // Tidings from several threads may overtake each other.
        state.farthest = state.farthest.max(done);
        let first = *state.first.get_or_insert(done);
        let is_over = state.farthest >= total;
        if !is_over && state.drawn.is_some_and(|drawn| drawn.elapsed() < PACE) {
            return;
        }
        state.drawn = Some(Instant::now());
        let line = line(&self.label, state.farthest, total, first, state.started.elapsed());
        let blanks = state.width.saturating_sub(line.chars().count());
        state.width = line.chars().count();
        // Who closed stderr does not want to know.
        let _ = write!(std::io::stderr().lock(), "\r{line}{:blanks$}", "");
    }
}

impl Drop for Bar {
    /// Wipes the line: what comes next starts on a clean one.
    fn drop(&mut self) {
        let Some(state) = &self.state else { return };
        let width = state.lock().unwrap_or_else(PoisonError::into_inner).width;
        if width > 0 {
            let _ = write!(std::io::stderr().lock(), "\r{:width$}\r", "");
        }
    }
}

/// How far a transfer is, for a [`crate::StatusLine`]: `sync [======      ]  50% 1.0 MiB of 2.0 MiB`.
pub fn gauge(label: &str, done: u64, total: u64) -> String {
    line(label, done, total, done, Duration::ZERO)
}

fn line(label: &str, done: u64, total: u64, first: u64, elapsed: Duration) -> String {
    let share = |of: u64| {
        let share = (u128::from(done) * u128::from(of)).checked_div(u128::from(total));
        share.map_or(of, |share| u64::try_from(share).unwrap_or(of).min(of))
    };
    let mut line = format!("{label} [");
    for cell in 0..CELLS {
        line.push(if cell < share(CELLS) { '=' } else { ' ' });
    }
    let _ = write!(line, "] {:3}% {} of {}", share(100), size(done), size(total));
    let millis = elapsed.as_millis();
    if millis >= 500 {
        let speed = u128::from(done.saturating_sub(first)) * 1000 / millis;
        let _ = write!(line, ", {}/s", size(u64::try_from(speed).unwrap_or(u64::MAX)));
    }
    line
}

/// A number of bytes for people: `340 B`, `1.2 MiB`.
pub fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    let mut name = None;
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if bytes / unit < 1024 {
            break;
        }
        unit *= 1024;
        name = Some(larger);
    }
    match name {
        None => format!("{bytes} B"),
        Some(name) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(5 * 1024 * 1024 / 2), "2.5 MiB");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let half = line("x.tgz", 6 << 20, 8 << 20, 2 << 20, Duration::from_secs(2));
        assert_eq!(
            half,
            "x.tgz [==================      ]  75% 6.0 MiB of 8.0 MiB, 2.0 MiB/s"
        );
        let nothing = line("x", 0, 0, 0, Duration::ZERO);
        assert!(nothing.ends_with("] 100% 0 B of 0 B"), "{nothing}");
    }
}
