//! The life of the daemon.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use link::amqp::Received;
use link::join::Membership;
use link::local::Activity;
use link::outbox::Outbox;
use link::session::{self, Options, Session};
use node::backoff::Backoff;
use node::clock::Clock;
use node::home::Home;
use node::host;
use node::identity::Machine;
use node::lock::{Lock, LockError};
use protocol::{CommandKind, Heartbeat, NodeConfiguration, Transport};
use terminal::ResultExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::converge::Converger;
use crate::going::{Going, LAST_WORDS};
use crate::join::{Joined, join, write_node_json};
use crate::socket::Socket;
use crate::state::{Progress, Terminated};
use crate::status::Status;

/// Pauses between tries to reach the server.
const RECONNECT: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(30),
};
/// How old a node's secret becomes.
const SECRET_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time between two tries to replace it, when the server is away.
const ROTATION_RETRY: Duration = Duration::from_secs(60);
/// The shortest life of a secret.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);
/// A server that names no interval, or an absurd one.
const LEAST_HEARTBEAT: Duration = Duration::from_secs(1);

/// Serves the node until a signal or the server ends it.
pub(crate) async fn run(home: Home, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let _lock = match Lock::take(&home.jetpackd_lock(), "jetpackd", clock.as_ref()) {
        Ok(lock) => lock,
        Err(error @ LockError::Held { .. }) => {
            return Err(error)
                .context("another jetpackd serves this node")
                .hint("stop that one first, or set CYCLECLOUD_HOME to the home of another node");
        }
        Err(error) => return Err(error.into()),
    };
    let mut signals = Signals::new().context("cannot watch for signals")?;
    let status = Status::new(clock.now());
    let socket = Socket::bind(home.jetpackd_socket())?;
    tracing::info!("jetpackd {} serves `{}`", node::version(), home.root().display());
    let machine = Machine::this();
    let result = tokio::select! {
        () = socket.serve(&status) => Ok(()),
        result = async {
            let joined = tokio::select! {
                joined = join(&home, &machine, clock.as_ref(), &status) => joined,
                name = signals.next() => {
                    tracing::info!("{name}: ending");
                    return Ok(());
                }
            };
            Daemon::new(&home, &machine, &clock, &status, joined)?.run(&mut signals).await
        } => result,
    };
    tracing::info!("jetpackd ends");
    result
}

/// Requests to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Starts a session as the node that the membership proves.
fn connect(
    membership: &Membership,
    configuration: &NodeConfiguration,
    transport: Transport,
    outbox: &Outbox,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Session, CancellationToken)> {
    let options = Options {
        api: membership.api(&configuration.node_id)?,
        target: membership.target(configuration)?,
        transport,
        heartbeat: Duration::from_secs(configuration.heartbeat_seconds).max(LEAST_HEARTBEAT),
        sender: link::join::sender_of(configuration),
        outbox: outbox.clone(),
        backoff: RECONNECT,
        clock: Arc::clone(clock),
        beat: Box::new(|| Heartbeat {
            version: node::version(),
            hostname: host::short_hostname(),
            ipv4: host::first_ipv4().map(|address| address.to_string()),
        }),
    };
    let stop = CancellationToken::new();
    Ok((session::start(options, stop.clone()), stop))
}

/// A daemon that knows which node it serves.
struct Daemon<'a> {
    home: &'a Home,
    machine: &'a Machine,
    clock: &'a Arc<dyn Clock>,
    status: &'a Status,
    configuration: NodeConfiguration,
    membership: Membership,
    transport: Transport,
    /// How old the secret becomes.
    lifetime: Duration,
    outbox: Outbox,
    session: Session,
    session_stop: CancellationToken,
}

impl<'a> Daemon<'a> {
    fn new(
        home: &'a Home,
        machine: &'a Machine,
        clock: &'a Arc<dyn Clock>,
        status: &'a Status,
        joined: Joined,
    ) -> anyhow::Result<Self> {
        let Joined {
            settings,
            membership,
            configuration,
        } = joined;
        tracing::info!(
            "this is node `{}` ({}) of cluster `{}`",
            configuration.node_name,
            configuration.node_id,
            configuration.cluster_name
        );
        let transport = settings.transport.unwrap_or(configuration.transport);
        let lifetime = settings.identity.secret_lifetime.unwrap_or(SECRET_LIFETIME);
        let outbox = Outbox::new(home.outbox());
        let (session, session_stop) = connect(&membership, &configuration, transport, &outbox, clock)?;
        status.joined(session.handle.clone());
        Ok(Self {
            home,
            machine,
            clock,
            status,
            configuration,
            membership,
            transport,
            lifetime,
            outbox,
            session,
            session_stop,
        })
    }

