//! What fuzzing begins with: what real clients say.

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::basic::{AMQPProperties, gen_properties};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use bytes::BytesMut;

use crate::codec::{put_method, short, table_bytes};

/// Something for every kind of frame.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = sessions().into_iter().map(|session| session.0.to_vec()).collect();
    seeds.push(handshake()[8..].to_vec());
    seeds.push(vec![8, 0, 0, 0, 0, 0, 0, 206]);
    seeds
}

/// Field tables, length first.
pub fn table_seeds() -> Vec<Vec<u8>> {
    let mut nested = FieldTable::default();
    nested.insert("x".into(), AMQPValue::Boolean(true));
    for _ in 0..4 {
        let mut outer = FieldTable::default();
        outer.insert(
            "list".into(),
            AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(nested)])),
        );
        nested = outer;
    }
    let mut numbers = FieldTable::default();
    for (name, value) in [
        ("a", AMQPValue::ShortShortInt(-1)),
        ("b", AMQPValue::ShortShortUInt(1)),
        ("c", AMQPValue::ShortInt(-2)),
        ("d", AMQPValue::ShortUInt(2)),
        ("e", AMQPValue::LongInt(-3)),
        ("f", AMQPValue::LongUInt(3)),
        ("g", AMQPValue::LongLongInt(-4)),
        ("h", AMQPValue::Float(1.5)),
        ("i", AMQPValue::Double(2.5)),
        ("j", AMQPValue::Timestamp(1)),
        ("k", AMQPValue::Void),
        ("x-match", AMQPValue::LongString("any".into())),
        ("alternate-exchange", AMQPValue::LongString("amq.fanout".into())),
    ] {
        numbers.insert(short(name), value);
    }
    [nested, numbers, queue_arguments(), FieldTable::default()]
        .iter()
        .map(table_bytes)
        .collect()
}

/// The payloads of header frames.
pub fn header_seeds() -> Vec<Vec<u8>> {
    let mut headers = FieldTable::default();
    headers.insert("kind".into(), AMQPValue::LongString("log".into()));
    let full = AMQPProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("gzip".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(3)
        .with_correlation_id("4".into())
        .with_reply_to("amq.gen-5".into())
        .with_expiration("60000".into())
        .with_message_id("6".into())
        .with_timestamp(7)
        .with_type("log".into())
        .with_user_id("guest".into())
        .with_app_id("jetpack".into())
        .with_cluster_id("8".into());
    [AMQPProperties::default(), persistent(), full]
        .iter()
        .map(|properties| header(5, properties))
        .collect()
}

/// Clients from their first byte, and, after a byte that is odd, from the open connection on.
pub fn connection_seeds() -> Vec<Vec<u8>> {
    let mut whole = vec![0];
    whole.extend(handshake());
    let mut seeds = vec![
        b"\0GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\0AMQP\0\0\x09\x01".to_vec(),
    ];
    for session in sessions() {
        whole.extend_from_slice(&session.0);
        seeds.push([&[1], &session.0[..]].concat());
    }
    seeds.push(whole);
    seeds
}

/// The client's side of opening a connection.
pub(super) fn handshake() -> Vec<u8> {
    let mut capabilities = FieldTable::default();
    for name in [
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
    ] {
        capabilities.insert(short(name), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    let mut script = Script(BytesMut::from(&b"AMQP\0\0\x09\x01"[..]));
    script.connection(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties: properties,
        mechanism: "PLAIN".into(),
        response: "\0guest\0guest".into(),
        locale: "en_US".into(),
    }));
    script.connection(connection::AMQPMethod::TuneOk(connection::TuneOk {
        channel_max: 8,
        frame_max: 8192,
        heartbeat: 0,
    }));
    script.connection(connection::AMQPMethod::Open(connection::Open {
        virtual_host: "/".into(),
    }));
    script.0.to_vec()
}

fn queue_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-max-length", AMQPValue::LongInt(2)),
        ("x-message-ttl", AMQPValue::LongInt(0)),
        ("x-overflow", AMQPValue::LongString("drop-head".into())),
        (
            "x-dead-letter-exchange",
            AMQPValue::LongString("amq.fanout".into()),
        ),
        ("x-dead-letter-routing-key", AMQPValue::LongString("dead".into())),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
    ] {
        arguments.insert(short(name), value);
    }
    arguments
}

fn persistent() -> AMQPProperties {
    AMQPProperties::default().with_delivery_mode(2)
}

/// The payload of a header frame.
fn header(size: u64, properties: &AMQPProperties) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend(size.to_be_bytes());
    if let Ok(written) = gen_properties::<Vec<u8>>(properties)(WriteContext::from(Vec::new())) {
        payload.extend(written.into_inner().0);
    }
    payload
}

/// What a client sends.
struct Script(BytesMut);

impl Script {
    fn connection(&mut self, method: connection::AMQPMethod) {
        put_method(&mut self.0, 0, AMQPClass::Connection(method));
    }

    fn open(&mut self, number: u16) {
        let open = channel::AMQPMethod::Open(channel::Open {});
        put_method(&mut self.0, number, AMQPClass::Channel(open));
    }

    fn close(&mut self, number: u16) {
        let close = channel::AMQPMethod::Close(channel::Close {
            reply_code: 200,
            reply_text: "bye".into(),
            class_id: 0,
            method_id: 0,
        });
        put_method(&mut self.0, number, AMQPClass::Channel(close));
    }

    fn confirms(&mut self, number: u16) {
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
        put_method(&mut self.0, number, AMQPClass::Confirm(select));
    }

