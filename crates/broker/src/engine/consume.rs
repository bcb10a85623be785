//! Consumers and what they answer: consume, cancel, get, acknowledge, qos, recover.

use std::sync::Arc;

use amq_protocol::types::FieldTable;
use bytes::Bytes;

use super::arguments::priority;
use super::death::Reason;
use super::message::Message;
use super::queue::{Consumer, Entry};
use super::state::{Engine, SessionId, Unacked};
use crate::failure::{Code, Failure};

/// What becomes of messages that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done with.
    Drop,
    /// Not wanted: dead-lettered, if the queue says where to.
    Reject,
    /// Back to its place in the queue.
    PutBack,
}

/// A message for `basic.get`.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) message: Arc<Message>,
    pub(crate) body: Bytes,
    /// How many are left.
    pub(crate) left: usize,
}

impl Engine {
    /// Adds a consumer. Deliveries start with the next call of [`Engine::start`], so that the answer goes first.
    ///
    /// # Errors
    /// 404, 405 as for every use of a queue; 530 for a tag that is in use; 403 when the queue has an exclusive consumer or this
    /// one wants to be it and is not alone; 406 for arguments that are not supported; 506 for too many.
    pub(crate) fn consume(
        &mut self,
        session: SessionId,
        channel: u16,
        queue: &str,
        tag: &str,
        (no_ack, exclusive): (bool, bool),
        arguments: &FieldTable,
    ) -> Result<(), Failure> {
        let priority = priority(arguments)?;
        let id = self.usable_queue(session, queue)?.id;
        let most = self.limits.consumers;
        let state = self.session(session)?;
        if state.consumers >= most {
            return Err(Failure::connection(
                Code::ResourceError,
                format!("a connection may have {most} consumers"),
            ));
        }
        let state = self.channel(session, channel)?;
        if state.consumers.contains_key(tag) {
            return Err(Failure::connection(
                Code::NotAllowed,
                format!("attempt to reuse consumer tag '{tag}'"),
            ));
        }
        let prefetch = state.prefetch;
        let found = self.usable_queue(session, queue)?;
        if exclusive && found.options.single_active {
            return Err(Failure::channel(
                Code::AccessRefused,
                format!(
                    "queue '{queue}' in vhost '/' has a single active consumer; exclusive consumption is not possible"
                ),
            ));
        }
        if found.consumers.iter().any(|other| other.exclusive) || exclusive && !found.consumers.is_empty() {
            return Err(Failure::channel(
                Code::AccessRefused,
                format!("queue '{queue}' in vhost '/' in exclusive use"),
            ));
        }
        let tag: Arc<str> = tag.into();
        found.consumers.push(Consumer {
            session,
            channel,
            tag: Arc::clone(&tag),
            no_ack,
            exclusive,
            priority,
            prefetch,
            unacked: 0,
        });
        self.channel(session, channel)?.consumers.insert(tag, id);
        self.session(session)?.consumers += 1;
        Ok(())
    }

    /// Delivers what waits for a consumer that was just added.
    pub(crate) fn start(&mut self, queue: &str, now: u64) {
        if let Some(&id) = self.names.get(queue) {
            self.pump(id, now);
        }
    }

    /// Takes a consumer away; one that does not exist is no error. What it did not acknowledge stays with the channel.
    pub(crate) fn cancel(&mut self, session: SessionId, channel: u16, tag: &str, now: u64) {
        let Ok(state) = self.channel(session, channel) else {
            return;
        };
        let Some(id) = state.consumers.remove(tag) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(&session) {
            session.consumers = session.consumers.saturating_sub(1);
        }
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        queue.consumers.retain(|consumer| {
            !(consumer.session == session && consumer.channel == channel && &*consumer.tag == tag)
        });
        queue.used = now;
        if queue.auto_delete && queue.consumers.is_empty() {
            self.remove_queue(id);
        }
    }

    /// Takes all consumers of a channel away.
    pub(super) fn forget_consumers(&mut self, session: SessionId, channel: u16, now: u64) {
        let tags: Vec<Arc<str>> = match self.channel(session, channel) {
            Ok(state) => state.consumers.keys().cloned().collect(),
            Err(_) => return,
        };
        for tag in tags {
            self.cancel(session, channel, &tag, now);
        }
    }

    /// Takes one message out of a queue; none when it is empty.
    ///
    /// # Errors
    /// 404 and 405 as for every use of a queue; 403 when it has an exclusive consumer.
    pub(crate) fn get(
        &mut self,
        session: SessionId,
        channel: u16,
        queue: &str,
        no_ack: bool,
        now: u64,
    ) -> Result<Option<Got>, Failure> {
        self.channel(session, channel)?;
        let found = self.usable_queue(session, queue)?;
        if found.consumers.iter().any(|other| other.exclusive) {
            return Err(Failure::channel(
                Code::AccessRefused,
                format!("queue '{queue}' in vhost '/' in exclusive use"),
            ));
        }
        found.used = now;
        let id = found.id;
        self.expire(id, now);
        let found = self.usable_queue(session, queue)?;
        let Some(message) = found.ready.front().map(|entry| Arc::clone(&entry.message)) else {
            return Ok(None);
        };
        let body = self
            .body(&message)
            .ok_or_else(|| Failure::connection(Code::InternalError, "the message log cannot be read"))?;
        let found = self.usable_queue(session, queue)?;
        let Some(entry) = found.ready.pop_front() else {
            return Ok(None);
        };
        let left = found.ready.len();
        if !no_ack {
            found.unacked += 1;
        }
        let state = self.channel(session, channel)?;
        state.tag += 1;
        let got = Got {
            tag: state.tag,
            redelivered: entry.redelivered,
            message,
            body,
            left,
        };
        if no_ack {
            self.removed(id, &[entry]);
        } else {
            state.unacked.insert(
                got.tag,
                Unacked {
                    queue: id,
                    entry,
                    consumer: None,
                },
            );
        }
        Ok(Some(got))
    }

