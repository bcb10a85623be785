//! Queues: declare, delete, purge, expire.

use std::collections::HashSet;
use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::arguments::QueueOptions;
use super::bindings::yes_no;
use super::death::Reason;
use super::queue::{Entry, Queue, QueueId, Ready};
use super::state::{Effect, Engine, SessionId};
use crate::codec::table_bytes;
use crate::failure::{Code, Failure};
use crate::store::{Definition, Record};

/// What `queue.declare` asks for.
#[derive(Debug)]
pub(crate) struct Declaration<'a> {
    pub(crate) name: &'a str,
    /// The name was made by the broker, so a reserved prefix is right.
    pub(crate) named_here: bool,
    pub(crate) durable: bool,
    pub(crate) exclusive: bool,
    pub(crate) auto_delete: bool,
    pub(crate) arguments: &'a FieldTable,
}

/// What `queue.declare` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) messages: usize,
    pub(crate) consumers: usize,
    /// The log position to wait for, if any.
    pub(crate) position: Option<u64>,
}

impl Engine {
    /// Looks at a queue as a passive declare does.
    ///
    /// # Errors
    /// 404 when there is none, 405 for the exclusive queue of another connection.
    pub(crate) fn look_at_queue(
        &mut self,
        session: SessionId,
        name: &str,
        now: u64,
    ) -> Result<Declared, Failure> {
        let queue = self.usable_queue(session, name)?;
        queue.used = now;
        let id = queue.id;
        self.expire(id, now);
        let queue = self.usable_queue(session, name)?;
        Ok(Declared {
            messages: queue.ready.len(),
            consumers: queue.consumers.len(),
            position: None,
        })
    }

    /// Declares a queue.
    ///
    /// # Errors
    /// 406 when it exists and is different or for arguments that are wrong or not supported; 405 for the exclusive queue of
    /// another connection; 403 for a reserved name.
    pub(crate) fn declare_queue(
        &mut self,
        session: SessionId,
        wanted: &Declaration<'_>,
        now: u64,
    ) -> Result<Declared, Failure> {
        let options = QueueOptions::parse(wanted.arguments)?;
        if self.names.contains_key(wanted.name) {
            let there = self.usable_queue(session, wanted.name)?;
            for (what, received, current) in [
                ("durable", yes_no(wanted.durable), yes_no(there.durable)),
                (
                    "exclusive",
                    yes_no(wanted.exclusive),
                    yes_no(there.owner.is_some()),
                ),
                (
                    "auto_delete",
                    yes_no(wanted.auto_delete),
                    yes_no(there.auto_delete),
                ),
            ] {
                if received != current {
                    return Err(different(wanted.name, what, received, current));
                }
            }
            let both = options.compared().into_iter().zip(there.options.compared());
            for ((what, received), (_, current)) in both {
                if received != current {
                    let show = |value: &str| if value.is_empty() { "none" } else { value }.to_owned();
                    return Err(different(wanted.name, what, &show(&received), &show(&current)));
                }
            }
            return self.look_at_queue(session, wanted.name, now);
        }
        if wanted.name.starts_with("amq.") && !wanted.named_here {
            return Err(Failure::channel(
                Code::AccessRefused,
                format!("queue name '{}' contains reserved prefix 'amq.*'", wanted.name),
            ));
        }
        if options.quorum && (!wanted.durable || wanted.exclusive || wanted.auto_delete) {
            return Err(Failure::channel(
                Code::PreconditionFailed,
                format!(
                    "invalid property for queue '{}' in vhost '/': a quorum queue is durable, not exclusive and not auto-delete",
                    wanted.name
                ),
            ));
        }
        let id = self.next_queue;
        self.next_queue += 1;
        let name: Arc<str> = wanted.name.into();
        let queue = Queue {
            id,
            name: Arc::clone(&name),
            durable: wanted.durable,
            auto_delete: wanted.auto_delete,
            owner: wanted.exclusive.then_some(session),
            arguments: table_bytes(wanted.arguments),
            options,
            ready: Ready::default(),
            unacked: 0,
            consumers: Vec::new(),
            turn: 0,
            bindings: HashSet::new(),
            used: now,
        };
        if wanted.exclusive {
            self.session(session)?.exclusive.push(id);
        }
        let record = queue.logged().then(|| Record::Defined(queue_definition(&queue)));
        self.names.insert(name, id);
        self.queues.insert(id, queue);
        Ok(Declared {
            messages: 0,
            consumers: 0,
            position: record.map(|record| self.log(&record, true).position),
        })
    }

