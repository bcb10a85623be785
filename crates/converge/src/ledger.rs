//! `run/converge.json`: the journal of the last converge, for `jetpack status` and for the next one.
//!
//! What a converge has done is kept where it was done: in the stamps of the unpacked specs and in the markers of the
//! scripts. The journal says what it set out to do, how far it is, and how long each step took.

use std::collections::BTreeMap;

use durable::Recovered;
use jiff::Timestamp;
use node::home::Home;
use node::identity::Machine;
use node::lock::Lock;
use protocol::{ConvergeFailure, ConvergeStep, Phase, RecipesReport};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// How a converge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is at work.
    Running,
    /// It succeeded.
    Ready,
    /// It failed.
    Failed,
    /// It was told to stop.
    Stopped,
    /// It ended without a word: it was killed, or power failed. See [`Ledger::observe`]; in the file it stands only for
    /// converges before the last one.
    Interrupted,
}

/// How the last converge went, or how the present one goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Of this form.
    pub version: u32,
    /// The machine it ran on.
    #[serde(default)]
    pub machine: Machine,
    /// The boot of the machine in which it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// Why it is run: `install`, `maintenance`, `manual`.
    #[serde(default)]
    pub mode: String,
    /// How it stands.
    pub status: Status,
    /// Which try it is, from 1; starts again at 1 after a success.
    pub attempt: u32,
    /// The phase that is at work, or in which it ended.
    pub phase: Phase,
    /// What is being done within the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Since when that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_started: Option<Timestamp>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ConvergeFailure>,
    /// Seconds spent in each phase that ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timings: BTreeMap<String, f64>,
    /// The scripts in the order in which they run; none before the projects are unpacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<ConvergeStep>,
    /// What recipes did, once they have run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipes: Option<RecipesReport>,
}

impl Ledger {
    /// What the file says. A file that cannot be understood is moved aside and counts as none.
    ///
    /// # Errors
    /// When the file can be neither read nor moved.
    pub fn load(home: &Home) -> Result<Option<Self>, durable::Error> {
        match durable::recover_json(&home.converge_ledger())? {
            Recovered::Read(ledger) => Ok(Some(ledger)),
            Recovered::Absent => Ok(None),
            Recovered::MovedAside { to, error } => {
                tracing::warn!(
                    "{}; it was moved to `{}`",
                    node::trace::chain(&error),
                    to.display()
                );
                Ok(None)
            }
        }
    }

    /// What the file says, for those who only look: it is never moved, and a converge that says that
    /// it runs but does not is [`Status::Interrupted`].
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn observe(home: &Home) -> Result<Option<Self>, durable::Error> {
        let ledger: Option<Self> = durable::read_json(&home.converge_ledger())?;
        Ok(ledger.map(|mut ledger| {
            if ledger.status == Status::Running && Lock::holder(&home.converge_lock()).is_none() {
                ledger.status = Status::Interrupted;
            }
            ledger
        }))
    }

    /// The ledger of a converge that begins now, after `last`.
    pub(crate) fn begin(last: Option<&Self>, machine: &Machine, mode: &str, now: Timestamp) -> Self {
        let attempt = match last {
            Some(last) if last.status != Status::Ready && !last.machine.is_other_than(machine) => {
                last.attempt.saturating_add(1)
            }
            _ => 1,
        };
        Self {
            version: VERSION,
            machine: machine.clone(),
            boot: node::host::boot_id(),
            mode: mode.to_owned(),
            status: Status::Running,
            attempt,
            phase: Phase::Configure,
            step: None,
            step_started: None,
            started: now,
            finished: None,
            failure: None,
            timings: BTreeMap::new(),
            steps: Vec::new(),
            recipes: None,
        }
    }

    /// When it began, if it was at work when the machine went down without a word.
    pub(crate) fn cut_off(&self) -> Option<Timestamp> {
        let is_cut = self.status == Status::Running && self.boot != node::host::boot_id();
        is_cut.then_some(self.started)
    }

    pub(crate) fn save(&self, home: &Home) -> Result<(), durable::Error> {
        durable::write_json(&home.converge_ledger(), 0o640, self)
    }

    /// Notes a step. After a power cut the journal may lack it; the next converge goes by what was done.
    pub(crate) fn note(&self, home: &Home) -> Result<(), durable::Error> {
        durable::write_json_unflushed(&home.converge_ledger(), 0o640, self)
    }
}