    /// When the secret is to be replaced, from now on.
    fn rotation_due(&self) -> Duration {
        if self.membership.identity.next.is_some() {
            // An earlier daemon was cut off while it told the server.
            return Duration::ZERO;
        }
        let age = self
            .membership
            .identity
            .since
            .map(|since| self.clock.now().duration_since(since));
        let age = age.map_or(self.lifetime, |age| age.unsigned_abs());
        self.lifetime.saturating_sub(age)
    }

    /// Replaces the secret, and goes on with a session under the new one; what was not confirmed is sent again there. How long until
    /// the next time.
    async fn rotate(&mut self) -> anyhow::Result<Duration> {
        let node_id = self.configuration.node_id.clone();
        let clock = self.clock.as_ref();
        let rotated = self.membership.rotate(self.home, self.machine, clock, &node_id);
        if let Err(error) = rotated.await {
            tracing::warn!(
                "the secret of this node cannot be replaced: {}",
                terminal::chain(&error)
            );
            return Ok(ROTATION_RETRY);
        }
        if let Err(error) = write_node_json(self.home, &self.membership, &self.configuration).await {
            // The old one holds until the next converge writes it.
            tracing::warn!("node.json keeps the old secret: {}", terminal::chain(&error));
        }
        // One session at a time sends, or the order would be lost.
        self.session_stop.cancel();
        // It has reported its own end.
        let _ = (&mut self.session.task).await;
        (self.session, self.session_stop) = connect(
            &self.membership,
            &self.configuration,
            self.transport,
            &self.outbox,
            self.clock,
        )?;
        self.status.joined(self.session.handle.clone());
        tracing::info!("the secret of this node was replaced");
        Ok(self.rotation_due().max(SHORTEST_LIFETIME))
    }

    async fn run(mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let life = &self.configuration.cluster_session_id;
        if let Some(terminated) = Terminated::load(self.home, life)? {
            return self.rest(terminated, signals).await;
        }
        let wanted = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let converger = Converger {
            home: self.home.clone(),
            clock: Arc::clone(self.clock),
            status: self.status.clone(),
            progress: Progress::load(self.home, life)?,
            wanted: Arc::clone(&wanted),
            stop: stop.clone(),
        };
        let work = tokio::spawn(converger.run());
        let mut users: Option<Refresh> = None;
        let mut rotation = Instant::now() + self.rotation_due();
        loop {
            tokio::select! {
                () = sleep_until(rotation) => rotation = Instant::now() + self.rotate().await?,
                () = due(users.as_ref()) => {
                    if let Some(refresh) = users.take() {
                        users = self.fetch_users(refresh).await;
                    }
                }
                name = signals.next() => {
                    tracing::info!("{name}: ending");
                    end(work, &stop).await;
                    self.say_goodbye().await;
                    return Ok(());
                }
                Some(received) = self.session.commands.recv() => {
                    let Some(received) = self.addressed_to_us(received).await else { continue };
                    match received.command.kind.clone() {
                        CommandKind::Converge => {
                            tracing::info!("the server wants a converge");
                            self.note_converge_wanted()?;
                            wanted.notify_one();
                            received.done().await;
                        }
                        CommandKind::Terminate { reason } => {
                            tracing::info!("the server ends this node: {reason}");
                            let terminated = self.note_end(&reason)?;
                            end(work, &stop).await;
                            if self.going().go(terminated, signals).await {
                                received.done().await;
                            }
                            self.say_goodbye().await;
                            return Ok(());
                        }
                        CommandKind::Users => {
                            // The newest command is the one to acknowledge; it covers those before it.
                            if let Some(earlier) = users.replace(Refresh::new(received)) {
                                earlier.received.done().await;
                            }
                        }
                        CommandKind::Unknown => {
                            tracing::warn!("the server wants something that this version cannot do");
                            received.done().await;
                        }
                    }
                }
            }
        }
    }

