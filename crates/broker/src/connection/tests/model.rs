//! A broker as its clients understand it: no sockets, no disk, no order of turns.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{Answered, Illegal, Method, Step};

/// What a client is told because it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A method without anything to look at, by class and method.
    Plain(u16, u16),
    Declared {
        messages: usize,
        consumers: usize,
    },
    Purged(usize),
    Deleted(usize),
    Consuming(&'static str),
    Cancelled(&'static str),
    Got {
        tag: u64,
        redelivered: bool,
        number: u64,
        left: usize,
    },
    Returned(u64),
    Confirmed(u64),
    ChannelClosed(u16),
    ConnectionClosed(u16),
}

/// A message that was pushed to a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) client: usize,
    pub(super) channel: u16,
    pub(super) consumer: String,
    pub(super) tag: u64,
    pub(super) redelivered: bool,
    pub(super) number: u64,
}

/// What has to come of a step, beside deliveries.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// To the client that asked, in this order.
    pub(super) replies: Vec<Reply>,
    /// The last reply waits for the disk.
    pub(super) waits: bool,
    /// Consumers that are told that their queue is gone: client, channel, tag.
    pub(super) cancelled: BTreeSet<(usize, u16, &'static str)>,
}

/// A refusal, and whether it ends the connection.
type Refused = (bool, u16);

fn refused<T>(code: u16) -> Result<T, Refused> {
    Err((false, code))
}

#[derive(Clone, Debug)]
struct Consumer {
    id: u64,
    client: usize,
    channel: u16,
    tag: &'static str,
    no_ack: bool,
    exclusive: bool,
    prefetch: u16,
}

#[derive(Debug)]
pub(super) struct Queue {
    id: u64,
    pub(super) durable: bool,
    pub(super) owner: Option<usize>,
    auto_delete: bool,
    /// By number, and whether it was delivered before.
    pub(super) ready: BTreeMap<u64, bool>,
    consumers: Vec<Consumer>,
}

#[derive(Debug, Default)]
struct Exchange {
    kind: &'static str,
    durable: bool,
    auto_delete: bool,
    /// Queue and key.
    bindings: BTreeSet<(u64, &'static str)>,
}

#[derive(Clone, Copy, Debug)]
struct Unacked {
    queue: u64,
    number: u64,
    consumer: Option<u64>,
}

#[derive(Debug, Default)]
struct Channel {
    tag: u64,
    unacked: BTreeMap<u64, Unacked>,
    prefetch: u16,
    prefetch_all: u16,
    /// The number of the last publish that is to be confirmed.
    confirms: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) queues: BTreeMap<&'static str, Queue>,
    exchanges: BTreeMap<&'static str, Exchange>,
    clients: [BTreeMap<u16, Channel>; 2],
    /// The number of the last message, and of the last queue or consumer.
    pub(super) published: u64,
    made: u64,
    pub(super) persistent: BTreeSet<u64>,
}

impl Model {
    pub(super) fn new() -> Self {
        let fanout = Exchange {
            kind: "fanout",
            durable: true,
            ..Exchange::default()
        };
        Self {
            queues: BTreeMap::new(),
            exchanges: BTreeMap::from([("amq.fanout", fanout)]),
            clients: [BTreeMap::new(), BTreeMap::new()],
            published: 0,
            made: 0,
            persistent: BTreeSet::new(),
        }
    }

    pub(super) fn is_open(&self, client: usize, channel: u16) -> bool {
        self.clients[client].contains_key(&channel)
    }

    pub(super) fn exists(&self, exchange: &str) -> bool {
        self.exchanges.contains_key(exchange)
    }

    /// Tags that the channel may answer.
    pub(super) fn tags(&self, client: usize, channel: u16) -> Vec<u64> {
        let channel = self.clients[client].get(&channel);
        channel
            .map(|channel| channel.unacked.keys().copied().collect())
            .unwrap_or_default()
    }

