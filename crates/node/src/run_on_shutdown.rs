//! `run/run_on_shutdown.json`: what is to run before the node goes, and the running of it.
//!
//! Each action runs once on each occasion - the end of one life of the node - in the order of registration. How far
//! that is stands in `run/run_on_shutdown.progress.json`: after a kill half way, what had completed is not run again, and
//! what was interrupted is ended, if it still lives, and run again.

mod runner;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use durable::Recovered;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Deadline};
use crate::home::Home;
use crate::identity::Machine;
use crate::lock::{Lock, LockError};
use crate::trace::chain;

pub use runner::{Event, run};

const VERSION: u32 = 1;
const FILE_MODE: u32 = 0o640;
/// How long an action may take if it was registered without a time limit.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long all actions together may take: what Azure gives at most between the notice and the end of a machine.
pub const TOTAL: Duration = Duration::from_secs(900);
/// How long an action has to end when its time is over.
const GRACE: Duration = Duration::from_secs(10);
/// Most actions.
const MAX: usize = 100;
/// Longest name, in bytes.
const MAX_NAME: usize = 64;
/// Most bytes of a command with its arguments.
const MAX_COMMAND: usize = 32 << 10;
/// How long another program may take to change the actions.
const PATIENCE: Duration = Duration::from_secs(10);

/// The actions cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] durable::Error),
    /// Another program changes them and does not end.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There are too many.
    #[error("{MAX} actions are registered already; `{name}` would be one more")]
    Full {
        /// The new one.
        name: String,
    },
    /// The command is not one.
    #[error("the command of `{name}` {problem}")]
    Command {
        /// The action.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A name that no action can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name `{}` {problem}", .name.escape_debug())]
pub struct NameError {
    name: String,
    problem: &'static str,
}

/// Checks the name of an action: 1 to 64 of the letters, digits and `.`, `_`, `-` of ASCII, and neither `.` nor `-` in
/// front. It becomes the name of a file.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME {
        "is longer than 64 bytes"
    } else if !name.chars().all(is_of_name) {
        "has other characters than letters, digits, `.`, `_` and `-`"
    } else if name.starts_with(['.', '-']) {
        "begins with neither a letter nor a digit nor `_`"
    } else {
        return Ok(());
    };
    Err(NameError {
        name: name.to_owned(),
        problem,
    })
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-')
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Unique on the node; see [`check_name`].
    pub name: String,
    /// The program and its arguments. It is no line for a shell.
    pub command: Vec<String>,
    /// How long it may take, in seconds.
    pub timeout_seconds: u64,
    /// When it was registered.
    pub added: Timestamp,
}

impl Action {
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    machine: Machine,
    actions: Vec<Action>,
}

/// The actions in the order in which they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// In the order of their registration.
    pub actions: Vec<Action>,
    /// For people: a file that could not be understood, and where it was moved to.
    pub warning: Option<String>,
}

/// Reads the actions of this node. Those of another machine, which this one was cloned from, are not its own.
///
/// # Errors
/// [`Error::File`] when the file can be neither read nor moved aside.
pub fn load(home: &Home, machine: &Machine) -> Result<Loaded, Error> {
    let none = |warning| Loaded {
        actions: Vec::new(),
        warning,
    };
    Ok(match durable::recover_json::<Stored>(&home.run_on_shutdown())? {
        Recovered::Read(stored) if stored.machine.is_other_than(machine) => none(None),
        Recovered::Read(stored) => Loaded {
            actions: stored.actions,
            warning: None,
        },
        Recovered::Absent => none(None),
        Recovered::MovedAside { to, error } => none(Some(format!(
            "{}; it was moved to `{}` and its actions will not run",
            chain(&error),
            to.display()
        ))),
    })
}

/// How long these actions may take, with the time that they have to end: never more than [`TOTAL`].
pub fn time_needed(actions: &[Action]) -> Duration {
    let each = actions
        .iter()
        .map(|action| action.timeout().saturating_add(GRACE));
    each.fold(Duration::ZERO, Duration::saturating_add).min(TOTAL)
}

