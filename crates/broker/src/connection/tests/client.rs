//! A client of a session, without a socket.

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue, tx};
use amq_protocol::types::FieldTable;
use bytes::{Buf, Bytes};

use super::model::{Delivery, Reply};
use super::steps::{Answered, Illegal, Method, Step};
use crate::authority::Permissions;
use crate::codec::{ContentHeader, FRAME_MAX, Frame, short};
use crate::connection::handshake::Agreed;
use crate::connection::session::{Phase, Session};
use crate::hub::Hub;

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Reply(Reply),
    Delivery(Delivery),
    /// The queue of this consumer is gone.
    Cancelled(u16, String),
}

pub(super) struct Client<'a> {
    hub: &'a Hub,
    session: Session<'a>,
}

fn session(hub: &Hub) -> Session<'_> {
    let (id, letters) = hub.open_session();
    let agreed = Agreed {
        vhost: "/".to_owned(),
        user: "guest".to_owned(),
        permissions: Permissions::everything(),
        channel_max: 8,
        frame_max: FRAME_MAX,
        heartbeat: None,
        cancel_notify: true,
        blocked_notify: true,
    };
    Session::new(hub, id, agreed, letters)
}

impl<'a> Client<'a> {
    pub(super) fn new(hub: &'a Hub) -> Self {
        Self {
            hub,
            session: session(hub),
        }
    }

    fn method(&mut self, channel: u16, class: AMQPClass) {
        self.session.take(Frame::Method(channel, class));
    }

    /// Agrees that a channel is closed.
    pub(super) fn agree(&mut self, channel: u16) {
        let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
        self.method(channel, AMQPClass::Channel(ok));
    }

    /// Agrees that the connection is closed, and opens another one.
    pub(super) fn reconnect(&mut self) {
        if self.session.phase == Phase::Closing {
            let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
            self.method(0, AMQPClass::Connection(ok));
        }
        assert_eq!(self.session.phase, Phase::Done);
        self.session = session(self.hub);
    }

    /// Lets the disk be safe, and takes what others have sent.
    pub(super) fn settle(&mut self) {
        self.session.settle(u64::MAX);
        if self.session.may_deliver() {
            self.session.read_letters(None, false);
        }
        if self.session.phase == Phase::Done {
            // As the socket's side does it at the end.
            self.hub.close_session(self.session.id);
        }
    }

    /// Sends what a step is; `tag` is the delivery tag that it means, `number` what a message of it holds.
    pub(super) fn send(&mut self, step: &Step, tag: u64, number: u64) {
        let on = step.channel;
        match &step.method {
            Method::CloseConnection => {
                let close = connection::Close {
                    reply_code: 200,
                    reply_text: "bye".into(),
                    class_id: 0,
                    method_id: 0,
                };
                self.method(0, AMQPClass::Connection(connection::AMQPMethod::Close(close)));
            }
            Method::Publish {
                exchange,
                key,
                mandatory,
                persistent,
            } => {
                self.publish(on, exchange, key, (*mandatory, false));
                self.content(on, *persistent, 8);
                self.session.take(Frame::Body(
                    on,
                    Bytes::copy_from_slice(&number.to_be_bytes()[..3]),
                ));
                self.session.take(Frame::Body(
                    on,
                    Bytes::copy_from_slice(&number.to_be_bytes()[3..]),
                ));
            }
            Method::Illegal(what) => self.illegal(on, *what),
            method => self.method(on, class(method, tag)),
        }
    }

