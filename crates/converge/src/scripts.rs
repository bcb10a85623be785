//! Running the scripts of all specs.

use node::trace::chain;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use durable::Recovered;
use node::command::{CommandError, Ended, Outcome, Process, Stop};
use protocol::{ClusterInitSpec, ConvergeFailure};

use crate::markers::Markers;
use crate::report::{Event, Reporter, SkipReason};
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
    pub(crate) fn open(plan: &Plan<'_>) -> Result<Self, Box<ConvergeFailure>> {
        let root = plan.settings.cluster_init_root.clone();
        let markers =
            Markers::open(&root, plan.home, plan.machine).map_err(|error| failure::of_machine(&error))?;
        Ok(Self { root, markers })
    }
}

/// Ends the script of a converge that was killed: it would run beside its own next run.
pub(crate) async fn end_orphan(plan: &Plan<'_>) -> Result<(), ConvergeError> {
    let path = plan.home.running_script();
    let orphan: Recovered<Process> = durable::recover_json(&path)?;
    if let Recovered::Read(orphan) = orphan
        && orphan.is_alive()
    {
        tracing::warn!(
            "ending a script of an earlier converge, which was killed (process {})",
            orphan.pid
        );
        let (pid, grace) = (orphan.pid, plan.settings.script_grace);
        let gone = tokio::task::spawn_blocking(move || orphan.terminate(grace)).await;
        if !gone.unwrap_or(false) {
            return Err(Box::new(ConvergeFailure {
                message: format!("a script of an earlier converge cannot be ended (process {pid})"),
                recommendation: Some("see what it waits for; a restart of the machine ends it".to_owned()),
                ..ConvergeFailure::default()
            })
            .into());
        }
    }
    Ok(durable::remove(&path)?)
}

/// Runs the scripts of the specs in their order. The first that fails ends it.
pub(crate) async fn run(
    session: &mut Session<'_>,
    plan: &Plan<'_>,
    tree: &Tree,
    specs: &[ClusterInitSpec],
    reporter: &mut dyn Reporter,
    stop: &Stop,
) -> Result<(), ConvergeError> {
    if plan.options.rerun_scripts {
        // Now, so that a converge that ends half way is continued by the next one.
        for spec in specs {
            for script in list(&tree.root, spec)? {
                tree.markers
                    .remove(&script)
                    .map_err(|error| problem(&script, &error))?;
            }
        }
    }
    for spec in specs {
        for script in list(&tree.root, spec)? {
            if stop.is_requested() {
                return Err(ConvergeError::Stopped);
            }
            one(session, plan, tree, &script, reporter, stop).await?;
        }
    }
    Ok(())
}

async fn one(
    session: &mut Session<'_>,
    plan: &Plan<'_>,
    tree: &Tree,
    script: &Script,
    reporter: &mut dyn Reporter,
    stop: &Stop,
) -> Result<(), ConvergeError> {
    let sha256 = script.sha256().map_err(|error| problem(script, &error))?;
    let path = script.path.display();
    let skip = if !script.is_executable().map_err(|error| problem(script, &error))? {
        tracing::warn!("cluster-init script `{path}` is not run: it is not executable any more");
        Some(SkipReason::NotExecutable)
    } else if tree
        .markers
        .has(script, &sha256)
        .map_err(|error| problem(script, &error))?
    {
        tracing::info!("cluster-init script `{path}` has already run successfully");
        Some(SkipReason::Succeeded)
    } else {
        None
    };
    if let Some(reason) = skip {
        session.tell(&Event::ScriptSkipped { script, reason }, reporter);
        return Ok(());
    }

    session.step(Some(script.step()))?;
    session.tell(&Event::ScriptStarted { script }, reporter);
    tracing::info!("executing cluster-init script: `{path}`");
    let outcome = execute(plan, tree, script, stop).await?;
    if let Some(error) = &outcome.log_error {
        tracing::warn!("the output of `{path}` could not be kept: {error}");
    }
    if outcome.output_held {
        tracing::warn!(
            "`{path}` left a process behind that still writes to its output; redirect the output of services"
        );
    }
    if outcome.ended.success() {
        // Before it is reported: what was reported as done is done.
        let now = session.clock().now();
        tree.markers
            .set(script, &sha256, now)
            .map_err(|error| problem(script, &error))?;
        tracing::info!("cluster-init script `{path}` ran successfully");
    }
    let ended = Event::ScriptEnded {
        script,
        ended: outcome.ended,
        duration: outcome.duration,
    };
    session.tell(&ended, reporter);
    match outcome.ended {
        Ended::Exited(0) => Ok(()),
        Ended::Stopped => Err(ConvergeError::Stopped),
        ended => Err(failed(script, ended, &outcome.tail, plan.settings.script_timeout).into()),
    }
}

async fn execute(
    plan: &Plan<'_>,
    tree: &Tree,
    script: &Script,
    stop: &Stop,
) -> Result<Outcome, ConvergeError> {
    let log = plan.home.script_log(&script.project, &script.spec, &script.name);
    if let Some(folder) = log.parent() {
        durable::create_folder(folder, 0o750).map_err(|error| problem(script, &error))?;
    }
    let mut command = script
        .command(plan.home, &tree.root)
        .log(log, plan.settings.script_log_bytes)
        .tail_bytes(TAIL_BYTES)
        .time_limit(plan.settings.script_timeout)
        .grace(plan.settings.script_grace);
    let running = plan.home.running_script();
    let note = running.clone();
    command = command.on_start(move |process| {
        if let Err(error) = durable::write_json(&note, 0o640, process) {
            // It matters only if this converge is killed.
            tracing::warn!("{}", chain(&error));
        }
    });
    if let Some(tee) = &plan.options.tee {
        command = command.tee(tee.clone());
    }
    let stop = stop.clone();
    let ran = tokio::task::spawn_blocking(move || command.run(&stop)).await;
    durable::remove(&running).map_err(|error| problem(script, &error))?;
    match ran {
        Ok(outcome) => outcome.map_err(|error| not_started(script, &error).into()),
        Err(error) => Err(problem(script, &error).into()),
    }
}

fn list(root: &Path, spec: &ClusterInitSpec) -> Result<Vec<Script>, Box<ConvergeFailure>> {
    Script::list(root, spec).map_err(|error| {
        let message = format!(
            "cannot list the scripts of project `{}`, spec `{}`: {error}",
            spec.project, spec.spec
        );
        failure::of_spec(spec, message, "")
    })
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
