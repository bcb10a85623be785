//! The `x-` arguments: those that are understood, those that would change the meaning and must be refused.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::headers::integer;
use crate::failure::{Code, Failure};

/// What the arguments of a queue ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueOptions {
    /// Milliseconds after which the unused queue is deleted.
    pub(crate) expires: Option<u64>,
    /// Milliseconds that a message may wait.
    pub(crate) message_ttl: Option<u64>,
}

/// Arguments of RabbitMQ's queues that change what a client can rely on, and are not supported here.
const REFUSED: [&str; 17] = [
    "x-consumer-timeout",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-initial-cluster-size",
    "x-max-age",
    "x-max-in-memory-bytes",
    "x-max-in-memory-length",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-quorum-initial-group-size",
    "x-single-active-consumer",
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
        for (name, value) in arguments {
            match name.as_str() {
                "x-expires" => options.expires = Some(milliseconds(name.as_str(), value, 1)?),
                "x-message-ttl" => options.message_ttl = Some(milliseconds(name.as_str(), value, 0)?),
                "x-queue-type" if !is_text(value, "classic") => {
                    return Err(refused(
                        "invalid arg 'x-queue-type': only classic queues are supported",
                    ));
                }
                name if REFUSED.contains(&name) => {
                    return Err(refused(&format!("invalid arg '{name}': it is not supported")));
                }
                _ => {}
            }
        }
        Ok(options)
    }
}

/// # Errors
/// 406 for an alternate exchange, which is not supported.
pub(super) fn check_exchange(arguments: &FieldTable) -> Result<(), Failure> {
    if arguments.contains_key("alternate-exchange") {
        return Err(refused("invalid arg 'alternate-exchange': it is not supported"));
    }
    Ok(())
}

/// # Errors
/// 406 for a priority or an offset of a consumer, which are not supported.
pub(super) fn check_consumer(arguments: &FieldTable) -> Result<(), Failure> {
    for name in ["x-priority", "x-stream-offset", "x-stream-filter"] {
        if arguments.contains_key(name) {
            return Err(refused(&format!("invalid arg '{name}': it is not supported")));
        }
    }
    Ok(())
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

fn is_text(value: &AMQPValue, text: &str) -> bool {
    matches!(value, AMQPValue::LongString(own) if own.as_bytes() == text.as_bytes())
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
            ("x-queue-type", AMQPValue::LongString("quorum".into())),
            ("x-max-length", AMQPValue::LongInt(5)),
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
