//! The running of the actions.

use std::collections::BTreeSet;
use std::time::Duration;

use durable::Recovered;
use serde::{Deserialize, Serialize};

use super::{Action, Error, FILE_MODE, GRACE, Loaded, TOTAL, VERSION, load};
use crate::clock::{Deadline, SystemClock};
use crate::command::{Command, Ended, Process, Stop};
use crate::home::{HOME_VARIABLE, Home};
use crate::identity::Machine;
use crate::trace::chain;

/// With less than this left, an action is not begun.
const LEAST: Duration = Duration::from_secs(1);
/// Most bytes that are kept of what an action says.
const LOG_BYTES: u64 = 1 << 20;
/// How much of the end of its output goes into a failure.
const TAIL_BYTES: usize = 1 << 10;
const TAIL_LINES: usize = 5;

/// What happens while the actions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One begins.
    Begun {
        /// The action.
        name: String,
    },
    /// One has ended.
    Ended {
        /// The action.
        name: String,
        /// What went wrong and the end of what it said; none: nothing.
        failure: Option<String>,
    },
    /// Something else is not as it should be, in words.
    Trouble(String),
}

/// How far the running of the actions is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    version: u32,
    machine: Machine,
    occasion: String,
    /// Those that are not run again.
    done: BTreeSet<String>,
    /// The one at work, for the case that we are killed.
    running: Option<Process>,
}

/// Runs what is registered, except what has completed on the same `occasion`; that of a shutdown is the session of the
/// node. Blocks. The caller lets nobody else run them meanwhile: it is the daemon, of which there is one.
///
/// A failure of an action never stops the others. When `stop` is requested, the one at work is ended and will run again;
/// false comes back then.
///
/// # Errors
/// When it cannot be told what is registered.
pub fn run(
    home: &Home,
    machine: &Machine,
    occasion: &str,
    stop: &Stop,
    tell: impl FnMut(Event),
) -> Result<bool, Error> {
    run_within(TOTAL, home, machine, occasion, stop, tell)
}

/// [`run`] with another limit for all actions together.
pub(super) fn run_within(
    total: Duration,
    home: &Home,
    machine: &Machine,
    occasion: &str,
    stop: &Stop,
    mut tell: impl FnMut(Event),
) -> Result<bool, Error> {
    let deadline = Deadline::after(&SystemClock, total);
    let mut runner = Runner::open(home, machine, occasion, &mut tell);
    runner.end_orphan(&mut tell);
    loop {
        // Read anew each time: an action may register or remove others.
        let Loaded { actions, warning } = load(home, machine)?;
        if let Some(warning) = warning {
            tell(Event::Trouble(warning));
        }
        let next = actions
            .into_iter()
            .find(|action| !runner.progress.done.contains(&action.name));
        let Some(action) = next else {
            return Ok(true);
        };
        if stop.is_requested() {
            return Ok(false);
        }
        let left = deadline.remaining(&SystemClock);
        let name = action.name.clone();
        let failure = if left < LEAST {
            Some(format!(
                "not run: the {} s that all actions have together are over",
                total.as_secs()
            ))
        } else {
            tell(Event::Begun { name: name.clone() });
            match runner.act(&action, action.timeout().min(left), stop) {
                Some(result) => result.err(),
                None => {
                    runner.progress.running = None;
                    runner.save(&mut tell);
                    return Ok(false);
                }
            }
        };
        runner.progress.running = None;
        runner.progress.done.insert(name.clone());
        runner.save(&mut tell);
        tell(Event::Ended { name, failure });
    }
}

struct Runner<'a> {
    home: &'a Home,
    progress: Progress,
}

impl<'a> Runner<'a> {
    fn open(home: &'a Home, machine: &Machine, occasion: &str, tell: &mut dyn FnMut(Event)) -> Self {
        let known = match durable::recover_json::<Progress>(&home.run_on_shutdown_progress()) {
            Ok(Recovered::Read(progress)) => Some(progress),
            Ok(Recovered::Absent) => None,
            Ok(Recovered::MovedAside { error, .. }) | Err(error) => {
                tell(Event::Trouble(format!(
                    "{}; actions that have run may run again",
                    chain(&error)
                )));
                None
            }
        };
        let fresh = Progress {
            version: VERSION,
            machine: machine.clone(),
            occasion: occasion.to_owned(),
            ..Progress::default()
        };
        let progress = known
            .filter(|known| known.occasion == occasion && !known.machine.is_other_than(machine))
            .unwrap_or(fresh);
        Self { home, progress }
    }

    /// An action of a runner that was killed would run beside its own next run.
    fn end_orphan(&mut self, tell: &mut dyn FnMut(Event)) {
        if let Some(orphan) = self.progress.running.take()
            && !orphan.terminate(GRACE)
        {
            tell(Event::Trouble(format!(
                "an action that was interrupted cannot be ended (process {})",
                orphan.pid
            )));
        }
    }

    /// A full disk does not keep a machine from going.
    fn save(&self, tell: &mut dyn FnMut(Event)) {
        if let Err(error) = self.try_save() {
            tell(Event::Trouble(chain(&error)));
        }
    }

    fn try_save(&self) -> Result<(), durable::Error> {
        durable::write_json(&self.home.run_on_shutdown_progress(), FILE_MODE, &self.progress)
    }

    /// Runs one action; none when it was stopped.
    fn act(&self, action: &Action, limit: Duration, stop: &Stop) -> Option<Result<(), String>> {
        let log = self.home.run_on_shutdown_log(&action.name);
        let folder = log.parent().unwrap_or(&log);
        if let Err(error) = durable::create_folder(folder, 0o750) {
            return Some(Err(format!("not run: {}", chain(&error))));
        }
        let (program, args) = action.command.split_first()?;
        let mut command = Command::new(program).inherit_environment();
        let inherited = command
            .get_env("PATH")
            .and_then(|path| path.to_str().map(str::to_owned));
        command = command
            .env("PATH", self.home.search_path(inherited.as_deref()))
            .env(HOME_VARIABLE, self.home.root())
            .current_dir(self.home.root())
            .log(log.clone(), LOG_BYTES)
            .tail_bytes(TAIL_BYTES)
            .time_limit(limit)
            .grace(GRACE);
        for arg in args {
            command = command.arg(arg);
        }
        let (path, progress) = (self.home.run_on_shutdown_progress(), self.progress.clone());
        command = command.on_start(move |process| {
            let progress = Progress {
                running: Some(process.clone()),
                ..progress.clone()
            };
            if let Err(error) = durable::write_json(&path, FILE_MODE, &progress) {
                // It matters only if we are killed.
                tracing::warn!("{}", chain(&error));
            }
        });
        Some(match command.run(stop) {
            Err(error) => Err(chain(&error)),
            Ok(outcome) => match outcome.ended {
                Ended::Stopped => return None,
                ended if ended.success() => Ok(()),
                ended => {
                    let mut failure = ended.to_string();
                    if let Ended::TimedOut = ended {
                        failure.push_str(&format!(" ({} s)", limit.as_secs()));
                    }
                    let lines: Vec<&str> = outcome.tail.trim_end().lines().collect();
                    for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                        failure.push('\n');
                        failure.push_str(line);
                    }
                    Err(failure)
                }
            },
        })
    }
}
