//! What is being done right now, at the bottom of a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often the time is drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// The narrowest terminal that people use; a longer line would wrap and could not be taken back.
const WIDTH: usize = 79;
/// To the start of the line, and the rest of it is empty.
const CLEAR: &str = "\r\x1b[K";

/// The last line of a terminal: what is being done, and for how long. All output of the program goes through it, so that
/// the two do not mix. Where stdout or stderr is no terminal there is no such line, and output is passed on as it is.
#[derive(Debug, Clone)]
pub struct StatusLine {
    line: Option<Arc<Mutex<Line>>>,
}

#[derive(Debug)]
struct Line {
    /// What is done, since when; none when nothing is to be shown.
    doing: Option<(String, Instant)>,
    is_shown: bool,
    /// Whether the output before it ended its line.
    is_fresh: bool,
}

impl StatusLine {
    /// A line that says nothing yet.
    pub fn new() -> Self {
        if !(io::stdout().is_terminal() && io::stderr().is_terminal()) {
            return Self { line: None };
        }
        let line = Arc::new(Mutex::new(Line {
            doing: None,
            is_shown: false,
            is_fresh: true,
        }));
        let weak = Arc::downgrade(&line);
        std::thread::spawn(move || tick(&weak));
        Self { line: Some(line) }
    }

    /// Says what is done from now on; `None`: nothing.
    pub fn set(&self, doing: Option<String>) {
        if let Some(line) = &self.line {
            let mut line = lock(line);
            line.doing = doing.map(|doing| (doing, Instant::now()));
            line.clear();
            line.draw();
        }
    }

    /// Says the same thing in other words: the time goes on.
    pub fn amend(&self, doing: String) {
        if let Some(line) = &self.line {
            let mut line = lock(line);
            let since = line.doing.take().map_or_else(Instant::now, |(_, since)| since);
            line.doing = Some((doing, since));
            line.draw();
        }
    }

    /// Writes data to stdout, as [`crate::out`].
    ///
    /// # Errors
    /// As [`crate::out`].
    pub fn out(&self, text: impl AsRef<str>) -> io::Result<()> {
        let text = text.as_ref();
        let Some(line) = &self.line else {
            return crate::out(text);
        };
        let mut line = lock(line);
        line.clear();
        let result = crate::out(text);
        if !text.is_empty() {
            line.is_fresh = text.ends_with('\n');
        }
        line.draw();
        result
    }
}

impl Default for StatusLine {
    fn default() -> Self {
        Self::new()
    }
}

impl Line {
    fn clear(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "{CLEAR}");
            self.is_shown = false;
        }
    }

    fn draw(&mut self) {
        if let (Some((doing, since)), true) = (&self.doing, self.is_fresh) {
            let _ = write!(io::stderr().lock(), "{CLEAR}{}", text(doing, since.elapsed()));
            self.is_shown = true;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `demo/execute/scripts/010-pull.sh 12 s`. Of a name that is too long the end is kept, which says more.
fn text(doing: &str, elapsed: Duration) -> String {
    let elapsed = format!(" {} s", elapsed.as_secs());
    let room = WIDTH - elapsed.len();
    let skip = doing.chars().count().saturating_sub(room);
    let shown: String = doing.chars().skip(skip).collect();
    format!("{shown}{elapsed}")
}

fn tick(line: &Weak<Mutex<Line>>) {
    loop {
        std::thread::sleep(TICK);
        let Some(line) = line.upgrade() else { return };
        lock(&line).draw();
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_wraps() {
        assert_eq!(
            text("demo/s/scripts/1.sh", Duration::from_millis(12_900)),
            "demo/s/scripts/1.sh 12 s"
        );
        let long = text(&format!("{}/1.sh", "x".repeat(200)), Duration::from_secs(5));
        assert_eq!(long.len(), WIDTH);
        assert!(long.ends_with("x/1.sh 5 s"), "{long}");
    }
}
