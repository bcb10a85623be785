//! Showing the person at the terminal how a converge goes.

use std::collections::BTreeMap;
use std::time::Duration;

use converge::{Event, Progress, Reporter, SkipReason};
use node::command::Tee;
use terminal::{StatusLine, gauge};

/// Writes a line for each step, to stdout and to the log; in a terminal the last line says what runs now.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    line: StatusLine,
}

impl Screen {
    /// Shows the output of scripts as it comes.
    pub(crate) fn tee(&self) -> Tee {
        let line = self.line.clone();
        Tee::new(move |output| {
            // A closed terminal does not end a script.
            let _ = line.out(String::from_utf8_lossy(output));
        })
    }
}

impl Reporter for Screen {
    fn report(&mut self, event: &Event<'_>, progress: &Progress) {
        if let Event::Downloading { transfer } = event {
            let phase = progress.phase.as_str();
            return self.line.amend(gauge(phase, transfer.done, transfer.total));
        }
        self.line.set(match event {
            Event::Failed { .. } | Event::Stopped | Event::Ready => None,
            Event::ScriptStarted { script } => Some(format!("{}{}", count(progress), script.step())),
            _ => Some(progress.phase.as_str().to_owned()),
        });
        if let Some(line) = describe(event, progress) {
            tracing::info!("{line}");
            // A closed terminal does not end a converge.
            let _ = self.line.out(format!("{line}\n"));
        }
        if let Event::Failed { failure } = event {
            tracing::error!("{}", failure.message);
        }
    }
}

/// `[3/12] `: which script of how many.
fn count(progress: &Progress) -> String {
    let at = progress
        .steps
        .iter()
        .position(|step| Some(&step.name) == progress.step.as_ref());
    at.map(|at| format!("[{}/{}] ", at + 1, progress.steps.len()))
        .unwrap_or_default()
}

fn describe(event: &Event<'_>, progress: &Progress) -> Option<String> {
    Some(match event {
        Event::PhaseStarted => format!("{}: started", progress.phase.as_str()),
        Event::Synced { spec, downloaded } => match downloaded {
            Some(count) => format!("{}:{}: {} downloaded", spec.project, spec.spec, files(*count)),
            None => format!("{}:{}: unchanged", spec.project, spec.spec),
        },
        Event::SpecMissing { spec } => {
            format!("{}:{}: optional and not in its locker", spec.project, spec.spec)
        }
        Event::ScriptStarted { script } => {
            format!("Executing cluster-init script: {}", script.path.display())
        }
        Event::ScriptEnded {
            script,
            ended,
            duration,
        } => {
            if ended.success() {
                format!("{} ran successfully in {}", script.step(), seconds(*duration))
            } else {
                format!("{} {ended} after {}", script.step(), seconds(*duration))
            }
        }
        Event::ScriptSkipped { script, reason } => format!("{} {}", script.step(), why(*reason)),
        Event::Ready => format!("ready: {}", timings(&progress.timings)),
        Event::Stopped => "stopped".to_owned(),
        // The error of the command says it.
        Event::Failed { .. } => return None,
        _ => return None,
    })
}

/// Why a script is not run: `has already run successfully`.
pub(crate) fn why(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Succeeded => "has already run successfully",
        SkipReason::NotExecutable => "is not executable and is left out",
        SkipReason::Windows => "is for Windows and is left out",
        SkipReason::IsScript => "is run as one of the scripts",
    }
}

/// `1 file`, `3 files`.
pub(crate) fn files(count: usize) -> String {
    match count {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

/// `3.2 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// `configure 0.1 s, sync 0.3 s`, in the order of the phases.
pub(crate) fn timings(timings: &BTreeMap<String, f64>) -> String {
    let order = ["configure", "sync", "recipes", "cluster-init", "deferred"];
    let parts: Vec<String> = order
        .iter()
        .filter_map(|phase| {
            timings
                .get(*phase)
                .map(|seconds| format!("{phase} {seconds:.1} s"))
        })
        .collect();
    parts.join(", ")
}
