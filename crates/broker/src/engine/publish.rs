//! A message comes in: route, log, queue.

use std::collections::HashSet;
use std::sync::Arc;

use amq_protocol::types::FieldTable;
use bytes::Bytes;

use super::arguments::Overflow;
use super::death::{Reason, is_cycle};
use super::exchange::Destination;
use super::message::Message;
use super::queue::{Entry, Queue, QueueId};
use super::state::Engine;
use crate::failure::{Code, Failure};
use crate::store::Record;

/// What `basic.publish` brings.
#[derive(Clone, Debug)]
pub(crate) struct Publication<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
    pub(crate) headers: Option<&'a FieldTable>,
    /// It is to survive a restart, where the queue does.
    pub(crate) persistent: bool,
    /// Milliseconds that it may wait.
    pub(crate) ttl: Option<u64>,
    pub(crate) properties: Bytes,
    pub(crate) body: Bytes,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// At least one queue took it.
    pub(crate) routed: bool,
    /// The log position after which it may be confirmed; 0 for at once.
    pub(crate) position: u64,
    /// A queue had no room for it: it may not be confirmed.
    pub(crate) refused: bool,
}

impl Engine {
    /// Refuses an exchange to publish to, before a body is taken.
    ///
    /// # Errors
    /// 404 when there is none, 403 for an internal one.
    pub(crate) fn check_publish(&self, exchange: &str) -> Result<(), Failure> {
        if exchange.is_empty() {
            return Ok(());
        }
        let found = self
            .exchanges
            .get(exchange)
            .ok_or_else(|| Failure::no_exchange(exchange))?;
        if found.internal {
            return Err(Failure::channel(
                Code::AccessRefused,
                format!("cannot publish to internal exchange '{exchange}' in vhost '/'"),
            ));
        }
        Ok(())
    }

    /// Routes a message into queues.
    ///
    /// # Errors
    /// As [`Engine::check_publish`].
    pub(crate) fn publish(&mut self, publication: Publication<'_>, now: u64) -> Result<Published, Failure> {
        self.check_publish(publication.exchange)?;
        let queues = self.route(&publication);
        Ok(self.enqueue(publication, queues, now))
    }

    /// Publishes a dead letter. Nobody is told when it finds no way; where it has died before it does not come again.
    pub(super) fn publish_dead(&mut self, publication: Publication<'_>, now: u64) {
        let mut queues = self.route(&publication);
        if let Some(headers) = publication.headers {
            queues.retain(|queue| {
                let queue = self.queues.get(queue);
                queue.is_some_and(|queue| !is_cycle(headers, &queue.name))
            });
        }
        self.enqueue(publication, queues, now);
    }

