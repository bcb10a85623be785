//! The engine behind a lock, and the mailboxes of the connections.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::engine::{Effect, Engine, SessionId};
use crate::settings::Settings;
use crate::status::{ConnectionStatus, QueueStatus, Status};
use crate::store::Synced;

#[derive(Debug)]
struct Inside {
    engine: Engine,
    mailboxes: HashMap<SessionId, mpsc::UnboundedSender<Effect>>,
}

#[derive(Debug)]
struct Known {
    peer: String,
    user: Option<String>,
    end: CancellationToken,
}

/// Why publishers are not read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    Memory,
    Disk,
}

impl Alarm {
    /// As RabbitMQ says it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Memory => "low on memory",
            Self::Disk => "low on disk",
        }
    }
}

/// The vhosts by name.
#[derive(Debug)]
pub(crate) struct Vhosts {
    /// `/`, which also knows all connections.
    pub(crate) root: Arc<Hub>,
    pub(crate) others: BTreeMap<String, Arc<Hub>>,
}

impl Vhosts {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Hub>> {
        match name {
            "/" => Some(&self.root),
            name => self.others.get(name),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Arc<Hub>)> {
        let others = self.others.iter().map(|(name, hub)| (name.as_str(), hub));
        std::iter::once(("/", &self.root)).chain(others)
    }
}

/// What all connections to a vhost share.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) settings: Settings,
    pub(crate) authority: Arc<dyn Authority>,
    inside: Mutex<Inside>,
    /// How far the log is safe.
    pub(crate) synced: watch::Receiver<Synced>,
    /// Publishers must wait.
    pub(crate) blocked: watch::Sender<Option<Alarm>>,
    /// What is wrong with the disk, while something is.
    disk: Mutex<Option<String>>,
    connections: Mutex<BTreeMap<u64, Known>>,
    /// Locked as long as anybody can write the log; another broker cannot have it.
    lock: File,
}

impl Hub {
    pub(crate) fn new(
        settings: Settings,
        authority: Arc<dyn Authority>,
        mut engine: Engine,
        lock: File,
    ) -> Self {
        Self {
            settings,
            authority,
            synced: engine.journal().synced(),
            inside: Mutex::new(Inside {
                engine,
                mailboxes: HashMap::new(),
            }),
            blocked: watch::Sender::new(None),
            disk: Mutex::new(None),
            connections: Mutex::new(BTreeMap::new()),
            lock,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.settings.clock.now()
    }

    /// Asks the engine, and puts what others must hear into their mailboxes before anybody else can ask: so each
    /// mailbox has the engine's order. The mailboxes are bounded by the engine's windows.
    pub(crate) fn with<T>(&self, ask: impl FnOnce(&mut Engine) -> T) -> T {
        let mut inside = lock(&self.inside);
        let answer = ask(&mut inside.engine);
        for effect in inside.engine.take_effects() {
            if let Some(mailbox) = inside.mailboxes.get(&effect.session()) {
                // A connection that is ending does not listen; the engine puts its messages back.
                let _ = mailbox.send(effect);
            }
        }
        let memory = inside.engine.memory();
        let limit = self.settings.memory_limit;
        drop(inside);
        let no_disk = lock(&self.disk).is_some();
        self.blocked.send_if_modified(|blocked| {
            let is_full = match *blocked {
                Some(Alarm::Memory) => memory > limit - limit / 10,
                _ => memory > limit,
            };
            let now = if no_disk {
                Some(Alarm::Disk)
            } else {
                is_full.then_some(Alarm::Memory)
            };
            std::mem::replace(blocked, now) != now
        });
        answer
    }

    /// What the clock does: messages and queues expire, and the disk is looked at.
    pub(crate) fn tick(&self) {
        let trouble = self.synced.borrow().trouble.clone().or_else(|| self.low_disk());
        let before = std::mem::replace(&mut *lock(&self.disk), trouble.clone());
        match (&before, &trouble) {
            (None, Some(trouble)) => tracing::error!("publishers wait: {trouble}"),
            (Some(_), None) => tracing::info!("publishers go on: the disk has room again"),
            _ => {}
        }
        let now = self.now();
        self.with(|engine| engine.tick(now));
    }

    /// That there is less room than there must be, in words.
    fn low_disk(&self) -> Option<String> {
        let dir = &self.settings.dir;
        // A disk that does not tell is no reason to stop.
        let disk = nix::sys::statvfs::statvfs(dir).ok()?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        let limit = self.settings.disk_free_limit;
        (free < limit).then(|| format!("`{}` has {free} bytes free, less than {limit}", dir.display()))
    }

    /// Writes everything, ends the writer, and leaves the folder to another broker. Blocks.
    pub(crate) fn close_log(&self) {
        self.with(|engine| engine.journal().close());
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "cannot unlock the folder of the message log");
        }
    }

    /// A connection is open.
    pub(crate) fn open_session(&self) -> (SessionId, mpsc::UnboundedReceiver<Effect>) {
        let (mailbox, letters) = mpsc::unbounded_channel();
        let mut inside = lock(&self.inside);
        let session = inside.engine.open_session();
        inside.mailboxes.insert(session, mailbox);
        (session, letters)
    }

    /// A connection ended.
    pub(crate) fn close_session(&self, session: SessionId) {
        let now = self.now();
        lock(&self.inside).mailboxes.remove(&session);
        self.with(|engine| engine.close_session(session, now));
    }

    /// Registers a connection before it says who it is; none when there are too many.
    pub(crate) fn register(&self, number: u64, peer: String) -> Option<CancellationToken> {
        let mut connections = lock(&self.connections);
        if connections.len() >= self.settings.max_connections {
            return None;
        }
        let end = CancellationToken::new();
        connections.insert(
            number,
            Known {
                peer,
                user: None,
                end: end.clone(),
            },
        );
        Some(end)
    }

    /// Notes who a connection says it is, before that is checked: so closing the user finds it in any case.
    pub(crate) fn claim(&self, number: u64, user: &str) {
        if let Some(known) = lock(&self.connections).get_mut(&number) {
            known.user = Some(user.to_owned());
        }
    }

    pub(crate) fn unregister(&self, number: u64) {
        lock(&self.connections).remove(&number);
    }

    /// Ends all connections of a user; returns how many.
    pub(crate) fn end_user(&self, user: &str) -> usize {
        let connections = lock(&self.connections);
        let own = connections
            .values()
            .filter(|known| known.user.as_deref() == Some(user));
        own.map(|known| known.end.cancel()).count()
    }

    pub(crate) fn status(&self, vhost: &str) -> Status {
        let connections = lock(&self.connections)
            .values()
            .map(|known| ConnectionStatus {
                peer: known.peer.clone(),
                user: known.user.clone(),
            })
            .collect();
        let mut queues = Vec::new();
        let mut inside = lock(&self.inside);
        inside
            .engine
            .each_queue(|name, ready, unacked, consumers, durable| {
                queues.push(QueueStatus {
                    vhost: vhost.to_owned(),
                    name: name.to_owned(),
                    ready,
                    unacked,
                    consumers,
                    durable,
                });
            });
        let (memory, log_size) = (inside.engine.memory(), inside.engine.journal().size());
        drop(inside);
        queues.sort_by(|one, other| one.name.cmp(&other.name));
        Status {
            connections,
            queues,
            memory,
            log_size,
            blocked: self.blocked.borrow().is_some(),
            trouble: lock(&self.disk)
                .clone()
                .or_else(|| self.synced.borrow().trouble.clone()),
        }
    }
}

/// A panic while the lock was held is a bug that was reported; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