    fn publish(&mut self, on: u16, exchange: &str, key: &str, (mandatory, immediate): (bool, bool)) {
        let publish = basic::Publish {
            exchange: short(exchange),
            routing_key: short(key),
            mandatory,
            immediate,
        };
        self.method(on, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
    }

    fn content(&mut self, on: u16, persistent: bool, size: u64) {
        let mut properties = AMQPProperties::default();
        let mut raw = vec![0, 0];
        if persistent {
            properties = properties.with_delivery_mode(2);
            raw = vec![0x10, 0, 2];
        }
        let header = ContentHeader {
            class: 60,
            size,
            properties,
            raw: raw.into(),
        };
        self.session.take(Frame::Header(on, Box::new(header)));
    }

    fn illegal(&mut self, on: u16, what: Illegal) {
        let body = || Frame::Body(on, Bytes::from_static(b"body"));
        match what {
            Illegal::Body => self.session.take(body()),
            Illegal::Header => self.content(on, false, 8),
            Illegal::MethodInContent => {
                self.publish(on, "", "one", (false, false));
                let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
                self.method(on, AMQPClass::Confirm(select));
            }
            Illegal::LongBody => {
                self.publish(on, "", "one", (false, false));
                self.content(on, false, 3);
                self.session.take(body());
            }
            Illegal::Immediate => self.publish(on, "", "one", (false, true)),
            Illegal::Transaction => {
                let select = tx::AMQPMethod::Select(tx::Select {});
                self.method(on, AMQPClass::Tx(select));
            }
        }
    }

    /// Everything that was said since.
    pub(super) fn hear(&mut self) -> Vec<Heard> {
        let bytes = std::mem::take(&mut self.session.out).freeze();
        let mut rest = &bytes[..];
        let mut heard = Vec::new();
        while rest.has_remaining() {
            let (after, frame) = parse_frame(rest).unwrap();
            rest = after;
            let AMQPFrame::Method(channel, class) = frame else {
                panic!("{frame:?} instead of a method");
            };
            let mut number = || {
                let (after, header) = parse_frame(rest).unwrap();
                let AMQPFrame::Header(of, header) = header else {
                    panic!("{header:?} instead of a header");
                };
                let (after, body) = parse_frame(after).unwrap();
                let AMQPFrame::Body(body_of, body) = body else {
                    panic!("{body:?} instead of a body");
                };
                assert_eq!((of, body_of, header.body_size), (channel, channel, 8));
                rest = after;
                u64::from_be_bytes(body.as_slice().try_into().unwrap())
            };
            heard.push(match class {
                AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) => Heard::Delivery(Delivery {
                    client: 0,
                    channel,
                    consumer: deliver.consumer_tag.to_string(),
                    tag: deliver.delivery_tag,
                    redelivered: deliver.redelivered,
                    number: number(),
                }),
                AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
                    Heard::Cancelled(channel, cancel.consumer_tag.to_string())
                }
                AMQPClass::Basic(basic::AMQPMethod::GetOk(got)) => Heard::Reply(Reply::Got {
                    tag: got.delivery_tag,
                    redelivered: got.redelivered,
                    number: number(),
                    left: got.message_count as usize,
                }),
                AMQPClass::Basic(basic::AMQPMethod::Return(returned)) => {
                    assert_eq!(returned.reply_code, 312);
                    Heard::Reply(Reply::Returned(number()))
                }
                other => Heard::Reply(reply(&other)),
            });
        }
        heard
    }
}

/// The tag, as the constant that it is in the steps.
fn known(tag: &str) -> &'static str {
    match tag {
        "first" => "first",
        "second" => "second",
        other => panic!("`{other}` is no consumer of ours"),
    }
}

fn reply(class: &AMQPClass) -> Reply {
    match class {
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => Reply::Declared {
            messages: ok.message_count as usize,
            consumers: ok.consumer_count as usize,
        },
        AMQPClass::Queue(queue::AMQPMethod::PurgeOk(ok)) => Reply::Purged(ok.message_count as usize),
        AMQPClass::Queue(queue::AMQPMethod::DeleteOk(ok)) => Reply::Deleted(ok.message_count as usize),
        AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)) => {
            Reply::Consuming(known(ok.consumer_tag.as_str()))
        }
        AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok)) => {
            Reply::Cancelled(known(ok.consumer_tag.as_str()))
        }
        AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => {
            assert!(!ack.multiple, "one publish, one confirm");
            Reply::Confirmed(ack.delivery_tag)
        }
        AMQPClass::Channel(channel::AMQPMethod::Close(close)) => Reply::ChannelClosed(close.reply_code),
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
            Reply::ConnectionClosed(close.reply_code)
        }
        other => Reply::Plain(other.get_amqp_class_id(), other.get_amqp_method_id()),
    }
}

