//! Exchanges and bindings: declare, delete, bind, unbind.

use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::arguments::alternate;
use super::exchange::{Binding, Destination, Exchange, Kind};
use super::state::{Engine, SessionId};
use crate::codec::table_bytes;
use crate::failure::{Code, Failure};
use crate::store::{Definition, Record};

impl Engine {
    /// # Errors
    /// 404 when there is none.
    pub(crate) fn check_exchange(&self, name: &str) -> Result<(), Failure> {
        match self.exchanges.contains_key(name) {
            true => Ok(()),
            false => Err(Failure::no_exchange(name)),
        }
    }

    /// Declares an exchange; returns the log position to wait for, if any.
    ///
    /// # Errors
    /// 406 when it exists and is different, or has an argument that is not supported; 403 for a reserved name.
    pub(crate) fn declare_exchange(
        &mut self,
        name: &str,
        kind: Kind,
        (durable, auto_delete, internal): (bool, bool, bool),
        arguments: &FieldTable,
    ) -> Result<Option<u64>, Failure> {
        let other = alternate(arguments)?;
        if let Some(there) = self.exchanges.get(name) {
            for (what, wanted, is) in [
                ("type", kind.name(), there.kind.name()),
                ("durable", yes_no(durable), yes_no(there.durable)),
                ("auto_delete", yes_no(auto_delete), yes_no(there.auto_delete)),
                ("internal", yes_no(internal), yes_no(there.internal)),
                (
                    "alternate-exchange",
                    other.unwrap_or("none"),
                    there.alternate.as_deref().unwrap_or("none"),
                ),
            ] {
                if wanted != is {
                    return Err(Failure::channel(
                        Code::PreconditionFailed,
                        format!(
                            "inequivalent arg '{what}' for exchange '{name}' in vhost '/': received '{wanted}' but current is '{is}'"
                        ),
                    ));
                }
            }
            return Ok(None);
        }
        if name.starts_with("amq.") {
            return Err(Failure::channel(
                Code::AccessRefused,
                format!("exchange name '{name}' contains reserved prefix 'amq.*'"),
            ));
        }
        let name: Arc<str> = name.into();
        let mut exchange = Exchange::new(Arc::clone(&name), kind);
        exchange.durable = durable;
        exchange.auto_delete = auto_delete;
        exchange.internal = internal;
        exchange.arguments = table_bytes(arguments);
        exchange.alternate = other.map(Arc::from);
        let record = durable.then(|| Record::Defined(exchange_definition(&exchange)));
        self.exchanges.insert(name, exchange);
        Ok(record.map(|record| self.log(&record, true).position))
    }

    /// Deletes an exchange and its bindings. One that does not exist is no error.
    ///
    /// # Errors
    /// 403 for a predeclared one; 406 with `if_unused` when it has bindings.
    pub(crate) fn delete_exchange(&mut self, name: &str, if_unused: bool) -> Result<Option<u64>, Failure> {
        let Some(exchange) = self.exchanges.get(name) else {
            return Ok(None);
        };
        if exchange.predeclared || name.starts_with("amq.") {
            return Err(Failure::channel(
                Code::AccessRefused,
                format!("operation not permitted on the predeclared exchange '{name}'"),
            ));
        }
        if if_unused && !exchange.bindings.is_empty() {
            return Err(Failure::channel(
                Code::PreconditionFailed,
                format!("exchange '{name}' in vhost '/' in use"),
            ));
        }
        Ok(self.remove_exchange(name))
    }

    fn remove_exchange(&mut self, name: &str) -> Option<u64> {
        let exchange = self.exchanges.remove(name)?;
        for binding in &exchange.bindings {
            match &binding.destination {
                Destination::Queue(queue) => {
                    if let Some(queue) = self.queues.get_mut(queue) {
                        queue
                            .bindings
                            .remove(&(Arc::clone(&exchange.name), binding.clone()));
                    }
                }
                Destination::Exchange(other) => {
                    if let Some(other) = self.exchanges.get_mut(other) {
                        other.sources = other.sources.saturating_sub(1);
                    }
                }
            }
        }
        if exchange.sources > 0 {
            let mut emptied = Vec::new();
            for other in self.exchanges.values_mut() {
                let leading: Vec<Binding> = other
                    .bindings
                    .iter()
                    .filter(|binding| {
                        binding.destination == Destination::Exchange(Arc::clone(&exchange.name))
                    })
                    .cloned()
                    .collect();
                for binding in &leading {
                    other.unbind(binding);
                }
                if !leading.is_empty() && other.auto_delete && other.bindings.is_empty() {
                    emptied.push(Arc::clone(&other.name));
                }
            }
            for name in emptied {
                self.remove_exchange(&name);
            }
        }
        exchange.durable.then(|| {
            self.log(&Record::Gone(exchange_definition(&exchange)), true)
                .position
        })
    }

