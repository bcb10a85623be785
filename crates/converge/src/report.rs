//! Telling others how a converge goes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use locker::Transfer;
use node::command::Ended;
use protocol::{
    ClusterInitSpec, ConvergeFailure, ConvergeStep, Installation, InstallationStatus, Phase, RecipesReport,
};

use crate::Script;

/// Somebody who is told of each step, in order, before the next begins.
pub trait Reporter: Send {
    /// `event` has just happened; `progress` is where the converge is now.
    fn report(&mut self, event: &Event<'_>, progress: &Progress);
}

/// A step of a converge.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A phase begins.
    PhaseStarted,
    /// Projects are on their way: bytes of all files that are downloaded. Said again and again, some times a second.
    Downloading {
        /// How far they are.
        transfer: Transfer,
    },
    /// A spec is unpacked.
    Synced {
        /// The spec.
        spec: &'a ClusterInitSpec,
        /// How many files were downloaded; none when nothing had changed.
        downloaded: Option<usize>,
    },
    /// An optional spec is not in its locker and is left out.
    SpecMissing {
        /// The spec.
        spec: &'a ClusterInitSpec,
    },
    /// A script begins.
    ScriptStarted {
        /// The script.
        script: &'a Script,
    },
    /// A script has ended, well or not.
    ScriptEnded {
        /// The script.
        script: &'a Script,
        /// How.
        ended: Ended,
        /// How long it ran.
        duration: Duration,
    },
    /// A script is not run.
    ScriptSkipped {
        /// The script.
        script: &'a Script,
        /// Why.
        reason: SkipReason,
    },
    /// The converge failed; no more is done.
    Failed {
        /// Why.
        failure: &'a ConvergeFailure,
    },
    /// The converge was stopped; no more is done.
    Stopped,
    /// The converge succeeded.
    Ready,
}

/// Why a script is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It succeeded before and has not changed since.
    Succeeded,
    /// Somebody took its permission to be executed on this machine.
    NotExecutable,
    /// It is for Windows.
    Windows,
    /// The stage is one of the spec's scripts too, which runs it.
    IsScript,
}

/// Where a converge is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The phase that is at work, or in which it ended.
    pub phase: Phase,
    /// What is being done: `demo/execute/scripts/010-pull.sh`.
    pub step: Option<String>,
    /// Seconds spent in each phase that ended.
    pub timings: BTreeMap<String, f64>,
    /// Why the converge is run.
    pub mode: String,
    /// When it began.
    pub started: Timestamp,
    /// The scripts in the order in which they run.
    pub steps: Vec<ConvergeStep>,
    /// What recipes did, once they have run.
    pub recipes: Option<RecipesReport>,
}

impl Progress {
    /// The message about this state.
    pub fn installation(
        &self,
        event: &Event<'_>,
        hostname: Option<String>,
        ipv4: Option<String>,
    ) -> Installation {
        let (status, failure) = match event {
            Event::Ready => (InstallationStatus::Ready, None),
            Event::Failed { failure } => (InstallationStatus::Failed, Some((*failure).clone())),
            _ => (InstallationStatus::Started, None),
        };
        Installation {
            status,
            phase: self.phase,
            step: self.step.clone(),
            attempt: self.attempt,
            timings: self.timings.clone(),
            mode: Some(self.mode.clone()),
            started: Some(self.started),
            next_attempt: None,
            steps: match status {
                // Each script is reported as it begins; the list would only be said again and again.
                InstallationStatus::Started => Vec::new(),
                _ => self.steps.clone(),
            },
            recipes: match status {
                InstallationStatus::Started => None,
                _ => self.recipes.clone(),
            },
            hostname,
            ipv4,
            failure,
        }
    }
}
