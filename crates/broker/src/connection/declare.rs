//! The methods of the classes exchange and queue.

use amq_protocol::protocol::{AMQPClass, exchange, queue};
use uuid::Uuid;

use super::session::Session;
use crate::authority::{Access, Resource};
use crate::codec::short;
use crate::engine::{Declaration, Declared, Kind};
use crate::failure::{Code, Failure};

impl Session<'_> {
    pub(super) fn on_exchange(&mut self, number: u16, method: exchange::AMQPMethod) -> Result<(), Failure> {
        use exchange::AMQPMethod as M;
        let hub = self.hub;
        let (position, answer) = match method {
            M::Declare(declare) => {
                let name = declare.exchange.as_str();
                not_default(name)?;
                let position = if declare.passive {
                    self.permit(Access::Any, Resource::Exchange, name)?;
                    hub.with(|engine| engine.check_exchange(name))?;
                    None
                } else {
                    let kind = Kind::parse(declare.kind.as_str()).ok_or_else(|| {
                        Failure::connection(
                            Code::CommandInvalid,
                            format!("unknown exchange type '{}'", declare.kind),
                        )
                    })?;
                    self.permit(Access::Configure, Resource::Exchange, name)?;
                    let how = (declare.durable, declare.auto_delete, declare.internal);
                    hub.with(|engine| engine.declare_exchange(name, kind, how, &declare.arguments))?
                };
                let ok = M::DeclareOk(exchange::DeclareOk {});
                (position, (!declare.nowait).then_some(ok))
            }
            M::Delete(delete) => {
                let name = delete.exchange.as_str();
                not_default(name)?;
                self.permit(Access::Configure, Resource::Exchange, name)?;
                let position = hub.with(|engine| engine.delete_exchange(name, delete.if_unused))?;
                (
                    position,
                    (!delete.nowait).then_some(M::DeleteOk(exchange::DeleteOk {})),
                )
            }
            M::Bind(bind) => {
                let (destination, source, key) = (
                    bind.destination.as_str(),
                    bind.source.as_str(),
                    bind.routing_key.as_str(),
                );
                self.may_bind_exchange(destination, source)?;
                let position =
                    hub.with(|engine| engine.bind_exchange(destination, source, key, &bind.arguments))?;
                (position, (!bind.nowait).then_some(M::BindOk(exchange::BindOk {})))
            }
            M::Unbind(unbind) => {
                let (destination, source, key) = (
                    unbind.destination.as_str(),
                    unbind.source.as_str(),
                    unbind.routing_key.as_str(),
                );
                self.may_bind_exchange(destination, source)?;
                let position =
                    hub.with(|engine| engine.unbind_exchange(destination, source, key, &unbind.arguments));
                (
                    position,
                    (!unbind.nowait).then_some(M::UnbindOk(exchange::UnbindOk {})),
                )
            }
            _ => return Err(not_for_clients()),
        };
        if let Some(answer) = answer {
            self.answer_after(position, number, AMQPClass::Exchange(answer));
        }
        Ok(())
    }

    fn may_bind_exchange(&self, destination: &str, source: &str) -> Result<(), Failure> {
        not_default(destination)?;
        not_default(source)?;
        self.permit(Access::Write, Resource::Exchange, destination)?;
        self.permit(Access::Read, Resource::Exchange, source)
    }

    pub(super) fn on_queue(&mut self, number: u16, method: queue::AMQPMethod) -> Result<(), Failure> {
        use queue::AMQPMethod as M;
        let (hub, id, now) = (self.hub, self.id, self.hub.now());
        let (position, answer) = match method {
            M::Declare(declare) => return self.declare_queue(number, &declare),
            M::Bind(bind) => {
                let name = self.queue_name(number, bind.queue.as_str())?;
                self.may_bind(&name, bind.exchange.as_str())?;
                // As the specification says: no key given means the name of the queue, if that was not given either.
                let key = if bind.queue.as_str().is_empty() && bind.routing_key.as_str().is_empty() {
                    name.as_str()
                } else {
                    bind.routing_key.as_str()
                };
                let position = hub.with(|engine| {
                    engine.bind_queue(id, &name, bind.exchange.as_str(), key, &bind.arguments)
                })?;
                (position, (!bind.nowait).then_some(M::BindOk(queue::BindOk {})))
            }
            M::Unbind(unbind) => {
                let name = self.queue_name(number, unbind.queue.as_str())?;
                let (exchange, key) = (unbind.exchange.as_str(), unbind.routing_key.as_str());
                self.may_bind(&name, exchange)?;
                let position =
                    hub.with(|engine| engine.unbind_queue(id, &name, exchange, key, &unbind.arguments))?;
                (position, Some(M::UnbindOk(queue::UnbindOk {})))
            }
            M::Purge(purge) => {
                let name = self.queue_name(number, purge.queue.as_str())?;
                self.permit(Access::Read, Resource::Queue, &name)?;
                let count = hub.with(|engine| engine.purge(id, &name, now))?;
                let ok = queue::PurgeOk {
                    message_count: count_of(count),
                };
                (None, (!purge.nowait).then_some(M::PurgeOk(ok)))
            }
            M::Delete(delete) => {
                let name = self.queue_name(number, delete.queue.as_str())?;
                self.permit(Access::Configure, Resource::Queue, &name)?;
                let conditions = (delete.if_unused, delete.if_empty);
                let (count, position) = hub.with(|engine| engine.delete_queue(id, &name, conditions, now))?;
                let ok = queue::DeleteOk {
                    message_count: count_of(count),
                };
                (position, (!delete.nowait).then_some(M::DeleteOk(ok)))
            }
            _ => return Err(not_for_clients()),
        };
        if let Some(answer) = answer {
            self.answer_after(position, number, AMQPClass::Queue(answer));
        }
        Ok(())
    }

    fn declare_queue(&mut self, number: u16, declare: &queue::Declare) -> Result<(), Failure> {
        let (hub, id, now) = (self.hub, self.id, self.hub.now());
        let named_here = declare.queue.as_str().is_empty() && !declare.passive;
        let name = if named_here {
            format!("amq.gen-{}", Uuid::new_v4().simple())
        } else {
            self.queue_name(number, declare.queue.as_str())?
        };
        let declared: Declared = if declare.passive {
            self.permit(Access::Any, Resource::Queue, &name)?;
            hub.with(|engine| engine.look_at_queue(id, &name, now))?
        } else {
            self.permit(Access::Configure, Resource::Queue, &name)?;
            let wanted = Declaration {
                name: &name,
                named_here,
                durable: declare.durable,
                exclusive: declare.exclusive,
                auto_delete: declare.auto_delete,
                arguments: &declare.arguments,
            };
            hub.with(|engine| engine.declare_queue(id, &wanted, now))?
        };
        if !declare.nowait {
            let ok = queue::DeclareOk {
                queue: short(&name),
                message_count: count_of(declared.messages),
                consumer_count: count_of(declared.consumers),
            };
            let ok = AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok));
            self.answer_after(declared.position, number, ok);
        }
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.last_queue = Some(name);
        }
        Ok(())
    }

    fn may_bind(&self, queue: &str, exchange: &str) -> Result<(), Failure> {
        not_default(exchange)?;
        self.permit(Access::Write, Resource::Queue, queue)?;
        self.permit(Access::Read, Resource::Exchange, exchange)
    }

    /// The queue that is meant: an empty name is the one declared last on the channel.
    pub(super) fn queue_name(&self, number: u16, name: &str) -> Result<String, Failure> {
        if !name.is_empty() {
            return Ok(name.to_owned());
        }
        self.channels
            .get(&number)
            .and_then(|channel| channel.last_queue.clone())
            .ok_or_else(|| Failure::channel(Code::NotFound, "no previously declared queue"))
    }
}

fn not_default(exchange: &str) -> Result<(), Failure> {
    if exchange.is_empty() {
        return Err(Failure::channel(
            Code::AccessRefused,
            "operation not permitted on the default exchange",
        ));
    }
    Ok(())
}

pub(super) fn not_for_clients() -> Failure {
    Failure::connection(Code::CommandInvalid, "this method is not for clients to send")
}

fn count_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
