//! Keeps the node converged: starts `jetpack converge`, and starts it again when it failed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use link::local::Activity;
use node::clock::Clock;
use node::command::{Background, Command};
use node::config::NodeData;
use node::home::{HOME_VARIABLE, Home};
use node::lock::Lock;
use node::settings::Settings;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::join::after;
use crate::state::{self, Progress};
use crate::status::Status;

/// How often a converge that is not ours is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// What a converge needs on top of its script's grace when it is told to end.
const MARGIN: Duration = Duration::from_secs(5);

/// Says why a converge is started: the node becomes one, or is to be one again.
const INSTALL: &str = "install";
/// It was due.
const MAINTENANCE: &str = "maintenance";

/// The node converges at each start of its machine, and not only at the first.
const CONVERGE_ON_BOOT: &str = "cyclecloud.converge_on_boot";
/// The node converges again and again.
const MAINTENANCE_ENABLED: &str = "cyclecloud.maintenance_converge.enabled";

/// Starts converges for one life of the node.
pub(crate) struct Converger {
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) status: Status,
    pub(crate) progress: Progress,
    /// Somebody wants a converge now.
    pub(crate) wanted: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

/// How a converge went.
enum Outcome {
    Succeeded,
    Failed,
    /// The daemon is to end.
    Stopped,
}

