//! The node's session with the server: delivers the outbox, sends heartbeats, hands commands out, and comes
//! back after every failure.
//!
//! One transport sends at a time, so that the order of messages is kept: AMQP, and HTTPS while AMQP is not to
//! be had.

mod deliver;
mod pump;
mod state;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use node::backoff::Backoff;
use node::clock::Clock;
use node::trace::chain;
use protocol::{Envelope, Heartbeat, MessageType, Transport};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use deliver::Handle;
pub use state::{LinkState, Over};

use crate::amqp::{self, AmqpSession, Received, Target};
use crate::https::ServerApi;
use crate::outbox::{Entry, Message, Outbox, Sender};

/// `auto` falls back to HTTPS after so many failures of AMQP in a row.
const HTTPS_AFTER: u32 = 2;
/// A connection that lived so long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(30);
/// More than the broker sends ahead.
const COMMANDS: usize = 32;

/// What a session needs to know.
pub struct Options {
    /// The server, called with the node's own credential.
    pub api: ServerApi,
    /// The AMQP listener, if the server has one.
    pub target: Option<Target>,
    /// Which transports may be used.
    pub transport: Transport,
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// Who this node is.
    pub sender: Sender,
    /// What waits.
    pub outbox: Outbox,
    /// Pauses between tries to connect.
    pub backoff: Backoff,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What a heartbeat says.
    pub beat: Box<dyn Fn() -> Heartbeat + Send + Sync>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("api", &self.api)
            .field("target", &self.target)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// A session that was started.
#[derive(Debug)]
pub struct Session {
    /// Asks for delivery and tells the state; cheap to clone.
    pub handle: Handle,
    /// What the server wants of this node.
    pub commands: mpsc::Receiver<Received>,
    /// Ends after the token was cancelled and the last confirmations came in, or did not for two seconds.
    pub task: JoinHandle<()>,
}

/// Starts a session. It lives until `stop` is cancelled.
pub fn start(options: Options, stop: CancellationToken) -> Session {
    let (state, states) = watch::channel(LinkState::default());
    let (commands, received) = mpsc::channel(COMMANDS);
    let wake = Arc::new(Notify::new());
    let handle = Handle::new(options.outbox.clone(), Arc::clone(&wake), states);
    let worker = Worker {
        options,
        state,
        commands,
        wake,
        stop,
        reported: HashSet::new(),
    };
    Session {
        handle,
        commands: received,
        task: tokio::spawn(worker.run()),
    }
}

struct Worker {
    options: Options,
    state: watch::Sender<LinkState>,
    commands: mpsc::Sender<Received>,
    wake: Arc<Notify>,
    stop: CancellationToken,
    /// Messages whose trouble is in the log already.
    reported: HashSet<Uuid>,
}

impl Worker {
    async fn run(mut self) {
        match (self.options.transport, self.options.target.clone()) {
            (Transport::Https, _) | (Transport::Auto, None) => {
                self.https_until(std::future::pending::<()>()).await;
            }
            (Transport::Amqp, None) => {
                tracing::error!(
                    "the settings allow AMQP only, and the server has no AMQP listener for nodes"
                );
                self.failed("the server has no AMQP listener for nodes".to_owned(), None, None);
                self.stop.cancelled().await;
            }
            (transport, Some(target)) => self.run_amqp(transport, Arc::new(target)).await,
        }
    }

