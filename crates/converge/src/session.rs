//! One converge from its beginning to its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use node::clock::Clock;
use node::command::Stop;
use node::home::Home;
use node::identity::Machine;
use node::lock::{Lock, LockError};
use protocol::{ClusterInitSpec, ConvergeFailure, ConvergeStep, Phase, StepState};
use tokio::time::sleep;

use crate::meter::Meter;
use crate::report::{Event, Progress, Reporter};
use crate::{History, Ledger, Plan, RecipesError, Script, Status, leftovers, recipes, scripts, steps, sync};

/// Time between two tidings of the downloads.
const DOWNLOADS_TOLD: Duration = Duration::from_millis(250);

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

impl From<RecipesError> for ConvergeError {
    fn from(error: RecipesError) -> Self {
        match error {
            RecipesError::Failed(failure) => Self::Failed(failure),
            RecipesError::Stopped => Self::Stopped,
        }
    }
}

/// One converge. While it lives no other can begin on this node.
pub struct Session<'a> {
    home: &'a Home,
    clock: &'a dyn Clock,
    ledger: Ledger,
    phase_started: Option<Instant>,
    /// When the converge before began, if power was cut while it was at work.
    cut_off: Option<Timestamp>,
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
    /// Begins a converge: takes the lock and opens the ledger. `mode` says why it is run; `what` is what others are
    /// told who want to converge meanwhile.
    ///
    /// # Errors
    /// [`BeginError::Busy`] with the holder when another converge is at work; the others when the home cannot be
    /// written.
    pub fn begin(
        home: &'a Home,
        machine: &Machine,
        mode: &str,
        what: &str,
        clock: &'a dyn Clock,
    ) -> Result<Self, BeginError> {
        let lock = Lock::take(&home.converge_lock(), what, clock).map_err(|error| match error {
            LockError::Held { .. } => BeginError::Busy(error),
            LockError::Io { .. } => BeginError::Lock(error),
        })?;
        let last = Ledger::load(home)?;
        if let Some(last) = &last {
            History::add(home, last)?;
        }
        let ledger = Ledger::begin(last.as_ref(), machine, mode, clock.now());
        ledger.save(home)?;
        durable::failpoint::reached("converge begun");
        Ok(Self {
            home,
            clock,
            ledger,
            phase_started: None,
            cut_off: last.as_ref().and_then(Ledger::cut_off),
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
            mode: self.ledger.mode.clone(),
            started: self.ledger.started,
            steps: self.ledger.steps.clone(),
            recipes: self.ledger.recipes.clone(),
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
        self.ledger.note(self.home)?;
        durable::failpoint::reached("phase entered");
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
        leftovers::remove(plan.home, &plan.settings.cluster_init_root);
        scripts::end_orphan(plan).await?;
        let tree = scripts::Tree::open(plan, self.cut_off)?;
        let mut specs = plan.specs.to_vec();
        let run_lists: Vec<String>;
        if plan.options.sync {
            self.enter(Phase::Sync, reporter)?;
            let synced = tokio::select! {
                synced = self.sync(plan, reporter) => synced?,
                () = stop.requested() => return Err(ConvergeError::Stopped),
            };
            for spec in &synced {
                self.tell(&spec.event(), reporter);
            }
            let (there, run_list): (Vec<_>, Vec<_>) = synced
                .into_iter()
                .filter(sync::Synced::is_there)
                .map(|synced| (synced.spec, synced.run_list))
                .unzip();
            specs = there;
            run_lists = run_list.into_iter().flatten().collect();
        } else {
            run_lists = sync::run_list_on_machine(&plan.settings.cluster_init_root, &specs);
        }
        if plan.options.recipes {
            self.recipes(plan, &run_lists, &specs, reporter).await?;
        }
        self.enter(Phase::ClusterInit, reporter)?;
        let steps = steps::on_machine(tree.root(), &specs)?;
        self.ledger.steps = steps
            .iter()
            .map(|step| ConvergeStep {
                name: step.script.step(),
                state: StepState::Planned,
                started: None,
                seconds: None,
            })
            .collect();
        scripts::run(self, plan, &tree, &steps, reporter, stop).await?;
        if let Some(recipes) = plan.recipes.filter(|recipes| recipes.has_deferred()) {
            self.enter(Phase::Deferred, reporter)?;
            let done = recipes.deferred().await;
            self.ledger.recipes = Some(recipes.report());
            done?;
        }
        Ok(())
    }

    /// Runs the recipes of the node and of its specs.
    async fn recipes(
        &mut self,
        plan: &Plan<'_>,
        run_lists: &[String],
        specs: &[ClusterInitSpec],
        reporter: &mut dyn Reporter,
    ) -> Result<(), ConvergeError> {
        let run_lists = run_lists.iter().map(String::as_str);
        let wanted = recipes::wanted(plan, run_lists, specs).inspect_err(|_| {
            self.end_phase();
            self.ledger.phase = Phase::Recipes;
        })?;
        if let (Some(wanted), Some(recipes)) = (wanted, plan.recipes) {
            self.enter(Phase::Recipes, reporter)?;
            let done = recipes.converge(&wanted).await;
            self.ledger.recipes = Some(recipes.report());
            done?;
        }
        Ok(())
    }

    /// Downloads the projects, and says how far they are.
    async fn sync(
        &self,
        plan: &Plan<'_>,
        reporter: &mut dyn Reporter,
    ) -> Result<Vec<sync::Synced>, Box<ConvergeFailure>> {
        let meter = Arc::new(Meter::default());
        let mut synced = pin!(sync::run(plan, &meter));
        let mut told = None;
        loop {
            tokio::select! {
                synced = &mut synced => return synced,
                () = sleep(DOWNLOADS_TOLD) => {}
            }
            let transfer = meter.transfer();
            if let Some(transfer) = transfer.filter(|_| transfer != told) {
                reporter.report(&Event::Downloading { transfer }, &self.progress());
            }
            told = transfer;
        }
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

    /// Notes that a script begins.
    pub(crate) fn begin_step(&mut self, script: &Script) -> Result<(), durable::Error> {
        let (name, now) = (script.step(), self.clock.now());
        if let Some(step) = self.step(&name) {
            step.state = StepState::Running;
            step.started = Some(now);
        }
        self.ledger.step = Some(name);
        self.ledger.step_started = Some(now);
        self.ledger.note(self.home)
    }

    /// Notes what became of a script. It is in the file with the next step, or with the end.
    pub(crate) fn end_step(&mut self, script: &Script, state: StepState, duration: Option<Duration>) {
        if let Some(step) = self.step(&script.step()) {
            step.state = state;
            step.seconds = duration.map(rounded);
        }
    }

    fn step(&mut self, name: &str) -> Option<&mut ConvergeStep> {
        self.ledger.steps.iter_mut().find(|step| step.name == name)
    }

    pub(crate) fn tell(&self, event: &Event<'_>, reporter: &mut dyn Reporter) {
        reporter.report(event, &self.progress());
        durable::failpoint::reached("told");
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock
    }

    fn end_phase(&mut self) {
        self.end_phase_timing();
        self.ledger.step = None;
        self.ledger.step_started = None;
    }

    fn end_phase_timing(&mut self) {
        if let Some(started) = self.phase_started.take() {
            let seconds = self.clock.instant().saturating_duration_since(started);
            let phase = self.ledger.phase.as_str().to_owned();
            self.ledger.timings.insert(phase, rounded(seconds));
        }
    }

    fn finish(&mut self, status: Status) -> Result<(), durable::Error> {
        self.ledger.status = status;
        self.ledger.finished = Some(self.clock.now());
        durable::failpoint::reached("reported");
        self.ledger.save(self.home)
    }
}

/// Seconds. Milliseconds are what matters to people.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
