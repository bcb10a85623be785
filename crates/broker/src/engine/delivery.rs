//! From queues to consumers, within what they and their connections can take.

use std::sync::Arc;

use super::queue::{Queue, QueueId};
use super::state::{Effect, Engine, SessionId, Unacked};

/// What a delivery counts in its connection's window beside the body.
const OVERHEAD: usize = 128;

impl Engine {
    /// Delivers from a queue while somebody can take it. Messages that expired before or at `now` go.
    pub(super) fn pump(&mut self, id: QueueId, now: u64) {
        loop {
            let Some(queue) = self.queues.get(&id) else {
                return;
            };
            if queue.consumers.is_empty() {
                return;
            }
            match queue.ready.front() {
                None => return,
                Some(entry) if entry.expires_at.is_some_and(|at| at <= now) => {
                    self.expire(id, now);
                    if self.unreadable {
                        return;
                    }
                    continue;
                }
                Some(_) => {}
            }
            let Some(taker) = self.taker(id) else {
                return;
            };
            if !self.deliver(id, taker) {
                return;
            }
        }
    }

    /// The next consumer in turn that can take a message, of those with the highest priority that can.
    fn taker(&mut self, id: QueueId) -> Option<usize> {
        let window = self.limits.window;
        let Self { queues, sessions, .. } = self;
        let queue: &Queue = queues.get(&id)?;
        // With a single active consumer the others wait until the first one goes.
        let count = match queue.options.single_active {
            true => queue.consumers.len().min(1),
            false => queue.consumers.len(),
        };
        let highest = queue.consumers.iter().map(|consumer| consumer.priority).max();
        let mut best: Option<(usize, i64)> = None;
        for step in 0..count {
            let place = (queue.turn + step) % count;
            let consumer = &queue.consumers[place];
            if best.is_some_and(|(_, priority)| priority >= consumer.priority) {
                continue;
            }
            let Some(session) = sessions.get_mut(&consumer.session) else {
                continue;
            };
            if !consumer.no_ack {
                let full = consumer.prefetch > 0 && consumer.unacked >= consumer.prefetch.into();
                let channel_full = session.channels.get(&consumer.channel).is_none_or(|channel| {
                    channel.prefetch_all > 0 && channel.outstanding >= channel.prefetch_all.into()
                });
                if full || channel_full {
                    continue;
                }
            }
            if session.window >= window {
                session.stalled = true;
                continue;
            }
            if Some(consumer.priority) == highest {
                return Some(place);
            }
            best = Some((place, consumer.priority));
        }
        best.map(|(place, _)| place)
    }

    /// Delivers the oldest message to a consumer; false when that cannot be done now.
    fn deliver(&mut self, id: QueueId, place: usize) -> bool {
        let waiting = self.queues.get(&id).and_then(|queue| queue.ready.front());
        let Some(message) = waiting.map(|entry| Arc::clone(&entry.message)) else {
            return false;
        };
        let Some(body) = self.body(&message) else {
            return false;
        };
        let Self { queues, sessions, .. } = self;
        let Some(queue) = queues.get_mut(&id) else {
            return false;
        };
        queue.turn = place + 1;
        let consumer = &mut queue.consumers[place];
        let (owner, number, no_ack) = (consumer.session, consumer.channel, consumer.no_ack);
        let name = Arc::clone(&consumer.tag);
        let Some(session) = sessions.get_mut(&owner) else {
            return false;
        };
        let Some(channel) = session.channels.get_mut(&number) else {
            return false;
        };
        let Some(entry) = queue.ready.pop_front() else {
            return false;
        };
        session.window += body.len() + entry.message.properties.len() + OVERHEAD;
        channel.tag += 1;
        self.effects.push(Effect::Deliver {
            session: owner,
            channel: number,
            consumer: Arc::clone(&name),
            tag: channel.tag,
            redelivered: entry.redelivered,
            message,
            body,
        });
        if no_ack {
            self.removed(id, &[entry]);
        } else {
            consumer.unacked += 1;
            queue.unacked += 1;
            channel.outstanding += 1;
            channel.unacked.insert(
                channel.tag,
                Unacked {
                    queue: id,
                    entry,
                    consumer: Some(name),
                },
            );
        }
        true
    }

    /// What [`Engine::drained`] is to be given for a delivery.
    pub(crate) fn cost(body: usize, properties: usize) -> usize {
        body + properties + OVERHEAD
    }

    /// A connection wrote deliveries of that many bytes; it may be given more.
    pub(crate) fn drained(&mut self, session: SessionId, bytes: usize, now: u64) {
        let half = self.limits.window / 2;
        let Some(state) = self.sessions.get_mut(&session) else {
            return;
        };
        state.window = state.window.saturating_sub(bytes);
        if !state.stalled || state.window > half {
            return;
        }
        state.stalled = false;
        let mut queues: Vec<QueueId> = state
            .channels
            .values()
            .flat_map(|channel| channel.consumers.values().copied())
            .collect();
        queues.sort_unstable();
        queues.dedup();
        for queue in queues {
            self.pump(queue, now);
        }
    }

    /// Delivers from all queues that a channel consumes.
    pub(super) fn pump_channel(&mut self, session: SessionId, channel: u16, now: u64) {
        let queues: Vec<QueueId> = match self.channel(session, channel) {
            Ok(channel) => channel.consumers.values().copied().collect(),
            Err(_) => return,
        };
        for queue in queues {
            self.pump(queue, now);
        }
    }
}
