//! An open connection without its socket: frames go in, bytes come out.

use std::collections::HashMap;

use amq_protocol::protocol::{AMQPClass, access, basic, channel, confirm, connection};
use bytes::BytesMut;
use tokio::sync::mpsc;

use super::channel::{Channel, Confirmed, Confirms};
use super::content::{Assembly, unexpected};
use super::handshake::Agreed;
use crate::authority::{Access, Resource};
use crate::codec::{Content, Frame, put_ack, put_content, put_deliver, put_method, put_nack, short};
use crate::engine::{Effect, Engine, SessionId};
use crate::failure::{Code, Extent, Failure};
use crate::hub::{Alarm, Hub};

/// Bytes of output above which nothing more is read or delivered until the client reads.
const OUT_HIGH: usize = 256 * 1024;
/// Bytes that a publisher may be ahead of the disk.
const AHEAD: u64 = 8 * 1024 * 1024;

/// How far the connection is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// We sent a close and wait for the answer.
    Closing,
    /// Nothing more is read; what is written may still go out.
    Done,
}

pub(super) struct Session<'a> {
    pub(super) hub: &'a Hub,
    pub(super) id: SessionId,
    pub(super) agreed: Agreed,
    pub(super) channels: HashMap<u16, Channel>,
    /// Bytes for the client.
    pub(super) out: BytesMut,
    pub(super) phase: Phase,
    pub(super) letters: mpsc::UnboundedReceiver<Effect>,
    /// An answer that waits until the log is safe up to a position. Nothing is read meanwhile.
    held: Option<(u64, BytesMut)>,
    /// The log position of the last publish.
    pub(super) ahead: u64,
    /// It published; so it is one of those that wait when there are too many messages.
    pub(super) publishes: bool,
    told_blocked: bool,
    /// What the client wants to be known by from now on; to be checked.
    new_secret: Option<Vec<u8>>,
    /// Bytes of messages that are not complete.
    pub(super) assembling: usize,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        hub: &'a Hub,
        id: SessionId,
        agreed: Agreed,
        letters: mpsc::UnboundedReceiver<Effect>,
    ) -> Self {
        Self {
            hub,
            id,
            agreed,
            channels: HashMap::new(),
            out: BytesMut::new(),
            phase: Phase::Open,
            letters,
            held: None,
            ahead: 0,
            publishes: false,
            told_blocked: false,
            new_secret: None,
            assembling: 0,
        }
    }

    /// There is room for input: the client reads, the disk keeps up, memory is there.
    pub(super) fn may_read(&self, synced: u64) -> bool {
        match self.phase {
            Phase::Done => false,
            Phase::Closing => true,
            Phase::Open => {
                self.out.len() < OUT_HIGH
                    && self.held.is_none()
                    && !self.outruns(synced)
                    && !self.is_blocked()
            }
        }
    }

    /// We ourselves keep the client waiting; its silence means nothing.
    pub(super) fn keeps_waiting(&self, synced: u64) -> bool {
        self.held.is_some() || self.outruns(synced) || self.is_blocked()
    }

    fn outruns(&self, synced: u64) -> bool {
        self.ahead > synced.saturating_add(AHEAD)
    }

    fn is_blocked(&self) -> bool {
        self.publishes && self.hub.blocked.borrow().is_some()
    }

    /// Something waits for the log.
    pub(super) fn waits_for_log(&self, synced: u64) -> bool {
        self.held.is_some()
            || self.outruns(synced)
            || self
                .channels
                .values()
                .any(|channel| channel.confirms.as_ref().is_some_and(Confirms::waiting))
    }

    /// There is room for deliveries.
    pub(super) fn may_deliver(&self) -> bool {
        self.out.len() < OUT_HIGH && self.phase == Phase::Open
    }

    /// Sends what waited for the log.
    pub(super) fn settle(&mut self, synced: u64) {
        if self.phase != Phase::Open {
            return;
        }
        if let Some((_, answer)) = self.held.take_if(|(position, _)| *position <= synced) {
            self.out.unsplit(answer);
        }
        for (number, channel) in &mut self.channels {
            if channel.closing {
                continue;
            }
            while let Some(confirmed) = channel
                .confirms
                .as_mut()
                .and_then(|confirms| confirms.take(synced))
            {
                let Confirmed { tag, multiple, taken } = confirmed;
                if taken {
                    put_ack(&mut self.out, *number, tag, multiple);
                } else {
                    put_nack(&mut self.out, *number, tag, multiple);
                }
            }
        }
    }

    /// Tells a publisher that it is kept waiting, or no more.
    pub(super) fn tell_blocked(&mut self) {
        let alarm = *self.hub.blocked.borrow();
        let blocked = self.publishes && alarm.is_some();
        if self.phase != Phase::Open || blocked == self.told_blocked {
            return;
        }
        self.told_blocked = blocked;
        if self.agreed.blocked_notify {
            let method = if blocked {
                connection::AMQPMethod::Blocked(connection::Blocked {
                    reason: short(alarm.map(Alarm::reason).unwrap_or_default()),
                })
            } else {
                connection::AMQPMethod::Unblocked(connection::Unblocked {})
            };
            put_method(&mut self.out, 0, AMQPClass::Connection(method));
        }
    }

    /// Writes `first` and, while there is room, the other letters that are there.
    pub(super) fn read_letters(&mut self, first: Option<Effect>, all: bool) {
        let mut written = 0;
        let mut next = first;
        loop {
            if let Some(letter) = next.take().or_else(|| self.letters.try_recv().ok()) {
                written += self.put_letter(&letter);
            } else {
                break;
            }
            if !all && self.out.len() >= OUT_HIGH {
                break;
            }
        }
        if written > 0 {
            let (id, now) = (self.id, self.hub.now());
            self.hub.with(|engine| engine.drained(id, written, now));
        }
    }

    fn put_letter(&mut self, letter: &Effect) -> usize {
        let open = |channel: &u16| self.channels.get(channel).is_some_and(|channel| !channel.closing);
        match letter {
            Effect::Deliver {
                channel,
                consumer,
                tag,
                redelivered,
                message,
                body,
                ..
            } => {
                if open(channel) {
                    put_deliver(
                        &mut self.out,
                        *channel,
                        consumer,
                        *tag,
                        *redelivered,
                        &message.exchange,
                        &message.key,
                    );
                    let content = Content {
                        properties: &message.properties,
                        body,
                    };
                    put_content(&mut self.out, *channel, content, self.agreed.frame_max);
                }
                Engine::cost(body.len(), message.properties.len())
            }
            Effect::Cancelled {
                channel, consumer, ..
            } => {
                if open(channel) && self.agreed.cancel_notify {
                    let cancel = basic::Cancel {
                        consumer_tag: short(consumer),
                        nowait: true,
                    };
                    put_method(
                        &mut self.out,
                        *channel,
                        AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)),
                    );
                }
                0
            }
        }
    }

    /// Answers a method.
    pub(super) fn answer(&mut self, channel: u16, class: AMQPClass) {
        put_method(&mut self.out, channel, class);
    }

    /// Answers once the log is safe up to `position`.
    pub(super) fn answer_after(&mut self, position: Option<u64>, channel: u16, class: AMQPClass) {
        let Some(position) = position else {
            return self.answer(channel, class);
        };
        let mut answer = BytesMut::new();
        put_method(&mut answer, channel, class);
        self.held = Some((position, answer));
    }

    /// # Errors
    /// 403 that names the resource.
    pub(super) fn permit(&self, access: Access, resource: Resource, name: &str) -> Result<(), Failure> {
        self.agreed
            .permissions
            .check(&self.agreed.user, access, resource, name)
    }

    /// Checks a new secret, if the client has sent one: what it may do may have changed with it.
    pub(super) async fn renew_secret(&mut self) {
        let Some(secret) = self.new_secret.take() else {
            return;
        };
        let Agreed { user, vhost, .. } = &self.agreed;
        let authority = &self.hub.authority;
        let known = authority.authenticate(user, &secret).await;
        match known.and_then(|permissions| authority.enter(user, vhost, permissions)) {
            Some(permissions) => {
                self.agreed.permissions = permissions;
                let ok = connection::AMQPMethod::UpdateSecretOk(connection::UpdateSecretOk {});
                self.answer(0, AMQPClass::Connection(ok));
            }
            None => {
                tracing::warn!(user, "refused a new secret");
                let failure = Failure::connection(Code::NotAllowed, "New secret was refused");
                self.fail(&failure, (10, 70));
            }
        }
    }

    /// Tells the client why this is the end, and waits for its answer.
    pub(super) fn fail(&mut self, failure: &Failure, (class, method): (u16, u16)) {
        if self.phase != Phase::Open {
            return;
        }
        let failure = &failure.clone().in_vhost(&self.agreed.vhost);
        tracing::info!(user = self.agreed.user, %failure, "closed a connection");
        self.phase = Phase::Closing;
        self.channels.clear();
        self.hub.close_session(self.id);
        put_close(&mut self.out, failure, (class, method));
    }

    /// Takes one frame; what goes wrong is told to the client.
    pub(super) fn take(&mut self, frame: Frame) {
        let (number, about) = match &frame {
            Frame::Method(number, class) => {
                (*number, (class.get_amqp_class_id(), class.get_amqp_method_id()))
            }
            Frame::Header(number, _) | Frame::Body(number, _) => (*number, (60, 40)),
            Frame::Heartbeat => return,
        };
        if self.phase == Phase::Closing {
            let answered = AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}));
            match frame {
                Frame::Method(0, class) if class == answered => self.phase = Phase::Done,
                Frame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Close(_))) => {
                    put_method(&mut self.out, 0, answered);
                }
                _ => {}
            }
            return;
        }
        let taken = match frame {
            Frame::Method(0, AMQPClass::Connection(method)) => self.on_connection(&method),
            Frame::Method(number, AMQPClass::Connection(_)) => Err(Failure::connection(
                Code::CommandInvalid,
                format!("a method of class connection on channel {number}"),
            )),
            Frame::Method(0, _) | Frame::Header(0, _) | Frame::Body(0, _) => Err(Failure::connection(
                Code::ChannelError,
                "channel 0 takes methods of class connection only",
            )),
            Frame::Method(number, AMQPClass::Channel(channel::AMQPMethod::Open(_))) => {
                self.open_channel(number)
            }
            frame => self.on_channel(number, frame),
        };
        match taken {
            Ok(()) => {}
            Err(failure) if failure.extent == Extent::Channel => self.fail_channel(number, &failure, about),
            Err(failure) => self.fail(&failure, about),
        }
    }

    fn fail_channel(&mut self, number: u16, failure: &Failure, (class, method): (u16, u16)) {
        let failure = &failure.clone().in_vhost(&self.agreed.vhost);
        tracing::debug!(user = self.agreed.user, channel = number, %failure, "closed a channel");
        self.forget_channel(number, true);
        let close = channel::Close {
            reply_code: failure.code as u16,
            reply_text: short(&failure.to_string()),
            class_id: class,
            method_id: method,
        };
        self.answer(number, AMQPClass::Channel(channel::AMQPMethod::Close(close)));
    }

    /// Ends a channel here and in the engine. What was on its way to it is thrown away.
    fn forget_channel(&mut self, number: u16, closing: bool) {
        // Confirms that are due go out before the close.
        let synced = self.hub.synced.borrow().position;
        self.settle(synced);
        if let Some(channel) = self.channels.remove(&number) {
            self.assembling -= channel.assembly.as_ref().map_or(0, Assembly::held);
        }
        if closing {
            let channel = Channel {
                closing: true,
                ..Channel::default()
            };
            self.channels.insert(number, channel);
        }
        let (id, now) = (self.id, self.hub.now());
        self.hub.with(|engine| engine.close_channel(id, number, now));
        self.read_letters(None, true);
    }

    fn on_connection(&mut self, method: &connection::AMQPMethod) -> Result<(), Failure> {
        match method {
            connection::AMQPMethod::Close(_) => {
                let synced = self.hub.synced.borrow().position;
                self.settle(synced);
                let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
                self.answer(0, AMQPClass::Connection(ok));
                self.phase = Phase::Done;
                Ok(())
            }
            connection::AMQPMethod::CloseOk(_) => Ok(()),
            connection::AMQPMethod::UpdateSecret(update) => {
                self.new_secret = Some(update.new_secret.as_bytes().to_vec());
                Ok(())
            }
            _ => Err(Failure::connection(
                Code::CommandInvalid,
                "this method has no place in an open connection",
            )),
        }
    }

    fn open_channel(&mut self, number: u16) -> Result<(), Failure> {
        if self.channels.contains_key(&number) {
            return Err(Failure::connection(
                Code::ChannelError,
                format!("channel {number} is open already"),
            ));
        }
        if number > self.agreed.channel_max {
            return Err(Failure::connection(
                Code::NotAllowed,
                format!(
                    "channel {number} is above the negotiated channel_max of {}",
                    self.agreed.channel_max
                ),
            ));
        }
        let id = self.id;
        self.hub.with(|engine| engine.open_channel(id, number))?;
        self.channels.insert(number, Channel::default());
        self.answer(
            number,
            AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})),
        );
        Ok(())
    }

    fn on_channel(&mut self, number: u16, frame: Frame) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Err(Failure::connection(
                Code::ChannelError,
                format!("channel {number} is not open"),
            ));
        };
        if channel.closing {
            match frame {
                Frame::Method(_, AMQPClass::Channel(channel::AMQPMethod::CloseOk(_))) => {
                    self.channels.remove(&number);
                }
                Frame::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(_))) => {
                    let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
                    self.answer(number, AMQPClass::Channel(ok));
                }
                _ => {}
            }
            return Ok(());
        }
        match frame {
            Frame::Method(_, class) if channel.assembly.is_some() => {
                // A close is obeyed even here.
                if let AMQPClass::Channel(channel::AMQPMethod::Close(_)) = class {
                    return self.on_method(number, class);
                }
                Err(unexpected("expected the content of a message, got a method"))
            }
            Frame::Method(_, class) => self.on_method(number, class),
            Frame::Header(_, header) => {
                let assembly = channel
                    .assembly
                    .as_mut()
                    .ok_or_else(|| unexpected("a content header without a publish"))?;
                assembly.header(*header, self.hub.settings.max_body)?;
                let held = assembly.held();
                self.grown(number, held)
            }
            Frame::Body(_, part) => {
                let assembly = channel
                    .assembly
                    .as_mut()
                    .ok_or_else(|| unexpected("a body without a publish"))?;
                assembly.body(&part)?;
                self.grown(number, part.len())
            }
            Frame::Heartbeat => Ok(()),
        }
    }

    /// A message that is being received grew; it may be complete.
    fn grown(&mut self, number: u16, bytes: usize) -> Result<(), Failure> {
        self.assembling += bytes;
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        if let Some(assembly) = channel.assembly.take_if(|assembly| assembly.is_complete()) {
            self.assembling -= assembly.held();
            return match assembly.complete() {
                Some(complete) => self.publish(number, complete),
                None => Ok(()),
            };
        }
        let limit = usize::try_from(self.hub.settings.max_body.saturating_mul(2)).unwrap_or(usize::MAX);
        if self.assembling > limit.saturating_add(1024 * 1024) {
            return Err(Failure::connection(
                Code::ResourceError,
                "too many messages are being sent at the same time on different channels",
            ));
        }
        Ok(())
    }

    fn on_method(&mut self, number: u16, class: AMQPClass) -> Result<(), Failure> {
        match class {
            AMQPClass::Channel(method) => self.on_channel_method(number, &method),
            AMQPClass::Exchange(method) => self.on_exchange(number, method),
            AMQPClass::Queue(method) => self.on_queue(number, method),
            AMQPClass::Basic(method) => self.on_basic(number, method),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                if let Some(channel) = self.channels.get_mut(&number) {
                    channel.confirms.get_or_insert_default();
                }
                if !select.nowait {
                    let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
                    self.answer(number, AMQPClass::Confirm(ok));
                }
                Ok(())
            }
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                self.answer(number, AMQPClass::Access(ok));
                Ok(())
            }
            AMQPClass::Tx(_) => Err(Failure::connection(
                Code::NotImplemented,
                "transactions are not supported; use publisher confirms",
            )),
            // The codec lets nothing else pass.
            _ => Err(Failure::connection(
                Code::CommandInvalid,
                "this method is not for clients to send",
            )),
        }
    }

    fn on_channel_method(&mut self, number: u16, method: &channel::AMQPMethod) -> Result<(), Failure> {
        match method {
            channel::AMQPMethod::Close(_) => {
                self.forget_channel(number, false);
                let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
                self.answer(number, AMQPClass::Channel(ok));
                Ok(())
            }
            channel::AMQPMethod::Flow(flow) if flow.active => {
                let ok = channel::AMQPMethod::FlowOk(channel::FlowOk { active: true });
                self.answer(number, AMQPClass::Channel(ok));
                Ok(())
            }
            channel::AMQPMethod::Flow(_) => Err(Failure::connection(
                Code::NotImplemented,
                "stopping a channel with channel.flow is not supported; use basic.qos",
            )),
            _ => Ok(()),
        }
    }
}

/// `connection.close`.
pub(super) fn put_close(out: &mut BytesMut, failure: &Failure, (class, method): (u16, u16)) {
    let close = connection::Close {
        reply_code: failure.code as u16,
        reply_text: short(&failure.to_string()),
        class_id: class,
        method_id: method,
    };
    put_method(
        out,
        0,
        AMQPClass::Connection(connection::AMQPMethod::Close(close)),
    );
}
