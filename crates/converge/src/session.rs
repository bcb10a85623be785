//! One converge from its beginning to its end.

use std::time::Instant;

use node::clock::Clock;
use node::command::Stop;
use node::home::Home;
use node::identity::Machine;
use node::lock::{Lock, LockError};
use protocol::{ConvergeFailure, Phase};

use crate::report::{Event, Progress, Reporter};
use crate::{Ledger, Plan, Status, recipes, scripts, sync};

/// A converge that could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Another one is at work. The error says which.
    #[error("another converge is at work")]
    Busy(#[source] LockError),
    /// The lock cannot be taken.
    #[error(transparent)]
    Lock(LockError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] durable::Error),
}

/// A converge that did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum ConvergeError {
    /// Something failed; it stands in the ledger and was reported.
    #[error("{}", .0.message)]
    Failed(Box<ConvergeFailure>),
    /// It was told to stop.
    #[error("the converge was stopped")]
    Stopped,
    /// The ledger cannot be written, so nobody would know what was done.
    #[error(transparent)]
    Ledger(#[from] durable::Error),
}

impl From<Box<ConvergeFailure>> for ConvergeError {
    fn from(failure: Box<ConvergeFailure>) -> Self {
        Self::Failed(failure)
    }
}

/// One converge. While it lives no other can begin on this node.
pub struct Session<'a> {
    home: &'a Home,
    clock: &'a dyn Clock,
    ledger: Ledger,
    phase_started: Option<Instant>,
    _lock: Lock,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// Begins a converge: takes the lock and opens the ledger. `what` is what others are told who want
    /// to converge meanwhile.
    ///
    /// # Errors
    /// [`BeginError::Busy`] with the holder when another converge is at work; the others when the home cannot be
    /// written.
    pub fn begin(
        home: &'a Home,
        machine: &Machine,
        what: &str,
        clock: &'a dyn Clock,
    ) -> Result<Self, BeginError> {
        let lock = Lock::take(&home.converge_lock(), what, clock).map_err(|error| match error {
            LockError::Held { .. } => BeginError::Busy(error),
            LockError::Io { .. } => BeginError::Lock(error),
        })?;
        let last = Ledger::load(home)?;
        let ledger = Ledger::begin(last.as_ref(), machine, clock.now());
        ledger.save(home)?;
        Ok(Self {
            home,
            clock,
            ledger,
            phase_started: None,
            _lock: lock,
        })
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Where the converge is.
    pub fn progress(&self) -> Progress {
        Progress {
            attempt: self.ledger.attempt,
            phase: self.ledger.phase,
            step: self.ledger.step.clone(),
            timings: self.ledger.timings.clone(),
        }
    }

    /// Enters the next phase. [`Session::run`] does so for its own; callers do for `configure`.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn enter(&mut self, phase: Phase, reporter: &mut dyn Reporter) -> Result<(), ConvergeError> {
        self.end_phase();
        self.ledger.phase = phase;
        self.phase_started = Some(self.clock.instant());
        self.ledger.save(self.home)?;
        tracing::debug!(phase = phase.as_str(), "phase starts");
        self.tell(&Event::PhaseStarted, reporter);
        Ok(())
    }

    /// Downloads the projects and runs their scripts. Success, failure and stop are noted and reported before
    /// this returns. To end it early request `stop`: a future that is just dropped leaves a running
    /// script alone.
    ///
    /// # Errors
    /// [`ConvergeError::Failed`] and [`ConvergeError::Stopped`]; [`ConvergeError::Ledger`] when neither could be
    /// noted.
    pub async fn run(
        mut self,
        plan: &Plan<'_>,
        reporter: &mut dyn Reporter,
        stop: &Stop,
    ) -> Result<(), ConvergeError> {
        match self.phases(plan, reporter, stop).await {
            Ok(()) => {
                self.end_phase();
                self.ledger.phase = Phase::Ready;
                // In this order, here and below: what the ledger calls ended was reported, even if power fails.
                self.tell(&Event::Ready, reporter);
                Ok(self.finish(Status::Ready)?)
            }
            Err(ConvergeError::Failed(failure)) => Err(self.fail(*failure, reporter)),
            Err(ConvergeError::Stopped) => Err(self.stopped(reporter)),
            Err(error) => Err(error),
        }
    }

    async fn phases(
        &mut self,
        plan: &Plan<'_>,
        reporter: &mut dyn Reporter,
        stop: &Stop,
    ) -> Result<(), ConvergeError> {
        scripts::end_orphan(plan).await?;
        let tree = scripts::Tree::open(plan)?;
        let mut specs = plan.specs.to_vec();
        if plan.options.sync {
            self.enter(Phase::Sync, reporter)?;
            let synced = tokio::select! {
                synced = sync::run(plan) => synced?,
                () = stop.requested() => return Err(ConvergeError::Stopped),
            };
            for spec in &synced {
                self.tell(&spec.event(), reporter);
            }
            recipes::check(plan.node, &synced).inspect_err(|_| {
                self.end_phase();
                self.ledger.phase = Phase::Recipes;
            })?;
            specs = synced
                .into_iter()
                .filter(sync::Synced::is_there)
                .map(|synced| synced.spec)
                .collect();
        }
        self.enter(Phase::ClusterInit, reporter)?;
        scripts::run(self, plan, &tree, &specs, reporter, stop).await
    }

    /// Ends the converge as failed, notes it and reports it.
    pub fn fail(mut self, failure: ConvergeFailure, reporter: &mut dyn Reporter) -> ConvergeError {
        self.end_phase_timing();
        self.tell(&Event::Failed { failure: &failure }, reporter);
        self.ledger.failure = Some(failure.clone());
        if let Err(error) = self.finish(Status::Failed) {
            // The failure itself matters more than that it could not be noted.
            tracing::error!("{}", node::trace::chain(&error));
        }
        ConvergeError::Failed(Box::new(failure))
    }

    /// Ends the converge because it was told to stop, notes it and reports it.
    pub fn stopped(mut self, reporter: &mut dyn Reporter) -> ConvergeError {
        self.end_phase_timing();
        self.tell(&Event::Stopped, reporter);
        match self.finish(Status::Stopped) {
            Ok(()) => ConvergeError::Stopped,
            Err(error) => error.into(),
        }
    }

    /// Notes what is being done within the phase.
    pub(crate) fn step(&mut self, step: Option<String>) -> Result<(), durable::Error> {
        self.ledger.step = step;
        self.ledger.save(self.home)
    }

    pub(crate) fn tell(&self, event: &Event<'_>, reporter: &mut dyn Reporter) {
        reporter.report(event, &self.progress());
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock
    }

    fn end_phase(&mut self) {
        self.end_phase_timing();
        self.ledger.step = None;
    }

    fn end_phase_timing(&mut self) {
        if let Some(started) = self.phase_started.take() {
            let seconds = self.clock.instant().saturating_duration_since(started);
            let phase = self.ledger.phase.as_str().to_owned();
            // Milliseconds are what matters to people.
            let rounded = (seconds.as_secs_f64() * 1000.0).round() / 1000.0;
            self.ledger.timings.insert(phase, rounded);
        }
    }

    fn finish(&mut self, status: Status) -> Result<(), durable::Error> {
        self.ledger.status = status;
        self.ledger.finished = Some(self.clock.now());
        self.ledger.save(self.home)
    }
}
