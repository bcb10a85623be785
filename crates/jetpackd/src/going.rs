//! The end of a life of the node: what was registered with `jetpack run_on_shutdown` runs, then the server is told.

use std::sync::Arc;
use std::time::Duration;

use link::local::Activity;
use link::outbox::{Outbox, Sender};
use link::session::Handle;
use node::clock::Clock;
use node::command::Stop;
use node::home::Home;
use node::identity::Machine;
use node::run_on_shutdown::{self, Event};
use protocol::{Level, Log, MessageType, Shutdown};
use serde::Serialize;

use crate::daemon::Signals;
use crate::state::Terminated;
use crate::status::Status;

/// How long the last messages may take when the daemon ends.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(3);

/// What is needed to let a node go.
#[derive(Clone)]
pub(crate) struct Going {
    pub(crate) home: Home,
    pub(crate) machine: Machine,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) status: Status,
    pub(crate) sender: Sender,
    pub(crate) outbox: Outbox,
    pub(crate) session: Handle,
}

impl Going {
    /// Runs the actions and confirms the end, or says false when a signal came first: the next daemon goes on then.
    /// Nothing that goes wrong keeps the node from going.
    pub(crate) async fn go(self, mut terminated: Terminated, signals: &mut Signals) -> bool {
        if !self.run_actions(&terminated.reason, signals).await {
            return false;
        }
        self.confirm(&terminated.reason);
        if let Err(error) = terminated.confirm(&self.home) {
            // The next daemon confirms once more.
            tracing::error!("{}", terminal::chain(&error));
        }
        self.session.deliver(LAST_WORDS).await;
        true
    }

    async fn run_actions(&self, reason: &str, signals: &mut Signals) -> bool {
        let actions = match run_on_shutdown::load(&self.home, &self.machine) {
            Ok(loaded) => {
                if let Some(warning) = loaded.warning {
                    self.warn(warning);
                }
                loaded.actions
            }
            Err(error) => {
                self.warn(format!(
                    "what is to run before this node goes does not run: {}",
                    terminal::chain(&error)
                ));
                return true;
            }
        };
        if actions.is_empty() {
            return true;
        }
        let needed = run_on_shutdown::time_needed(&actions).as_secs();
        tracing::info!(
            "running {} actions before the end, for at most {needed} s",
            actions.len()
        );
        self.say(
            MessageType::Shutdown,
            &Shutdown {
                reason: reason.to_owned(),
                confirmed: false,
                needs_seconds: Some(needed),
                cause: None,
                policy: None,
            },
        );
        self.session.wake();
        let stop = Stop::new();
        let (going, reason, stopped) = (self.clone(), reason.to_owned(), stop.clone());
        let mut running = tokio::task::spawn_blocking(move || {
            let tell = |event| going.tell(event, &reason);
            let occasion = &going.sender.cluster_session_id;
            run_on_shutdown::run(&going.home, &going.machine, occasion, &stopped, tell)
        });
        let ended = tokio::select! {
            ended = &mut running => ended,
            name = signals.next() => {
                tracing::info!("{name}: ending; what runs before the end of the node is interrupted");
                stop.request();
                running.await
            }
        };
        match ended {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => {
                self.warn(terminal::chain(&error));
                true
            }
            Err(error) => {
                tracing::error!("the actions before the end were not run to their end: {error}");
                true
            }
        }
    }

    fn tell(&self, event: Event, reason: &str) {
        match event {
            Event::Begun { name } => {
                tracing::info!("running `{name}` before the end");
                let doing = format!("{reason}; runs `{name}` first");
                self.status.set(Activity::Terminated, Some(doing), None);
            }
            Event::Ended { name, failure: None } => tracing::info!("`{name}` has succeeded"),
            Event::Ended {
                name,
                failure: Some(failure),
            } => self.warn(format!("run_on_shutdown: `{name}` has failed: {failure}")),
            Event::Trouble(trouble) => self.warn(format!("run_on_shutdown: {trouble}")),
        }
    }

    /// Says it in our log and in that of the server.
    fn warn(&self, message: String) {
        tracing::warn!("{message}");
        let log = Log {
            level: Level::Warn,
            priority: Level::Warn.default_priority(),
            message,
        };
        self.say(MessageType::Log, &log);
        self.session.wake();
    }

    fn confirm(&self, reason: &str) {
        let message = Shutdown {
            reason: reason.to_owned(),
            confirmed: true,
            needs_seconds: None,
            cause: None,
            policy: None,
        };
        self.say(MessageType::Shutdown, &message);
    }

    fn say(&self, kind: MessageType, data: &impl Serialize) {
        if let Err(error) = self.outbox.enqueue(&self.sender, self.clock.now(), kind, data) {
            // The server takes the machine all the same, a little later.
            tracing::error!("the server is not told: {}", terminal::chain(&error));
        }
    }
}
