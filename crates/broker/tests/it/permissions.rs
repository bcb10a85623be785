//! Who may do what.

use broker::{Pattern, Permissions, Scope, TopicPermission};
use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{BasicProperties, ErrorKind, ExchangeKind};

use crate::clients::{declare, get, publish};
use crate::support::{Running, Users, code, eventually, settings};

/// As an account that may report under its own prefix and read its own queue.
fn member() -> Permissions {
    Permissions {
        configure: Scope::nothing(),
        write: Scope::names(["reports"]),
        read: Scope(vec![
            Pattern::Prefix("member.1.".to_owned()),
            Pattern::Name("own".to_owned()),
        ]),
        topics: vec![TopicPermission {
            exchange: "reports".to_owned(),
            prefixes: vec!["c.member1.".to_owned()],
        }],
    }
}

async fn start(dir: &std::path::Path) -> Running {
    let mut users = Users::guest();
    users.0.push(("member".to_owned(), "secret".to_owned(), member()));
    let running = Running::with(settings(dir), users).await;
    let (_connection, channel) = running.channel().await;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            "reports".into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
    for queue in ["inbox", "own", "foreign"] {
        declare(&channel, queue).await;
    }
    channel
        .queue_bind(
            "inbox".into(),
            "reports".into(),
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    running
}

#[tokio::test]
async fn a_member_does_what_it_may_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let connection = running.connect_as("member", "secret").await.unwrap();
    let fresh = async || {
        let channel = connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        channel
    };
    let channel = fresh().await;
    assert!(
        publish(&channel, "reports", "c.member1.status", b"fine")
            .await
            .is_ack()
    );
    assert!(get(&channel, "own").await.is_none());

    let refused = async |exchange: &str, key: &str, properties: BasicProperties| {
        let channel = fresh().await;
        let confirm = channel
            .basic_publish(
                exchange.into(),
                key.into(),
                BasicPublishOptions::default(),
                b"x",
                properties,
            )
            .await
            .unwrap();
        match confirm.await.unwrap_err().kind() {
            ErrorKind::ProtocolError(error) => (error.get_id(), error.get_message().to_string()),
            other => panic!("{other:?}"),
        }
    };
    let none = BasicProperties::default;
    let (code_of_topic, text) = refused("reports", "c.other.status", none()).await;
    assert_eq!(code_of_topic, 403);
    assert!(
        text.contains("reports") && text.contains("c.other.status"),
        "{text}"
    );
    assert_eq!(
        refused("", "inbox", none()).await.0,
        403,
        "not around the exchange"
    );
    assert_eq!(refused("amq.topic", "x", none()).await.0, 403);
    let claimed = none().with_user_id("guest".into());
    assert_eq!(refused("reports", "c.member1.x", claimed).await.0, 406);

    for queue in ["inbox", "foreign"] {
        let channel = fresh().await;
        assert_eq!(
            code(channel.basic_get(queue.into(), BasicGetOptions::default()).await),
            403
        );
        let channel = fresh().await;
        let consumer = channel
            .basic_consume(
                queue.into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await;
        assert_eq!(code(consumer), 403);
        let channel = fresh().await;
        assert_eq!(
            code(
                channel
                    .queue_delete(queue.into(), QueueDeleteOptions::default())
                    .await
            ),
            403
        );
        let channel = fresh().await;
        assert_eq!(
            code(
                channel
                    .queue_purge(queue.into(), QueuePurgeOptions::default())
                    .await
            ),
            403
        );
    }
    let channel = fresh().await;
    let declared = channel
        .queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default())
        .await;
    assert_eq!(code(declared), 403);
    let channel = fresh().await;
    let bound = channel
        .queue_bind(
            "own".into(),
            "reports".into(),
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await;
    assert_eq!(code(bound), 403, "nobody listens in on others");
    let own = none().with_user_id("member".into());
    let channel = fresh().await;
    let confirm = channel
        .basic_publish(
            "reports".into(),
            "c.member1.x".into(),
            BasicPublishOptions::default(),
            b"",
            own,
        )
        .await
        .unwrap();
    assert!(confirm.await.unwrap().is_ack());
    let inbox = running
        .broker
        .status()
        .queues
        .into_iter()
        .find(|queue| queue.name == "inbox");
    assert_eq!(inbox.unwrap().ready, 2, "only what was allowed arrived");
}

#[tokio::test]
async fn a_wrong_password_waits_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let started = std::time::Instant::now();
    assert_eq!(code(running.connect_as("member", "wrong").await), 403);
    assert_eq!(code(running.connect_as("nobody", "secret").await), 403);
    assert!(started.elapsed() >= 2 * settings(folder.path()).refusal_delay);
    let vhost = format!("amqp://guest:guest@{}/nowhere", running.address);
    let other = lapin::Connection::connect(&vhost, lapin::ConnectionProperties::default()).await;
    assert_eq!(code(other), 530);
}

#[tokio::test]
async fn the_connections_of_a_user_can_be_closed() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let staying = running.connect().await;
    let first = running.connect_as("member", "secret").await.unwrap();
    let second = running.connect_as("member", "secret").await.unwrap();
    assert_eq!(running.broker.close_user("member"), 2);
    eventually("both are closed", || {
        !first.status().connected() && !second.status().connected()
    })
    .await;
    eventually("one stays", || running.broker.status().connections.len() == 1).await;
    assert!(staying.status().connected());
    assert_eq!(running.broker.close_user("nobody"), 0);
}