    /// Binds a queue to an exchange.
    ///
    /// # Errors
    /// 404 for a queue or exchange that does not exist, 405 for the exclusive queue of another connection.
    pub(crate) fn bind_queue(
        &mut self,
        session: SessionId,
        queue: &str,
        source: &str,
        key: &str,
        arguments: &FieldTable,
    ) -> Result<Option<u64>, Failure> {
        let queue = self.usable_queue(session, queue)?.id;
        self.bind(source, Destination::Queue(queue), key, arguments)
    }

    /// Binds an exchange to an exchange.
    ///
    /// # Errors
    /// 404 when one does not exist.
    pub(crate) fn bind_exchange(
        &mut self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: &FieldTable,
    ) -> Result<Option<u64>, Failure> {
        self.check_exchange(destination)?;
        self.bind(source, Destination::Exchange(destination.into()), key, arguments)
    }

    fn bind(
        &mut self,
        source: &str,
        destination: Destination,
        key: &str,
        arguments: &FieldTable,
    ) -> Result<Option<u64>, Failure> {
        let binding = Binding {
            destination,
            key: key.into(),
            arguments: table_bytes(arguments).into(),
        };
        let exchange = self
            .exchanges
            .get_mut(source)
            .ok_or_else(|| Failure::no_exchange(source))?;
        if !exchange.bind(binding.clone())? {
            return Ok(None);
        }
        let source = Arc::clone(&exchange.name);
        let definition = self.binding_definition(&source, &binding);
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
        Ok(definition.map(|definition| self.log(&Record::Defined(definition), true).position))
    }

    /// Takes a binding of a queue away. What does not exist is no error.
    ///
    /// # Errors
    /// 405 for the exclusive queue of another connection.
    pub(crate) fn unbind_queue(
        &mut self,
        session: SessionId,
        queue: &str,
        source: &str,
        key: &str,
        arguments: &FieldTable,
    ) -> Result<Option<u64>, Failure> {
        let queue = match self.usable_queue(session, queue) {
            Ok(queue) => queue.id,
            Err(failure) if failure.code == Code::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        };
        Ok(self.unbind(source, Destination::Queue(queue), key, arguments))
    }

    /// Takes a binding of an exchange away. What does not exist is no error.
    pub(crate) fn unbind_exchange(
        &mut self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: &FieldTable,
    ) -> Option<u64> {
        self.unbind(source, Destination::Exchange(destination.into()), key, arguments)
    }

    fn unbind(
        &mut self,
        source: &str,
        destination: Destination,
        key: &str,
        arguments: &FieldTable,
    ) -> Option<u64> {
        let binding = Binding {
            destination,
            key: key.into(),
            arguments: table_bytes(arguments).into(),
        };
        let source = Arc::clone(&self.exchanges.get(source)?.name);
        let definition = self.binding_definition(&source, &binding);
        if !self.unbind_one(&source, &binding) {
            return None;
        }
        match &binding.destination {
            Destination::Queue(queue) => {
                if let Some(queue) = self.queues.get_mut(queue) {
                    queue.bindings.remove(&(source, binding));
                }
            }
            Destination::Exchange(name) => {
                if let Some(exchange) = self.exchanges.get_mut(name) {
                    exchange.sources = exchange.sources.saturating_sub(1);
                }
            }
        }
        definition.map(|definition| self.log(&Record::Gone(definition), true).position)
    }

    /// Removes a binding from its source, and the source with it when it is auto-delete and this was the last.
    pub(super) fn unbind_one(&mut self, source: &Arc<str>, binding: &Binding) -> bool {
        let Some(exchange) = self.exchanges.get_mut(source) else {
            return false;
        };
        let was = exchange.unbind(binding);
        if was && exchange.auto_delete && exchange.bindings.is_empty() {
            self.remove_exchange(source);
        }
        was
    }

    /// The binding as the log knows it; none when one of its ends is not durable.
    pub(super) fn binding_definition(&self, source: &str, binding: &Binding) -> Option<Definition> {
        if !self.exchanges.get(source)?.durable {
            return None;
        }
        match &binding.destination {
            Destination::Queue(queue) => self
                .queues
                .get(queue)
                .filter(|queue| queue.logged())
                .map(|queue| Definition::QueueBinding {
                    source: source.to_owned(),
                    queue: queue.id,
                    key: binding.key.to_string(),
                    arguments: binding.arguments.to_vec(),
                }),
            Destination::Exchange(name) => {
                self.exchanges
                    .get(name)
                    .filter(|exchange| exchange.durable)
                    .map(|exchange| Definition::ExchangeBinding {
                        source: source.to_owned(),
                        destination: exchange.name.to_string(),
                        key: binding.key.to_string(),
                        arguments: binding.arguments.to_vec(),
                    })
            }
        }
    }
}

pub(super) fn exchange_definition(exchange: &Exchange) -> Definition {
    Definition::Exchange {
        name: exchange.name.to_string(),
        kind: exchange.kind.name().to_owned(),
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: exchange.arguments.clone(),
    }
}

pub(super) fn yes_no(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}
