//! Telling the server and the person at the terminal how a converge goes.

use std::time::Duration;

use converge::{Event, Progress, Reporter, SkipReason};
use link::local;
use link::outbox::{Outbox, Sender};
use node::clock::{Clock, SystemClock};
use node::home::Home;
use node::host;
use protocol::MessageType;

/// Puts each step into the outbox, knocks at the daemon, and writes a line for people.
pub(crate) struct Telling {
    home: Home,
    outbox: Outbox,
    /// Who speaks; known better once the node has joined.
    pub(crate) sender: Sender,
}

impl Telling {
    pub(crate) fn new(home: &Home, sender: Sender) -> Self {
        Self {
            home: home.clone(),
            outbox: Outbox::new(home.outbox()),
            sender,
        }
    }

    fn send(&self, event: &Event<'_>, progress: &Progress) {
        let ipv4 = host::first_ipv4().map(|address| address.to_string());
        let message = progress.installation(event, host::short_hostname(), ipv4);
        let sent = self.outbox.enqueue(
            &self.sender,
            SystemClock.now(),
            MessageType::Installation,
            &message,
        );
        match sent {
            Ok(_) => local::knock(&self.home.jetpackd_socket()),
            // The converge itself matters more than that the server hears of it.
            Err(error) => terminal::warn(format_args!(
                "the server is not told: {}",
                terminal::chain(&error)
            )),
        }
    }
}

impl Reporter for Telling {
    fn report(&mut self, event: &Event<'_>, progress: &Progress) {
        let line = match event {
            Event::PhaseStarted => Some(format!("{}: started", progress.phase.as_str())),
            Event::Synced { spec, downloaded } => Some(match downloaded {
                Some(files) => format!("{}:{}: {files} files downloaded", spec.project, spec.spec),
                None => format!("{}:{}: unchanged", spec.project, spec.spec),
            }),
            Event::SpecMissing { spec } => Some(format!(
                "{}:{}: optional and not in its locker",
                spec.project, spec.spec
            )),
            Event::ScriptStarted { script } => Some(format!(
                "Executing cluster-init script: {}",
                script.path.display()
            )),
            Event::ScriptEnded {
                script,
                ended,
                duration,
            } => Some(if ended.success() {
                format!("{} ran successfully in {}", script.step(), seconds(*duration))
            } else {
                format!("{} {ended} after {}", script.step(), seconds(*duration))
            }),
            Event::ScriptSkipped { script, reason } => Some(match reason {
                SkipReason::Succeeded => format!("{} has already run successfully", script.step()),
                SkipReason::NotExecutable => format!("{} is not executable and is left out", script.step()),
                SkipReason::Windows => format!("{} is for Windows and is left out", script.step()),
                SkipReason::IsScript => format!("{} is run as one of the scripts", script.step()),
            }),
            Event::Ready => Some(format!("ready: {}", timings(progress))),
            Event::Stopped => Some("stopped".to_owned()),
            // The error of the command says it.
            Event::Failed { .. } => None,
            _ => None,
        };
        if let Some(line) = line {
            tracing::info!("{line}");
            // A closed terminal does not end a converge.
            let _ = terminal::out(format_args!("{line}\n"));
        }
        if let Event::Failed { failure } = event {
            tracing::error!("{}", failure.message);
        }
        let concerns_server = matches!(
            event,
            Event::PhaseStarted | Event::ScriptStarted { .. } | Event::Failed { .. } | Event::Ready
        );
        if concerns_server {
            self.send(event, progress);
        }
    }
}

/// `3.2 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// `configure 0.1 s, sync 0.3 s`, in the order of the phases.
pub(crate) fn timings(progress: &Progress) -> String {
    describe(&progress.timings)
}

pub(crate) fn describe(timings: &std::collections::BTreeMap<String, f64>) -> String {
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
