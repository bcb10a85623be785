//! Automation: functions without input that bring what is nearer to what is wanted.
//!
//! Each may be run at any time and changes nothing when nothing is to be done. They run every second and whenever
//! somebody says that there is something to do. None of them retries by itself: the next run does. What fails
//! for one node is kept with that node and does not touch the others.

mod board;
mod clusters;
mod commands;
mod machines;
mod presence;
mod retention;
mod usage;
mod users;

#[cfg(test)]
mod tests;

pub use board::{Board, Report};
pub(crate) use clusters::remove as remove_cluster;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::SharedApp;
use crate::inbox::Post;
use crate::provider::Provider;
use crate::store::StoreError;
use machines::InFlight;
use retention::Retention;

/// Time between two runs when nothing happens.
const PERIOD: Duration = Duration::from_secs(1);
/// Time between two runs when much happens.
const BREATH: Duration = Duration::from_millis(50);

/// What the reconcilers work with.
#[derive(Debug)]
pub struct Reconcilers {
    app: SharedApp,
    provider: Arc<dyn Provider>,
    post: Arc<dyn Post>,
    in_flight: InFlight,
    retention: Retention,
}

impl Reconcilers {
    /// Reconcilers over a server, its provider and its way to the nodes.
    pub fn new(app: SharedApp, provider: Arc<dyn Provider>, post: Arc<dyn Post>) -> Arc<Self> {
        Arc::new(Self {
            app,
            provider,
            post,
            in_flight: InFlight::default(),
            retention: Retention::default(),
        })
    }

    /// Runs until the server stops.
    pub async fn run(self: Arc<Self>) {
        let stopping = self.app.stopping.clone();
        while !stopping.is_cancelled() {
            self.pass().await;
            tokio::select! {
                () = self.app.wake.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
                () = stopping.cancelled() => {}
            }
            tokio::select! {
                () = tokio::time::sleep(BREATH) => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    /// Runs each reconciler once.
    pub async fn pass(self: &Arc<Self>) {
        self.note("clusters", clusters::reconcile(&self.app)).await;
        self.note("machines", machines::reconcile(self)).await;
        self.note("commands", commands::reconcile(&self.app, self.post.as_ref()))
            .await;
        self.note("users", users::reconcile(&self.app, self.post.as_ref()))
            .await;
        self.note("presence", presence::reconcile(&self.app)).await;
        self.note("usage", usage::reconcile(&self.app)).await;
        self.note("retention", self.retention.reconcile(&self.app)).await;
    }

    async fn note(&self, name: &'static str, run: impl Future<Output = Result<String, StoreError>>) {
        let started = Instant::now();
        let result = run.await;
        let now = self.app.clock.now();
        let result = result.map_err(|error| terminal::chain(&error));
        self.app.board.note(name, now, started.elapsed(), result);
    }
}
