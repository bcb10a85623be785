//! A broker on a port of its own, and helpers that wait.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::{Authentication, Authority, Broker, CertificateAuthentication, Permissions, Settings};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::net::TcpListener;

/// Every wait in the tests ends by then.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Lets users in by a table of name, password, permissions.
#[derive(Debug, Default)]
pub(crate) struct Users(pub(crate) Vec<(String, String, Permissions)>);

impl Users {
    pub(crate) fn guest() -> Self {
        Self(vec![(
            "guest".to_owned(),
            "guest".to_owned(),
            Permissions::everything(),
        )])
    }
}

impl Authority for Users {
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a [u8]) -> Authentication<'a> {
        Box::pin(async move {
            self.0
                .iter()
                .find(|(name, secret, _)| name == user && secret.as_bytes() == password)
                .map(|(_, _, permissions)| permissions.clone())
        })
    }

    fn authenticate_certificate<'a>(&'a self, _certificate: &'a [u8]) -> CertificateAuthentication<'a> {
        // TLS has verified it; whose it is does not matter here.
        let guest = self.0.first().cloned();
        Box::pin(async move { guest.map(|(name, _, permissions)| (name, permissions)) })
    }

    fn enter(&self, _user: &str, vhost: &str, permissions: Permissions) -> Option<Permissions> {
        (vhost != "closed").then_some(permissions)
    }
}

/// A broker that listens.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) broker: Broker,
    pub(crate) address: SocketAddr,
}

pub(crate) fn settings(dir: &Path) -> Settings {
    Settings {
        refusal_delay: Duration::from_millis(50),
        vhosts: vec!["other".to_owned(), "closed".to_owned()],
        ..Settings::new(dir)
    }
}

impl Running {
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::with(settings(dir), Users::guest()).await
    }

    pub(crate) async fn with(settings: Settings, users: Users) -> Self {
        let broker = Broker::open(settings, Arc::new(users)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn({
            let broker = broker.clone();
            async move { broker.listen(listener, None).await }
        });
        Self { broker, address }
    }

    pub(crate) fn uri(&self, user: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@{}/%2f", self.address)
    }

    /// The broker as its clients see it.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            uri: self.uri("guest", "guest"),
            is_rabbitmq: false,
        }
    }

    pub(crate) async fn connect_as(&self, user: &str, password: &str) -> lapin::Result<Connection> {
        Connection::connect(&self.uri(user, password), ConnectionProperties::default()).await
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.connect_as("guest", "guest").await.unwrap()
    }

    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

/// A broker, ours or RabbitMQ.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) uri: String,
    pub(crate) is_rabbitmq: bool,
}

impl Peer {
    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.uri, ConnectionProperties::default()).await;
        let connection = connection.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

/// Waits until `is` holds.
pub(crate) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The reply code of a lapin error.
pub(crate) fn code<T: std::fmt::Debug>(result: lapin::Result<T>) -> u16 {
    let error = result.unwrap_err();
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => error.get_id(),
        _ => panic!("not a protocol error: {error:?}"),
    }
}
