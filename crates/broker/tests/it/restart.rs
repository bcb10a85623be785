//! What is there after a restart, and what damage does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind};

use crate::clients::{declare, get, publish, table};
use crate::support::{Running, Users, eventually, settings};

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    all.sort();
    all
}

async fn stop(running: Running) {
    running.broker.shutdown().await;
}

#[tokio::test]
async fn durable_things_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let (connection, channel) = running.channel().await;
    for (name, durable) in [("kept", true), ("lost", false)] {
        let options = ExchangeDeclareOptions {
            durable,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default())
            .await
            .unwrap();
    }
    channel
        .queue_declare(
            "q".into(),
            QueueDeclareOptions::durable(),
            table(&[("x-message-ttl", AMQPValue::LongInt(3_600_000))]),
        )
        .await
        .unwrap();
    channel
        .queue_declare(
            "transient".into(),
            QueueDeclareOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    for (source, key) in [("kept", "a.#"), ("kept", "b.#"), ("lost", "#")] {
        channel
            .queue_bind(
                "q".into(),
                source.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }
    channel
        .queue_unbind("q".into(), "kept".into(), "b.#".into(), FieldTable::default())
        .await
        .unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    for body in [b"0", b"1", b"2"] {
        publish(&channel, "kept", "a.b", body).await;
    }
    channel
        .basic_publish(
            "".into(),
            "q".into(),
            BasicPublishOptions::default(),
            b"transient",
            BasicProperties::default(),
        )
        .await
        .unwrap()
        .await
        .unwrap();
    get(&channel, "q")
        .await
        .unwrap()
        .ack(BasicAckOptions::default())
        .await
        .unwrap();
    eventually("one is acknowledged", || {
        running.broker.status().queues[0].unacked == 0
    })
    .await;
    running.broker.flush().await;
    stop(running).await;
    eventually("the client is told", || !connection.status().connected()).await;

    let running = Running::start(folder.path()).await;
    let (_connection, channel) = running.channel().await;
    let queues: Vec<_> = running
        .broker
        .status()
        .queues
        .into_iter()
        .map(|queue| queue.name)
        .collect();
    assert_eq!(queues, ["q"]);
    for body in [b"1", b"2"] {
        let message = get(&channel, "q").await.unwrap();
        assert_eq!((message.data.as_slice(), message.redelivered), (&body[..], true));
        assert_eq!(
            (message.exchange.as_str(), message.routing_key.as_str()),
            ("kept", "a.b")
        );
    }
    assert!(
        get(&channel, "q").await.is_none(),
        "the transient message is gone"
    );
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    publish(&channel, "kept", "b.x", b"unbound").await;
    publish(&channel, "kept", "a.x", b"bound").await;
    assert_eq!(get(&channel, "q").await.unwrap().data, b"bound");
    // The same declaration fits, another does not.
    let again = channel
        .queue_declare(
            "q".into(),
            QueueDeclareOptions::durable(),
            table(&[("x-message-ttl", AMQPValue::LongInt(3_600_000))]),
        )
        .await;
    assert!(again.is_ok());
}

#[tokio::test]
async fn the_log_stays_small_beside_an_old_message() {
    let folder = tempfile::tempdir().unwrap();
    let mut small = settings(folder.path());
    small.segment_size = 64 * 1024;
    let running = Running::with(small.clone(), Users::guest()).await;
    let (_connection, channel) = running.channel().await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    declare(&channel, "old").await;
    declare(&channel, "busy").await;
    publish(&channel, "", "old", b"I was here first").await;
    for _ in 0..400 {
        publish(&channel, "", "busy", &[7; 10_000]).await;
        get(&channel, "busy")
            .await
            .unwrap()
            .ack(BasicAckOptions::default())
            .await
            .unwrap();
    }
    eventually("all acknowledged", || {
        running.broker.status().queues[0].unacked == 0
    })
    .await;
    publish(&channel, "", "busy", b"flushes").await;
    let log_size = running.broker.status().log_size;
    assert!(log_size < 600_000, "4 MB were written, {log_size} are kept");
    running.broker.flush().await;
    eventually("old segments are removed", || segments(folder.path()).len() < 10).await;
    stop(running).await;
    let running = Running::with(small, Users::guest()).await;
    let (_connection, channel) = running.channel().await;
    assert_eq!(get(&channel, "old").await.unwrap().data, b"I was here first");
    assert_eq!(get(&channel, "busy").await.unwrap().data, b"flushes");
    assert!(get(&channel, "busy").await.is_none());
}

#[tokio::test]
async fn a_torn_tail_and_a_broken_middle_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let running = Running::start(dir).await;
    let (_connection, channel) = running.channel().await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    declare(&channel, "q").await;
    for number in 0..10u8 {
        publish(&channel, "", "q", &[number; 100]).await;
    }
    stop(running).await;
    let segment = segments(dir).pop().unwrap();
    let bytes = std::fs::read(&segment).unwrap();
    let count = async |expected: usize| {
        let running = Running::start(dir).await;
        assert_eq!(running.broker.status().queues[0].ready, expected);
        running.broker.flush().await;
        stop(running).await;
    };
    let restore = |bytes: &[u8]| {
        for other in segments(dir) {
            std::fs::remove_file(other).unwrap();
        }
        durable::write(&segment, 0o600, bytes).unwrap();
    };
    restore(&bytes[..bytes.len() - 5]);
    count(9).await;
    count(9).await;
    let broken = |dir: &Path| {
        let all = std::fs::read_dir(dir).unwrap();
        all.filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.extension().is_some_and(|extension| extension == "broken")
        })
        .count()
    };
    assert_eq!(broken(dir), 0, "a torn tail is no damage");
    let mut flipped = bytes.clone();
    let place = flipped.windows(50).position(|window| window == [4; 50]).unwrap();
    flipped[place] ^= 1;
    restore(&flipped);
    count(9).await;
    assert_eq!(broken(dir), 1, "the segment is kept aside");
    count(9).await;
    assert_eq!(broken(dir), 1);
    // A file that is no segment at all.
    restore(b"not what you think it is, but long enough for a header");
    let running = Running::start(dir).await;
    assert!(running.broker.status().queues.is_empty());
}

#[tokio::test]
async fn two_brokers_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let second = broker::Broker::open(settings(folder.path()), Arc::new(Users::guest()));
    assert!(matches!(second, Err(broker::Error::InUse { .. })));
    drop(running);
}
