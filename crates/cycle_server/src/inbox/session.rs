//! The server's own connections to the broker.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use protocol::topology;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use super::barrier::Barriers;
use super::courier::{Order, Ordered, Orders, PostError};
use super::custom::Publication;
use super::gate::SERVER;
use super::incoming;
use crate::app::SharedApp;
use crate::settings::MessageSettings;
use crate::store::StoreError;

/// Messages that the broker sends ahead of our acknowledgements.
const PREFETCH: u16 = 1000;
/// How long until an open channel.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a lost connection; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Seconds between two heartbeats.
const HEARTBEAT: u16 = 30;
/// AMQP's `delivery-mode` of messages that survive the broker.
const PERSISTENT: u8 = 2;

/// Where the server reaches its broker, and as whom.
#[derive(Clone)]
pub struct Endpoint {
    uri: AMQPUri,
    /// The authority to trust (PEM); the platform's when there is none.
    ca: Option<String>,
    /// It is a cluster that may lose members: what must not be lost is in quorum queues.
    is_cluster: bool,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let AMQPAuthority { host, port, .. } = &self.uri.authority;
        write!(f, "Endpoint({host}:{port})")
    }
}

impl Endpoint {
    /// The server's own broker, on the loopback interface without TLS, with the password that the
    /// [`Gate`](super::Gate) knows.
    pub fn own(port: u16, password: &SecretString) -> Self {
        Self {
            uri: AMQPUri {
                scheme: AMQPScheme::AMQP,
                authority: AMQPAuthority {
                    userinfo: AMQPUserInfo {
                        username: SERVER.to_owned(),
                        password: password.expose_secret().to_owned(),
                    },
                    host: "127.0.0.1".to_owned(),
                    port,
                },
                vhost: "/".to_owned(),
                query: query(),
            },
            ca: None,
            is_cluster: false,
        }
    }

    /// A RabbitMQ.
    pub fn rabbitmq(settings: &MessageSettings) -> Self {
        let mut uri = settings.uri.clone();
        settings
            .password
            .expose_secret()
            .clone_into(&mut uri.authority.userinfo.password);
        uri.query = query();
        Self {
            uri,
            ca: settings.ca.clone(),
            is_cluster: true,
        }
    }
}

