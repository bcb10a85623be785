//! Every method group, with `lapin`.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Consumer, ExchangeKind};
use tokio::time::timeout;

use crate::support::{DEADLINE, Peer, Running, code, eventually};

pub(crate) fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), value.clone());
    }
    table
}

pub(crate) async fn declare(channel: &Channel, name: &str) -> lapin::Queue {
    channel
        .queue_declare(name.into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await
        .unwrap()
}

pub(crate) async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8]) -> Confirmation {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let confirm = channel
        .basic_publish(exchange.into(), key.into(), options, body, properties)
        .await
        .unwrap();
    timeout(DEADLINE, confirm).await.unwrap().unwrap()
}

pub(crate) async fn get(channel: &Channel, queue: &str) -> Option<lapin::message::BasicGetMessage> {
    channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await
        .unwrap()
}

async fn consume(channel: &Channel, queue: &str, tag: &str) -> Consumer {
    channel
        .basic_consume(
            queue.into(),
            tag.into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap()
}

async fn next(consumer: &mut Consumer) -> lapin::message::Delivery {
    timeout(DEADLINE, consumer.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

async fn nothing_comes(consumer: &mut Consumer) {
    let wait = Duration::from_millis(100);
    assert!(
        timeout(wait, consumer.next()).await.is_err(),
        "nothing should come"
    );
}

async fn confirming(running: &Peer) -> (lapin::Connection, Channel) {
    let (connection, channel) = running.channel().await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    (connection, channel)
}

#[tokio::test]
async fn publish_confirm_consume_acknowledge() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let (connection, channel) = confirming(&running.peer()).await;
    declare(&channel, "work").await;
    for number in 0..100u32 {
        assert!(
            publish(&channel, "", "work", &number.to_be_bytes())
                .await
                .is_ack()
        );
    }
    channel.basic_qos(10, BasicQosOptions::default()).await.unwrap();
    let mut consumer = consume(&channel, "work", "me").await;
    for number in 0..100u32 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.data, number.to_be_bytes());
        assert!(!delivery.redelivered);
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    eventually("all acknowledged", || {
        let status = running.broker.status();
        status.queues[0].ready == 0 && status.queues[0].unacked == 0 && status.memory == 0
    })
    .await;
    let status = running.broker.status();
    assert_eq!(status.queues[0].consumers, 1);
    assert_eq!(status.connections[0].user.as_deref(), Some("guest"));
    connection.close(200, "".into()).await.unwrap();
    eventually("the connection is gone", || {
        running.broker.status().connections.is_empty()
    })
    .await;
}

#[tokio::test]
async fn exchanges_route() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    routes(&running.peer()).await;
}