    /// Does what a client asks; `tag` is the delivery tag that it means.
    pub(super) fn apply(&mut self, step: &Step, tag: u64) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err((ends_connection, code)) = self.try_apply(step, tag, &mut outcome) {
            outcome.waits = false;
            if ends_connection {
                outcome.replies.push(Reply::ConnectionClosed(code));
                self.close_client(step.client);
            } else {
                outcome.replies.push(Reply::ChannelClosed(code));
                self.close_channel(step.client, step.channel);
            }
        }
        outcome
    }

    fn try_apply(&mut self, step: &Step, tag: u64, outcome: &mut Outcome) -> Result<(), Refused> {
        let (client, number) = (step.client, step.channel);
        if let Method::CloseConnection = step.method {
            outcome.replies.push(Reply::Plain(10, 51));
            self.close_client(client);
            return Ok(());
        }
        if let Method::Open = step.method {
            if self.is_open(client, number) {
                return Err((true, 504));
            }
            self.clients[client].insert(number, Channel::default());
            outcome.replies.push(Reply::Plain(20, 11));
            return Ok(());
        }
        if !self.is_open(client, number) {
            return Err((true, 504));
        }
        let reply = match &step.method {
            Method::Close => {
                self.close_channel(client, number);
                Reply::Plain(20, 41)
            }
            Method::Illegal(what) => {
                let code = match what {
                    Illegal::Body | Illegal::Header | Illegal::MethodInContent | Illegal::LongBody => 505,
                    Illegal::Immediate | Illegal::Transaction => 540,
                };
                return Err((true, code));
            }
            Method::Declare { .. } | Method::Delete { .. } | Method::Purge { .. } => {
                self.on_queue(client, &step.method, outcome)?
            }
            Method::DeclareExchange { .. }
            | Method::DeleteExchange { .. }
            | Method::Bind { .. }
            | Method::Unbind { .. } => self.on_exchange(client, &step.method, outcome)?,
            Method::Publish {
                exchange,
                key,
                mandatory,
                persistent,
            } => {
                return self.publish(
                    (client, number),
                    exchange,
                    key,
                    (*mandatory, *persistent),
                    outcome,
                );
            }
            _ => return self.on_channel((client, number), &step.method, tag, outcome),
        };
        outcome.replies.push(reply);
        Ok(())
    }

    /// The queue of that name, if the client may use it.
    fn queue(&mut self, client: usize, name: &str) -> Result<&mut Queue, Refused> {
        match self.queues.get_mut(name) {
            None => refused(404),
            Some(queue) if queue.owner.is_some_and(|owner| owner != client) => refused(405),
            Some(queue) => Ok(queue),
        }
    }

    fn on_queue(&mut self, client: usize, method: &Method, outcome: &mut Outcome) -> Result<Reply, Refused> {
        Ok(match method {
            Method::Declare {
                queue,
                durable,
                exclusive,
                auto_delete,
                passive,
            } => {
                if self.queues.contains_key(queue) || *passive {
                    let there = self.queue(client, queue)?;
                    let same = (there.durable, there.owner.is_some(), there.auto_delete)
                        == (*durable, *exclusive, *auto_delete);
                    if !passive && !same {
                        return refused(406);
                    }
                    return Ok(Reply::Declared {
                        messages: there.ready.len(),
                        consumers: there.consumers.len(),
                    });
                }
                self.made += 1;
                let made = Queue {
                    id: self.made,
                    durable: *durable,
                    owner: exclusive.then_some(client),
                    auto_delete: *auto_delete,
                    ready: BTreeMap::new(),
                    consumers: Vec::new(),
                };
                self.queues.insert(queue, made);
                outcome.waits = *durable && !exclusive;
                Reply::Declared {
                    messages: 0,
                    consumers: 0,
                }
            }
            Method::Purge { queue } => {
                let ready = &mut self.queue(client, queue)?.ready;
                let count = ready.len();
                ready.clear();
                Reply::Purged(count)
            }
            Method::Delete {
                queue,
                if_unused,
                if_empty,
            } => {
                if !self.queues.contains_key(queue) {
                    return Ok(Reply::Deleted(0));
                }
                let there = self.queue(client, queue)?;
                if *if_unused && !there.consumers.is_empty() || *if_empty && !there.ready.is_empty() {
                    return refused(406);
                }
                let count = there.ready.len();
                outcome.cancelled = there
                    .consumers
                    .iter()
                    .map(|consumer| (consumer.client, consumer.channel, consumer.tag))
                    .collect();
                self.remove_queue(queue);
                Reply::Deleted(count)
            }
            _ => unreachable!("no method of class queue"),
        })
    }

    fn on_exchange(
        &mut self,
        client: usize,
        method: &Method,
        outcome: &mut Outcome,
    ) -> Result<Reply, Refused> {
        Ok(match method {
            Method::DeclareExchange {
                exchange,
                kind,
                durable,
                auto_delete,
                passive,
            } => {
                match self.exchanges.get(exchange) {
                    Some(_) if *passive => {}
                    None if *passive => return refused(404),
                    Some(there) => {
                        if (there.kind, there.durable, there.auto_delete) != (*kind, *durable, *auto_delete) {
                            return refused(406);
                        }
                    }
                    None => {
                        let made = Exchange {
                            kind,
                            durable: *durable,
                            auto_delete: *auto_delete,
                            bindings: BTreeSet::new(),
                        };
                        self.exchanges.insert(exchange, made);
                        outcome.waits = *durable;
                    }
                }
                Reply::Plain(40, 11)
            }
            Method::DeleteExchange { exchange, if_unused } => {
                if let Some(there) = self.exchanges.get(exchange) {
                    if exchange.starts_with("amq.") {
                        return refused(403);
                    }
                    if *if_unused && !there.bindings.is_empty() {
                        return refused(406);
                    }
                    self.exchanges.remove(exchange);
                }
                Reply::Plain(40, 21)
            }
            Method::Bind { queue, exchange, key } => {
                let there = self.queue(client, queue)?;
                let (id, logged) = (there.id, there.durable && there.owner.is_none());
                let Some(exchange) = self.exchanges.get_mut(exchange) else {
                    return refused(404);
                };
                outcome.waits = exchange.bindings.insert((id, key)) && logged && exchange.durable;
                Reply::Plain(50, 21)
            }
            Method::Unbind { queue, exchange, key } => {
                if self.queues.contains_key(queue) {
                    let id = self.queue(client, queue)?.id;
                    self.unbind(exchange, |binding| *binding == (id, *key));
                }
                Reply::Plain(50, 51)
            }
            _ => unreachable!("no method about bindings"),
        })
    }

    /// Takes bindings away, and the exchange with the last of them if it wants that.
    fn unbind(&mut self, name: &str, goes: impl Fn(&(u64, &'static str)) -> bool) {
        if let Some(exchange) = self.exchanges.get_mut(name) {
            let before = exchange.bindings.len();
            exchange.bindings.retain(|binding| !goes(binding));
            let was_last = before > 0 && exchange.bindings.is_empty();
            if was_last && exchange.auto_delete {
                self.exchanges.remove(name);
            }
        }
    }

    fn remove_queue(&mut self, name: &str) {
        if let Some(queue) = self.queues.remove(name) {
            let exchanges: Vec<&str> = self.exchanges.keys().copied().collect();
            for exchange in exchanges {
                self.unbind(exchange, |(id, _)| *id == queue.id);
            }
        }
    }

    fn publish(
        &mut self,
        (client, number): (usize, u16),
        exchange: &str,
        key: &str,
        (mandatory, persistent): (bool, bool),
        outcome: &mut Outcome,
    ) -> Result<(), Refused> {
        self.published += 1;
        let message = self.published;
        let ids: BTreeSet<u64> = if exchange.is_empty() {
            self.queues.get(key).map(|queue| queue.id).into_iter().collect()
        } else {
            let Some(exchange) = self.exchanges.get(exchange) else {
                return refused(404);
            };
            let wanted = exchange
                .bindings
                .iter()
                .filter(|(_, pattern)| match exchange.kind {
                    "fanout" => true,
                    "direct" => *pattern == key,
                    _ => matches(pattern, key),
                });
            wanted.map(|(id, _)| *id).collect()
        };
        if persistent {
            self.persistent.insert(message);
        }
        for queue in self.queues.values_mut().filter(|queue| ids.contains(&queue.id)) {
            queue.ready.insert(message, false);
            outcome.waits |= persistent && queue.durable && queue.owner.is_none();
        }
        if ids.is_empty() && mandatory {
            outcome.replies.push(Reply::Returned(message));
        }
        let channel = self.clients[client].get_mut(&number);
        if let Some(last) = channel.and_then(|channel| channel.confirms.as_mut()) {
            *last += 1;
            outcome.replies.push(Reply::Confirmed(*last));
        }
        Ok(())
    }

    fn on_channel(
        &mut self,
        (client, number): (usize, u16),
        method: &Method,
        tag: u64,
        outcome: &mut Outcome,
    ) -> Result<(), Refused> {
        let reply = match method {
            Method::Get { queue, no_ack } => {
                let there = self.queue(client, queue)?;
                if there.consumers.iter().any(|consumer| consumer.exclusive) {
                    return refused(403);
                }
                let id = there.id;
                match there.ready.pop_first() {
                    None => Reply::Plain(60, 72),
                    Some((message, redelivered)) => {
                        let left = there.ready.len();
                        let tag = self.give(client, number, (id, message), None, !no_ack);
                        Reply::Got {
                            tag,
                            redelivered,
                            number: message,
                            left,
                        }
                    }
                }
            }
            Method::Consume {
                queue,
                consumer,
                no_ack,
                exclusive,
            } => {
                self.queue(client, queue)?;
                let mut all = self.queues.values().flat_map(|queue| &queue.consumers);
                if all.any(|other| (other.client, other.channel, other.tag) == (client, number, *consumer)) {
                    return Err((true, 530));
                }
                self.made += 1;
                let made = Consumer {
                    id: self.made,
                    client,
                    channel: number,
                    tag: consumer,
                    no_ack: *no_ack,
                    exclusive: *exclusive,
                    prefetch: self.clients[client][&number].prefetch,
                };
                let there = self.queue(client, queue)?;
                if there.consumers.iter().any(|other| other.exclusive)
                    || *exclusive && !there.consumers.is_empty()
                {
                    return refused(403);
                }
                there.consumers.push(made);
                Reply::Consuming(consumer)
            }
            Method::Cancel { consumer } => {
                self.forget_consumers(|other| {
                    (other.client, other.channel, other.tag) == (client, number, *consumer)
                });
                Reply::Cancelled(consumer)
            }
            Method::Answer { multiple, how, .. } => {
                return self.answer((client, number), tag, *multiple, *how);
            }
            Method::Recover => {
                self.put_back_all(client, number);
                Reply::Plain(60, 111)
            }
            Method::Qos { count, global } => {
                let channel = self.clients[client].entry(number).or_default();
                if *global {
                    channel.prefetch_all = *count;
                } else {
                    channel.prefetch = *count;
                }
                Reply::Plain(60, 11)
            }
            Method::Select => {
                let channel = self.clients[client].entry(number).or_default();
                channel.confirms.get_or_insert(0);
                Reply::Plain(85, 11)
            }
            other => unreachable!("{other:?} is dealt with elsewhere"),
        };
        outcome.replies.push(reply);
        Ok(())
    }

    /// Hands a message out; returns its delivery tag.
    fn give(
        &mut self,
        client: usize,
        number: u16,
        (queue, message): (u64, u64),
        consumer: Option<u64>,
        kept: bool,
    ) -> u64 {
        let channel = self.clients[client].entry(number).or_default();
        channel.tag += 1;
        if kept {
            let unacked = Unacked {
                queue,
                number: message,
                consumer,
            };
            channel.unacked.insert(channel.tag, unacked);
        }
        channel.tag
    }

    fn answer(
        &mut self,
        (client, number): (usize, u16),
        tag: u64,
        multiple: bool,
        how: Answered,
    ) -> Result<(), Refused> {
        let channel = self.clients[client].entry(number).or_default();
        let multiple = multiple && !matches!(how, Answered::Reject(_));
        let tags: Vec<u64> = channel
            .unacked
            .keys()
            .copied()
            .filter(|other| *other == tag || multiple && (tag == 0 || *other < tag))
            .collect();
        let is_known = channel.unacked.contains_key(&tag)
            || multiple && (tag == 0 || tag <= channel.tag && !tags.is_empty());
        if !is_known {
            return refused(406);
        }
        let answered: Vec<Unacked> = tags
            .iter()
            .filter_map(|tag| channel.unacked.remove(tag))
            .collect();
        if matches!(how, Answered::Nack(true) | Answered::Reject(true)) {
            self.put_back(&answered);
        }
        Ok(())
    }

    fn put_back(&mut self, answered: &[Unacked]) {
        for unacked in answered {
            let queue = self.queues.values_mut().find(|queue| queue.id == unacked.queue);
            if let Some(queue) = queue {
                queue.ready.insert(unacked.number, true);
            }
        }
    }

    fn put_back_all(&mut self, client: usize, number: u16) {
        if let Some(channel) = self.clients[client].get_mut(&number) {
            let all: Vec<Unacked> = std::mem::take(&mut channel.unacked).into_values().collect();
            self.put_back(&all);
        }
    }

    fn forget_consumers(&mut self, goes: impl Fn(&Consumer) -> bool) {
        let mut unused = Vec::new();
        for (name, queue) in &mut self.queues {
            let before = queue.consumers.len();
            queue.consumers.retain(|consumer| !goes(consumer));
            let lost = queue.consumers.len() < before;
            if lost && queue.auto_delete && queue.consumers.is_empty() {
                unused.push(*name);
            }
        }
        for name in unused {
            self.remove_queue(name);
        }
    }

    fn close_channel(&mut self, client: usize, number: u16) {
        self.forget_consumers(|consumer| (consumer.client, consumer.channel) == (client, number));
        self.put_back_all(client, number);
        self.clients[client].remove(&number);
    }

    fn close_client(&mut self, client: usize) {
        self.forget_consumers(|consumer| consumer.client == client);
        let channels: Vec<u16> = self.clients[client].keys().copied().collect();
        for number in channels {
            self.close_channel(client, number);
        }
        let owned: Vec<&str> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.owner == Some(client))
            .map(|(name, _)| *name)
            .collect();
        for name in owned {
            self.remove_queue(name);
        }
    }

    /// Takes all deliveries of a step, those of a channel in the order in which it heard them.
    ///
    /// # Errors
    /// What is wrong with one: a consumer that there is not, or that has enough; a message out of turn; a wrong mark or tag. And
    /// what was not delivered though somebody waits for it.
    pub(super) fn take_deliveries(&mut self, deliveries: &[Delivery]) -> Result<(), String> {
        // Tags belong to channels, turns to queues: what several clients hear has no order between them.
        let mut tags: BTreeMap<(usize, u16), Vec<u64>> = BTreeMap::new();
        let mut by_queue = BTreeMap::new();
        for delivery in deliveries {
            let channel = (delivery.client, delivery.channel);
            tags.entry(channel).or_default().push(delivery.tag);
            let found = self.queues.iter().find_map(|(name, queue)| {
                let consumer = queue.consumers.iter().find(|consumer| {
                    (consumer.client, consumer.channel) == channel && consumer.tag == delivery.consumer
                });
                Some((*name, consumer?.clone()))
            });
            let (name, consumer) = found.ok_or_else(|| format!("nobody consumes as in {delivery:?}"))?;
            if by_queue
                .insert((name, delivery.number), (consumer, delivery))
                .is_some()
            {
                return Err(format!("delivered twice: {delivery:?}"));
            }
        }
        for ((client, number), tags) in tags {
            let last = self.clients[client].get(&number).map_or(0, |channel| channel.tag);
            let expected: Vec<u64> = (last + 1..).take(tags.len()).collect();
            if tags != expected {
                return Err(format!("tags {tags:?} on channel {number} after {last}"));
            }
        }
        for ((name, number), (consumer, delivery)) in by_queue {
            if !self.has_room(&consumer) {
                return Err(format!("too many for {consumer:?}: {delivery:?}"));
            }
            let queue = self.queues.get_mut(name);
            let (id, head) = queue.map_or((0, None), |queue| (queue.id, queue.ready.pop_first()));
            if head != Some((number, delivery.redelivered)) {
                return Err(format!("`{name}` has {head:?} at its head, not {delivery:?}"));
            }
            let channel = self.clients[delivery.client].entry(delivery.channel).or_default();
            channel.tag = channel.tag.max(delivery.tag);
            if !consumer.no_ack {
                let unacked = Unacked {
                    queue: id,
                    number,
                    consumer: Some(consumer.id),
                };
                channel.unacked.insert(delivery.tag, unacked);
            }
        }
        for (name, queue) in &self.queues {
            let waits = queue.consumers.iter().find(|consumer| self.has_room(consumer));
            if let Some(waits) = waits.filter(|_| !queue.ready.is_empty()) {
                return Err(format!(
                    "`{name}` keeps {:?} from {waits:?}",
                    queue.ready.keys().collect::<Vec<_>>()
                ));
            }
        }
        Ok(())
    }

    fn has_room(&self, consumer: &Consumer) -> bool {
        let Some(channel) = self.clients[consumer.client].get(&consumer.channel) else {
            return false;
        };
        let count = |is: &dyn Fn(Option<u64>) -> bool| {
            let unacked = channel.unacked.values();
            unacked.filter(|unacked| is(unacked.consumer)).count()
        };
        let own = count(&|other| other == Some(consumer.id));
        let all = count(&|other| other.is_some());
        consumer.no_ack
            || (consumer.prefetch == 0 || own < consumer.prefetch.into())
                && (channel.prefetch_all == 0 || all < channel.prefetch_all.into())
    }

    /// What a restart brings back: numbers by queue.
    pub(super) fn lasting(&self) -> BTreeMap<&'static str, Vec<u64>> {
        let queues = self.queues.iter();
        let lasting = queues.filter(|(_, queue)| queue.durable && queue.owner.is_none());
        lasting
            .map(|(name, queue)| {
                let channels = self.clients.iter().flat_map(BTreeMap::values);
                let unacked = channels.flat_map(|channel| channel.unacked.values());
                let out = unacked.filter(|unacked| unacked.queue == queue.id);
                let all: BTreeSet<u64> = queue
                    .ready
                    .keys()
                    .copied()
                    .chain(out.map(|unacked| unacked.number))
                    .collect();
                (*name, all.intersection(&self.persistent).copied().collect())
            })
            .collect()
    }
}

/// Whether a topic pattern matches a key.
fn matches(pattern: &str, key: &str) -> bool {
    fn words(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern, key) {
            ([], []) => true,
            (["#", rest @ ..], _) => {
                words(rest, key) || key.split_first().is_some_and(|(_, key)| words(pattern, key))
            }
            ([first, pattern @ ..], [word, key @ ..]) => {
                (*first == "*" || first == word) && words(pattern, key)
            }
            _ => false,
        }
    }
    words(
        &pattern.split('.').collect::<Vec<_>>(),
        &key.split('.').collect::<Vec<_>>(),
    )
}