fn query() -> AMQPQueryString {
    AMQPQueryString {
        heartbeat: Some(HEARTBEAT),
        ..AMQPQueryString::default()
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("the connection to the message broker failed")]
    Connection(#[from] lapin::Error),
    #[error("no connection to the message broker within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    #[error("what nodes said cannot be stored")]
    Store(#[from] StoreError),
    #[error("the message broker took the inbox away")]
    Cancelled,
}

/// Keeps a session until the server stops: declares the topology, reads the inbox, carries out orders. `ready`
/// turns true at the first session.
pub async fn run(app: SharedApp, endpoint: Endpoint, orders: Orders, ready: Arc<watch::Sender<bool>>) {
    let Orders(mut orders, barriers) = orders;
    let mut pause = FIRST_PAUSE;
    loop {
        let started = tokio::time::Instant::now();
        let ended = session(&app, &endpoint, &mut orders, &barriers, &ready).await;
        if app.stopping.is_cancelled() {
            return;
        }
        if started.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        if let Err(error) = ended {
            tracing::warn!(
                error = terminal::chain(&error),
                again_in = ?pause,
                "the session with the message broker ended"
            );
        }
        let wait = tokio::time::sleep(pause);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                () = app.stopping.cancelled() => return,
                Some((_, answer)) = orders.recv() => {
                    // Whoever asked may have gone away.
                    let _ = answer.send(Err(PostError::Away));
                }
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn session(
    app: &SharedApp,
    endpoint: &Endpoint,
    orders: &mut tokio::sync::mpsc::Receiver<Ordered>,
    barriers: &Barriers,
    ready: &watch::Sender<bool>,
) -> Result<(), SessionError> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, async {
        // Two connections: a broker that is full stops reading from the one that publishes, and what it is full of
        // must still be acknowledged on the other.
        let reading = connect(endpoint).await?;
        let writing = connect(endpoint).await?;
        let inbox = reading.create_channel().await?;
        let outbox = writing.create_channel().await?;
        Ok::<_, lapin::Error>((reading, writing, inbox, outbox))
    });
    let (reading, writing, inbox, outbox) = tokio::select! {
        connected = connected => connected.map_err(|_| SessionError::Timeout)??,
        () = app.stopping.cancelled() => return Ok(()),
    };
    outbox.confirm_select(ConfirmSelectOptions::default()).await?;
    declare(&outbox, endpoint.is_cluster).await?;
    for node in app.store.nodes(None).await? {
        if node.userdata_id.is_some() {
            open(&outbox, &node.id).await?;
        }
    }
    inbox.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let consumer = inbox
        .basic_consume(
            topology::INBOX_QUEUE.into(),
            "cycle_server".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    ready.send_replace(true);
    let ended = tokio::select! {
        ended = incoming::consume(app, &inbox, consumer, barriers) => ended.and(Err(SessionError::Cancelled)),
        ended = carry_out(&outbox, orders) => ended,
        // What is not acknowledged stays in the inbox for the next server.
        () = app.stopping.cancelled() => Ok(()),
    };
    for connection in [reading, writing] {
        // It is broken or the broker goes: nothing is lost by not closing it.
        let _ = connection.close(200, "the session ends".into()).await;
    }
    ended
}

pub(super) async fn connect(endpoint: &Endpoint) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name("cycle_server".into());
    let config = OwnedTLSConfig {
        cert_chain: endpoint.ca.clone(),
        ..OwnedTLSConfig::default()
    };
    let runtime = lapin::runtime::default_runtime()?;
    Connection::connect_uri_with_config(endpoint.uri.clone(), properties, config, runtime).await
}

async fn declare(channel: &Channel, is_cluster: bool) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    for (name, kind) in [
        (topology::NODE_EXCHANGE, ExchangeKind::Topic),
        (topology::CUSTOM_EXCHANGE, ExchangeKind::Topic),
        (topology::COMMAND_EXCHANGE, ExchangeKind::Direct),
    ] {
        channel
            .exchange_declare(name.into(), kind, durable, FieldTable::default())
            .await?;
    }
    let mut arguments = FieldTable::default();
    if is_cluster {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    }
    queue(
        channel,
        topology::INBOX_QUEUE,
        arguments,
        topology::NODE_EXCHANGE,
        "#",
    )
    .await
}

async fn queue(
    channel: &Channel,
    name: &str,
    arguments: FieldTable,
    exchange: &str,
    key: &str,
) -> lapin::Result<()> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(name.into(), durable, arguments).await?;
    channel
        .queue_bind(
            name.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

async fn open(channel: &Channel, node_id: &str) -> lapin::Result<()> {
    let name = topology::command_queue(node_id);
    let none = FieldTable::default();
    queue(channel, &name, none, topology::COMMAND_EXCHANGE, node_id).await
}

/// Carries out orders until one shows that the connection is lost.
async fn carry_out(
    channel: &Channel,
    orders: &mut tokio::sync::mpsc::Receiver<Ordered>,
) -> Result<(), SessionError> {
    while let Some((order, answer)) = orders.recv().await {
        let result = match order {
            Order::Open(node) => open(channel, &node).await.map_err(PostError::Refused),
            Order::Close(node) => close(channel, &node).await.map_err(PostError::Refused),
            Order::Send(node, command) => send(channel, &node, &command).await,
            Order::Publish(publication) => publish(channel, *publication).await,
            Order::Mark(marker) => mark(channel, *marker).await,
        };
        let is_lost = matches!(&result, Err(PostError::Refused(_)));
        // Whoever asked may have gone away.
        let _ = answer.send(result);
        if is_lost {
            // An error closes the channel at least: begin anew.
            return Err(SessionError::Cancelled);
        }
    }
    // The courier is gone: the server stops.
    std::future::pending().await
}

async fn close(channel: &Channel, node_id: &str) -> lapin::Result<()> {
    let name = ShortString::from(topology::command_queue(node_id));
    channel.queue_delete(name, QueueDeleteOptions::default()).await?;
    Ok(())
}

/// Sends a marker to the end of the inbox. It need not survive anything.
async fn mark(channel: &Channel, marker: BasicProperties) -> Result<(), PostError> {
    let sent = channel.basic_publish(
        "".into(),
        topology::INBOX_QUEUE.into(),
        BasicPublishOptions::default(),
        &[],
        marker,
    );
    // Its return says more than a confirmation.
    sent.await.map(drop).map_err(PostError::Refused)
}

/// Not mandatory: if nobody has bound a queue, the message has done its duty.
async fn publish(channel: &Channel, publication: Publication) -> Result<(), PostError> {
    let confirm = channel
        .basic_publish(
            topology::CUSTOM_EXCHANGE.into(),
            publication.routing_key,
            BasicPublishOptions::default(),
            &publication.body,
            publication.properties.with_delivery_mode(PERSISTENT),
        )
        .await
        .map_err(PostError::Refused)?;
    match confirm.await.map_err(PostError::Refused)? {
        Confirmation::Ack(_) | Confirmation::NotRequested => Ok(()),
        Confirmation::Nack(_) => Err(PostError::Away),
    }
}

async fn send(channel: &Channel, node_id: &str, command: &protocol::Command) -> Result<(), PostError> {
    let body = serde_json::to_vec(command).map_err(PostError::Json)?;
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(ShortString::from(command.id.to_string()));
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirm = channel
        .basic_publish(
            topology::COMMAND_EXCHANGE.into(),
            ShortString::from(node_id),
            mandatory,
            &body,
            properties,
        )
        .await
        .map_err(PostError::Refused)?;
    match confirm.await.map_err(PostError::Refused)? {
        Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
        Confirmation::Ack(Some(_)) => Err(PostError::NoQueue(node_id.to_owned())),
        Confirmation::Nack(_) => Err(PostError::Away),
    }
}
