//! Running the scripts of all specs.

use node::trace::chain;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use durable::Recovered;
use jiff::Timestamp;
use node::command::{CommandError, Ended, Outcome, Process, Stop};
use protocol::{ConvergeFailure, Phase, StepState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::flusher::Flusher;
use crate::markers::{MarkerError, Markers};
use crate::report::{Event, Reporter, SkipReason};
use crate::script::RUN_VARIABLE;
use crate::steps::Step;
use crate::{ConvergeError, Plan, Script, Session, failure};

/// How much of the end of a script's output goes into a failure.
const TAIL_BYTES: usize = 4 << 10;
const TAIL_LINES: usize = 40;

/// The cluster-init tree.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    markers: Markers,
}

impl Tree {
    /// Opens the tree, before anything is unpacked: only then can be seen that it was lost.
    /// `cut_off` is when the converge before began, if power was cut while it was at work.
    pub(crate) fn open(plan: &Plan<'_>, cut_off: Option<Timestamp>) -> Result<Self, Box<ConvergeFailure>> {
        let root = plan.settings.cluster_init_root.clone();
        let open = || {
            let markers = Markers::open(&root, plan.home, plan.machine)?;
            if let Some(since) = cut_off {
                markers.forget_unflushed(since)?;
            }
            Ok(markers)
        };
        let markers = open().map_err(|error: MarkerError| failure::of_machine(&error))?;
        Ok(Self { root, markers })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

/// `run/script.json`: the script that runs now. It is not flushed to the disk: after a power cut nothing runs.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    /// What its environment holds. Written before it starts, so that it is found whenever the converge is killed.
    run: Uuid,
    /// Its process, once that is known: scripts may change their environment.
    process: Option<Process>,
}

impl Running {
    fn processes(&self) -> Vec<Process> {
        let mut processes = Process::started_with(RUN_VARIABLE, &self.run.to_string());
        if let Some(process) = &self.process
            && !processes.contains(process)
            && process.is_alive()
        {
            processes.push(process.clone());
        }
        processes
    }
}

/// Ends the script of a converge that was killed: it would run beside its own next run.
pub(crate) async fn end_orphan(plan: &Plan<'_>) -> Result<(), ConvergeError> {
    let path = plan.home.running_script();
    let running: Recovered<Running> = durable::recover_json(&path)?;
    if let Recovered::Read(running) = running {
        for orphan in running.processes() {
            tracing::warn!(
                "ending a script of an earlier converge, which was killed (process {})",
                orphan.pid
            );
            let (pid, grace) = (orphan.pid, plan.settings.script_grace);
            let gone = tokio::task::spawn_blocking(move || orphan.terminate(grace)).await;
            if !gone.unwrap_or(false) {
                return Err(Box::new(ConvergeFailure {
                    message: format!("a script of an earlier converge cannot be ended (process {pid})"),
                    recommendation: Some(
                        "see what it waits for; a restart of the machine ends it".to_owned(),
                    ),
                    ..ConvergeFailure::default()
                })
                .into());
            }
        }
    }
    Ok(durable::remove(&path)?)
}

/// Runs the scripts in their order. The first that fails ends it.
pub(crate) async fn run(
    session: &mut Session<'_>,
    plan: &Plan<'_>,
    tree: &Tree,
    steps: &[Step],
    reporter: &mut dyn Reporter,
    stop: &Stop,
) -> Result<(), ConvergeError> {
    if plan.options.rerun_scripts {
        // Now, so that a converge that ends half way is continued by the next one.
        let scripts = steps.iter().map(|step| &step.script);
        tree.markers
            .remove(scripts)
            .map_err(|error| failure::of_machine(&error))?;
    }
    // Markers are flushed to the disk while the next scripts run; what is reported as done is on it.
    let mut flusher = Flusher::default();
    let result = all(session, plan, tree, steps, &mut flusher, reporter, stop).await;
    flusher
        .finish()
        .await
        .map_err(|error| failure::of_machine(&error))?;
    result
}

async fn all(
    session: &mut Session<'_>,
    plan: &Plan<'_>,
    tree: &Tree,
    steps: &[Step],
    flusher: &mut Flusher,
    reporter: &mut dyn Reporter,
    stop: &Stop,
) -> Result<(), ConvergeError> {
    for step in steps {
        if stop.is_requested() {
            return Err(ConvergeError::Stopped);
        }
        if step.script.is_deferred() && session.ledger().phase != Phase::Deferred {
            session.enter(Phase::Deferred, reporter)?;
        }
        if let Some(marker) = one(session, plan, tree, step, reporter, stop).await? {
            flusher.add(marker);
        }
    }
    Ok(())
}

/// Gives back the marker of the script, if it was run.
async fn one(
    session: &mut Session<'_>,
    plan: &Plan<'_>,
    tree: &Tree,
    step: &Step,
    reporter: &mut dyn Reporter,
    stop: &Stop,
) -> Result<Option<PathBuf>, ConvergeError> {
    let script = &step.script;
    let path = script.path.display();
    if let Some(reason) = step.skip {
        match reason {
            SkipReason::Windows => {
                tracing::warn!("cluster-init script `{path}` is not run: it is for Windows");
            }
            _ => tracing::info!("cluster-init script `{path}` is one of the scripts of its spec too"),
        }
        skip(session, script, reason, reporter);
        return Ok(None);
    }
    let sha256 = script.sha256().map_err(|error| unreadable(script, &error))?;
    if !script
        .is_executable()
        .map_err(|error| unreadable(script, &error))?
    {
        tracing::warn!("cluster-init script `{path}` is not run: it is not executable any more");
        skip(session, script, SkipReason::NotExecutable, reporter);
        return Ok(None);
    }
    let succeeded = tree.markers.has(script, &sha256);
    if succeeded.map_err(|error| problem(script, &error))? {
        tracing::info!("cluster-init script `{path}` has already run successfully");
        skip(session, script, SkipReason::Succeeded, reporter);
        return Ok(None);
    }

    session.begin_step(script)?;
    session.tell(&Event::ScriptStarted { script }, reporter);
    tracing::info!("executing cluster-init script: `{path}`");
    let outcome = match execute(plan, tree, script, stop).await {
        Ok(outcome) => outcome,
        Err(error) => {
            session.end_step(script, StepState::Failed, None);
            return Err(error);
        }
    };
    durable::failpoint::reached("script ended");
    if let Some(error) = &outcome.log_error {
        tracing::warn!("the output of `{path}` could not be kept: {error}");
    }
    if outcome.output_held {
        tracing::warn!(
            "`{path}` left a process behind that still writes to its output; redirect the output of services"
        );
    }
    let mut marker = None;
    if outcome.ended.success() {
        let now = session.clock().now();
        let set = tree.markers.set(script, &sha256, now);
        marker = Some(set.map_err(|error| problem(script, &error))?);
        tracing::info!("cluster-init script `{path}` ran successfully");
    }
    let state = match outcome.ended {
        Ended::Exited(0) => StepState::Succeeded,
        Ended::Stopped => StepState::Stopped,
        _ => StepState::Failed,
    };
    session.end_step(script, state, Some(outcome.duration));
    let ended = Event::ScriptEnded {
        script,
        ended: outcome.ended,
        duration: outcome.duration,
    };
    session.tell(&ended, reporter);
    match outcome.ended {
        Ended::Exited(0) => Ok(marker),
        Ended::Stopped => Err(ConvergeError::Stopped),
        ended => Err(failed(script, ended, &outcome.tail, plan.settings.script_timeout).into()),
    }
}

fn skip(session: &mut Session<'_>, script: &Script, reason: SkipReason, reporter: &mut dyn Reporter) {
    session.end_step(script, StepState::Skipped, None);
    session.tell(&Event::ScriptSkipped { script, reason }, reporter);
}

async fn execute(
    plan: &Plan<'_>,
    tree: &Tree,
    script: &Script,
    stop: &Stop,
) -> Result<Outcome, ConvergeError> {
    let folder = script.folder.as_str();
    let log = plan
        .home
        .script_log(&script.project, &script.spec, folder, &script.name);
    let run = Uuid::new_v4();
    if let Some(folder) = log.parent() {
        durable::create_folder(folder, 0o750).map_err(|error| problem(script, &error))?;
    }
    let mut command = script
        .command(plan.home, &tree.root)
        .env(RUN_VARIABLE, run.to_string())
        .log(log, plan.settings.script_log_bytes)
        .tail_bytes(TAIL_BYTES)
        .time_limit(plan.settings.script_timeout)
        .grace(plan.settings.script_grace);
    let path = plan.home.running_script();
    let running = Running { run, process: None };
    durable::write_json_unflushed(&path, 0o640, &running).map_err(|error| problem(script, &error))?;
    durable::failpoint::reached("script noted");
    command = command.on_start({
        let path = path.clone();
        move |process| {
            let running = Running {
                run,
                process: Some(process.clone()),
            };
            if let Err(error) = durable::write_json_unflushed(&path, 0o640, &running) {
                // It matters only if this converge is killed.
                tracing::warn!("{}", chain(&error));
            }
        }
    });
    if let Some(tee) = &plan.options.tee {
        command = command.tee(tee.clone());
    }
    let stop = stop.clone();
    let ran = tokio::task::spawn_blocking(move || command.run(&stop)).await;
    // Nothing waits for the disk: a note that comes back names a run that no process has.
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(problem(script, &error).into());
    }
    match ran {
        Ok(outcome) => outcome.map_err(|error| not_started(script, &error).into()),
        Err(error) => Err(problem(script, &error).into()),
    }
}