    /// Acknowledges or rejects; tag 0 with `multiple` is everything outstanding.
    ///
    /// # Errors
    /// 406 for a tag that is not outstanding.
    pub(crate) fn answer(
        &mut self,
        session: SessionId,
        channel: u16,
        tag: u64,
        multiple: bool,
        answer: Answer,
        now: u64,
    ) -> Result<(), Failure> {
        let state = self.channel(session, channel)?;
        let answered: Vec<Unacked> = if multiple {
            let rest = match tag {
                0 => std::collections::BTreeMap::new(),
                _ if !state.unacked.contains_key(&tag)
                    && (tag > state.tag || state.unacked.range(..=tag).next().is_none()) =>
                {
                    return Err(unknown_tag(tag));
                }
                tag => state.unacked.split_off(&(tag + 1)),
            };
            std::mem::replace(&mut state.unacked, rest)
                .into_values()
                .collect()
        } else {
            vec![state.unacked.remove(&tag).ok_or_else(|| unknown_tag(tag))?]
        };
        self.settle(session, channel, answered, answer, now);
        Ok(())
    }

    fn settle(&mut self, session: SessionId, channel: u16, answered: Vec<Unacked>, answer: Answer, now: u64) {
        let consumed = answered
            .iter()
            .filter(|unacked| unacked.consumer.is_some())
            .count();
        let mut freed = false;
        if let Ok(state) = self.channel(session, channel) {
            freed = state.prefetch_all > 0;
            state.outstanding = state.outstanding.saturating_sub(consumed);
        }
        for unacked in &answered {
            if let Some(tag) = &unacked.consumer
                && let Some(queue) = self.queues.get_mut(&unacked.queue)
                && let Some(consumer) = queue.consumer(tag)
            {
                consumer.unacked = consumer.unacked.saturating_sub(1);
            }
        }
        match answer {
            Answer::PutBack => self.put_back(answered.into_iter(), now),
            Answer::Drop | Answer::Reject => {
                let leave = |engine: &mut Self, queue, run: Vec<Entry>| match answer {
                    Answer::Reject => engine.give_up(queue, run, Reason::Rejected, now),
                    _ => engine.removed(queue, &run),
                };
                // One record for each run of the same queue.
                let mut run: Vec<Entry> = Vec::new();
                let mut last = None;
                let mut touched = Vec::new();
                for unacked in answered {
                    let Some(queue) = self.queues.get_mut(&unacked.queue) else {
                        continue;
                    };
                    queue.unacked = queue.unacked.saturating_sub(1);
                    if last != Some(unacked.queue) {
                        if let Some(queue) = last.replace(unacked.queue) {
                            leave(self, queue, std::mem::take(&mut run));
                        }
                        touched.push(unacked.queue);
                    }
                    run.push(unacked.entry);
                }
                if let Some(queue) = last {
                    leave(self, queue, run);
                }
                for queue in touched {
                    self.pump(queue, now);
                }
            }
        }
        if freed {
            self.pump_channel(session, channel, now);
        }
    }

    /// Puts messages back to their places.
    pub(super) fn put_back(&mut self, answered: impl Iterator<Item = Unacked>, now: u64) {
        let mut touched = Vec::new();
        for unacked in answered {
            if let Some(queue) = self.queues.get_mut(&unacked.queue) {
                queue.unacked = queue.unacked.saturating_sub(1);
                queue.put_back(unacked.entry);
                touched.push(unacked.queue);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for queue in touched {
            self.pump(queue, now);
        }
    }

    /// Puts everything that the channel did not acknowledge back.
    ///
    /// # Errors
    /// 504 when the channel is not open.
    pub(crate) fn recover(&mut self, session: SessionId, channel: u16, now: u64) -> Result<(), Failure> {
        let state = self.channel(session, channel)?;
        let all: Vec<Unacked> = std::mem::take(&mut state.unacked).into_values().collect();
        self.settle(session, channel, all, Answer::PutBack, now);
        Ok(())
    }

    /// Sets how many deliveries may be outstanding: for the consumers to come, or for the channel as a whole.
    ///
    /// # Errors
    /// 504 when the channel is not open.
    pub(crate) fn qos(
        &mut self,
        session: SessionId,
        channel: u16,
        count: u16,
        global: bool,
        now: u64,
    ) -> Result<(), Failure> {
        let state = self.channel(session, channel)?;
        if global {
            state.prefetch_all = count;
            self.pump_channel(session, channel, now);
        } else {
            state.prefetch = count;
        }
        Ok(())
    }
}

fn unknown_tag(tag: u64) -> Failure {
    Failure::channel(Code::PreconditionFailed, format!("unknown delivery tag {tag}"))
}
