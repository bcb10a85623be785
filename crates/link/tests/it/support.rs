//! A site on ports of its own: a broker that treats nodes as a server does, a small HTTP server, a node.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use broker::{Authentication, Authority, Broker, Permissions, Scope, Settings, TopicPermission};
use jiff::Timestamp;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use link::amqp::Target;
use link::https::{Credential, ServerApi};
use link::outbox::{Outbox, Sender};
use link::session::{LinkState, Options, Session};
use node::backoff::Backoff;
use node::clock::SystemClock;
use protocol::{Amqp, Envelope, Heartbeat, Log, MessageType, Messages, Transport, topology};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Every wait in the tests ends by then.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const NODE: &str = "n1";
pub(crate) const SECRET: &str = "0123456789abcdef";
pub(crate) const CLUSTER: &str = "my.cluster";

/// Lets the server and one node in, with the rights that they have at a real server.
#[derive(Debug)]
struct Accounts;

impl Authority for Accounts {
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a [u8]) -> Authentication<'a> {
        Box::pin(async move {
            match (user, password) {
                ("server", b"server") => Some(Permissions::everything()),
                (NODE, password) if password == SECRET.as_bytes() => Some(Permissions {
                    configure: Scope::nothing(),
                    write: Scope::names([topology::NODE_EXCHANGE]),
                    read: Scope::names([topology::command_queue(NODE)]),
                    topics: vec![TopicPermission {
                        exchange: topology::NODE_EXCHANGE.to_owned(),
                        prefixes: vec![topology::node_prefix(CLUSTER, NODE)],
                    }],
                }),
                _ => None,
            }
        })
    }
}

/// A broker that listens, and the server's own channel to it.
pub(crate) struct Server {
    pub(crate) broker: Broker,
    pub(crate) address: SocketAddr,
    pub(crate) channel: Channel,
    _connection: Connection,
}

