use std::sync::Arc;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use link::local::DeliveryState;
use link::session::Over;
use protocol::{Command, CommandKind, Envelope, MessageType, Transport, topology};
use uuid::Uuid;

use crate::support::{DEADLINE, Http, NODE, Node, SECRET, Server, nobody, until};

const ANYWHERE: &str = "127.0.0.1:0";
/// The sessions of these tests do not use it.
const NO_HTTP: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn the_outbox_is_delivered_in_order_and_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ANYWHERE).await;
    let node = Node::new();
    // More than the window of unconfirmed messages.
    let sent: Vec<_> = (0..250).map(|number| format!("message {number}")).collect();
    for text in &sent {
        node.log(text);
    }
    let session = node.start(Transport::Amqp, server.address, NO_HTTP);
    assert_eq!(server.logs(250).await, sent);
    assert_eq!(
        session.handle.deliver(DEADLINE).await.state,
        DeliveryState::Delivered
    );
    assert!(node.outbox.waiting().unwrap().is_empty());
    let state = session.handle.state();
    assert_eq!(state.over, Some(Over::Amqp));
    assert_eq!(state.delivered, 250);
}

#[tokio::test]
async fn a_message_is_persistent_signed_and_named_and_a_heartbeat_is_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ANYWHERE).await;
    let node = Node::new();
    let envelope = node.log("hello");
    let session = node.start(Transport::Amqp, server.address, NO_HTTP);
    let (mut log, mut heartbeat) = (None, None);
    while log.is_none() || heartbeat.is_none() {
        let message = server.next().await.delivery;
        match message.routing_key.as_str() {
            "my_cluster.n1.log" => log = Some(message),
            "my_cluster.n1.heartbeat" => heartbeat = Some(message),
            other => panic!("{other}"),
        }
    }
    let log = log.unwrap();
    let properties = &log.properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.user_id().as_ref().unwrap().as_str(), NODE);
    assert_eq!(
        properties.message_id().as_ref().unwrap().as_str(),
        envelope.id.to_string()
    );
    let received: Envelope = serde_json::from_slice(&log.data).unwrap();
    assert_eq!(received.node_id, NODE, "filled in for a node that had not joined");
    let heartbeat: Envelope = serde_json::from_slice(&heartbeat.unwrap().data).unwrap();
    assert_eq!(heartbeat.kind, MessageType::Heartbeat);
    // The broker hands a message on a little before its confirm arrives here.
    let delivery = session.handle.deliver(DEADLINE).await;
    assert_eq!(delivery, DeliveryState::Delivered.plain());
    assert!(
        node.outbox.waiting().unwrap().is_empty(),
        "heartbeats do not wait"
    );
}

#[tokio::test]
async fn what_is_said_while_the_server_is_away_is_delivered_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ANYWHERE).await;
    let address = server.address;
    let node = Node::new();
    let session = node.start(Transport::Amqp, address, NO_HTTP);
    node.log("before");
    session.handle.wake();
    assert_eq!(server.logs(1).await, ["before"]);
    session.handle.deliver(DEADLINE).await;
    server.broker.shutdown().await;
    drop(server);
    until(&session, "the loss is noticed", |state| !state.is_connected()).await;
    node.log("meanwhile");
    let delivery = session.handle.deliver(DEADLINE).await;
    assert_eq!(delivery.state, DeliveryState::Away);
    assert!(delivery.reason.unwrap().contains(&address.to_string()));
    assert_eq!(node.outbox.waiting().unwrap().len(), 1);
    let server = Server::start(folder.path(), &address.to_string()).await;
    assert_eq!(server.logs(1).await, ["meanwhile"]);
    until(&session, "the return is noticed", |state| state.is_connected()).await;
}

#[tokio::test]
async fn a_message_that_no_queue_takes_stays_in_the_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_without_inbox(folder.path(), ANYWHERE).await;
    let node = Node::new();
    node.log("lost?");
    let session = node.start(Transport::Amqp, server.address, NO_HTTP);
    until(&session, "the message comes back", |state| state.returned == 1).await;
    let delivery = session.handle.deliver(DEADLINE).await;
    assert_eq!(delivery.state, DeliveryState::Pending);
    assert_eq!(node.outbox.waiting().unwrap().len(), 1);
}

