//! What the log's records say, and their bytes.

use bytes::Bytes;

/// One durable definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    Exchange {
        name: String,
        kind: String,
        auto_delete: bool,
        internal: bool,
        /// A field table, length first.
        arguments: Vec<u8>,
    },
    Queue {
        /// Never given twice.
        id: u64,
        name: String,
        auto_delete: bool,
        arguments: Vec<u8>,
    },
    /// A binding to a queue.
    QueueBinding {
        source: String,
        queue: u64,
        key: String,
        arguments: Vec<u8>,
    },
    /// A binding to an exchange.
    ExchangeBinding {
        source: String,
        destination: String,
        key: String,
        arguments: Vec<u8>,
    },
}

/// All definitions, as at the start of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Definitions {
    pub(crate) next_message: u64,
    pub(crate) next_queue: u64,
    pub(crate) all: Vec<Definition>,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// Kind 1. Replaces all definitions before it.
    Definitions(Definitions),
    /// Kind 2.
    Defined(Definition),
    /// Kind 3. A binding is named whole; exchanges by name, queues by number.
    Gone(Definition),
    /// Kind 4. A message and the durable queues that hold it. A second record of the same number replaces the first.
    Message {
        number: u64,
        /// Queue, and when the message expires there in milliseconds since 1970, 0 for never.
        queues: Vec<(u64, u64)>,
        exchange: String,
        key: String,
        properties: Bytes,
        body: Bytes,
    },
    /// Kind 5. Messages that left a queue: acknowledged, rejected, expired, purged.
    Removed { queue: u64, messages: Vec<u64> },
}

impl Record {
    /// Appends the payload of the record.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Definitions(definitions) => {
                out.push(1);
                put_u64(out, definitions.next_message);
                put_u64(out, definitions.next_queue);
                put_u64(out, definitions.all.len() as u64);
                for definition in &definitions.all {
                    definition.encode(out);
                }
            }
            Self::Defined(definition) => {
                out.push(2);
                definition.encode(out);
            }
            Self::Gone(definition) => {
                out.push(3);
                definition.encode(out);
            }
            Self::Message {
                number,
                queues,
                exchange,
                key,
                properties,
                body,
            } => {
                out.push(4);
                put_u64(out, *number);
                put_u64(out, queues.len() as u64);
                for (queue, expires) in queues {
                    put_u64(out, *queue);
                    put_u64(out, *expires);
                }
                put_bytes(out, exchange.as_bytes());
                put_bytes(out, key.as_bytes());
                put_bytes(out, properties);
                put_bytes(out, body);
            }
            Self::Removed { queue, messages } => {
                out.push(5);
                put_u64(out, *queue);
                put_u64(out, messages.len() as u64);
                for message in messages {
                    put_u64(out, *message);
                }
            }
        }
    }

    /// Reads a payload back; none when it is not one.
    pub(crate) fn decode(payload: &Bytes) -> Option<Self> {
        let mut input = Input { payload, at: 0 };
        let record = match input.u8()? {
            1 => {
                let next_message = input.u64()?;
                let next_queue = input.u64()?;
                let count = input.count(1)?;
                let mut all = Vec::with_capacity(count);
                for _ in 0..count {
                    all.push(Definition::decode(&mut input)?);
                }
                Self::Definitions(Definitions {
                    next_message,
                    next_queue,
                    all,
                })
            }
            2 => Self::Defined(Definition::decode(&mut input)?),
            3 => Self::Gone(Definition::decode(&mut input)?),
            4 => {
                let number = input.u64()?;
                let count = input.count(16)?;
                let mut queues = Vec::with_capacity(count);
                for _ in 0..count {
                    queues.push((input.u64()?, input.u64()?));
                }
                Self::Message {
                    number,
                    queues,
                    exchange: input.text()?,
                    key: input.text()?,
                    properties: input.bytes()?,
                    body: input.bytes()?,
                }
            }
            5 => {
                let queue = input.u64()?;
                let count = input.count(8)?;
                let mut messages = Vec::with_capacity(count);
                for _ in 0..count {
                    messages.push(input.u64()?);
                }
                Self::Removed { queue, messages }
            }
            _ => return None,
        };
        (input.at == payload.len()).then_some(record)
    }
}

