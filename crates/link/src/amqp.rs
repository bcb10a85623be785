//! One AMQP connection of a node: its messages go out and are confirmed, its commands come in.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, RustlsConnector};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind,
    PublisherConfirm,
};
use protocol::{Amqp, Command, Envelope, topology};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::tls;

mod custom;

use custom::Publication;

/// Seconds. The broker may ask for less.
const HEARTBEAT: u16 = 60;
/// From the first packet to the open channel.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the broker may take to confirm a message. Longer than it needs to notice that its disk is full and to
/// recover; a connection that says nothing for so long is given up, and the message is sent again over the next.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(90);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Commands that the broker sends ahead of our acknowledgement.
const PREFETCH: u16 = 10;
/// AMQP's `delivery-mode` of messages that survive the broker.
const PERSISTENT: u8 = 2;

/// A connection that was not made or that broke.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker is not there, or the connection broke.
    #[error("the AMQP connection to `{address}` failed")]
    Connection {
        /// `host:port`.
        address: String,
        /// What happened.
        #[source]
        source: lapin::Error,
    },
    /// A message was not confirmed in time.
    #[error("no confirmation from `{address}` within {} seconds", CONFIRM_TIMEOUT.as_secs())]
    Unconfirmed {
        /// `host:port`.
        address: String,
    },
    /// No open connection in time.
    #[error("no AMQP connection to `{address}` within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// `host:port`.
        address: String,
    },
    /// The broker does not accept the credential, or does not let this node do what nodes do.
    #[error("the AMQP listener `{address}` refused this node")]
    Refused {
        /// `host:port`.
        address: String,
        /// What it said.
        #[source]
        source: lapin::Error,
    },
    /// Without TLS a credential leaves this machine for nobody.
    #[error("the AMQP listener `{address}` is without TLS and not on this machine")]
    Plain {
        /// `host:port`.
        address: String,
    },
    /// The pinned CA is not usable.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// A message has no JSON form.
    #[error("a message cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The broker took the command queue away.
    #[error("the command queue of this node is gone from `{address}`")]
    Cancelled {
        /// `host:port`.
        address: String,
    },
    /// The broker cannot store more now.
    #[error("the AMQP listener `{address}` did not take a message")]
    Nacked {
        /// `host:port`.
        address: String,
    },
}

/// Where to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// The node's id: user name, and part of every routing key.
    pub node_id: String,
    /// Name of the cluster, the other part.
    pub cluster: String,
    /// The node's secret.
    pub secret: SecretString,
    /// Host name or address of the listener.
    pub host: String,
    /// The listener.
    pub amqp: Amqp,
    /// The pinned CA (PEM).
    pub ca: Option<Vec<u8>>,
}

impl Target {
    /// `host:port`, for people.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.amqp.port)
    }

    fn uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.amqp.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.node_id.clone(),
                    password: self.secret.expose_secret().to_owned(),
                },
                host: self.host.clone(),
                port: self.amqp.port,
            },
            vhost: self.amqp.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT),
                ..AMQPQueryString::default()
            },
        }
    }

    fn failed(&self, source: lapin::Error) -> Error {
        let address = self.address();
        let refused = match source.kind() {
            ErrorKind::ProtocolError(error) => {
                matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED))
            }
            _ => false,
        };
        if refused {
            Error::Refused { address, source }
        } else {
            Error::Connection { address, source }
        }
    }
}

/// A command that came in. It comes again, over the next connection, until [`Received::done`].
#[derive(Debug)]
pub struct Received {
    /// What to do.
    pub command: Command,
    delivery: Option<Delivery>,
}

impl Received {
    /// A command that nobody waits to hear about.
    pub fn unacknowledged(command: Command) -> Self {
        Self {
            command,
            delivery: None,
        }
    }

    /// Says that the command was handled, and so need not come again.
    pub async fn done(self) {
        if let Some(delivery) = self.delivery {
            // A connection that broke meanwhile brings the command again; its receiver knows its id.
            if let Err(error) = delivery.ack(BasicAckOptions::default()).await {
                tracing::debug!(command = %self.command.id, %error, "cannot acknowledge a command");
            }
        }
    }
}

/// What became of one published message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The broker has it safe.
    Confirmed,
    /// No queue takes it; with what the broker said.
    Returned(String),
}

/// A publication that the broker has not confirmed yet.
#[derive(Debug)]
pub(crate) struct Pending {
    confirm: PublisherConfirm,
    deadline: Instant,
    address: String,
}

impl Pending {
    /// Waits for the broker. Dropping the future between two polls loses nothing.
    pub(crate) async fn outcome(&mut self) -> Result<Outcome, Error> {
        let confirmation = tokio::time::timeout_at(self.deadline, &mut self.confirm)
            .await
            .map_err(|_| Error::Unconfirmed {
                address: self.address.clone(),
            })?
            .map_err(|source| Error::Connection {
                address: self.address.clone(),
                source,
            })?;
        match confirmation {
            Confirmation::Ack(None) | Confirmation::NotRequested => Ok(Outcome::Confirmed),
            Confirmation::Ack(Some(returned)) => Ok(Outcome::Returned(format!(
                "{} {}",
                returned.reply_code, returned.reply_text
            ))),
            Confirmation::Nack(_) => Err(Error::Nacked {
                address: self.address.clone(),
            }),
        }
    }
}