    fn enqueue(&mut self, publication: Publication<'_>, mut queues: Vec<QueueId>, now: u64) -> Published {
        let routed = !queues.is_empty();
        let full = self.refusing(&queues, publication.body.len() as u64, now);
        queues.retain(|queue| !full.contains(queue));
        if queues.is_empty() && full.is_empty() {
            return Published {
                routed,
                position: 0,
                refused: false,
            };
        }
        let number = self.next_message;
        self.next_message += 1;
        let body = publication.body.clone();
        let message = Message::new(
            number,
            publication.exchange,
            publication.key,
            publication.properties,
            publication.body,
        );
        let mut places = Vec::with_capacity(queues.len());
        let mut logged = Vec::new();
        for id in queues {
            let Some(queue) = self.queues.get(&id) else {
                continue;
            };
            let ttl = match (publication.ttl, queue.options.message_ttl) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            let expires_at = ttl.map(|ttl| now.saturating_add(ttl));
            if publication.persistent && queue.logged() {
                logged.push((id, expires_at.unwrap_or(0)));
            }
            places.push((id, expires_at));
        }
        let mut position = 0;
        if !logged.is_empty() {
            message.held(0, u32::try_from(logged.len()).unwrap_or(u32::MAX));
            position = self.log_message(&message, body, logged);
        }
        let message_is_nowhere = places.is_empty();
        message.held(u32::try_from(places.len()).unwrap_or(u32::MAX), 0);
        self.memory += message.weight();
        let message = Arc::new(message);
        if position > 0 {
            self.page_later(&message, position);
        }
        for (id, expires_at) in places {
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.ready.push_back(Entry {
                    message: Arc::clone(&message),
                    redelivered: false,
                    expires_at,
                });
            }
            // Whoever waits gets it, even when it may not wait at all.
            self.pump(id, now.saturating_sub(1));
            self.drop_head(id, now);
        }
        for id in &full {
            if self
                .queues
                .get(id)
                .is_some_and(|queue| queue.options.overflow == Some(Overflow::RejectPublishDlx))
            {
                self.dead_letter(*id, &message, Reason::Maxlen, now);
            }
        }
        if message_is_nowhere {
            self.memory = self.memory.saturating_sub(message.weight());
        }
        self.page_out();
        self.compact();
        Published {
            routed,
            position,
            refused: !full.is_empty(),
        }
    }

    /// Those of the queues that refuse a message of this size because they are full.
    fn refusing(&mut self, queues: &[QueueId], size: u64, now: u64) -> Vec<QueueId> {
        let mut full = Vec::new();
        for id in queues {
            let refuses = |queue: &Queue| {
                matches!(
                    queue.options.overflow,
                    Some(Overflow::RejectPublish | Overflow::RejectPublishDlx)
                ) && queue.is_over((1, size))
            };
            if self.queues.get(id).is_some_and(refuses) {
                // What waited too long takes no room.
                self.expire(*id, now);
                if self.queues.get(id).is_some_and(refuses) {
                    full.push(*id);
                }
            }
        }
        full
    }

    /// Gives up the oldest messages of a queue that holds too many.
    fn drop_head(&mut self, id: QueueId, now: u64) {
        loop {
            let Some(queue) = self.queues.get_mut(&id) else {
                return;
            };
            if !queue.is_over((0, 0)) {
                return;
            }
            let Some(entry) = queue.ready.pop_front() else {
                return;
            };
            self.give_up(id, vec![entry], Reason::Maxlen, now);
            if self.unreadable {
                return;
            }
        }
    }

    /// Puts a message into the log for these queues.
    pub(super) fn log_message(&mut self, message: &Message, body: Bytes, queues: Vec<(QueueId, u64)>) -> u64 {
        let record = Record::Message {
            number: message.number,
            queues,
            exchange: message.exchange.to_string(),
            key: message.key.to_string(),
            properties: message.properties.clone(),
            body,
        };
        let receipt = self.log(&record, true);
        message.put((receipt.segment, receipt.size, receipt.end));
        receipt.position
    }

    fn route(&self, publication: &Publication<'_>) -> Vec<QueueId> {
        if publication.exchange.is_empty() {
            return self.names.get(publication.key).copied().into_iter().collect();
        }
        let none = FieldTable::default();
        let headers = publication.headers.unwrap_or(&none);
        let mut queues = Vec::new();
        let mut taken = HashSet::new();
        let mut visited = HashSet::from([publication.exchange]);
        let mut next = vec![publication.exchange];
        while let Some(name) = next.pop() {
            let Some(exchange) = self.exchanges.get(name) else {
                continue;
            };
            let mut found = false;
            exchange.route(publication.key, headers, |destination| {
                found = true;
                match destination {
                    Destination::Queue(queue) => {
                        if taken.insert(*queue) {
                            queues.push(*queue);
                        }
                    }
                    Destination::Exchange(other) => {
                        if visited.insert(other) {
                            next.push(other);
                        }
                    }
                }
            });
            if !found
                && let Some(other) = exchange.alternate.as_deref()
                && visited.insert(other)
            {
                next.push(other);
            }
        }
        queues
    }
}