impl Converger {
    /// Works until it is told to stop, and leaves no converge of its own behind.
    pub(crate) async fn run(mut self) {
        let mut mode = INSTALL;
        if self.progress.converged
            && let Some(reason) = self.stale()
        {
            tracing::info!("{reason}; converging");
            self.begin_anew();
        }
        loop {
            if self.progress.converged {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = self.wanted.notified() => {
                        mode = INSTALL;
                        self.begin_anew();
                    }
                    // The node stays converged, whatever comes of it, until that has failed.
                    () = self.maintenance() => mode = MAINTENANCE,
                }
            }
            let pause = self.pause_after_failure();
            match self.converge(mode, pause).await {
                Outcome::Succeeded => {
                    self.progress.converged = true;
                    self.progress.failures = 0;
                    self.progress.boot = node::host::boot_id();
                    self.save();
                }
                Outcome::Failed => {
                    self.progress.converged = false;
                    self.progress.failures = self.progress.failures.saturating_add(1);
                    self.save();
                    if !self.pause(pause).await {
                        return;
                    }
                }
                Outcome::Stopped => return,
            }
        }
    }

    /// Why a node that was converged may not be it any more, when the daemon starts.
    fn stale(&self) -> Option<&'static str> {
        let root = self.settings().converge.cluster_init_root;
        if !Home::tree_tie(&root).exists() {
            return Some("the cluster-init tree is gone, as when an ephemeral disk was lost");
        }
        (self.progress.is_of_earlier_boot(node::host::boot_id().as_deref()) && self.is_true(CONVERGE_ON_BOOT))
            .then_some("the machine was started anew")
    }

    /// Waits until the next converge of a node that is to be maintained; for ever when it is not.
    async fn maintenance(&self) {
        if !self.is_true(MAINTENANCE_ENABLED) {
            self.status.set(Activity::Idle, None, None);
            return std::future::pending().await;
        }
        let pause = self.settings().converge.maintenance_interval;
        self.status
            .set(Activity::Idle, None, after(self.clock.as_ref(), pause));
        sleep(pause).await;
    }

    /// A switch of the node's configuration. A broken one is reported by the next converge.
    fn is_true(&self, key: &str) -> bool {
        NodeData::load(&self.home).is_ok_and(|data| data.is_true(key, false))
    }

    /// A broken settings file is reported by the converge; the daemon goes on without it.
    fn settings(&self) -> Settings {
        Settings::load(&self.home).unwrap_or_else(|_| Settings::defaults(&self.home))
    }

    fn begin_anew(&mut self) {
        self.progress.converged = false;
        self.progress.failures = 0;
        self.save();
    }

    /// How long to wait if the converge that begins now fails. Chosen before, so that it can tell the server.
    fn pause_after_failure(&self) -> Duration {
        let failures = self.progress.failures.saturating_add(1);
        let retry = self.settings().converge.retry;
        retry.pause(failures, node::random::fraction())
    }

    /// Waits for the next try; false when the daemon is to end.
    async fn pause(&mut self, pause: Duration) -> bool {
        tracing::warn!(
            "the converge failed ({} in a row); next try in {:.0} s",
            self.progress.failures,
            pause.as_secs_f64()
        );
        self.status
            .set(Activity::Waiting, None, after(self.clock.as_ref(), pause));
        tokio::select! {
            () = sleep(pause) => true,
            () = self.wanted.notified() => {
                self.begin_anew();
                true
            }
            () = self.stop.cancelled() => false,
        }
    }

    async fn converge(&self, mode: &str, pause: Duration) -> Outcome {
        // One that a killed daemon, or somebody by hand, has started: its result is as good as ours.
        if let Some(holder) = Lock::holder(&self.home.converge_lock()) {
            tracing::info!("waiting for a converge that is at work: {holder}");
            self.status.converging(Some(holder.pid));
            while Lock::holder(&self.home.converge_lock()).is_some() {
                tokio::select! {
                    () = sleep(LOOK) => {}
                    () = self.stop.cancelled() => return Outcome::Stopped,
                }
            }
            let succeeded = state::last_converge_succeeded(&self.home);
            tracing::info!(
                "that converge has {}",
                if succeeded { "succeeded" } else { "not succeeded" }
            );
            return if succeeded {
                Outcome::Succeeded
            } else {
                Outcome::Failed
            };
        }
        let mut child = match self.start(mode, pause) {
            Ok(child) => child,
            Err(error) => {
                tracing::error!("{error:#}");
                return Outcome::Failed;
            }
        };
        tracing::info!("started a converge (process {})", child.id());
        self.status.converging(Some(child.id()));
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = self.stop.cancelled() => {
                if let Err(error) = child.terminate().await {
                    tracing::error!("{}", terminal::chain(&error));
                }
                tracing::info!("stopped the converge");
                return Outcome::Stopped;
            }
        };
        match ended {
            Ok(ended) if ended.success() => {
                tracing::info!("the converge has succeeded");
                Outcome::Succeeded
            }
            Ok(ended) => {
                tracing::error!("the converge has failed ({ended}): {}", reason(&child.tail()));
                Outcome::Failed
            }
            Err(error) => {
                tracing::error!("{}", terminal::chain(&error));
                Outcome::Failed
            }
        }
    }

    fn start(&self, mode: &str, pause: Duration) -> anyhow::Result<Background> {
        let settings = self.settings();
        let command = Command::new(self.program()?)
            .arg("converge")
            .arg(format!("--mode={mode}"))
            .arg(format!("--retry-in={}", pause.as_millis()))
            .inherit_environment()
            .env(HOME_VARIABLE, self.home.root())
            .current_dir(self.home.root())
            .grace(settings.converge.script_grace + MARGIN);
        Ok(command.start()?)
    }

    /// `bin/jetpack` of the home, else the one that was installed with this daemon.
    fn program(&self) -> anyhow::Result<PathBuf> {
        let own = self.home.jetpack();
        if own.exists() {
            return Ok(own);
        }
        let daemon = std::env::current_exe()?;
        Ok(daemon.with_file_name("jetpack"))
    }

    fn save(&self) {
        if let Err(error) = self.progress.save(&self.home) {
            // The next daemon converges once more than needed.
            tracing::error!("{}", terminal::chain(&error));
        }
    }
}

/// The line of a converge's output that says why it failed: its error, else what it said last.
fn reason(output: &str) -> &str {
    let error = output.lines().rev().find_map(|line| line.strip_prefix("Error: "));
    let last = || output.lines().rev().find(|line| !line.trim().is_empty());
    error.or_else(last).unwrap_or("no output")
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_error_is_the_reason_and_not_the_advice_after_it() {
        assert_eq!(
            reason("begin\nError: `x.sh` failed\nHint: mend it\n"),
            "`x.sh` failed"
        );
        assert_eq!(reason("begin\nkilled\n\n"), "killed");
        assert_eq!(reason(""), "no output");
    }
}