    /// Deletes a queue; returns how many messages were ready in it and the log position to wait for. One that does not
    /// exist is no error.
    ///
    /// # Errors
    /// 405 for the exclusive queue of another connection; 406 when a condition is not met.
    pub(crate) fn delete_queue(
        &mut self,
        session: SessionId,
        name: &str,
        (if_unused, if_empty): (bool, bool),
        now: u64,
    ) -> Result<(usize, Option<u64>), Failure> {
        let id = match self.usable_queue(session, name) {
            Ok(queue) => queue.id,
            Err(failure) if failure.code == Code::NotFound => return Ok((0, None)),
            Err(failure) => return Err(failure),
        };
        self.expire(id, now);
        let queue = self.usable_queue(session, name)?;
        let refused = if if_unused && !queue.consumers.is_empty() {
            "in use"
        } else if if_empty && !queue.ready.is_empty() {
            "not empty"
        } else {
            let messages = queue.ready.len();
            return Ok((messages, self.remove_queue(id)));
        };
        Err(Failure::channel(
            Code::PreconditionFailed,
            format!("queue '{name}' in vhost '/' {refused}"),
        ))
    }

    /// Removes a queue with its messages and bindings, and tells its consumers.
    pub(super) fn remove_queue(&mut self, id: QueueId) -> Option<u64> {
        let queue = self.queues.remove(&id)?;
        self.names.remove(&queue.name);
        let logged = queue.logged();
        for entry in queue.ready.iter() {
            self.release(entry, logged);
        }
        if queue.unacked > 0 {
            // The log knows from the queue's end that they are gone; a later acknowledgement finds no queue.
            let held: Vec<Entry> = self
                .sessions
                .values()
                .flat_map(|session| session.channels.values())
                .flat_map(|channel| channel.unacked.values())
                .filter(|unacked| unacked.queue == id)
                .map(|unacked| unacked.entry.clone())
                .collect();
            for entry in held {
                self.release(&entry, logged);
            }
        }
        for consumer in &queue.consumers {
            if let Some(session) = self.sessions.get_mut(&consumer.session) {
                session.consumers = session.consumers.saturating_sub(1);
                if let Some(channel) = session.channels.get_mut(&consumer.channel) {
                    channel.consumers.remove(&consumer.tag);
                }
            }
            self.effects.push(Effect::Cancelled {
                session: consumer.session,
                channel: consumer.channel,
                consumer: Arc::clone(&consumer.tag),
            });
        }
        if let Some(session) = queue.owner.and_then(|owner| self.sessions.get_mut(&owner)) {
            session.exclusive.retain(|other| *other != id);
        }
        for (source, binding) in &queue.bindings {
            self.unbind_one(source, binding);
        }
        logged.then(|| self.log(&Record::Gone(queue_definition(&queue)), true).position)
    }

    /// Removes all ready messages and returns how many.
    ///
    /// # Errors
    /// 404 and 405 as for every use of a queue.
    pub(crate) fn purge(&mut self, session: SessionId, name: &str, now: u64) -> Result<usize, Failure> {
        let queue = self.usable_queue(session, name)?;
        queue.used = now;
        let id = queue.id;
        let entries: Vec<Entry> = queue.ready.take_all();
        self.removed(id, &entries);
        Ok(entries.len())
    }

    /// Drops messages at the head that waited too long.
    pub(super) fn expire(&mut self, id: QueueId, now: u64) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let mut entries = Vec::new();
        while queue
            .ready
            .front()
            .is_some_and(|entry| entry.expires_at.is_some_and(|at| at <= now))
        {
            entries.extend(queue.ready.pop_front());
        }
        self.give_up(id, entries, Reason::Expired, now);
    }

    /// Messages left a queue for good.
    pub(super) fn removed(&mut self, id: QueueId, entries: &[Entry]) {
        if entries.is_empty() {
            return;
        }
        let logged = self.queues.get(&id).is_some_and(Queue::logged);
        if logged {
            let messages: Vec<u64> = entries
                .iter()
                .filter(|entry| entry.message.logged())
                .map(|entry| entry.message.number)
                .collect();
            if !messages.is_empty() {
                self.log(&Record::Removed { queue: id, messages }, false);
            }
        }
        for entry in entries {
            self.release(entry, logged);
        }
    }

    /// Gives back an entry's share of memory and log.
    fn release(&mut self, entry: &Entry, logged: bool) {
        let message = &entry.message;
        if logged && message.logged() && message.released_durably() {
            let (segment, size) = message.place();
            self.journal.release(segment, size);
        }
        if message.released() {
            self.memory = self.memory.saturating_sub(message.weight());
        }
    }
}

fn different(name: &str, what: &str, received: &str, current: &str) -> Failure {
    Failure::channel(
        Code::PreconditionFailed,
        format!(
            "inequivalent arg '{what}' for queue '{name}' in vhost '/': received '{received}' but current is '{current}'"
        ),
    )
}

pub(super) fn queue_definition(queue: &Queue) -> Definition {
    Definition::Queue {
        id: queue.id,
        name: queue.name.to_string(),
        auto_delete: queue.auto_delete,
        arguments: queue.arguments.clone(),
    }
}
