//! The `x-` arguments: those that are understood, those that would change the meaning and must be refused.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};

use super::headers::integer;
use crate::failure::{Code, Failure};

/// What happens to messages for which a queue has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The oldest one goes.
    #[default]
    DropHead,
    /// The new one is refused, and its publisher told so.
    RejectPublish,
    /// As `RejectPublish`, and the new one is dead-lettered.
    RejectPublishDlx,
}

impl Overflow {
    fn name(self) -> &'static str {
        match self {
            Self::DropHead => "drop-head",
            Self::RejectPublish => "reject-publish",
            Self::RejectPublishDlx => "reject-publish-dlx",
        }
    }
}

/// Where messages go that a queue gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    /// Empty for the default exchange.
    pub(crate) exchange: Arc<str>,
    /// Their own when there is none.
    pub(crate) key: Option<Arc<str>>,
}

/// What the arguments of a queue ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueOptions {
    /// Milliseconds after which the unused queue is deleted.
    pub(crate) expires: Option<u64>,
    /// Milliseconds that a message may wait.
    pub(crate) message_ttl: Option<u64>,
    /// Most messages that wait.
    pub(crate) max_length: Option<u64>,
    /// Most bytes of their bodies.
    pub(crate) max_length_bytes: Option<u64>,
    pub(crate) overflow: Option<Overflow>,
    pub(crate) dead_letter: Option<DeadLetter>,
    /// One consumer gets everything until it goes.
    pub(crate) single_active: bool,
    /// Declared as a quorum queue: on one broker, a durable queue like any other.
    pub(crate) quorum: bool,
}

/// Arguments of RabbitMQ's queues that change what a client can rely on, and are not supported here.
const REFUSED: [&str; 6] = [
    "x-consumer-timeout",
    "x-delivery-limit",
    "x-max-age",
    "x-max-priority",
    "x-stream-filter-size-bytes",
    "x-stream-max-segment-size-bytes",
];

impl QueueOptions {
    /// Unknown arguments are accepted and ignored, as RabbitMQ does.
    ///
    /// # Errors
    /// 406 for values that are wrong, and for arguments that are known but not supported.
    pub(crate) fn parse(arguments: &FieldTable) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut dead_key = None;
        let mut dead_exchange = None;
        for (name, value) in arguments {
            let name = name.as_str();
            match name {
                "x-expires" => options.expires = Some(milliseconds(name, value, 1)?),
                "x-message-ttl" => options.message_ttl = Some(milliseconds(name, value, 0)?),
                "x-max-length" => options.max_length = Some(count(name, value)?),
                "x-max-length-bytes" => options.max_length_bytes = Some(count(name, value)?),
                "x-overflow" => {
                    options.overflow = Some(match text(name, value)? {
                        "drop-head" => Overflow::DropHead,
                        "reject-publish" => Overflow::RejectPublish,
                        "reject-publish-dlx" => Overflow::RejectPublishDlx,
                        other => {
                            return Err(refused(&format!("invalid arg '{name}': unknown value '{other}'")));
                        }
                    });
                }
                "x-dead-letter-exchange" => dead_exchange = Some(text(name, value)?),
                "x-dead-letter-routing-key" => dead_key = Some(text(name, value)?),
                "x-single-active-consumer" => match value {
                    AMQPValue::Boolean(is) => options.single_active = *is,
                    _ => {
                        return Err(refused(&format!(
                            "invalid arg '{name}': it must be true or false"
                        )));
                    }
                },
                "x-queue-type" => match text(name, value)? {
                    "classic" => {}
                    "quorum" => options.quorum = true,
                    other => {
                        return Err(refused(&format!(
                            "invalid arg '{name}': queues of type '{other}' are not supported"
                        )));
                    }
                },
                name if REFUSED.contains(&name) => {
                    return Err(refused(&format!("invalid arg '{name}': it is not supported")));
                }
                _ => {}
            }
        }
        options.dead_letter = match (dead_exchange, dead_key) {
            (Some(exchange), key) => Some(DeadLetter {
                exchange: exchange.into(),
                key: key.map(Arc::from),
            }),
            (None, Some(_)) => {
                return Err(refused(
                    "invalid arg 'x-dead-letter-routing-key': there is no x-dead-letter-exchange",
                ));
            }
            (None, None) => None,
        };
        Ok(options)
    }

    /// The arguments that must be the same when the queue is declared again: name and value, empty for none.
    pub(crate) fn compared(&self) -> [(&'static str, String); 9] {
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let dead = self.dead_letter.as_ref();
        let yes = |is: bool| if is { "true".to_owned() } else { String::new() };
        let dead_key = dead.and_then(|dead| dead.key.as_deref());
        [
            ("x-expires", number(self.expires)),
            ("x-message-ttl", number(self.message_ttl)),
            ("x-max-length", number(self.max_length)),
            ("x-max-length-bytes", number(self.max_length_bytes)),
            (
                "x-overflow",
                self.overflow.map(Overflow::name).unwrap_or_default().to_owned(),
            ),
            // The default exchange has an empty name, which is not the same as none.
            (
                "x-dead-letter-exchange",
                dead.map(|dead| format!("'{}'", dead.exchange))
                    .unwrap_or_default(),
            ),
            (
                "x-dead-letter-routing-key",
                dead_key.map(|key| format!("'{key}'")).unwrap_or_default(),
            ),
            ("x-single-active-consumer", yes(self.single_active)),
            (
                "x-queue-type",
                if self.quorum { "quorum" } else { "classic" }.to_owned(),
            ),
        ]
    }
}