    /// Fetches the configuration, which names the users, and keeps it; then the command is acknowledged. Gives back what
    /// has to be tried again.
    async fn fetch_users(&self, refresh: Refresh) -> Option<Refresh> {
        let joined = async {
            let configuration = self.membership.join(self.home, self.clock.as_ref()).await?;
            write_node_json(self.home, &self.membership, &configuration).await?;
            Ok::<_, link::join::Error>(configuration)
        };
        match joined.await {
            Ok(configuration) => {
                let count = configuration.users.len();
                tracing::info!("the server has changed who may log in; now {count} users");
                refresh.received.done().await;
                None
            }
            Err(error) if error.is_refused() => {
                tracing::error!("cannot fetch who may log in: {}", terminal::chain(&error));
                refresh.received.done().await;
                None
            }
            Err(error) => {
                let next = refresh.again();
                tracing::warn!(
                    "cannot fetch who may log in: {}; next try in {:.0} s",
                    terminal::chain(&error),
                    next.at.saturating_duration_since(Instant::now()).as_secs_f64()
                );
                Some(next)
            }
        }
    }

    /// The server has ended this life of the node: nothing is done any more but delivering what waits.
    async fn rest(mut self, terminated: Terminated, signals: &mut Signals) -> anyhow::Result<()> {
        tracing::info!(
            "the server has ended this node ({}); no converge follows",
            terminated.reason
        );
        self.status
            .set(Activity::Terminated, Some(terminated.reason.clone()), None);
        // An earlier daemon was killed before it had confirmed.
        if !terminated.confirmed && !self.going().go(terminated, signals).await {
            self.say_goodbye().await;
            return Ok(());
        }
        loop {
            tokio::select! {
                name = signals.next() => {
                    tracing::info!("{name}: ending");
                    self.say_goodbye().await;
                    return Ok(());
                }
                Some(received) = self.session.commands.recv() => received.done().await,
            }
        }
    }

    /// A node that was started anew ignores commands of its earlier life.
    async fn addressed_to_us(&self, received: Received) -> Option<Received> {
        if received.command.cluster_session_id == self.configuration.cluster_session_id {
            return Some(received);
        }
        tracing::info!("ignoring a command to an earlier life of this node");
        received.done().await;
        None
    }

    /// Before the command is acknowledged: a daemon that is killed now converges after its restart.
    fn note_converge_wanted(&self) -> anyhow::Result<()> {
        let mut progress = Progress::load(self.home, &self.configuration.cluster_session_id)?;
        progress.converged = false;
        Ok(progress.save(self.home)?)
    }

    fn note_end(&self, reason: &str) -> anyhow::Result<Terminated> {
        let life = &self.configuration.cluster_session_id;
        let terminated = Terminated::save(self.home, life, reason, self.clock.now())?;
        self.status
            .set(Activity::Terminated, Some(reason.to_owned()), None);
        Ok(terminated)
    }

    fn going(&self) -> Going {
        Going {
            home: self.home.clone(),
            machine: self.machine.clone(),
            clock: Arc::clone(self.clock),
            status: self.status.clone(),
            sender: link::join::sender_of(&self.configuration),
            outbox: self.outbox.clone(),
            session: self.session.handle.clone(),
        }
    }

    /// Delivers what waits, if the server is there, and closes the session.
    async fn say_goodbye(self) {
        if self.session.handle.state().is_connected() {
            self.session.handle.deliver(LAST_WORDS).await;
        }
        self.session_stop.cancel();
        if let Err(error) = self.session.task.await {
            tracing::error!("the session ended badly: {error}");
        }
    }
}

/// A list of users that has to be fetched.
struct Refresh {
    /// To be acknowledged when the list is kept.
    received: Received,
    failures: u32,
    /// When to try.
    at: Instant,
}

impl Refresh {
    fn new(received: Received) -> Self {
        Self {
            received,
            failures: 0,
            at: Instant::now(),
        }
    }

    fn again(self) -> Self {
        let failures = self.failures + 1;
        Self {
            failures,
            at: Instant::now() + RECONNECT.pause(failures, node::random::fraction()),
            ..self
        }
    }
}

/// Waits until the list is to be fetched; for ever when none is.
async fn due(refresh: Option<&Refresh>) {
    match refresh {
        Some(refresh) => sleep_until(refresh.at).await,
        None => std::future::pending().await,
    }
}

/// Ends the converge at work, if there is one.
async fn end(work: JoinHandle<()>, stop: &CancellationToken) {
    stop.cancel();
    if let Err(error) = work.await {
        tracing::error!("the supervision of converges ended badly: {error}");
    }
}