/// An open connection, ready to publish and to consume.
pub(crate) struct AmqpSession {
    target: Arc<Target>,
    connection: Connection,
    publisher: Channel,
    // Its own channel: an error of the one does not close the other.
    _commands: Channel,
    consumer: Consumer,
}

impl AmqpSession {
    /// Connects, turns publisher confirms on and begins to consume the node's command queue.
    pub(crate) async fn open(target: Arc<Target>) -> Result<Self, Error> {
        if !target.amqp.tls && !crate::https::is_loopback_host(&target.host) {
            return Err(Error::Plain {
                address: target.address(),
            });
        }
        let opening = Self::open_unbounded(Arc::clone(&target));
        match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                address: target.address(),
            }),
        }
    }

    async fn open_unbounded(target: Arc<Target>) -> Result<Self, Error> {
        let failed = |error| target.failed(error);
        let connection = connect(&target).await?;
        let publisher = connection.create_channel().await.map_err(failed)?;
        publisher
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(failed)?;
        let commands = connection.create_channel().await.map_err(failed)?;
        commands
            .basic_qos(PREFETCH, BasicQosOptions::default())
            .await
            .map_err(failed)?;
        let consumer = commands
            .basic_consume(
                topology::command_queue(&target.node_id).into(),
                ShortString::from("jetpackd"),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(failed)?;
        Ok(Self {
            target,
            connection,
            publisher,
            _commands: commands,
            consumer,
        })
    }

    /// Publishes one message: what `jetpack send` gave to the exchange for it, everything else to the server.
    pub(crate) async fn publish(&self, envelope: &Envelope) -> Result<Pending, Error> {
        match custom::publication(envelope) {
            Some(custom) => self.publish_custom(custom).await,
            None => self.publish_own(envelope).await,
        }
    }

    /// Publishes for whoever has bound a queue. Not mandatory: if nobody has, the message has done its duty.
    async fn publish_custom(&self, custom: Publication) -> Result<Pending, Error> {
        self.confirmed(
            topology::CUSTOM_EXCHANGE,
            custom.routing_key,
            BasicPublishOptions::default(),
            &custom.body,
            custom.properties.with_delivery_mode(PERSISTENT),
        )
        .await
    }

    /// Publishes for the server: persistent, mandatory, signed with the node's id.
    async fn publish_own(&self, envelope: &Envelope) -> Result<Pending, Error> {
        let body = serde_json::to_vec(envelope).map_err(Error::Json)?;
        let key = topology::routing_key(&self.target.cluster, &self.target.node_id, envelope.kind);
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type(ShortString::from("application/json"))
            .with_message_id(envelope.id.to_string().into())
            .with_user_id(self.target.node_id.clone().into());
        self.confirmed(topology::NODE_EXCHANGE, key.into(), options, &body, properties)
            .await
    }

    async fn confirmed(
        &self,
        exchange: &str,
        key: ShortString,
        options: BasicPublishOptions,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Pending, Error> {
        let confirm = self
            .publisher
            .basic_publish(exchange.into(), key, options, body, properties)
            .await
            .map_err(|error| self.target.failed(error))?;
        Ok(Pending {
            confirm,
            deadline: Instant::now() + CONFIRM_TIMEOUT,
            address: self.target.address(),
        })
    }

    /// The next command. What is no command is acknowledged, logged and left out.
    pub(crate) async fn next_command(&mut self) -> Result<Received, Error> {
        loop {
            let delivery = match self.consumer.next().await {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return Err(self.target.failed(error)),
                None => {
                    return Err(Error::Cancelled {
                        address: self.target.address(),
                    });
                }
            };
            match serde_json::from_slice::<Command>(&delivery.data) {
                Ok(command) => {
                    return Ok(Received {
                        command,
                        delivery: Some(delivery),
                    });
                }
                Err(error) => {
                    tracing::warn!("the server sent something that is no command: {error}");
                    delivery
                        .ack(BasicAckOptions::default())
                        .await
                        .map_err(|error| self.target.failed(error))?;
                }
            }
        }
    }

    /// Says good-bye, within moments.
    pub(crate) async fn close(self) {
        let close = self.connection.close(200, ShortString::from("bye"));
        // The broker notices a connection that is just dropped, too.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, close).await;
    }
}

async fn connect(target: &Target) -> Result<Connection, Error> {
    let properties =
        ConnectionProperties::default().with_connection_name(format!("jetpackd {}", target.node_id).into());
    let runtime = lapin::runtime::default_runtime().map_err(|error| target.failed(error))?;
    let pinned = match &target.ca {
        Some(ca) if target.amqp.tls => Some(RustlsConnector::from(tls::pinned(ca)?)),
        _ => None,
    };
    let connection = match pinned {
        // lapin's own TLS set-up would trust the platform's roots as well.
        Some(connector) => {
            Connection::connector(
                target.uri(),
                runtime,
                async move |uri, runtime| {
                    let plain = AMQPUri {
                        scheme: AMQPScheme::AMQP,
                        ..uri.clone()
                    };
                    let stream = AMQPUriTcpExt::connect_async(&plain, &runtime).await?;
                    let stream: AsyncTcpStream<_> =
                        stream.into_rustls(&connector, &uri.authority.host).await?;
                    Ok(stream)
                },
                properties,
            )
            .await
        }
        None => Connection::connect_uri_with_runtime(target.uri(), properties, runtime).await,
    };
    connection.map_err(|error| target.failed(error))
}
