//! `run/conditions.json`: what the node has reported about itself and what still holds, so that it can be listed while
//! the server is away.

use std::path::PathBuf;
use std::time::Duration;

use durable::Recovered;
use jiff::Timestamp;
use protocol::{Condition, ConditionStatus};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Deadline};
use crate::home::Home;
use crate::identity::Machine;
use crate::lock::{Lock, LockError};

const VERSION: u32 = 1;
/// Most conditions of a node. A program that makes up names does not fill the disk.
const MAX: usize = 1000;
/// Longest name, in bytes.
const MAX_NAME: usize = 255;
/// How long another program may take to change them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The conditions cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] durable::Error),
    /// Another program changes them and does not end.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There are too many.
    #[error("this node has {MAX} conditions already; `{name}` would be one more")]
    Full {
        /// The new one.
        name: String,
    },
}

/// A name that no condition can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name `{}` {problem}", .name.escape_debug())]
pub struct NameError {
    name: String,
    problem: &'static str,
}

/// Checks the name of a condition: not empty, at most 255 bytes, without control characters.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let problem = if name.trim().is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME {
        "is longer than 255 bytes"
    } else if name.chars().any(char::is_control) {
        "has a control character"
    } else {
        return Ok(());
    };
    Err(NameError {
        name: name.to_owned(),
        problem,
    })
}

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Since when it has this status.
    pub since: Timestamp,
    /// As it was reported last.
    pub condition: Condition,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    machine: Machine,
    conditions: Vec<Held>,
}

/// The conditions that hold, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// In the order of their names.
    pub conditions: Vec<Held>,
    /// For people: a file that could not be understood, and where it was moved to.
    pub warning: Option<String>,
}

/// Reads the conditions of this node. Those of another machine, which this one was cloned from, do not hold.
///
/// # Errors
/// [`Error::File`] when the file can be neither read nor moved aside.
pub fn load(home: &Home, machine: &Machine) -> Result<Loaded, Error> {
    let none = |warning| Loaded {
        conditions: Vec::new(),
        warning,
    };
    Ok(match durable::recover_json::<Stored>(&home.conditions())? {
        Recovered::Read(stored) if stored.machine.is_other_than(machine) => none(None),
        Recovered::Read(mut stored) => {
            // They are found by their order.
            stored
                .conditions
                .sort_by(|a, b| a.condition.name.cmp(&b.condition.name));
            Loaded {
                conditions: stored.conditions,
                warning: None,
            }
        }
        Recovered::Absent => none(None),
        Recovered::MovedAside { to, error } => none(Some(format!(
            "{}; it was moved to `{}` and its conditions are forgotten here",
            crate::trace::chain(&error),
            to.display()
        ))),
    })
}

/// The conditions, held against other programs until this is dropped.
#[derive(Debug)]
pub struct Conditions {
    path: PathBuf,
    machine: Machine,
    held: Vec<Held>,
    /// See [`Loaded::warning`].
    pub warning: Option<String>,
    _lock: Lock,
}

impl Conditions {
    /// Reads them and keeps others from changing them meanwhile.
    ///
    /// # Errors
    /// [`Error::Lock`] when another program does not end, [`Error::File`] as [`load`].
    pub fn open(home: &Home, machine: &Machine, clock: &dyn Clock) -> Result<Self, Error> {
        let patience = Deadline::after(clock, PATIENCE);
        let lock = Lock::wait(
            &home.conditions_lock(),
            "changing the conditions",
            clock,
            &patience,
        )?;
        let loaded = load(home, machine)?;
        Ok(Self {
            path: home.conditions(),
            machine: machine.clone(),
            held: loaded.conditions,
            warning: loaded.warning,
            _lock: lock,
        })
    }

