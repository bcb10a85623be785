//! `run/keepalive.json`: until when HealthCheck does not have this node terminated.
//!
//! `{"until": "2026-11-24T02:00:00Z"}` or `{"until": "forever"}`. The last word holds: a shorter time replaces a longer
//! one. A time that has passed, and what another machine said that this one was cloned from, mean nothing.

use std::fmt;
use std::fs;
use std::io;
use std::time::Duration;

use durable::Recovered;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::identity::Machine;

const VERSION: u32 = 1;
const FOREVER: &str = "forever";

/// The end of a keepalive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Until {
    /// At this time.
    Time(Timestamp),
    /// Never.
    Forever,
}

impl Until {
    /// So long from now on; forever when that is beyond the calendar.
    pub fn after(now: Timestamp, length: Duration) -> Self {
        SignedDuration::try_from(length)
            .ok()
            .and_then(|length| now.checked_add(length).ok())
            .map_or(Self::Forever, Self::Time)
    }

    /// Whether it still holds.
    pub fn holds(self, now: Timestamp) -> bool {
        match self {
            Self::Time(end) => now < end,
            Self::Forever => true,
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(end) => end.fmt(f),
            Self::Forever => f.write_str(FOREVER),
        }
    }
}

impl From<Until> for String {
    fn from(until: Until) -> Self {
        until.to_string()
    }
}

impl TryFrom<String> for Until {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        if text == FOREVER {
            return Ok(Self::Forever);
        }
        text.parse().map(Self::Time)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    version: u32,
    #[serde(default)]
    machine: Machine,
    until: Until,
}

/// The keepalive, and what happened on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// When it ends; none when there is none that holds now.
    pub until: Option<Until>,
    /// For people: a file that could not be understood, and where it was moved to.
    pub warning: Option<String>,
}

/// Reads the keepalive of this node. A file that cannot be understood is moved aside: then there is none.
///
/// # Errors
/// When the file can be neither read nor moved.
pub fn load(home: &Home, machine: &Machine, now: Timestamp) -> Result<Loaded, durable::Error> {
    Ok(match durable::recover_json::<Stored>(&home.keepalive())? {
        Recovered::Read(stored) => Loaded {
            until: Some(stored.until)
                .filter(|until| until.holds(now) && !stored.machine.is_other_than(machine)),
            warning: None,
        },
        Recovered::Absent => Loaded {
            until: None,
            warning: None,
        },
        Recovered::MovedAside { to, error } => Loaded {
            until: None,
            warning: Some(format!(
                "{}; it was moved to `{}` and the node is not kept alive",
                crate::trace::chain(&error),
                to.display()
            )),
        },
    })
}

/// Keeps the node alive until then, whatever was said before.
///
/// # Errors
/// When the file cannot be written; what was said before holds then.
pub fn set(home: &Home, machine: &Machine, until: Until) -> Result<(), durable::Error> {
    let stored = Stored {
        version: VERSION,
        machine: machine.clone(),
        until,
    };
    durable::write_json(&home.keepalive(), 0o640, &stored)
}

/// Ends the keepalive. There need not be one.
///
/// # Errors
/// When the file cannot be removed.
pub fn cancel(home: &Home) -> Result<(), durable::Error> {
    let path = home.keepalive();
    match fs::remove_file(&path) {
        Ok(()) => durable::sync_folder(&home.run()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(durable::Error::Io {
            action: "remove",
            path,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        (folder, home)
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-11-24T{time}Z").parse().unwrap()
    }

    #[test]
    fn the_last_word_holds_until_its_time() {
        let (_folder, home) = home();
        let machine = Machine::named("a");
        let until = |now| load(&home, &machine, at(now)).unwrap().until;
        assert_eq!(until("10:00:00"), None);
        set(&home, &machine, Until::Forever).unwrap();
        assert_eq!(until("10:00:00"), Some(Until::Forever));
        let hour = Until::after(at("10:00:00"), Duration::from_secs(3600));
        set(&home, &machine, hour).unwrap();
        assert_eq!(until("10:59:59"), Some(Until::Time(at("11:00:00"))));
        assert_eq!(until("11:00:00"), None);
        cancel(&home).unwrap();
        cancel(&home).unwrap();
        assert_eq!(until("10:00:00"), None);
    }

    #[test]
    fn the_file_is_as_other_programs_expect() {
        let (_folder, home) = home();
        set(&home, &Machine::default(), Until::Time(at("11:00:00"))).unwrap();
        let json: serde_json::Value = durable::read_json(&home.keepalive()).unwrap().unwrap();
        assert_eq!(json["until"], "2026-11-24T11:00:00Z");
        durable::write(&home.keepalive(), 0o640, b"{\"until\": \"forever\"}").unwrap();
        let loaded = load(&home, &Machine::named("a"), at("10:00:00")).unwrap();
        assert_eq!(loaded.until, Some(Until::Forever));
    }

    #[test]
    fn a_clone_is_not_kept_alive_by_its_image() {
        let (_folder, home) = home();
        set(&home, &Machine::named("image"), Until::Forever).unwrap();
        let loaded = load(&home, &Machine::named("clone"), at("10:00:00")).unwrap();
        assert_eq!(loaded.until, None);
    }

    #[test]
    fn a_damaged_file_is_moved_aside_and_told() {
        let (_folder, home) = home();
        for text in ["", "{\"until\"", "{\"until\": \"soon\"}", "[]", "\u{0}"] {
            durable::write(&home.keepalive(), 0o640, text.as_bytes()).unwrap();
            let loaded = load(&home, &Machine::default(), at("10:00:00")).unwrap();
            assert_eq!(loaded.until, None, "{text}");
            assert!(
                loaded.warning.unwrap().contains("keepalive.json.broken"),
                "{text}"
            );
            assert!(!home.keepalive().exists());
        }
    }

    #[test]
    fn a_length_beyond_the_calendar_is_forever() {
        assert_eq!(Until::after(at("10:00:00"), Duration::MAX), Until::Forever);
    }
}