    async fn run_amqp(&mut self, transport: Transport, target: Arc<Target>) {
        let mut failures = 0;
        let mut pause = Duration::ZERO;
        loop {
            let next = {
                let target = Arc::clone(&target);
                async move {
                    tokio::time::sleep(pause).await;
                    AmqpSession::open(target).await
                }
            };
            let opened = if transport == Transport::Auto && failures >= HTTPS_AFTER {
                self.https_until(next).await
            } else {
                tokio::select! {
                    opened = next => Some(opened),
                    () = self.stop.cancelled() => None,
                }
            };
            let Some(opened) = opened else { return };
            let began = self.options.clock.instant();
            let result = match opened {
                Ok(session) => {
                    self.connected(Over::Amqp, target.address());
                    self.amqp(session).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = result else { return };
            if self.options.clock.instant().duration_since(began) >= GOOD {
                failures = 0;
            }
            failures += 1;
            pause = self.options.backoff.pause(failures, node::random::fraction());
            self.amqp_failed(&error, failures, pause);
        }
    }

    fn amqp_failed(&self, error: &amqp::Error, failures: u32, pause: Duration) {
        let text = chain(error);
        // The first failure, then ever more rarely: the state tells the rest.
        if failures.is_power_of_two() {
            tracing::warn!("{text}; try {failures}, next in {:.0} s", pause.as_secs_f64());
        }
        let refused = matches!(error, amqp::Error::Refused { .. }).then(|| text.clone());
        let next = jiff::SignedDuration::try_from(pause)
            .ok()
            .and_then(|pause| self.options.clock.now().checked_add(pause).ok());
        let now = self.options.clock.now();
        self.state.send_modify(|state| {
            // While HTTPS works the server is not away.
            if state.over == Some(Over::Https) {
                state.note(text, next, now);
            } else {
                state.disconnect(text, refused, next, now);
            }
        });
    }

    fn connected(&self, over: Over, address: String) {
        let now = self.options.clock.now();
        let changed = self.state.send_if_modified(|state| {
            let changed = state.over != Some(over);
            state.connect(over, address.clone(), now);
            changed
        });
        if changed {
            tracing::info!("connected to the server over {over} at `{address}`");
        }
    }

    fn failed(&self, error: String, refused: Option<String>, next: Option<jiff::Timestamp>) {
        let now = self.options.clock.now();
        self.state
            .send_modify(|state| state.disconnect(error, refused, next, now));
    }

    /// Something went to the server and was confirmed.
    fn contact(&self, messages: usize) {
        let now = self.options.clock.now();
        self.state.send_modify(|state| {
            state.last_contact = Some(now);
            state.delivered += messages as u64;
        });
    }

    /// Reads a message for sending; none when it is gone or broken. Trouble is reported once.
    fn load(&mut self, entry: &Entry) -> Option<Envelope> {
        match self.options.outbox.read(entry) {
            Ok(Message::Read(mut envelope)) => {
                // Made before the node knew who it is.
                if envelope.node_id.is_empty() {
                    let sender = self.options.sender.clone();
                    envelope.cluster_name = sender.cluster_name;
                    envelope.node_id = sender.node_id;
                    envelope.instance_id = sender.instance_id;
                    envelope.cluster_session_id = sender.cluster_session_id;
                }
                Some(*envelope)
            }
            Ok(Message::Gone) => None,
            Ok(Message::Broken { to, error }) => {
                tracing::error!("{}; it was moved to `{}`", chain(&error), to.display());
                None
            }
            Err(error) => {
                if self.reported.insert(entry.id) {
                    tracing::error!("a message cannot be delivered: {}", chain(&error));
                }
                None
            }
        }
    }

    fn waiting(&mut self) -> Vec<Entry> {
        match self.options.outbox.waiting() {
            Ok(entries) => {
                self.reported
                    .retain(|id| entries.iter().any(|entry| entry.id == *id));
                entries
            }
            Err(error) => {
                tracing::error!("{}", chain(&error));
                Vec::new()
            }
        }
    }

    fn remove(&self, entries: &[Entry]) {
        if let Err(error) = self.options.outbox.remove(entries) {
            // They are sent again with the next session; the server knows their ids.
            tracing::error!("delivered messages stay in the outbox: {}", chain(&error));
        }
        self.contact(entries.len());
    }

    fn heartbeat(&self) -> Option<Envelope> {
        let data = serde_json::to_value((self.options.beat)()).ok()?;
        let now = self.options.clock.now();
        Some(self.options.sender.envelope(now, MessageType::Heartbeat, data))
    }
}