/// The script ended badly.
fn failed(script: &Script, ended: Ended, output: &str, limit: Duration) -> Box<ConvergeFailure> {
    let (reason, recommendation) = match ended {
        Ended::TimedOut | Ended::Unkillable => (
            format!("{ended} after {} seconds", limit.as_secs()),
            "see where the script waits, or raise `script_timeout` in section `[converge]` of jetpack.ini",
        ),
        ended => (
            ended.to_string(),
            "correct the script and upload the project again; the node tries again by itself",
        ),
    };
    Box::new(ConvergeFailure {
        exit_code: match ended {
            Ended::Exited(code) => Some(code),
            _ => None,
        },
        output: last_lines(output),
        ..*of_script(script, &reason, recommendation)
    })
}

/// The script did not even begin.
fn not_started(script: &Script, error: &CommandError) -> Box<ConvergeFailure> {
    let recommendation = match error {
        CommandError::NoInterpreter { interpreter, .. } if interpreter.ends_with('\r') => {
            "the script has the line ends of Windows: convert them (`dos2unix`) and upload the project again"
        }
        CommandError::NoInterpreter { .. } => {
            "correct the first line of the script, or install the interpreter"
        }
        _ => "",
    };
    of_script(script, &chain(error), recommendation)
}

/// The script cannot be read, mostly because another one has removed it.
fn unreadable(script: &Script, error: &std::io::Error) -> Box<ConvergeFailure> {
    if error.kind() == std::io::ErrorKind::NotFound {
        return of_script(
            script,
            "it was removed during this converge",
            "one of the scripts before it removes files of the cluster-init tree; the next try downloads them again",
        );
    }
    problem(script, error)
}

/// Something around the script went wrong.
fn problem(script: &Script, error: &(dyn Error + 'static)) -> Box<ConvergeFailure> {
    of_script(script, &chain(error), "")
}

fn of_script(script: &Script, reason: &str, recommendation: &str) -> Box<ConvergeFailure> {
    Box::new(ConvergeFailure {
        message: format!(
            "failed to execute cluster-init script `{}` in project `{}` ({reason})",
            script.path.display(),
            script.project
        ),
        project: Some(script.project.clone()),
        spec: Some(script.spec.clone()),
        script: Some(script.name.clone()),
        recommendation: (!recommendation.is_empty()).then(|| recommendation.to_owned()),
        ..ConvergeFailure::default()
    })
}

fn last_lines(output: &str) -> String {
    let lines: Vec<_> = output.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
