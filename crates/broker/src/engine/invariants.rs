//! What always holds between the parts of the engine's state, for tests and fuzzers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::arguments::{QueueOptions, alternate, priority};
use super::death::is_cycle;
use super::exchange::Destination;
use super::headers::Wanted;
use super::state::Engine;

impl Engine {
    /// Looks at everything.
    ///
    /// # Panics
    /// When a part of the state contradicts another one.
    pub(crate) fn check_invariants(&self) {
        assert_eq!(
            self.names.len(),
            self.queues.len(),
            "each queue has one name: {:?}",
            self.names
        );
        for (name, id) in &self.names {
            let found = self.queues.get(id).map(|queue| &queue.name);
            assert_eq!(found, Some(name), "the name of a queue leads to it");
        }
        self.check_consumers();
        self.check_messages();
        self.check_bindings();
    }

    fn check_consumers(&self) {
        let mut outstanding = HashMap::new();
        for (&session, state) in &self.sessions {
            let consumers: usize = state
                .channels
                .values()
                .map(|channel| channel.consumers.len())
                .sum();
            assert_eq!(state.consumers, consumers, "consumers of session {session}");
            for queue in &state.exclusive {
                let owner = self.queues.get(queue).and_then(|queue| queue.owner);
                assert_eq!(
                    owner,
                    Some(session),
                    "owner of queue {queue}, which a session counts as its own"
                );
            }
            for (&number, channel) in &state.channels {
                for (tag, queue) in &channel.consumers {
                    let known = self.queues.get(queue).is_some_and(|queue| {
                        queue.consumers.iter().any(|consumer| {
                            (consumer.session, consumer.channel, &consumer.tag) == (session, number, tag)
                        })
                    });
                    assert!(known, "queue {queue} does not know its consumer `{tag}`");
                }
                let to_consumers = channel.unacked.values().filter(|one| one.consumer.is_some());
                assert_eq!(
                    channel.outstanding,
                    to_consumers.count(),
                    "outstanding on channel {number}"
                );
                assert!(
                    channel.unacked.keys().next_back() <= Some(&channel.tag),
                    "a tag that was never given"
                );
                for unacked in channel.unacked.values() {
                    *outstanding.entry(unacked.queue).or_insert(0) += 1;
                }
            }
        }
        for (id, queue) in &self.queues {
            let unacked = outstanding.get(id).copied().unwrap_or(0);
            assert_eq!(queue.unacked, unacked, "unacknowledged of `{}`", queue.name);
            if let Some(owner) = queue.owner {
                let state = self.sessions.get(&owner);
                assert!(
                    state.is_some_and(|state| state.exclusive.contains(id)),
                    "`{}` outlived its owner",
                    queue.name
                );
            }
            for consumer in &queue.consumers {
                let channel = self
                    .sessions
                    .get(&consumer.session)
                    .and_then(|state| state.channels.get(&consumer.channel));
                let found = channel.and_then(|channel| channel.consumers.get(&consumer.tag));
                assert_eq!(found, Some(id), "a consumer of `{}` has no channel", queue.name);
            }
        }
    }

    fn check_messages(&self) {
        let mut seen = BTreeMap::new();
        for queue in self.queues.values() {
            let mut last = None;
            let mut bytes = 0;
            for entry in queue.ready.iter() {
                assert!(
                    last < Some(entry.message.number),
                    "`{}` is out of order",
                    queue.name
                );
                last = Some(entry.message.number);
                bytes += entry.message.size() as u64;
                seen.insert(entry.message.number, Arc::clone(&entry.message));
            }
            assert_eq!(queue.ready.bytes(), bytes, "bytes of `{}`", queue.name);
        }
        let channels = self.sessions.values().flat_map(|state| state.channels.values());
        for unacked in channels.flat_map(|channel| channel.unacked.values()) {
            if self.queues.contains_key(&unacked.queue) {
                let message = &unacked.entry.message;
                seen.insert(message.number, Arc::clone(message));
            }
        }
        let memory: usize = seen.values().map(|message| message.weight()).sum();
        assert_eq!(self.memory, memory, "bytes of all messages in memory");
    }

    fn check_bindings(&self) {
        let mut sources = HashMap::new();
        for (name, exchange) in &self.exchanges {
            for binding in &exchange.bindings {
                match &binding.destination {
                    Destination::Queue(id) => {
                        let known = self.queues.get(id).is_some_and(|queue| {
                            queue.bindings.contains(&(Arc::clone(name), binding.clone()))
                        });
                        assert!(known, "a binding of `{name}` to a queue that does not know it");
                    }
                    Destination::Exchange(other) => {
                        assert!(
                            self.exchanges.contains_key(other),
                            "a binding of `{name}` leads to no exchange `{other}`"
                        );
                        *sources.entry(Arc::clone(other)).or_insert(0) += 1;
                    }
                }
            }
        }
        for (name, exchange) in &self.exchanges {
            let count = sources.get(name).copied().unwrap_or(0);
            assert_eq!(exchange.sources, count, "bindings that lead to `{name}`");
        }
        for queue in self.queues.values() {
            for (source, binding) in &queue.bindings {
                let known = self
                    .exchanges
                    .get(source)
                    .is_some_and(|exchange| exchange.bindings.contains(binding));
                assert!(known, "`{}` has a binding that `{source}` lacks", queue.name);
            }
        }
    }

    /// What a restart has to bring back: the logged messages of each durable queue, by number.
    pub(crate) fn logged_messages(&self) -> BTreeMap<String, Vec<u64>> {
        let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut names = HashMap::new();
        for (id, queue) in self.queues.iter().filter(|(_, queue)| queue.logged()) {
            names.insert(*id, queue.name.to_string());
            let logged = queue.ready.iter().filter(|entry| entry.message.logged());
            let numbers = logged.map(|entry| entry.message.number).collect();
            all.insert(queue.name.to_string(), numbers);
        }
        let channels = self.sessions.values().flat_map(|state| state.channels.values());
        for unacked in channels.flat_map(|channel| channel.unacked.values()) {
            if let Some(name) = names.get(&unacked.queue)
                && unacked.entry.message.logged()
            {
                all.entry(name.clone())
                    .or_default()
                    .push(unacked.entry.message.number);
            }
        }
        all.values_mut().for_each(|numbers| numbers.sort_unstable());
        all
    }

    /// Bindings of durable exchanges to durable queues and exchanges, in words.
    pub(crate) fn logged_bindings(&self) -> HashSet<String> {
        let each = self.exchanges.iter().flat_map(|(name, exchange)| {
            let bindings = exchange.bindings.iter();
            bindings.filter_map(move |binding| self.binding_definition(name, binding))
        });
        each.map(|definition| format!("{definition:?}")).collect()
    }
}

/// Reads a table as arguments of everything that takes some, and as the headers of a message.
pub(crate) fn read_arguments(table: &FieldTable) {
    if let Ok(options) = QueueOptions::parse(table) {
        let again = QueueOptions::parse(table).map(|options| options.compared());
        assert_eq!(again, Ok(options.compared()), "a queue is equal to itself");
    }
    let _ = (alternate(table), priority(table), is_cycle(table, "queue"));
    if let Ok(wanted) = Wanted::parse(table) {
        wanted.matches(table);
        wanted.matches(&FieldTable::default());
    }
}