/// The methods that are nothing but a method.
fn class(method: &Method, tag: u64) -> AMQPClass {
    let none = FieldTable::default;
    match method {
        Method::Open => AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
        Method::Close => AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
            reply_code: 200,
            reply_text: "bye".into(),
            class_id: 0,
            method_id: 0,
        })),
        Method::Declare {
            queue,
            durable,
            exclusive,
            auto_delete,
            passive,
        } => AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
            queue: short(queue),
            passive: *passive,
            durable: *durable,
            exclusive: *exclusive,
            auto_delete: *auto_delete,
            nowait: false,
            arguments: none(),
        })),
        Method::Delete {
            queue,
            if_unused,
            if_empty,
        } => AMQPClass::Queue(queue::AMQPMethod::Delete(queue::Delete {
            queue: short(queue),
            if_unused: *if_unused,
            if_empty: *if_empty,
            nowait: false,
        })),
        Method::Purge { queue } => AMQPClass::Queue(queue::AMQPMethod::Purge(queue::Purge {
            queue: short(queue),
            nowait: false,
        })),
        Method::Bind { queue, exchange, key } => AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
            queue: short(queue),
            exchange: short(exchange),
            routing_key: short(key),
            nowait: false,
            arguments: none(),
        })),
        Method::Unbind { queue, exchange, key } => {
            AMQPClass::Queue(queue::AMQPMethod::Unbind(queue::Unbind {
                queue: short(queue),
                exchange: short(exchange),
                routing_key: short(key),
                arguments: none(),
            }))
        }
        Method::DeclareExchange {
            exchange,
            kind,
            durable,
            auto_delete,
            passive,
        } => AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
            exchange: short(exchange),
            kind: short(kind),
            passive: *passive,
            durable: *durable,
            auto_delete: *auto_delete,
            internal: false,
            nowait: false,
            arguments: none(),
        })),
        Method::DeleteExchange { exchange, if_unused } => {
            AMQPClass::Exchange(exchange::AMQPMethod::Delete(exchange::Delete {
                exchange: short(exchange),
                if_unused: *if_unused,
                nowait: false,
            }))
        }
        Method::Select => AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false })),
        method => AMQPClass::Basic(basic_method(method, tag)),
    }
}

fn basic_method(method: &Method, tag: u64) -> basic::AMQPMethod {
    match method {
        Method::Consume {
            queue,
            consumer,
            no_ack,
            exclusive,
        } => basic::AMQPMethod::Consume(basic::Consume {
            queue: short(queue),
            consumer_tag: short(consumer),
            no_local: false,
            no_ack: *no_ack,
            exclusive: *exclusive,
            nowait: false,
            arguments: FieldTable::default(),
        }),
        Method::Cancel { consumer } => basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: short(consumer),
            nowait: false,
        }),
        Method::Get { queue, no_ack } => basic::AMQPMethod::Get(basic::Get {
            queue: short(queue),
            no_ack: *no_ack,
        }),
        Method::Answer { multiple, how, .. } => match how {
            Answered::Ack => basic::AMQPMethod::Ack(basic::Ack {
                delivery_tag: tag,
                multiple: *multiple,
            }),
            Answered::Nack(requeue) => basic::AMQPMethod::Nack(basic::Nack {
                delivery_tag: tag,
                multiple: *multiple,
                requeue: *requeue,
            }),
            Answered::Reject(requeue) => basic::AMQPMethod::Reject(basic::Reject {
                delivery_tag: tag,
                requeue: *requeue,
            }),
        },
        Method::Recover => basic::AMQPMethod::Recover(basic::Recover { requeue: true }),
        Method::Qos { count, global } => basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count: *count,
            global: *global,
        }),
        other => unreachable!("{other:?} is sent elsewhere"),
    }
}
