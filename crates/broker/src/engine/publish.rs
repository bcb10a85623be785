//! A message comes in: route, log, queue.

use std::collections::HashSet;
use std::sync::Arc;

use amq_protocol::types::FieldTable;
use bytes::Bytes;

use super::exchange::Destination;
use super::message::Message;
use super::queue::{Entry, QueueId};
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
        if queues.is_empty() {
            return Ok(Published {
                routed: false,
                position: 0,
            });
        }
        let number = self.next_message;
        self.next_message += 1;
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
            position = self.log_message(&message, logged);
        }
        message.held(u32::try_from(places.len()).unwrap_or(u32::MAX), 0);
        self.memory += message.weight();
        let message = Arc::new(message);
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
        }
        self.compact();
        Ok(Published {
            routed: true,
            position,
        })
    }

    /// Puts a message into the log for these queues.
    pub(super) fn log_message(&mut self, message: &Message, queues: Vec<(QueueId, u64)>) -> u64 {
        let record = Record::Message {
            number: message.number,
            queues,
            exchange: message.exchange.to_string(),
            key: message.key.to_string(),
            properties: message.properties.clone(),
            body: message.body().clone(),
        };
        let receipt = self.log(&record, true);
        message.put(receipt.segment, receipt.size);
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
            exchange.route(publication.key, headers, |destination| match destination {
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
            });
        }
        queues
    }
}