/// The actions, held against other programs until this is dropped.
#[derive(Debug)]
pub struct Actions {
    path: PathBuf,
    machine: Machine,
    actions: Vec<Action>,
    /// See [`Loaded::warning`].
    pub warning: Option<String>,
    _lock: Lock,
}

impl Actions {
    /// Reads them and keeps others from changing them meanwhile.
    ///
    /// # Errors
    /// [`Error::Lock`] when another program does not end, [`Error::File`] as [`load`].
    pub fn open(home: &Home, machine: &Machine, clock: &dyn Clock) -> Result<Self, Error> {
        let patience = Deadline::after(clock, PATIENCE);
        let lock = Lock::wait(
            &home.run_on_shutdown_lock(),
            "changing what runs before a shutdown",
            clock,
            &patience,
        )?;
        let Loaded { actions, warning } = load(home, machine)?;
        Ok(Self {
            path: home.run_on_shutdown(),
            machine: machine.clone(),
            actions,
            warning,
            _lock: lock,
        })
    }

    /// In the order of their registration.
    pub fn list(&self) -> &[Action] {
        &self.actions
    }

    /// A name for a command that comes without one: that of its program. The same command gets the same name again, and
    /// another one never takes a name away.
    pub fn name_for(&self, command: &[String]) -> String {
        if let Some(known) = self.actions.iter().find(|known| known.command == command) {
            return known.name.clone();
        }
        let program = command.first().map_or("", String::as_str);
        let file = program.rsplit('/').next().unwrap_or_default();
        let name: String = file
            .chars()
            .map(|letter| if is_of_name(letter) { letter } else { '-' })
            .take(MAX_NAME - 4)
            .collect();
        let name = match name.trim_start_matches(['.', '-']) {
            "" => "action",
            name => name,
        };
        let is_free = |name: &String| self.actions.iter().all(|known| known.name != *name);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        names.find(is_free).unwrap_or_else(|| name.to_owned())
    }

    /// Registers an action. It takes the place of the one with the same name, which is given back.
    ///
    /// # Errors
    /// [`Error::Command`] when the command is empty or too long, [`Error::Full`] when there are too many,
    /// [`Error::File`] when the file cannot be written; nothing has changed then.
    pub fn add(&mut self, action: Action) -> Result<Option<Action>, Error> {
        let problem = if action.command.first().is_none_or(String::is_empty) {
            Some("is empty")
        } else if action.command.iter().map(String::len).sum::<usize>() > MAX_COMMAND {
            Some("is longer than 32 KiB")
        } else if action.command.iter().any(|word| word.contains('\0')) {
            Some("has a zero byte")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(Error::Command {
                name: action.name,
                problem,
            });
        }
        let mut actions = self.actions.clone();
        let replaced = match actions.iter().position(|known| known.name == action.name) {
            Some(place) => Some(std::mem::replace(&mut actions[place], action)),
            None if actions.len() >= MAX => return Err(Error::Full { name: action.name }),
            None => {
                actions.push(action);
                None
            }
        };
        self.save(actions)?;
        Ok(replaced)
    }

    /// Forgets an action. Whether there was one.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be written; nothing has changed then.
    pub fn remove(&mut self, name: &str) -> Result<bool, Error> {
        let mut actions = self.actions.clone();
        actions.retain(|known| known.name != name);
        if actions.len() == self.actions.len() {
            return Ok(false);
        }
        self.save(actions)?;
        Ok(true)
    }

    fn save(&mut self, actions: Vec<Action>) -> Result<(), Error> {
        let stored = Stored {
            version: VERSION,
            machine: self.machine.clone(),
            actions,
        };
        durable::write_json(&self.path, FILE_MODE, &stored)?;
        self.actions = stored.actions;
        Ok(())
    }
}