impl Definition {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Exchange {
                name,
                kind,
                auto_delete,
                internal,
                arguments,
            } => {
                out.push(1);
                put_bytes(out, name.as_bytes());
                put_bytes(out, kind.as_bytes());
                out.push((*auto_delete).into());
                out.push((*internal).into());
                put_bytes(out, arguments);
            }
            Self::Queue {
                id,
                name,
                auto_delete,
                arguments,
            } => {
                out.push(2);
                put_u64(out, *id);
                put_bytes(out, name.as_bytes());
                out.push((*auto_delete).into());
                put_bytes(out, arguments);
            }
            Self::QueueBinding {
                source,
                queue,
                key,
                arguments,
            } => {
                out.push(3);
                put_bytes(out, source.as_bytes());
                put_u64(out, *queue);
                put_bytes(out, key.as_bytes());
                put_bytes(out, arguments);
            }
            Self::ExchangeBinding {
                source,
                destination,
                key,
                arguments,
            } => {
                out.push(4);
                put_bytes(out, source.as_bytes());
                put_bytes(out, destination.as_bytes());
                put_bytes(out, key.as_bytes());
                put_bytes(out, arguments);
            }
        }
    }

    fn decode(input: &mut Input<'_>) -> Option<Self> {
        Some(match input.u8()? {
            1 => Self::Exchange {
                name: input.text()?,
                kind: input.text()?,
                auto_delete: input.u8()? != 0,
                internal: input.u8()? != 0,
                arguments: input.bytes()?.to_vec(),
            },
            2 => Self::Queue {
                id: input.u64()?,
                name: input.text()?,
                auto_delete: input.u8()? != 0,
                arguments: input.bytes()?.to_vec(),
            },
            3 => Self::QueueBinding {
                source: input.text()?,
                queue: input.u64()?,
                key: input.text()?,
                arguments: input.bytes()?.to_vec(),
            },
            4 => Self::ExchangeBinding {
                source: input.text()?,
                destination: input.text()?,
                key: input.text()?,
                arguments: input.bytes()?.to_vec(),
            },
            _ => return None,
        })
    }
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // Bodies are bounded by the settings, everything else by the frame size.
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

struct Input<'a> {
    payload: &'a Bytes,
    at: usize,
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let field = self.payload.get(self.at..self.at + N)?;
        self.at += N;
        field.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number of items of at least `size` bytes: no more than there can be.
    fn count(&mut self, size: usize) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count.checked_mul(size)? <= self.payload.len() - self.at).then_some(count)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = self.take().map(u32::from_le_bytes)? as usize;
        let end = self.at.checked_add(length)?;
        if end > self.payload.len() {
            return None;
        }
        let bytes = self.payload.slice(self.at..end);
        self.at = end;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn definition() -> impl Strategy<Value = Definition> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..8);
        prop_oneof![
            (".{0,8}", ".{0,8}", any::<bool>(), any::<bool>(), bytes()).prop_map(
                |(name, kind, auto_delete, internal, arguments)| Definition::Exchange {
                    name,
                    kind,
                    auto_delete,
                    internal,
                    arguments
                }
            ),
            (any::<u64>(), ".{0,8}", any::<bool>(), bytes()).prop_map(
                |(id, name, auto_delete, arguments)| {
                    Definition::Queue {
                        id,
                        name,
                        auto_delete,
                        arguments,
                    }
                }
            ),
            (".{0,8}", any::<u64>(), ".{0,8}", bytes()).prop_map(|(source, queue, key, arguments)| {
                Definition::QueueBinding {
                    source,
                    queue,
                    key,
                    arguments,
                }
            }),
            (".{0,8}", ".{0,8}", ".{0,8}", bytes()).prop_map(|(source, destination, key, arguments)| {
                Definition::ExchangeBinding {
                    source,
                    destination,
                    key,
                    arguments,
                }
            }),
        ]
    }

    pub(in crate::store) fn record() -> impl Strategy<Value = Record> {
        prop_oneof![
            (
                any::<u64>(),
                any::<u64>(),
                prop::collection::vec(definition(), 0..4)
            )
                .prop_map(
                    |(next_message, next_queue, all)| Record::Definitions(Definitions {
                        next_message,
                        next_queue,
                        all
                    })
                ),
            definition().prop_map(Record::Defined),
            definition().prop_map(Record::Gone),
            (
                any::<u64>(),
                any::<Vec<(u64, u64)>>(),
                ".{0,8}",
                ".{0,8}",
                any::<Vec<u8>>(),
                any::<Vec<u8>>()
            )
                .prop_map(
                    |(number, queues, exchange, key, properties, body)| Record::Message {
                        number,
                        queues,
                        exchange,
                        key,
                        properties: properties.into(),
                        body: body.into(),
                    }
                ),
            (any::<u64>(), any::<Vec<u64>>())
                .prop_map(|(queue, messages)| Record::Removed { queue, messages }),
        ]
    }

    proptest! {
        #[test]
        fn records_survive_the_round_trip(record in record()) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert_eq!(Record::decode(&bytes.into()), Some(record));
        }

        #[test]
        fn garbage_is_refused_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = Record::decode(&bytes.into());
        }
    }
}
