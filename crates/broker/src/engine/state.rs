//! The engine's state: what exists, who is connected, and the log.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use super::exchange::{Exchange, Kind};
use super::message::Message;
use super::queue::{Entry, Queue, QueueId};
use crate::failure::{Code, Failure};
use crate::store::{Journal, Record, Synced};

/// Names a connection for the life of the broker.
pub(crate) type SessionId = u64;

/// What a connection must be told without having asked.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A message for a consumer. To be counted off with [`Engine::drained`] once it is written.
    Deliver {
        session: SessionId,
        channel: u16,
        consumer: Arc<str>,
        tag: u64,
        redelivered: bool,
        message: Arc<Message>,
        body: Bytes,
    },
    /// The queue of a consumer is gone.
    Cancelled {
        session: SessionId,
        channel: u16,
        consumer: Arc<str>,
    },
}

impl Effect {
    pub(crate) fn session(&self) -> SessionId {
        match self {
            Self::Deliver { session, .. } | Self::Cancelled { session, .. } => *session,
        }
    }
}

/// Bounds of what the engine keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of deliveries that may wait to be written to one connection.
    pub(crate) window: usize,
    /// Consumers of one connection.
    pub(crate) consumers: usize,
    /// Bytes of messages in memory above which bodies that are on the disk leave it.
    pub(crate) page_at: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 512 * 1024,
            consumers: 4096,
            page_at: 256 * 1024 * 1024,
        }
    }
}

#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) queue: QueueId,
    pub(super) entry: Entry,
    /// None for `basic.get`.
    pub(super) consumer: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    /// The last delivery tag given.
    pub(super) tag: u64,
    pub(super) unacked: BTreeMap<u64, Unacked>,
    pub(super) consumers: HashMap<Arc<str>, QueueId>,
    /// For the consumers to come; 0 for any number.
    pub(super) prefetch: u16,
    /// For all consumers of the channel together; 0 for any number.
    pub(super) prefetch_all: u16,
    /// Deliveries to consumers that are not acknowledged.
    pub(super) outstanding: usize,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) channels: HashMap<u16, Channel>,
    /// Bytes handed out as [`Effect::Deliver`] and not counted off yet.
    pub(super) window: usize,
    /// Something was held back because the window was full.
    pub(super) stalled: bool,
    pub(super) consumers: usize,
    pub(super) exclusive: Vec<QueueId>,
}

/// All of the broker that is not a socket.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) exchanges: HashMap<Arc<str>, Exchange>,
    pub(super) queues: HashMap<QueueId, Queue>,
    pub(super) names: HashMap<Arc<str>, QueueId>,
    pub(super) sessions: HashMap<SessionId, Session>,
    pub(super) journal: Journal,
    pub(super) effects: Vec<Effect>,
    pub(super) limits: Limits,
    pub(super) next_message: u64,
    pub(super) next_queue: u64,
    next_session: SessionId,
    /// Bytes of messages in memory, as [`Message::weight`] counts.
    pub(super) memory: usize,
    /// Messages to be paged out, and the log position to wait for.
    pub(super) pageable: VecDeque<(u64, Weak<Message>)>,
    /// How far the log is safe.
    pub(super) synced: watch::Receiver<Synced>,
    /// The log could not be read when it was last tried.
    pub(super) unreadable: bool,
}

impl Engine {
    /// An engine with the predeclared exchanges only.
    pub(crate) fn new(journal: Journal, limits: Limits) -> Self {
        let synced = journal.synced();
        let mut exchanges = HashMap::new();
        for (name, kind) in [
            ("amq.direct", Kind::Direct),
            ("amq.fanout", Kind::Fanout),
            ("amq.topic", Kind::Topic),
            ("amq.headers", Kind::Headers),
            ("amq.match", Kind::Headers),
        ] {
            let name: Arc<str> = name.into();
            let mut exchange = Exchange::new(Arc::clone(&name), kind);
            exchange.predeclared = true;
            exchanges.insert(name, exchange);
        }
        Self {
            exchanges,
            queues: HashMap::new(),
            names: HashMap::new(),
            sessions: HashMap::new(),
            journal,
            effects: Vec::new(),
            limits,
            next_message: 1,
            next_queue: 1,
            next_session: 1,
            memory: 0,
            pageable: VecDeque::new(),
            synced,
            unreadable: false,
        }
    }

    /// The log, to follow how far it is safe.
    pub(crate) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Bytes of messages in memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// What other connections must hear, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A connection begins.
    pub(crate) fn open_session(&mut self) -> SessionId {
        let id = self.next_session;
        self.next_session += 1;
        self.sessions.insert(id, Session::default());
        id
    }