pub(crate) async fn routes(running: &Peer) {
    let (_connection, channel) = confirming(running).await;
    let bind = async |queue: &str, exchange: &str, key: &str, arguments: FieldTable| {
        channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                arguments,
            )
            .await
            .unwrap();
    };
    for (name, kind) in [
        ("d", ExchangeKind::Direct),
        ("f", ExchangeKind::Fanout),
        ("t", ExchangeKind::Topic),
        ("h", ExchangeKind::Headers),
    ] {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await
            .unwrap();
        declare(&channel, name).await;
    }
    bind("d", "d", "key", FieldTable::default()).await;
    bind("f", "f", "whatever", FieldTable::default()).await;
    bind("t", "t", "a.*.#", FieldTable::default()).await;
    bind("t", "t", "a.#", FieldTable::default()).await;
    bind(
        "h",
        "h",
        "",
        table(&[("kind", AMQPValue::LongString("status".into()))]),
    )
    .await;
    for (exchange, key, routed) in [
        ("d", "key", true),
        ("d", "other", false),
        ("f", "any", true),
        ("t", "a.b.c", true),
        ("t", "b.a", false),
        ("h", "any", false),
    ] {
        let Confirmation::Ack(returned) = publish(&channel, exchange, key, b"x").await else {
            panic!("not confirmed");
        };
        assert_eq!(returned.is_none(), routed, "{exchange} {key}");
        if let Some(returned) = returned {
            assert_eq!(returned.reply_code, 312);
            assert_eq!(returned.delivery.data, b"x");
        }
    }
    let headers = table(&[("kind", AMQPValue::LongString("status".into()))]);
    let properties = BasicProperties::default().with_headers(headers.clone());
    channel
        .basic_publish(
            "h".into(),
            "".into(),
            BasicPublishOptions::default(),
            b"h",
            properties,
        )
        .await
        .unwrap()
        .await
        .unwrap();
    let message = get(&channel, "h").await.unwrap();
    assert_eq!(message.properties.headers(), &Some(headers));
    for queue in ["d", "f", "t"] {
        let message = get(&channel, queue).await.unwrap();
        assert_eq!(message.message_count, 0, "two bindings give one message");
    }
    // Exchange to exchange, and back: a circle must not hang.
    for (destination, source) in [("f", "d"), ("d", "f")] {
        channel
            .exchange_bind(
                destination.into(),
                source.into(),
                "key".into(),
                ExchangeBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }
    assert!(publish(&channel, "d", "key", b"both").await.is_ack());
    assert_eq!(get(&channel, "f").await.unwrap().data, b"both");
    channel
        .queue_unbind("f".into(), "f".into(), "whatever".into(), FieldTable::default())
        .await
        .unwrap();
    publish(&channel, "f", "", b"gone").await;
    assert!(get(&channel, "f").await.is_none());
    channel
        .exchange_delete("t".into(), ExchangeDeleteOptions::default())
        .await
        .unwrap();
    assert_eq!(
        code(
            channel
                .exchange_declare(
                    "t".into(),
                    ExchangeKind::Topic,
                    ExchangeDeclareOptions {
                        passive: true,
                        ..ExchangeDeclareOptions::default()
                    },
                    FieldTable::default()
                )
                .await
        ),
        404
    );
}

#[tokio::test]
async fn what_is_put_back_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    puts_back(&running.peer()).await;
}

pub(crate) async fn puts_back(running: &Peer) {
    let (connection, channel) = confirming(running).await;
    declare(&channel, "q").await;
    for body in [b"0", b"1", b"2", b"3"] {
        publish(&channel, "", "q", body).await;
    }
    let other = connection.create_channel().await.unwrap();
    let first = get(&other, "q").await.unwrap();
    let second = get(&other, "q").await.unwrap();
    get(&other, "q").await.unwrap();
    second
        .nack(BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        })
        .await
        .unwrap();
    let again = get(&other, "q").await.unwrap();
    assert_eq!((again.data.as_slice(), again.redelivered), (&b"1"[..], true));
    first.ack(BasicAckOptions::default()).await.unwrap();
    other.close(200, "".into()).await.unwrap();
    for (body, redelivered) in [(b"1", true), (b"2", true), (b"3", false)] {
        let message = get(&channel, "q").await.unwrap();
        assert_eq!(
            (message.data.as_slice(), message.redelivered),
            (&body[..], redelivered)
        );
    }
    // Reject everything up to the last, for good.
    channel
        .basic_nack(
            0,
            BasicNackOptions {
                multiple: true,
                requeue: false,
            },
        )
        .await
        .unwrap();
    assert!(get(&channel, "q").await.is_none());
}

#[tokio::test]
async fn prefetch_limits_a_consumer_or_the_channel() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    prefetches(&running.peer()).await;
}

pub(crate) async fn prefetches(running: &Peer) {
    let (connection, channel) = confirming(running).await;
    declare(&channel, "q").await;
    for number in 0..20u8 {
        publish(&channel, "", "q", &[number]).await;
    }
    channel.basic_qos(2, BasicQosOptions::default()).await.unwrap();
    let mut consumer = consume(&channel, "q", "two").await;
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    nothing_comes(&mut consumer).await;
    second.ack(BasicAckOptions { multiple: true }).await.unwrap();
    assert_eq!((first.data[0], next(&mut consumer).await.data[0]), (0, 2));
    assert_eq!(next(&mut consumer).await.data[0], 3);
    nothing_comes(&mut consumer).await;

    let shared = connection.create_channel().await.unwrap();
    shared
        .basic_qos(3, BasicQosOptions { global: true })
        .await
        .unwrap();
    let mut one = consume(&shared, "q", "one").await;
    let mut other = consume(&shared, "q", "other").await;
    // Three more are out, whoever has them.
    let mut out = Vec::new();
    for _ in 0..3 {
        out.push(either(&mut one, &mut other).await);
    }
    neither(&mut one, &mut other).await;
    out[0].ack(BasicAckOptions::default()).await.unwrap();
    either(&mut one, &mut other).await;
    neither(&mut one, &mut other).await;
}