fn command(kind: CommandKind) -> Command {
    Command {
        id: Uuid::now_v7(),
        timestamp: jiff::Timestamp::UNIX_EPOCH,
        cluster_session_id: "life".to_owned(),
        kind,
    }
}

async fn send(server: &Server, body: &[u8]) {
    server
        .channel
        .basic_publish(
            topology::COMMAND_EXCHANGE.into(),
            NODE.into(),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default().with_delivery_mode(2),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_command_comes_again_until_it_was_handled() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ANYWHERE).await;
    send(&server, b"no command").await;
    let wanted = command(CommandKind::Converge);
    send(&server, &serde_json::to_vec(&wanted).unwrap()).await;

    let node = Node::new();
    let mut first = node.start(Transport::Amqp, server.address, NO_HTTP);
    let received = first.commands.recv().await.unwrap();
    assert_eq!(received.command, wanted, "what is no command is left out");
    node.stop.cancel();
    first.task.await.unwrap();
    drop(received);

    let node = Node::new();
    let mut second = node.start(Transport::Amqp, server.address, NO_HTTP);
    let received = second.commands.recv().await.unwrap();
    assert_eq!(received.command, wanted);
    received.done().await;
    node.stop.cancel();
    second.task.await.unwrap();

    let last = command(CommandKind::Terminate {
        reason: "idle".to_owned(),
    });
    send(&server, &serde_json::to_vec(&last).unwrap()).await;
    let node = Node::new();
    let mut third = node.start(Transport::Amqp, server.address, NO_HTTP);
    let received = third.commands.recv().await.unwrap();
    assert_eq!(received.command, last, "the first one is done with");
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ANYWHERE).await;
    let node = Node::new();
    let session = node.start_with(Transport::Amqp, server.address, NO_HTTP, "wrong", None);
    let state = until(&session, "the refusal", |state| state.refused.is_some()).await;
    assert!(state.refused.unwrap().contains("refused this node"));
}

#[tokio::test]
async fn https_steps_in_while_amqp_is_away_and_steps_back_when_it_comes() {
    let http = Http::start(202, "").await;
    let address = nobody().await;
    let node = Node::new();
    node.log("over https");
    let session = node.start(Transport::Auto, address, &http.url);
    until(&session, "https works", |state| state.over == Some(Over::Https)).await;
    assert_eq!(
        session.handle.deliver(DEADLINE).await.state,
        DeliveryState::Delivered
    );
    assert_eq!(http.logs(), ["over https"]);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &address.to_string()).await;
    until(&session, "amqp works", |state| state.over == Some(Over::Amqp)).await;
    node.log("over amqp");
    session.handle.wake();
    assert_eq!(server.logs(1).await, ["over amqp"]);
}

#[tokio::test]
async fn the_end_of_a_session_waits_for_the_last_confirmations() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ANYWHERE).await;
    let node = Node::new();
    let session = node.start(Transport::Amqp, server.address, NO_HTTP);
    until(&session, "connected", |state| state.is_connected()).await;
    for number in 0..20 {
        node.log(&number.to_string());
    }
    assert_eq!(
        session.handle.deliver(DEADLINE).await.state,
        DeliveryState::Delivered
    );
    node.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), session.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(server.logs(20).await.len(), 20);
}

/// A CA, and the TLS of a server on 127.0.0.1 with a certificate of it.
fn authority() -> (Vec<u8>, Arc<rustls::ServerConfig>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem().into_bytes();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (ca_pem, Arc::new(config))
}

#[tokio::test]
async fn only_the_pinned_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ANYWHERE).await;
    let (ca, config) = authority();
    let (other_ca, _) = authority();
    let listener = tokio::net::TcpListener::bind(ANYWHERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn({
        let broker = server.broker.clone();
        async move { broker.listen(listener, Some(config)).await }
    });
    let stranger = Node::new();
    let session = stranger.start_with(Transport::Amqp, address, NO_HTTP, SECRET, Some(other_ca));
    let state = until(&session, "the certificate is refused", |state| {
        state.last_error.is_some()
    })
    .await;
    let error = state.last_error.unwrap();
    assert!(error.contains("certificate"), "{error}");
    stranger.stop.cancel();

    let node = Node::new();
    node.log("over TLS");
    let _session = node.start_with(Transport::Amqp, address, NO_HTTP, SECRET, Some(ca));
    assert_eq!(server.logs(1).await, ["over TLS"]);
}