    /// Writes down a report: it replaces the one of the same name, and OK ends it.
    ///
    /// # Errors
    /// [`Error::Full`] when there are too many, [`Error::File`] when the file cannot be written; nothing has
    /// changed then.
    pub fn report(&mut self, condition: Condition, now: Timestamp) -> Result<(), Error> {
        let mut held = self.held.clone();
        let place = held.binary_search_by(|known| known.condition.name.cmp(&condition.name));
        match (place, condition.status) {
            (Ok(place), ConditionStatus::Ok) => {
                held.remove(place);
            }
            (Err(_), ConditionStatus::Ok) => {}
            (Ok(place), status) => {
                let since = Some(held[place].since).filter(|_| held[place].condition.status == status);
                let since = since.unwrap_or(now);
                held[place] = Held { since, condition };
            }
            (Err(_), _) if held.len() >= MAX => return Err(Error::Full { name: condition.name }),
            (Err(place), _) => held.insert(
                place,
                Held {
                    since: now,
                    condition,
                },
            ),
        }
        if held == self.held {
            return Ok(());
        }
        let stored = Stored {
            version: VERSION,
            machine: self.machine.clone(),
            conditions: held,
        };
        durable::write_json(&self.path, 0o640, &stored)?;
        self.held = stored.conditions;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        (folder, home)
    }

    fn condition(name: &str, status: ConditionStatus) -> Condition {
        Condition {
            name: name.to_owned(),
            status,
            message: Some(format!("{name} is {}", status.as_str())),
            description: None,
            recommendations: None,
            details: None,
            action_type: None,
            ghr_category: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn report(home: &Home, name: &str, status: ConditionStatus, second: i64) {
        let mut conditions = Conditions::open(home, &Machine::named("a"), &SystemClock).unwrap();
        conditions.report(condition(name, status), at(second)).unwrap();
    }

    fn held(home: &Home) -> Vec<(String, i64)> {
        let loaded = load(home, &Machine::named("a")).unwrap();
        let held = loaded.conditions.into_iter();
        held.map(|held| (held.condition.name, held.since.as_second()))
            .collect()
    }

    #[test]
    fn a_condition_holds_from_its_first_report_until_ok() {
        use ConditionStatus::{Error, Ok, Warning};
        let (_folder, home) = home();
        report(&home, "gpu", Warning, 1);
        report(&home, "disk", Error, 2);
        report(&home, "gpu", Warning, 3);
        assert_eq!(held(&home), [("disk".to_owned(), 2), ("gpu".to_owned(), 1)]);
        report(&home, "gpu", Error, 4);
        assert_eq!(held(&home)[1].1, 4, "it became worse");
        report(&home, "disk", Ok, 5);
        report(&home, "other", Ok, 6);
        assert_eq!(held(&home), [("gpu".to_owned(), 4)]);
    }

    #[test]
    fn a_clone_does_not_have_the_conditions_of_its_image() {
        let (_folder, home) = home();
        report(&home, "gpu", ConditionStatus::Error, 1);
        let loaded = load(&home, &Machine::named("b")).unwrap();
        assert_eq!(loaded.conditions, []);
    }

    #[test]
    fn there_is_an_end_to_the_number_of_conditions() {
        let (_folder, home) = home();
        let mut conditions = Conditions::open(&home, &Machine::default(), &SystemClock).unwrap();
        conditions.held = (0..MAX)
            .map(|number| Held {
                since: at(0),
                condition: condition(&format!("{number:04}"), ConditionStatus::Error),
            })
            .collect();
        let error = conditions
            .report(condition("new", ConditionStatus::Error), at(1))
            .unwrap_err();
        assert!(error.to_string().contains("`new`"), "{error}");
        conditions
            .report(condition("0007", ConditionStatus::Warning), at(1))
            .unwrap();
        conditions
            .report(condition("0007", ConditionStatus::Ok), at(1))
            .unwrap();
    }

    #[test]
    fn a_damaged_file_is_moved_aside_and_told() {
        let (_folder, home) = home();
        durable::write(&home.conditions(), 0o640, b"{").unwrap();
        let loaded = load(&home, &Machine::default()).unwrap();
        assert!(loaded.warning.unwrap().contains("conditions.json.broken"));
        report(&home, "gpu", ConditionStatus::Error, 1);
        assert_eq!(held(&home).len(), 1);
    }

    #[test]
    fn names_are_for_people_to_read() {
        check_name("GPU count (nvidia-smi)").unwrap();
        for bad in ["", "  ", "a\nb", &"x".repeat(256)] {
            check_name(bad).unwrap_err();
        }
    }
}
