//! An exchange: its bindings, and an index of them to route by.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::headers::Wanted;
use super::queue::QueueId;
use super::topic::Topics;
use crate::codec::table_from_bytes;
use crate::failure::{Code, Failure};

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl Kind {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "direct" => Some(Self::Direct),
            "fanout" => Some(Self::Fanout),
            "topic" => Some(Self::Topic),
            "headers" => Some(Self::Headers),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Destination {
    Queue(QueueId),
    Exchange(Arc<str>),
}

/// A binding of the exchange that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Binding {
    pub(super) destination: Destination,
    pub(super) key: Arc<str>,
    /// A field table, length first.
    pub(super) arguments: Arc<[u8]>,
}

#[derive(Debug)]
enum Index {
    Direct(HashMap<Arc<str>, Vec<Destination>>),
    Fanout(Vec<Destination>),
    Topic(Topics<Destination>),
    Headers(Vec<(Destination, Wanted)>),
}

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) internal: bool,
    /// A field table, length first.
    pub(super) arguments: Vec<u8>,
    /// Takes what finds no way here.
    pub(super) alternate: Option<Arc<str>>,
    /// There before anybody declares it; cannot be deleted.
    pub(super) predeclared: bool,
    pub(super) bindings: HashSet<Binding>,
    index: Index,
    /// How many bindings of other exchanges lead here.
    pub(super) sources: usize,
}

impl Exchange {
    pub(super) fn new(name: Arc<str>, kind: Kind) -> Self {
        Self {
            name,
            kind,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: vec![0; 4],
            alternate: None,
            predeclared: false,
            bindings: HashSet::new(),
            index: match kind {
                Kind::Direct => Index::Direct(HashMap::new()),
                Kind::Fanout => Index::Fanout(Vec::new()),
                Kind::Topic => Index::Topic(Topics::new()),
                Kind::Headers => Index::Headers(Vec::new()),
            },
            sources: 0,
        }
    }

    /// Adds a binding; false when it is there already.
    ///
    /// # Errors
    /// Arguments that a headers exchange does not understand.
    pub(super) fn bind(&mut self, binding: Binding) -> Result<bool, Failure> {
        if self.bindings.contains(&binding) {
            return Ok(false);
        }
        let destination = binding.destination.clone();
        match &mut self.index {
            Index::Direct(keys) => keys
                .entry(Arc::clone(&binding.key))
                .or_default()
                .push(destination),
            Index::Fanout(all) => all.push(destination),
            Index::Topic(topics) => topics.insert(&binding.key, destination),
            Index::Headers(all) => all.push((destination, wanted(&binding.arguments)?)),
        }
        self.bindings.insert(binding);
        Ok(true)
    }

    /// Removes a binding; false when there is none.
    pub(super) fn unbind(&mut self, binding: &Binding) -> bool {
        if !self.bindings.remove(binding) {
            return false;
        }
        let destination = &binding.destination;
        match &mut self.index {
            Index::Direct(keys) => {
                if let Some(all) = keys.get_mut(&binding.key) {
                    remove_once(all, |other| other == destination);
                    if all.is_empty() {
                        keys.remove(&binding.key);
                    }
                }
            }
            Index::Fanout(all) => remove_once(all, |other| other == destination),
            Index::Topic(topics) => topics.remove(&binding.key, destination),
            Index::Headers(all) => {
                if let Ok(wanted) = wanted(&binding.arguments) {
                    remove_once(all, |(other, what)| other == destination && *what == wanted);
                }
            }
        }
        true
    }

    /// Calls `found` with every destination for a message, possibly more than once.
    pub(super) fn route<'a>(
        &'a self,
        key: &str,
        headers: &FieldTable,
        mut found: impl FnMut(&'a Destination),
    ) {
        match &self.index {
            Index::Direct(keys) => keys.get(key).into_iter().flatten().for_each(found),
            Index::Fanout(all) => all.iter().for_each(found),
            Index::Topic(topics) => topics.matches(key, found),
            Index::Headers(all) => {
                for (destination, wanted) in all {
                    if wanted.matches(headers) {
                        found(destination);
                    }
                }
            }
        }
    }
}

fn wanted(arguments: &[u8]) -> Result<Wanted, Failure> {
    let table = table_from_bytes(arguments).ok_or_else(|| {
        Failure::channel(
            Code::PreconditionFailed,
            "the arguments of the binding are not a table",
        )
    })?;
    Wanted::parse(&table)
}

fn remove_once<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool) {
    if let Some(place) = all.iter().position(is_it) {
        all.swap_remove(place);
    }
}
