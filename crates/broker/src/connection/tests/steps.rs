//! What clients do.

use proptest::prelude::*;
use proptest::sample::select;

pub(super) const QUEUES: [&str; 3] = ["one", "two", "three"];
const EXCHANGES: [&str; 3] = ["x", "y", "amq.fanout"];
const KEYS: [&str; 5] = ["a", "a.b", "a.*", "#", "one"];
const TAGS: [&str; 2] = ["first", "second"];

/// One thing that one client does on one channel.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) client: usize,
    pub(super) channel: u16,
    pub(super) method: Method,
    /// It is done as it is, though the channel is not open or the queue is not there.
    pub(super) blunt: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Answered {
    Ack,
    /// With whether it is to go back to the queue.
    Nack(bool),
    Reject(bool),
}

/// What no client may do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Illegal {
    /// A body without a publish.
    Body,
    /// A header without a publish.
    Header,
    /// A method where the header of a message is due.
    MethodInContent,
    /// More than the header announced.
    LongBody,
    Immediate,
    Transaction,
}

#[derive(Clone, Debug)]
pub(super) enum Method {
    Open,
    Close,
    CloseConnection,
    Declare {
        queue: &'static str,
        durable: bool,
        exclusive: bool,
        auto_delete: bool,
        passive: bool,
    },
    Delete {
        queue: &'static str,
        if_unused: bool,
        if_empty: bool,
    },
    Purge {
        queue: &'static str,
    },
    DeclareExchange {
        exchange: &'static str,
        kind: &'static str,
        durable: bool,
        auto_delete: bool,
        passive: bool,
    },
    DeleteExchange {
        exchange: &'static str,
        if_unused: bool,
    },
    Bind {
        queue: &'static str,
        exchange: &'static str,
        key: &'static str,
    },
    Unbind {
        queue: &'static str,
        exchange: &'static str,
        key: &'static str,
    },
    Publish {
        exchange: &'static str,
        key: &'static str,
        mandatory: bool,
        persistent: bool,
    },
    Select,
    Consume {
        queue: &'static str,
        consumer: &'static str,
        no_ack: bool,
        exclusive: bool,
    },
    Cancel {
        consumer: &'static str,
    },
    Get {
        queue: &'static str,
        no_ack: bool,
    },
    Answer {
        /// Which of the tags that are out, as a part of them of 65,536; none for one that is not.
        which: Option<u16>,
        multiple: bool,
        how: Answered,
    },
    Recover,
    Qos {
        count: u16,
        global: bool,
    },
    Illegal(Illegal),
}

impl Method {
    /// The queue and the exchange that have to be there.
    pub(super) fn wants(&self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Bind { queue, exchange, .. } => (Some(queue), Some(exchange)),
            Self::Purge { queue } | Self::Consume { queue, .. } | Self::Get { queue, .. } => {
                (Some(queue), None)
            }
            Self::Publish {
                exchange: "", key, ..
            } => (QUEUES.iter().find(|queue| *queue == key).copied(), None),
            Self::Publish { exchange, .. } => (None, Some(exchange)),
            _ => (None, None),
        }
    }
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}

fn method() -> impl Strategy<Value = Method> {
    // Most of it happens in one place, so that what happens there has to do with each other.
    let queue = || prop_oneof![3 => Just(QUEUES[0]), 1 => select(&QUEUES[1..])];
    let exchange = || select(&EXCHANGES[..]);
    let key = || select(&KEYS[..]);
    let tag = || prop_oneof![3 => Just(TAGS[0]), 1 => Just(TAGS[1])];
    let persistent = || any::<bool>();
    let how = prop_oneof![
        3 => Just(Answered::Ack),
        2 => any::<bool>().prop_map(Answered::Nack),
        1 => any::<bool>().prop_map(Answered::Reject),
    ];
    let illegal = select(vec![
        Illegal::Body,
        Illegal::Header,
        Illegal::MethodInContent,
        Illegal::LongBody,
        Illegal::Immediate,
        Illegal::Transaction,
    ]);
    prop_oneof![
        1 => Just(Method::Open),
        2 => Just(Method::Close),
        1 => Just(Method::CloseConnection),
        3 => (queue(), any::<bool>(), rarely(), rarely(), rarely()).prop_map(
            |(queue, durable, exclusive, auto_delete, passive)| Method::Declare {
                queue, durable, exclusive, auto_delete, passive
            }
        ),
        1 => (queue(), any::<bool>(), any::<bool>())
            .prop_map(|(queue, if_unused, if_empty)| Method::Delete { queue, if_unused, if_empty }),
        1 => queue().prop_map(|queue| Method::Purge { queue }),
        2 => (exchange(), select(vec!["direct", "fanout", "topic"]), any::<bool>(), rarely(), rarely()).prop_map(
            |(exchange, kind, durable, auto_delete, passive)| Method::DeclareExchange {
                exchange, kind, durable, auto_delete, passive
            }
        ),
        1 => (exchange(), any::<bool>())
            .prop_map(|(exchange, if_unused)| Method::DeleteExchange { exchange, if_unused }),
        4 => (queue(), exchange(), key()).prop_map(|(queue, exchange, key)| Method::Bind { queue, exchange, key }),
        1 => (queue(), exchange(), key())
            .prop_map(|(queue, exchange, key)| Method::Unbind { queue, exchange, key }),
        8 => (queue(), any::<bool>(), persistent()).prop_map(|(key, mandatory, persistent)| Method::Publish {
            exchange: "", key, mandatory, persistent
        }),
        6 => (exchange(), key(), any::<bool>(), persistent()).prop_map(
            |(exchange, key, mandatory, persistent)| Method::Publish { exchange, key, mandatory, persistent }
        ),
        2 => Just(Method::Select),
        6 => (queue(), tag(), rarely(), rarely()).prop_map(
            |(queue, consumer, no_ack, exclusive)| Method::Consume { queue, consumer, no_ack, exclusive }
        ),
        2 => tag().prop_map(|consumer| Method::Cancel { consumer }),
        4 => (queue(), rarely()).prop_map(|(queue, no_ack)| Method::Get { queue, no_ack }),
        10 => (prop::option::weighted(0.9, any::<u16>()), any::<bool>(), how)
            .prop_map(|(which, multiple, how)| Method::Answer { which, multiple, how }),
        1 => Just(Method::Recover),
        3 => (0u16..4, any::<bool>()).prop_map(|(count, global)| Method::Qos { count, global }),
        1 => illegal.prop_map(Method::Illegal),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let client = prop_oneof![3 => Just(0), 1 => Just(1)];
    let channel = prop_oneof![4 => Just(1), 1 => Just(2)];
    (client, channel, method(), prop::bool::weighted(0.05)).prop_map(|(client, channel, method, blunt)| {
        Step {
            client,
            channel,
            method,
            blunt,
        }
    })
}