/// The exchange that takes what an exchange finds no way for.
///
/// # Errors
/// 406 when the argument is no text.
pub(super) fn alternate(arguments: &FieldTable) -> Result<Option<&str>, Failure> {
    let value = arguments.inner().get("alternate-exchange");
    value.map(|value| text("alternate-exchange", value)).transpose()
}

/// The priority of a consumer; 0 when none is given.
///
/// # Errors
/// 406 for one that is no number, and for arguments of streams, which are not supported.
pub(super) fn priority(arguments: &FieldTable) -> Result<i64, Failure> {
    for name in ["x-stream-offset", "x-stream-filter"] {
        if arguments.contains_key(name) {
            return Err(refused(&format!("invalid arg '{name}': it is not supported")));
        }
    }
    match arguments.inner().get("x-priority") {
        None => Ok(0),
        Some(value) => {
            integer(value).ok_or_else(|| refused("invalid arg 'x-priority': it must be a whole number"))
        }
    }
}

fn count(name: &str, value: &AMQPValue) -> Result<u64, Failure> {
    integer(value)
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| {
            refused(&format!(
                "invalid arg '{name}': it must be a whole number of at least 0"
            ))
        })
}

fn text<'a>(name: &str, value: &'a AMQPValue) -> Result<&'a str, Failure> {
    let bytes = match value {
        AMQPValue::LongString(text) => text.as_bytes(),
        AMQPValue::ShortString(text) => text.as_str().as_bytes(),
        _ => return Err(refused(&format!("invalid arg '{name}': it must be text"))),
    };
    std::str::from_utf8(bytes).map_err(|_| refused(&format!("invalid arg '{name}': it is not UTF-8")))
}

fn milliseconds(name: &str, value: &AMQPValue, least: i64) -> Result<u64, Failure> {
    // RabbitMQ's bound; it keeps every deadline far from overflow.
    const MOST: i64 = 315_360_000_000;
    match integer(value) {
        Some(number) if (least..=MOST).contains(&number) => Ok(number.unsigned_abs()),
        Some(number) => Err(refused(&format!(
            "invalid arg '{name}': {number} is out of range"
        ))),
        None => Err(refused(&format!(
            "invalid arg '{name}': it must be a whole number"
        ))),
    }
}

fn refused(text: &str) -> Failure {
    Failure::channel(Code::PreconditionFailed, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: AMQPValue) -> Result<QueueOptions, Code> {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        QueueOptions::parse(&table).map_err(|failure| failure.code)
    }

    #[test]
    fn arguments_are_understood_refused_or_unknown() {
        assert_eq!(
            parse("x-expires", AMQPValue::LongInt(5)).unwrap().expires,
            Some(5)
        );
        assert_eq!(
            parse("x-message-ttl", AMQPValue::ShortInt(0))
                .unwrap()
                .message_ttl,
            Some(0)
        );
        for (name, value) in [
            ("x-expires", AMQPValue::LongInt(0)),
            ("x-expires", AMQPValue::LongString("5".into())),
            ("x-message-ttl", AMQPValue::LongInt(-1)),
            ("x-message-ttl", AMQPValue::LongLongInt(i64::MAX)),
            ("x-queue-type", AMQPValue::LongString("stream".into())),
            ("x-max-length", AMQPValue::LongInt(-1)),
            ("x-max-priority", AMQPValue::LongInt(5)),
            ("x-overflow", AMQPValue::LongString("drop-tail".into())),
            ("x-dead-letter-routing-key", AMQPValue::LongString("k".into())),
            ("x-dead-letter-exchange", AMQPValue::Boolean(true)),
            ("x-single-active-consumer", AMQPValue::LongInt(1)),
        ] {
            assert_eq!(
                parse(name, value.clone()),
                Err(Code::PreconditionFailed),
                "{name} {value:?}"
            );
        }
        assert!(parse("x-queue-type", AMQPValue::LongString("classic".into())).is_ok());
        assert_eq!(
            parse("x-nobody-knows", AMQPValue::Void),
            Ok(QueueOptions::default())
        );
    }
}