/// The next delivery of two consumers.
async fn either(one: &mut Consumer, other: &mut Consumer) -> lapin::message::Delivery {
    tokio::select! {
        delivery = next(one) => delivery,
        delivery = next(other) => delivery,
    }
}

async fn neither(one: &mut Consumer, other: &mut Consumer) {
    nothing_comes(one).await;
    nothing_comes(other).await;
}

#[tokio::test]
async fn queues_of_all_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let (connection, channel) = running.channel().await;
    let named = channel
        .queue_declare(
            "".into(),
            QueueDeclareOptions {
                exclusive: true,
                ..QueueDeclareOptions::default()
            },
            FieldTable::default(),
        )
        .await
        .unwrap();
    assert!(named.name().as_str().starts_with("amq.gen-"));
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let (_other, foreign) = running.channel().await;
    let declared = foreign
        .queue_declare(named.name().clone(), passive, FieldTable::default())
        .await;
    assert_eq!(code(declared), 405);
    connection.close(200, "".into()).await.unwrap();
    eventually("the exclusive queue is gone", || {
        running.broker.status().queues.is_empty()
    })
    .await;

    let (_connection, channel) = running.channel().await;
    channel
        .queue_declare(
            "auto".into(),
            QueueDeclareOptions {
                auto_delete: true,
                ..QueueDeclareOptions::default()
            },
            FieldTable::default(),
        )
        .await
        .unwrap();
    consume(&channel, "auto", "only").await;
    channel
        .basic_cancel("only".into(), BasicCancelOptions::default())
        .await
        .unwrap();
    assert!(running.broker.status().queues.is_empty(), "auto-delete");

    declare(&channel, "q").await;
    publish(&channel, "", "q", b"x").await;
    let delete = async |if_unused, if_empty| {
        let (_connection, channel) = running.channel().await;
        let options = QueueDeleteOptions {
            if_unused,
            if_empty,
            nowait: false,
        };
        channel.queue_delete("q".into(), options).await
    };
    assert_eq!(code(delete(false, true).await), 406);
    let mut consumer = consume(&channel, "q", "tag").await;
    assert_eq!(code(delete(true, false).await), 406);
    next(&mut consumer).await;
    assert_eq!(delete(false, false).await.unwrap(), 0);
    assert!(
        timeout(DEADLINE, consumer.next()).await.unwrap().is_none(),
        "the consumer hears of the end of its queue"
    );
    let purged = declare(&channel, "p").await;
    for _ in 0..3 {
        publish(&channel, "", "p", b"x").await;
    }
    assert_eq!(purged.message_count(), 0);
    assert_eq!(declare(&channel, "p").await.message_count(), 3);
    assert_eq!(
        channel
            .queue_purge("p".into(), QueuePurgeOptions::default())
            .await
            .unwrap(),
        3
    );
    assert!(get(&channel, "p").await.is_none());
    assert_eq!(running.broker.status().memory, 0);
}

#[tokio::test]
async fn messages_and_queues_expire() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let (_connection, channel) = confirming(&running.peer()).await;
    let declare_with = async |name: &str, argument: &str, value: i32| {
        channel
            .queue_declare(
                name.into(),
                QueueDeclareOptions::durable(),
                table(&[(argument, AMQPValue::LongInt(value))]),
            )
            .await
            .unwrap();
    };
    declare_with("short", "x-message-ttl", 10).await;
    publish(&channel, "", "short", b"x").await;
    eventually("the message expires", || {
        let status = running.broker.status();
        status.queues.iter().all(|queue| queue.ready == 0)
    })
    .await;
    declare_with("unused", "x-expires", 10).await;
    eventually("the queue expires", || running.broker.status().queues.len() == 1).await;
    declare(&channel, "q").await;
    let properties = BasicProperties::default().with_expiration("0".into());
    channel
        .basic_publish(
            "".into(),
            "q".into(),
            BasicPublishOptions::default(),
            b"x",
            properties,
        )
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(get(&channel, "q").await.is_none());
}

