//! The methods of class basic.

use amq_protocol::protocol::{AMQPClass, basic};
use uuid::Uuid;

use super::content::{Assembly, Complete};
use super::declare::not_for_clients;
use super::session::Session;
use crate::authority::{Access, Resource};
use crate::codec::{Content, put_content, put_get_ok, put_return, short};
use crate::engine::{Answer, Publication};
use crate::failure::{Code, Failure};

/// The longest that a message may be told to wait, in milliseconds: RabbitMQ's bound.
const LONGEST_TTL: u64 = 315_360_000_000;

impl Session<'_> {
    pub(super) fn on_basic(&mut self, number: u16, method: basic::AMQPMethod) -> Result<(), Failure> {
        use basic::AMQPMethod as M;
        let (hub, id, now) = (self.hub, self.id, self.hub.now());
        match method {
            M::Publish(publish) => self.start_publish(number, publish),
            M::Ack(ack) => hub
                .with(|engine| engine.answer(id, number, ack.delivery_tag, ack.multiple, Answer::Drop, now)),
            M::Nack(nack) => {
                let answer = if nack.requeue {
                    Answer::PutBack
                } else {
                    Answer::Reject
                };
                hub.with(|engine| engine.answer(id, number, nack.delivery_tag, nack.multiple, answer, now))
            }
            M::Reject(reject) => {
                let answer = if reject.requeue {
                    Answer::PutBack
                } else {
                    Answer::Reject
                };
                hub.with(|engine| engine.answer(id, number, reject.delivery_tag, false, answer, now))
            }
            M::Get(get) => self.get(number, &get),
            M::Consume(consume) => self.consume(number, &consume),
            M::Cancel(cancel) => {
                hub.with(|engine| engine.cancel(id, number, cancel.consumer_tag.as_str(), now));
                // What was on its way goes before the answer; after it, nothing comes.
                self.read_letters(None, true);
                if !cancel.nowait {
                    let ok = basic::CancelOk {
                        consumer_tag: cancel.consumer_tag,
                    };
                    self.answer(number, AMQPClass::Basic(M::CancelOk(ok)));
                }
                Ok(())
            }
            M::Qos(qos) => {
                hub.with(|engine| engine.qos(id, number, qos.prefetch_count, qos.global, now))?;
                self.answer(number, AMQPClass::Basic(M::QosOk(basic::QosOk {})));
                Ok(())
            }
            M::Recover(basic::Recover { requeue: true }) => {
                hub.with(|engine| engine.recover(id, number, now))?;
                self.answer(number, AMQPClass::Basic(M::RecoverOk(basic::RecoverOk {})));
                Ok(())
            }
            M::RecoverAsync(basic::RecoverAsync { requeue: true }) => {
                hub.with(|engine| engine.recover(id, number, now))
            }
            M::Recover(_) | M::RecoverAsync(_) => Err(Failure::connection(
                Code::NotImplemented,
                "basic.recover without requeue is not supported",
            )),
            // A client that answers our notification of a cancel.
            M::CancelOk(_) => Ok(()),
            _ => Err(not_for_clients()),
        }
    }

    fn start_publish(&mut self, number: u16, publish: basic::Publish) -> Result<(), Failure> {
        if publish.immediate {
            return Err(Failure::connection(Code::NotImplemented, "immediate=true"));
        }
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.assembly = Some(Assembly::new(publish));
        }
        Ok(())
    }

    /// A message is here with all its content.
    pub(super) fn publish(&mut self, number: u16, complete: Complete) -> Result<(), Failure> {
        let Complete {
            publish,
            properties,
            raw,
            body,
        } = complete;
        let (exchange, key) = (publish.exchange.as_str(), publish.routing_key.as_str());
        self.permit(Access::Write, Resource::Exchange, exchange)?;
        let user = &self.agreed.user;
        self.agreed.permissions.check_topic(user, exchange, key)?;
        if let Some(claimed) = properties.user_id()
            && claimed.as_str() != user
        {
            return Err(Failure::channel(
                Code::PreconditionFailed,
                format!("user_id property set to '{claimed}' but authenticated user was '{user}'"),
            ));
        }
        let ttl = match properties.expiration() {
            None => None,
            Some(text) => match text.as_str().parse() {
                Ok(ttl) if ttl <= LONGEST_TTL => Some(ttl),
                _ => {
                    return Err(Failure::channel(
                        Code::PreconditionFailed,
                        format!("invalid expiration '{text}'"),
                    ));
                }
            },
        };
        let publication = Publication {
            exchange,
            key,
            headers: properties.headers().as_ref(),
            persistent: *properties.delivery_mode() == Some(2),
            ttl,
            properties: raw.clone(),
            body: body.clone(),
        };
        self.publishes = true;
        let now = self.hub.now();
        let published = self.hub.with(|engine| engine.publish(publication, now))?;
        self.ahead = self.ahead.max(published.position);
        if !published.routed && publish.mandatory {
            put_return(
                &mut self.out,
                number,
                Code::NoRoute as u16,
                "NO_ROUTE",
                exchange,
                key,
            );
            let content = Content {
                properties: &raw,
                body: &body,
            };
            put_content(&mut self.out, number, content, self.agreed.frame_max);
        }
        if let Some(confirms) = self
            .channels
            .get_mut(&number)
            .and_then(|channel| channel.confirms.as_mut())
        {
            confirms.published(published.position, !published.refused);
        }
        Ok(())
    }

    fn get(&mut self, number: u16, get: &basic::Get) -> Result<(), Failure> {
        let name = self.queue_name(number, get.queue.as_str())?;
        self.permit(Access::Read, Resource::Queue, &name)?;
        let (id, now) = (self.id, self.hub.now());
        match self
            .hub
            .with(|engine| engine.get(id, number, &name, get.no_ack, now))?
        {
            None => {
                let empty = basic::AMQPMethod::GetEmpty(basic::GetEmpty {});
                self.answer(number, AMQPClass::Basic(empty));
            }
            Some(got) => {
                let message = &got.message;
                put_get_ok(
                    &mut self.out,
                    number,
                    got.tag,
                    got.redelivered,
                    &message.exchange,
                    &message.key,
                    got.left,
                );
                let content = Content {
                    properties: &message.properties,
                    body: &got.body,
                };
                put_content(&mut self.out, number, content, self.agreed.frame_max);
            }
        }
        Ok(())
    }

    fn consume(&mut self, number: u16, consume: &basic::Consume) -> Result<(), Failure> {
        if consume.queue.as_str() == "amq.rabbitmq.reply-to" {
            return Err(Failure::connection(
                Code::NotImplemented,
                "direct reply-to is not supported",
            ));
        }
        let name = self.queue_name(number, consume.queue.as_str())?;
        self.permit(Access::Read, Resource::Queue, &name)?;
        let tag = match consume.consumer_tag.as_str() {
            "" => format!("amq.ctag-{}", Uuid::new_v4().simple()),
            tag => tag.to_owned(),
        };
        let (hub, id, now) = (self.hub, self.id, self.hub.now());
        let how = (consume.no_ack, consume.exclusive);
        hub.with(|engine| engine.consume(id, number, &name, &tag, how, &consume.arguments))?;
        if !consume.nowait {
            let ok = basic::ConsumeOk {
                consumer_tag: short(&tag),
            };
            self.answer(number, AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)));
        }
        hub.with(|engine| engine.start(&name, now));
        Ok(())
    }
}
