//! What programs say through `tracing`, as lines of a log.

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::clock::Clock;
use crate::log::{Level, LogFile};

/// Who else gets each line: the level and the text.
pub type Echo = Box<dyn Fn(Level, &str) + Send + Sync>;

/// A layer that writes every event to a log file, in the form of [`crate::log::line`], and to an echo.
pub struct LogLayer {
    file: LogFile,
    clock: Arc<dyn Clock>,
    echo: Option<Echo>,
}

impl std::fmt::Debug for LogLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogLayer")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl LogLayer {
    /// A layer that writes to `file`.
    pub fn new(file: LogFile, clock: Arc<dyn Clock>, echo: Option<Echo>) -> Self {
        Self { file, clock, echo }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let mut text = Text::default();
        event.record(&mut text);
        let Text { message, fields } = text;
        let text = message + &fields;
        // A log that cannot be written stops nobody; the echo still says it.
        let _ = self.file.write_line(self.clock.now(), level, &text);
        if let Some(echo) = &self.echo {
            echo(level, &text);
        }
    }
}

/// An error and its causes in one line, for logs and messages: ``cannot read `x`: permission denied``.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat their cause.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value}")
        } else {
            write!(self.fields, " {}={value}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::prelude::*;

    use super::*;
    use crate::clock::ManualClock;
    use crate::log::Limits;

    #[test]
    fn events_become_lines_of_the_log_and_of_the_echo() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let echoed = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&echoed);
        let clock = Arc::new(ManualClock::at("2026-11-23T10:00:00.5Z".parse().unwrap()));
        let layer = LogLayer::new(
            LogFile::new(&path, Limits::default()),
            clock,
            Some(Box::new(move |level, text| {
                sink.lock().unwrap().push((level, text.to_owned()));
            })),
        );
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(tries = 3, "the server is away");
        });
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "2026-11-23 10:00:00,500 WARNING  the server is away tries=3\n"
        );
        assert_eq!(
            *echoed.lock().unwrap(),
            [(Level::Warning, "the server is away tries=3".to_owned())]
        );
    }
}
