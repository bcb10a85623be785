//! The engine and its log: start from what was recovered, write all definitions, copy live messages to the head.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::arguments::{QueueOptions, alternate};
use super::bindings::exchange_definition;
use super::exchange::{Binding, Destination, Exchange, Kind};
use super::message::Message;
use super::queue::{Entry, Queue, QueueId, Ready};
use super::queues::queue_definition;
use super::state::Engine;
use crate::codec::table_from_bytes;
use crate::store::{Definition, Definitions, Record, Recovered};

/// A message that is alive in an old segment, and where it still is, with its expiry.
type Live = (Arc<Message>, Vec<(QueueId, u64)>);

impl Engine {
    /// Takes over what the log holds, starts a new segment, and copies what damaged segments still hold to it.
    ///
    /// Recovered messages are marked as redelivered: nobody can know that they were not.
    pub(crate) fn restore(&mut self, recovered: Recovered, now: u64) {
        self.next_message = recovered.definitions.next_message;
        self.next_queue = recovered.definitions.next_queue;
        for definition in recovered.definitions.all {
            self.restore_definition(definition, now);
        }
        for (number, found) in recovered.messages {
            let body = (found.body, found.body_size);
            let message = Message::recovered(number, &found.exchange, &found.key, found.properties, body);
            let holders = u32::try_from(found.queues.len()).unwrap_or(u32::MAX);
            message.held(holders, holders);
            message.put((found.segment, found.size, found.end));
            self.journal.retain(found.segment, found.size);
            self.memory += message.weight();
            let message = Arc::new(message);
            for (queue, expires_at) in found.queues {
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.ready.push_back(Entry {
                        message: Arc::clone(&message),
                        redelivered: true,
                        expires_at: (expires_at > 0).then_some(expires_at),
                    });
                }
            }
        }
        let definitions = self.definitions();
        self.journal.rotate(&definitions);
        if !recovered.damaged.is_empty() {
            let copied = self.copy_to_head(&recovered.damaged);
            for segment in recovered.damaged {
                if copied {
                    self.journal.set_aside(segment);
                }
            }
        }
        self.compact();
    }

    fn restore_definition(&mut self, definition: Definition, now: u64) {
        match definition {
            Definition::Exchange {
                name,
                kind,
                auto_delete,
                internal,
                arguments,
            } => {
                let Some(kind) = Kind::parse(&kind) else {
                    tracing::error!(
                        exchange = name,
                        kind,
                        "the message log has an exchange of unknown type"
                    );
                    return;
                };
                let name: Arc<str> = name.into();
                let mut exchange = Exchange::new(Arc::clone(&name), kind);
                exchange.auto_delete = auto_delete;
                exchange.internal = internal;
                exchange.alternate = table_from_bytes(&arguments)
                    .and_then(|table| alternate(&table).ok().flatten().map(Arc::from));
                exchange.arguments = arguments;
                self.exchanges.insert(name, exchange);
            }
            Definition::Queue {
                id,
                name,
                auto_delete,
                arguments,
            } => {
                let options = table_from_bytes(&arguments)
                    .and_then(|table| QueueOptions::parse(&table).ok())
                    .unwrap_or_default();
                let name: Arc<str> = name.into();
                self.names.insert(Arc::clone(&name), id);
                self.queues.insert(
                    id,
                    Queue {
                        id,
                        name,
                        durable: true,
                        auto_delete,
                        owner: None,
                        arguments,
                        options,
                        ready: Ready::default(),
                        unacked: 0,
                        consumers: Vec::new(),
                        turn: 0,
                        bindings: HashSet::new(),
                        used: now,
                    },
                );
            }
            Definition::QueueBinding {
                source,
                queue,
                key,
                arguments,
            } => self.restore_binding(&source, Destination::Queue(queue), &key, arguments),
            Definition::ExchangeBinding {
                source,
                destination,
                key,
                arguments,
            } => self.restore_binding(
                &source,
                Destination::Exchange(destination.into()),
                &key,
                arguments,
            ),
        }
    }

    fn restore_binding(&mut self, source: &str, destination: Destination, key: &str, arguments: Vec<u8>) {
        let there = match &destination {
            Destination::Queue(queue) => self.queues.contains_key(queue),
            Destination::Exchange(name) => self.exchanges.contains_key(name),
        };
        let binding = Binding {
            destination,
            key: key.into(),
            arguments: arguments.into(),
        };
        let Some(exchange) = self.exchanges.get_mut(source).filter(|_| there) else {
            return;
        };
        match exchange.bind(binding.clone()) {
            Ok(true) => {}
            Ok(false) => return,
            Err(failure) => {
                tracing::error!(exchange = source, %failure, "the message log has a binding that cannot be");
                return;
            }
        }
        let source = Arc::clone(&exchange.name);
        match &binding.destination {
            Destination::Queue(queue) => {
                if let Some(queue) = self.queues.get_mut(queue) {
                    queue.bindings.insert((source, binding));
                }
            }
            Destination::Exchange(name) => {
                if let Some(exchange) = self.exchanges.get_mut(name) {
                    exchange.sources += 1;
                }
            }
        }
    }

    /// Everything durable that is declared, as a segment starts with.
    pub(super) fn definitions(&self) -> Record {
        let exchanges = self.exchanges.values().filter(|exchange| exchange.durable);
        let mut all: Vec<Definition> = exchanges
            .clone()
            .filter(|exchange| !exchange.predeclared)
            .map(exchange_definition)
            .collect();
        all.extend(
            self.queues
                .values()
                .filter(|queue| queue.logged())
                .map(queue_definition),
        );
        for exchange in exchanges {
            let bindings = exchange.bindings.iter();
            all.extend(bindings.filter_map(|binding| self.binding_definition(&exchange.name, binding)));
        }
        Record::Definitions(Definitions {
            next_message: self.next_message,
            next_queue: self.next_queue,
            all,
        })
    }

    /// Keeps the log small: drops old segments, after copying what is alive in them.
    pub(super) fn compact(&mut self) {
        while !self.unreadable
            && let Some(segment) = self.journal.oldest_if_wasteful()
        {
            // What cannot be read now may be read later; until then nothing of it is thrown away.
            if !self.copy_to_head(&BTreeSet::from([segment])) {
                return;
            }
            self.journal.drop_segment(segment);
        }
    }

    /// Appends what lives in these segments again; false when some of it cannot be read.
    fn copy_to_head(&mut self, segments: &BTreeSet<u64>) -> bool {
        let mut live: BTreeMap<u64, Live> = BTreeMap::new();
        let mut collect = |queue: QueueId, entry: &Entry| {
            if entry.message.logged() && segments.contains(&entry.message.place().0) {
                live.entry(entry.message.number)
                    .or_insert_with(|| (Arc::clone(&entry.message), Vec::new()))
                    .1
                    .push((queue, entry.expires_at.unwrap_or(0)));
            }
        };
        let logged: HashMap<QueueId, &Queue> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.logged())
            .map(|(id, queue)| (*id, queue))
            .collect();
        for (id, queue) in &logged {
            queue.ready.iter().for_each(|entry| collect(*id, entry));
        }
        let channels = self
            .sessions
            .values()
            .flat_map(|session| session.channels.values());
        for unacked in channels.flat_map(|channel| channel.unacked.values()) {
            if logged.contains_key(&unacked.queue) {
                collect(unacked.queue, &unacked.entry);
            }
        }
        for (message, queues) in live.into_values() {
            let Some(body) = self.body(&message) else {
                return false;
            };
            let (segment, size) = message.place();
            self.journal.release(segment, size);
            // The copy is not on the disk yet, and the original may soon be gone.
            self.memory += message.page_in(body.clone());
            let position = self.log_message(&message, body, queues);
            self.page_later(&message, position);
        }
        true
    }
}