    fn queue(&mut self, number: u16, name: &str, arguments: FieldTable) {
        let declare = queue::Declare {
            queue: short(name),
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments,
        };
        self.queue_method(number, queue::AMQPMethod::Declare(declare));
    }

    fn queue_method(&mut self, number: u16, method: queue::AMQPMethod) {
        put_method(&mut self.0, number, AMQPClass::Queue(method));
    }

    fn bind(&mut self, number: u16, queue: &str, exchange: &str, key: &str) {
        let bind = queue::Bind {
            queue: short(queue),
            exchange: short(exchange),
            routing_key: short(key),
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.queue_method(number, queue::AMQPMethod::Bind(bind));
    }

    fn exchange(&mut self, number: u16, method: exchange::AMQPMethod) {
        put_method(&mut self.0, number, AMQPClass::Exchange(method));
    }

    fn basic(&mut self, number: u16, method: basic::AMQPMethod) {
        put_method(&mut self.0, number, AMQPClass::Basic(method));
    }

    fn publish(&mut self, number: u16, exchange: &str, key: &str, body: &[u8]) {
        self.basic(
            number,
            basic::AMQPMethod::Publish(basic::Publish {
                exchange: short(exchange),
                routing_key: short(key),
                mandatory: true,
                immediate: false,
            }),
        );
        self.frame(2, number, &header(body.len() as u64, &persistent()));
        for part in body.chunks(16) {
            self.frame(3, number, part);
        }
    }

    fn frame(&mut self, kind: u8, number: u16, payload: &[u8]) {
        self.0.extend_from_slice(&[kind]);
        self.0.extend_from_slice(&number.to_be_bytes());
        let length = u32::try_from(payload.len()).unwrap_or(0);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(payload);
        self.0.extend_from_slice(&[206]);
    }

    fn consume(&mut self, number: u16, queue: &str, tag: &str) {
        self.basic(
            number,
            basic::AMQPMethod::Consume(basic::Consume {
                queue: short(queue),
                consumer_tag: short(tag),
                no_local: false,
                no_ack: false,
                exclusive: false,
                nowait: false,
                arguments: FieldTable::default(),
            }),
        );
    }
}

/// What clients do on an open connection.
fn sessions() -> Vec<Script> {
    use basic::AMQPMethod as M;
    let start = || {
        let mut script = Script(BytesMut::new());
        script.open(1);
        script.queue(1, "q", FieldTable::default());
        script
    };

    let mut work = start();
    work.confirms(1);
    work.bind(1, "q", "amq.topic", "a.#");
    work.publish(1, "amq.topic", "a.b", b"a body in more than one frame");
    work.basic(
        1,
        M::Qos(basic::Qos {
            prefetch_count: 1,
            global: false,
        }),
    );
    work.consume(1, "q", "tag");
    work.publish(1, "", "q", b"second");
    work.basic(
        1,
        M::Ack(basic::Ack {
            delivery_tag: 1,
            multiple: false,
        }),
    );
    work.basic(
        1,
        M::Nack(basic::Nack {
            delivery_tag: 2,
            multiple: true,
            requeue: true,
        }),
    );
    work.basic(
        1,
        M::Cancel(basic::Cancel {
            consumer_tag: "tag".into(),
            nowait: false,
        }),
    );
    work.basic(1, M::Recover(basic::Recover { requeue: true }));
    work.close(1);

    let mut letters = start();
    letters.queue(1, "short", queue_arguments());
    letters.bind(1, "q", "amq.fanout", "");
    for body in [b"1", b"2", b"3"] {
        letters.publish(1, "", "short", body);
    }
    letters.basic(
        1,
        M::Get(basic::Get {
            queue: "q".into(),
            no_ack: false,
        }),
    );
    letters.basic(
        1,
        M::Reject(basic::Reject {
            delivery_tag: 1,
            requeue: false,
        }),
    );
    letters.queue_method(
        1,
        queue::AMQPMethod::Purge(queue::Purge {
            queue: "q".into(),
            nowait: false,
        }),
    );
    letters.queue_method(
        1,
        queue::AMQPMethod::Delete(queue::Delete {
            queue: "short".into(),
            if_unused: true,
            if_empty: false,
            nowait: false,
        }),
    );

    let mut exchanges = start();
    for (name, kind) in [("x", "headers"), ("y", "direct")] {
        exchanges.exchange(
            1,
            exchange::AMQPMethod::Declare(exchange::Declare {
                exchange: short(name),
                kind: short(kind),
                passive: false,
                durable: true,
                auto_delete: true,
                internal: false,
                nowait: false,
                arguments: FieldTable::default(),
            }),
        );
    }
    exchanges.exchange(
        1,
        exchange::AMQPMethod::Bind(exchange::Bind {
            destination: "y".into(),
            source: "x".into(),
            routing_key: "k".into(),
            nowait: false,
            arguments: FieldTable::default(),
        }),
    );
    exchanges.bind(1, "q", "y", "k");
    exchanges.publish(1, "x", "k", b"through two");
    exchanges.publish(1, "x", "other", b"returned");
    exchanges.exchange(
        1,
        exchange::AMQPMethod::Delete(exchange::Delete {
            exchange: "y".into(),
            if_unused: false,
            nowait: false,
        }),
    );

    let mut channels = start();
    channels.open(2);
    channels.publish(2, "none", "k", b"to nowhere");
    channels.open(1);
    channels.connection(connection::AMQPMethod::Close(connection::Close {
        reply_code: 200,
        reply_text: "bye".into(),
        class_id: 0,
        method_id: 0,
    }));
    vec![work, letters, exchanges, channels]
}