impl Server {
    /// A broker with the exchanges and queues of a server.
    pub(crate) async fn start(folder: &Path, address: &str) -> Self {
        let server = Self::start_without_inbox(folder, address).await;
        server
            .channel
            .queue_declare(
                topology::INBOX_QUEUE.into(),
                QueueDeclareOptions::durable(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        server
            .bind(topology::INBOX_QUEUE, topology::NODE_EXCHANGE, "#")
            .await;
        server
    }

    pub(crate) async fn start_without_inbox(folder: &Path, address: &str) -> Self {
        let settings = Settings {
            refusal_delay: Duration::from_millis(20),
            ..Settings::new(folder)
        };
        let broker = Broker::open(settings, Arc::new(Accounts)).unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn({
            let broker = broker.clone();
            async move { broker.listen(listener, None).await }
        });
        let connection = Connection::connect(
            &format!("amqp://server:server@{address}/%2f"),
            ConnectionProperties::default(),
        )
        .await
        .unwrap();
        let channel = connection.create_channel().await.unwrap();
        let server = Self {
            broker,
            address,
            channel,
            _connection: connection,
        };
        server.declare().await;
        server
    }

    async fn declare(&self) {
        for (name, kind) in [
            (topology::NODE_EXCHANGE, ExchangeKind::Topic),
            (topology::COMMAND_EXCHANGE, ExchangeKind::Direct),
        ] {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            self.channel
                .exchange_declare(name.into(), kind, options, FieldTable::default())
                .await
                .unwrap();
        }
        let queue = topology::command_queue(NODE);
        self.channel
            .queue_declare(
                queue.clone().into(),
                QueueDeclareOptions::durable(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        self.bind(&queue, topology::COMMAND_EXCHANGE, NODE).await;
    }

    pub(crate) async fn bind(&self, queue: &str, exchange: &str, key: &str) {
        self.channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }

    /// Takes the next message of the inbox, waiting for it.
    pub(crate) async fn next(&self) -> lapin::message::BasicGetMessage {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let options = lapin::options::BasicGetOptions { no_ack: true };
            let got = self
                .channel
                .basic_get(topology::INBOX_QUEUE.into(), options)
                .await
                .unwrap();
            if let Some(message) = got {
                return message;
            }
            assert!(Instant::now() < deadline, "no message came in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The texts of the next log messages; heartbeats are left out.
    pub(crate) async fn logs(&self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let message = self.next().await;
            let envelope: Envelope = serde_json::from_slice(&message.delivery.data).unwrap();
            if envelope.kind == MessageType::Log {
                texts.push(text(&envelope));
            }
        }
        texts
    }
}

pub(crate) fn text(envelope: &Envelope) -> String {
    envelope.data["message"].as_str().unwrap().to_owned()
}

/// A node with an outbox and, when started, a session.
pub(crate) struct Node {
    pub(crate) outbox: Outbox,
    pub(crate) stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Node {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            outbox: Outbox::new(folder.path().join("outbox")),
            stop: CancellationToken::new(),
            _folder: folder,
        }
    }

    pub(crate) fn log(&self, text: &str) -> Envelope {
        let message = Log {
            level: protocol::Level::Info,
            priority: protocol::Priority::Low,
            message: text.to_owned(),
        };
        self.outbox
            .enqueue(&Sender::default(), Timestamp::now(), MessageType::Log, &message)
            .unwrap()
    }

    pub(crate) fn start(&self, transport: Transport, amqp: SocketAddr, http: &str) -> Session {
        self.start_with(transport, amqp, http, SECRET, None)
    }

    pub(crate) fn start_with(
        &self,
        transport: Transport,
        amqp: SocketAddr,
        http: &str,
        secret: &str,
        ca: Option<Vec<u8>>,
    ) -> Session {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let credential = Credential::Basic {
            user: NODE.to_owned(),
            password: secret.to_owned().into(),
        };
        let options = Options {
            api: ServerApi::new(http, None, credential).unwrap(),
            target: Some(Target {
                node_id: NODE.to_owned(),
                cluster: CLUSTER.to_owned(),
                secret: secret.to_owned().into(),
                host: amqp.ip().to_string(),
                amqp: Amqp {
                    host: None,
                    port: amqp.port(),
                    tls: ca.is_some(),
                    vhost: "/".to_owned(),
                    ca: None,
                },
                ca,
            }),
            transport,
            heartbeat: Duration::from_secs(60),
            sender: Sender {
                cluster_name: CLUSTER.to_owned(),
                node_id: NODE.to_owned(),
                ..Sender::default()
            },
            outbox: self.outbox.clone(),
            backoff: Backoff {
                initial: Duration::from_millis(20),
                max: Duration::from_millis(200),
            },
            clock: Arc::new(SystemClock),
            beat: Box::new(Heartbeat::default),
        };
        link::session::start(options, self.stop.clone())
    }
}

/// Waits until the state is as it should be.
pub(crate) async fn until(session: &Session, what: &str, is: impl Fn(&LinkState) -> bool) -> LinkState {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let state = session.handle.state();
        if is(&state) {
            return state;
        }
        assert!(Instant::now() < deadline, "{what}: {state:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An address at which nothing listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) authorization: String,
    pub(crate) body: Vec<u8>,
}

/// A small HTTP server: answers every request as told, and remembers it.
pub(crate) struct Http {
    pub(crate) url: String,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Http {
    pub(crate) async fn start(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            answer: Arc::new(Mutex::new((status, body.to_owned()))),
        };
        let (requests, answer) = (Arc::clone(&http.requests), Arc::clone(&http.answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &requests, &answer).await });
            }
        });
        http
    }

    pub(crate) fn set(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    /// The log texts of all accepted posts.
    pub(crate) fn logs(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let posts = requests.iter().filter(|request| request.line.starts_with("POST"));
        posts
            .flat_map(|post| serde_json::from_slice::<Messages>(&post.body).unwrap().messages)
            .filter(|envelope| envelope.kind == MessageType::Log)
            .map(|envelope| text(&envelope))
            .collect()
    }
}

async fn serve(mut stream: TcpStream, requests: &Mutex<Vec<Request>>, answer: &Mutex<(u16, String)>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let head_end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let header = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
                .unwrap_or_default()
        };
        let length: usize = header("content-length").parse().unwrap_or(0);
        while bytes.len() < head_end + length {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
        }
        let (status, body) = answer.lock().unwrap().clone();
        requests.lock().unwrap().push(Request {
            line: head.lines().next().unwrap().to_owned(),
            authorization: header("authorization"),
            body: bytes[head_end..head_end + length].to_vec(),
        });
        bytes.drain(..head_end + length);
        let reply = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}
