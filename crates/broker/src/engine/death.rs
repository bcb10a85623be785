//! Dead letters: what a queue gives up goes on to another exchange, with a header that says where it has been.
//!
//! As RabbitMQ's guide "Dead Letter Exchanges" describes it: `x-death` has one entry for each queue and reason, the newest
//! first, and a message that comes back to a queue without having been rejected on the way is dropped.

use std::sync::Arc;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};

use super::message::Message;
use super::publish::Publication;
use super::queue::{Entry, QueueId};
use super::state::Engine;
use crate::codec::{properties_from_bytes, reborn, short};

const HEADER: &str = "x-death";

/// Why a queue gives a message up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Rejected,
    Expired,
    Maxlen,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Maxlen => "maxlen",
        }
    }
}

impl Engine {
    /// Messages that were taken out of a queue leave it for a reason: they are dead-lettered if it says where to. What the log does
    /// not give to be read now goes back to its place; then [`Engine::unreadable`] is set.
    pub(super) fn give_up(&mut self, queue: QueueId, entries: Vec<Entry>, reason: Reason, now: u64) {
        let mut gone = Vec::with_capacity(entries.len());
        for entry in entries {
            // First the new place, then the end of the old one: power may fail in between.
            if self.dead_letter(queue, &entry.message, reason, now) {
                gone.push(entry);
            } else if let Some(queue) = self.queues.get_mut(&queue) {
                queue.ready.put_back(entry);
            }
        }
        self.removed(queue, &gone);
    }

    /// Publishes a message of a queue to its dead letter exchange, if there is one; false when it cannot be read now.
    pub(super) fn dead_letter(
        &mut self,
        queue: QueueId,
        message: &Arc<Message>,
        reason: Reason,
        now: u64,
    ) -> bool {
        let Some(found) = self.queues.get(&queue) else {
            return true;
        };
        let Some(dead) = found.options.dead_letter.clone() else {
            return true;
        };
        let name = Arc::clone(&found.name);
        // As with an exchange that was deleted: there is nowhere to go.
        if !dead.exchange.is_empty() && !self.exchanges.contains_key(&*dead.exchange) {
            return true;
        }
        let Some(body) = self.body(message) else {
            return false;
        };
        let Some(properties) = properties_from_bytes(&message.properties) else {
            tracing::error!(
                queue = &*name,
                "a message cannot be dead-lettered: its properties are not readable"
            );
            return true;
        };
        let headers = headers(&properties, &name, message, reason, now);
        let raw = reborn(&properties, headers.clone());
        let publication = Publication {
            exchange: &dead.exchange,
            key: dead.key.as_deref().unwrap_or(&message.key),
            headers: Some(&headers),
            persistent: *properties.delivery_mode() == Some(2),
            ttl: None,
            properties: raw,
            body,
        };
        self.publish_dead(publication, now);
        true
    }
}

/// Whether a message with these headers comes back to a queue in which it died, without a rejection since.
pub(super) fn is_cycle(headers: &FieldTable, queue: &str) -> bool {
    for death in deaths(headers) {
        if text(death, "reason") == Some("rejected") {
            return false;
        }
        if text(death, "queue") == Some(queue) {
            return true;
        }
    }
    false
}

/// The headers of the dead message.
fn headers(
    properties: &AMQPProperties,
    queue: &str,
    message: &Message,
    reason: Reason,
    now: u64,
) -> FieldTable {
    let mut headers = properties.headers().clone().unwrap_or_default();
    let mut before: Vec<FieldTable> = deaths(&headers).cloned().collect();
    let same = before.iter().position(|death| {
        text(death, "queue") == Some(queue) && text(death, "reason") == Some(reason.name())
    });
    let latest = match same {
        Some(place) => {
            let mut death = before.remove(place);
            let count = match death.inner().get("count") {
                Some(AMQPValue::LongLongInt(count)) => *count,
                _ => 1,
            };
            death.insert(short("count"), AMQPValue::LongLongInt(count.saturating_add(1)));
            death
        }
        None => {
            let mut death = FieldTable::default();
            let keys = FieldArray::from(vec![string(&message.key)]);
            death.insert(short("count"), AMQPValue::LongLongInt(1));
            death.insert(short("reason"), string(reason.name()));
            death.insert(short("queue"), string(queue));
            death.insert(short("time"), AMQPValue::Timestamp(now / 1000));
            death.insert(short("exchange"), string(&message.exchange));
            death.insert(short("routing-keys"), AMQPValue::FieldArray(keys));
            if let Some(expiration) = properties.expiration() {
                death.insert(short("original-expiration"), string(expiration.as_str()));
            }
            death
        }
    };
    if !headers.contains_key("x-first-death-queue") {
        headers.insert(short("x-first-death-queue"), string(queue));
        headers.insert(short("x-first-death-reason"), string(reason.name()));
        headers.insert(short("x-first-death-exchange"), string(&message.exchange));
    }
    let all: Vec<AMQPValue> = std::iter::once(latest)
        .chain(before)
        .map(AMQPValue::FieldTable)
        .collect();
    headers.insert(short(HEADER), AMQPValue::FieldArray(FieldArray::from(all)));
    headers
}

/// The entries of `x-death`, the newest first.
fn deaths(headers: &FieldTable) -> impl Iterator<Item = &FieldTable> {
    let entries = match headers.inner().get(HEADER) {
        Some(AMQPValue::FieldArray(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter_map(|entry| match entry {
        AMQPValue::FieldTable(death) => Some(death),
        _ => None,
    })
}

fn text<'a>(table: &'a FieldTable, name: &str) -> Option<&'a str> {
    match table.inner().get(name) {
        Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes()).ok(),
        _ => None,
    }
}

fn string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