    /// A connection ends: its channels close, its exclusive queues go.
    pub(crate) fn close_session(&mut self, session: SessionId, now: u64) {
        let mut channels: Vec<u16> = match self.sessions.get_mut(&session) {
            // What is put back must not come to this connection again.
            Some(state) => state.channels.keys().copied().collect(),
            None => return,
        };
        channels.sort_unstable();
        for channel in &channels {
            self.forget_consumers(session, *channel, now);
        }
        for channel in channels {
            self.close_channel(session, channel, now);
        }
        let exclusive = self.sessions.remove(&session).map(|state| state.exclusive);
        for queue in exclusive.unwrap_or_default() {
            self.remove_queue(queue);
        }
    }

    /// # Errors
    /// 504 when it is open.
    pub(crate) fn open_channel(&mut self, session: SessionId, channel: u16) -> Result<(), Failure> {
        match self.session(session)?.channels.entry(channel) {
            std::collections::hash_map::Entry::Occupied(_) => Err(Failure::connection(
                Code::ChannelError,
                format!("channel {channel} is open already"),
            )),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Channel::default());
                Ok(())
            }
        }
    }

    /// A channel ends: its consumers go, and what it did not acknowledge goes back to its place.
    pub(crate) fn close_channel(&mut self, session: SessionId, channel: u16, now: u64) {
        self.forget_consumers(session, channel, now);
        let Some(state) = self
            .sessions
            .get_mut(&session)
            .and_then(|state| state.channels.remove(&channel))
        else {
            return;
        };
        self.put_back(state.unacked.into_values(), now);
    }

    pub(super) fn session(&mut self, session: SessionId) -> Result<&mut Session, Failure> {
        self.sessions
            .get_mut(&session)
            .ok_or_else(|| Failure::connection(Code::InternalError, "the connection is not known"))
    }

    pub(super) fn channel(&mut self, session: SessionId, channel: u16) -> Result<&mut Channel, Failure> {
        self.session(session)?
            .channels
            .get_mut(&channel)
            .ok_or_else(|| Failure::connection(Code::ChannelError, format!("channel {channel} is not open")))
    }

    /// The queue of that name, if this connection may use it.
    pub(super) fn usable_queue(&mut self, session: SessionId, name: &str) -> Result<&mut Queue, Failure> {
        let id = *self.names.get(name).ok_or_else(|| Failure::no_queue(name))?;
        let queue = self.queues.get_mut(&id).ok_or_else(|| Failure::no_queue(name))?;
        if queue.owner.is_some_and(|owner| owner != session) {
            return Err(Failure::channel(
                Code::ResourceLocked,
                format!("cannot obtain exclusive access to locked queue '{name}' in vhost '/'"),
            ));
        }
        Ok(queue)
    }

    /// Appends a record; starts a new segment first when the last one is full.
    pub(super) fn log(&mut self, record: &Record, urgent: bool) -> crate::store::Receipt {
        if self.journal.full() {
            let definitions = self.definitions();
            self.journal.rotate(&definitions);
        }
        self.journal.append(record, urgent)
    }

    /// What the clock does: expired messages and queues go, and the log is tidied.
    pub(crate) fn tick(&mut self, now: u64) {
        let mut unused = Vec::new();
        let mut expired = Vec::new();
        for queue in self.queues.values() {
            if let Some(expires) = queue.options.expires
                && queue.consumers.is_empty()
                && now.saturating_sub(queue.used) >= expires
            {
                unused.push(queue.id);
            } else if queue
                .ready
                .front()
                .is_some_and(|entry| entry.expires_at.is_some_and(|at| at <= now))
            {
                expired.push(queue.id);
            }
        }
        for queue in unused {
            self.remove_queue(queue);
        }
        for queue in expired {
            self.expire(queue, now);
        }
        if std::mem::take(&mut self.unreadable) {
            // What could not be read may be readable again.
            let waiting: Vec<QueueId> = self.queues.keys().copied().collect();
            for queue in waiting {
                self.pump(queue, now);
            }
        }
        self.page_out();
        self.compact();
    }

    /// Looks at every queue: name, ready, unacknowledged, consumers, durable, bytes of ready messages.
    pub(crate) fn each_queue(&self, mut look: impl FnMut(&str, usize, usize, usize, bool)) {
        for queue in self.queues.values() {
            look(
                &queue.name,
                queue.ready.len(),
                queue.unacked,
                queue.consumers.len(),
                queue.durable,
            );
        }
    }
}