#[tokio::test]
async fn errors_have_the_codes_of_rabbitmq() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    refuses(&running.peer()).await;
}

pub(crate) async fn refuses(running: &Peer) {
    let (connection, setup) = running.channel().await;
    declare(&setup, "q").await;
    let fresh = async || connection.create_channel().await.unwrap();
    let none = FieldTable::default;
    let q = || ShortString::from("q");
    assert_eq!(
        code(
            fresh()
                .await
                .basic_get("missing".into(), BasicGetOptions::default())
                .await
        ),
        404
    );
    assert_eq!(
        code(
            fresh()
                .await
                .queue_declare("amq.mine".into(), QueueDeclareOptions::default(), none())
                .await
        ),
        403
    );
    assert_eq!(
        code(
            fresh()
                .await
                .queue_declare(q(), QueueDeclareOptions::default(), none())
                .await
        ),
        406
    );
    assert_eq!(
        code(
            fresh()
                .await
                .queue_bind(q(), "".into(), "k".into(), QueueBindOptions::default(), none())
                .await
        ),
        403
    );
    assert_eq!(
        code(
            fresh()
                .await
                .queue_bind(
                    q(),
                    "nowhere".into(),
                    "k".into(),
                    QueueBindOptions::default(),
                    none()
                )
                .await
        ),
        404
    );
    assert_eq!(
        code(
            fresh()
                .await
                .exchange_delete("amq.topic".into(), ExchangeDeleteOptions::default())
                .await
        ),
        403
    );
    assert_eq!(
        fresh()
            .await
            .queue_delete("missing".into(), QueueDeleteOptions::default())
            .await
            .unwrap(),
        0
    );
    // The channel is closed for a wrong tag, with the reason at the next method.
    let channel = fresh().await;
    channel.basic_ack(7, BasicAckOptions::default()).await.unwrap();
    eventually("the channel is closed", || !channel.status().connected()).await;
    // What ends the connection ends only this one.
    // RabbitMQ has transactions.
    for number in u8::from(running.is_rabbitmq)..3 {
        let (other, channel) = running.channel().await;
        let ended = match number {
            0 => code(channel.tx_select().await),
            1 => code(channel.channel_flow(ChannelFlowOptions { active: false }).await),
            _ => code(
                channel
                    .basic_recover(BasicRecoverOptions { requeue: false })
                    .await,
            ),
        };
        assert_eq!(ended, 540);
        eventually("the connection is closed", || !other.status().connected()).await;
    }
    assert!(
        setup
            .channel_flow(ChannelFlowOptions { active: true })
            .await
            .unwrap()
    );
    setup
        .basic_recover(BasicRecoverOptions { requeue: true })
        .await
        .unwrap();
    assert!(get(&setup, "q").await.is_none(), "others go on");
}

#[tokio::test]
async fn heartbeats_keep_a_quiet_connection() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let uri = format!("{}?heartbeat=1", running.uri("guest", "guest"));
    let connection = lapin::Connection::connect(&uri, lapin::ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    // Longer than two intervals: without heartbeats either side would have given up.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    declare(&channel, "still-there").await;
}

#[tokio::test]
async fn large_messages_pass_and_too_large_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = crate::support::settings(folder.path());
    settings.max_body = 1024 * 1024;
    let running = Running::with(settings, crate::support::Users::guest()).await;
    let (_connection, channel) = confirming(&running.peer()).await;
    declare(&channel, "q").await;
    let body: Vec<u8> = (0..1024 * 1024)
        .map(|number: usize| (number % 251) as u8)
        .collect();
    assert!(publish(&channel, "", "q", &body).await.is_ack());
    assert_eq!(get(&channel, "q").await.unwrap().data, body);
    let too_large = vec![0; 1024 * 1024 + 1];
    let sent = channel
        .basic_publish(
            "".into(),
            "q".into(),
            BasicPublishOptions::default(),
            &too_large,
            BasicProperties::default(),
        )
        .await;
    if let Ok(confirm) = sent {
        assert!(timeout(DEADLINE, confirm).await.unwrap().is_err());
    }
    eventually("the channel is closed", || !channel.status().connected()).await;
}
