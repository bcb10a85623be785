//! Server and node over a real broker.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use protocol::{Command, CommandKind, MessageType, topology};
use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Accounts, Courier, Endpoint, Gate, Post, run};
use crate::store::{EventQuery, Node};
use crate::testing::{ADMIN, Bench, envelope, secret};

struct Site {
    bench: Bench,
    broker: Broker,
    courier: Courier,
    port: u16,
}

impl Site {
    async fn new() -> Self {
        let bench = Bench::started().await;
        bench.join("head", &secret('a')).await.expect(200);
        let password = SecretString::from("the server's own");
        let gate = Gate::new(bench.app.clone(), password.clone());
        let broker = Broker::open(
            broker::Settings::new(bench.folder().join("broker")),
            Arc::new(gate),
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn({
            let broker = broker.clone();
            async move { broker.listen(listener, None).await }
        });
        let endpoint = Endpoint::own(port, &password);
        let (courier, orders) = Courier::new(
            Accounts::Own(broker.clone()),
            endpoint.clone(),
            bench.app.clock.clone(),
        );
        let (ready, mut is_ready) = watch::channel(false);
        tokio::spawn(run(bench.app.clone(), endpoint, orders, Arc::new(ready)));
        is_ready.wait_for(|ready| *ready).await.unwrap();
        Self {
            bench,
            broker,
            courier,
            port,
        }
    }

    async fn connect(&self, user: &str, password: &str) -> lapin::Result<Channel> {
        let uri = format!(
            "amqp://{user}:{}@127.0.0.1:{}/%2f",
            password.replace(' ', "%20"),
            self.port
        );
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Waits until the event log has so many events of the category `log`.
    async fn logged(&self, count: usize) -> Vec<protocol::Event> {
        let mut revision = self.bench.app.store.revision();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let query = EventQuery {
                cluster: None,
                after: Some(0),
                level: protocol::Level::Info,
                priority: protocol::Priority::Low,
                limit: 1000,
            };
            let mut events = self.bench.app.store.events(query).await.unwrap();
            events.retain(|event| event.category == "log");
            if events.len() >= count {
                return events;
            }
            let changed = tokio::time::timeout_at(deadline, revision.changed()).await;
            assert!(changed.is_ok(), "{events:?}");
        }
    }
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    user: Option<&str>,
    body: &[u8],
) -> lapin::Result<Confirmation> {
    let mut properties = BasicProperties::default().with_delivery_mode(2);
    if let Some(user) = user {
        properties = properties.with_user_id(ShortString::from(user));
    }
    channel
        .basic_publish(
            exchange.into(),
            key.into(),
            BasicPublishOptions::default(),
            body,
            properties,
        )
        .await?
        .await
}

fn log(node: &Node, sequence: u64, text: &str) -> Vec<u8> {
    let data = json!({"level": "info", "priority": "low", "message": text});
    serde_json::to_vec(&envelope(node, sequence, MessageType::Log, data)).unwrap()
}

#[tokio::test]
async fn messages_of_nodes_reach_the_store_once_and_in_order() {
    let site = Site::new().await;
    let head = site.bench.node("head").await;
    let channel = site.connect(&head.id, &secret('a')).await.unwrap();
    let key = topology::routing_key("demo", &head.id, MessageType::Log);
    let exchange = topology::NODE_EXCHANGE;
    let first = log(&head, 1, "first");
    // Not of a node that anybody verified, and no message at all: dropped, and nothing waits behind them.
    publish(&channel, exchange, &key, None, &log(&head, 9, "unsigned"))
        .await
        .unwrap();
    publish(&channel, exchange, &key, Some(&head.id), b"{")
        .await
        .unwrap();
    for body in [&first, &first, &log(&head, 2, "second")] {
        publish(&channel, exchange, &key, Some(&head.id), body)
            .await
            .unwrap();
    }
    let events = site.logged(2).await;
    let texts: Vec<_> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(texts, ["first", "second"]);
    assert_eq!(events[0].node.as_deref(), Some("head"));
    let inbox = || {
        let status = site.broker.status();
        let queue = status
            .queues
            .iter()
            .find(|queue| queue.name == topology::INBOX_QUEUE);
        queue.map(|queue| queue.ready + queue.unacked)
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while inbox() != Some(0) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", inbox());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn commands_wait_for_their_node() {
    let site = Site::new().await;
    let head = site.bench.node("head").await;
    let command = Command {
        id: Uuid::new_v4(),
        timestamp: head.created,
        cluster_session_id: head.session_id.clone().unwrap(),
        kind: CommandKind::Converge,
    };
    site.courier.open(&head.id).await.unwrap();
    site.courier.open(&head.id).await.unwrap();
    site.courier.send(&head.id, command.clone()).await.unwrap();
    site.courier
        .send(&"0".repeat(32), command.clone())
        .await
        .unwrap_err();
    let channel = site.connect(&head.id, &secret('a')).await.unwrap();
    let queue = ShortString::from(topology::command_queue(&head.id));
    let mut consumer = channel
        .basic_consume(
            queue,
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let delivery = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
    let delivery = delivery.expect("a command").unwrap().unwrap();
    assert_eq!(
        serde_json::from_slice::<Command>(&delivery.data).unwrap(),
        command
    );
    site.courier.close(&head.id).await.unwrap();
    let queues = site.broker.status().queues;
    assert!(
        !queues
            .iter()
            .any(|queue| queue.name == topology::command_queue(&head.id))
    );
}

#[tokio::test]
async fn a_node_may_do_its_own_things_only() {
    let site = Site::new().await;
    let head = site.bench.node("head").await;
    let other = site.bench.node("execute-1").await;
    site.courier.open(&other.id).await.unwrap();
    let connect = async || site.connect(&head.id, &secret('a')).await.unwrap();
    let foreign = topology::routing_key("demo", &other.id, MessageType::Log);
    let own = topology::routing_key("demo", &head.id, MessageType::Log);
    let node_exchange = topology::NODE_EXCHANGE;
    publish(&connect().await, node_exchange, &foreign, Some(&head.id), b"{}")
        .await
        .unwrap_err();
    publish(&connect().await, node_exchange, &own, Some(&other.id), b"{}")
        .await
        .unwrap_err();
    let command = topology::COMMAND_EXCHANGE;
    publish(&connect().await, command, &other.id, Some(&head.id), b"{}")
        .await
        .unwrap_err();
    publish(
        &connect().await,
        topology::CUSTOM_EXCHANGE,
        "any.key",
        Some(&head.id),
        b"{}",
    )
    .await
    .unwrap();
    for queue in [
        topology::command_queue(&other.id),
        topology::INBOX_QUEUE.to_owned(),
    ] {
        let consumed = connect()
            .await
            .basic_consume(
                queue.into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await;
        assert!(consumed.is_err());
    }
    let declared = connect()
        .await
        .queue_declare(
            "mine".into(),
            QueueDeclareOptions::default(),
            FieldTable::default(),
        )
        .await;
    assert!(declared.is_err());
}

#[tokio::test]
async fn only_those_that_are_known_come_in() {
    let site = Site::new().await;
    let head = site.bench.node("head").await.id;
    site.connect(ADMIN.0, ADMIN.1).await.unwrap();
    for (user, password) in [
        (head.as_str(), secret('b')),
        (ADMIN.0, "wrong".to_owned()),
        ("guest", "guest".to_owned()),
        (super::gate::SERVER, "guess".to_owned()),
    ] {
        assert!(site.connect(user, &password).await.is_err(), "{user}");
    }
}
