//! Commands to nodes, as the reconcilers give them, and what nodes want published.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::BasicProperties;
use protocol::{Command, PassingMessage};
use tokio::sync::{mpsc, oneshot};

use super::barrier::Barriers;
use super::custom::Publication;
use super::rabbitmq::{Management, ManagementError};
use super::session::Endpoint;
use super::tail;
use crate::clock::SharedClock;
use crate::store::Node;

/// Orders that wait for the connection; more make their callers wait.
const QUEUE: usize = 256;
/// How long the inbox of our own broker may need to be read up to now.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same of a RabbitMQ, which may be away.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

/// A command or a queue that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// There is no connection to the broker now.
    #[error("the message broker is away")]
    Away,
    /// The broker refused.
    #[error("the message broker refused")]
    Refused(#[source] lapin::Error),
    /// The command has no form.
    #[error("a command cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The accounts of RabbitMQ cannot be changed.
    #[error(transparent)]
    Accounts(#[from] ManagementError),
    /// The inbox is long, and is being read.
    #[error("the inbox is not read up to now yet")]
    Behind,
    /// No queue took the command.
    #[error("node `{0}` has no command queue")]
    NoQueue(String),
}

/// Reaches nodes.
pub trait Post: fmt::Debug + Send + Sync {
    /// Makes the command queue of a node. There may be one already.
    fn open<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), PostError>>;

    /// Sends a command. It is on the broker's disk when this returns.
    fn send<'a>(&'a self, node_id: &'a str, command: Command) -> BoxFuture<'a, Result<(), PostError>>;

    /// Publishes for a node that cannot itself. It is on the broker's disk when this returns, if any queue takes it.
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PostError>>;

    /// Returns when everything that nodes have said over AMQP so far is stored.
    ///
    /// # Errors
    /// [`PostError::Behind`] when that takes too long, and [`PostError::Away`]: what is stored now may come before it.
    fn catch_up(&self) -> BoxFuture<'_, Result<(), PostError>>;

    /// Hears every message whose routing key matches one of `keys`, from now on.
    fn follow(&self, keys: Vec<String>) -> BoxFuture<'_, Result<mpsc::Receiver<PassingMessage>, PostError>>;

    /// Lets a node in that has shown this secret, where the broker does not ask us itself.
    fn admit<'a>(&'a self, node: &'a Node, secret: &'a str) -> BoxFuture<'a, Result<(), PostError>>;

    /// Removes the command queue of a node and closes its connections.
    fn close<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), PostError>>;
}

/// Something to do on the connection.
#[derive(Debug)]
pub(super) enum Order {
    Open(String),
    Send(String, Box<Command>),
    Publish(Box<Publication>),
    Close(String),
    /// Send this marker through the inbox.
    Mark(Box<BasicProperties>),
}

/// An order and who waits for it.
pub(super) type Ordered = (Order, oneshot::Sender<Result<(), PostError>>);

/// The [`Post`] over AMQP. [`super::run`] carries its orders out.
#[derive(Debug, Clone)]
pub struct Courier {
    orders: mpsc::Sender<Ordered>,
    accounts: Accounts,
    endpoint: Endpoint,
    clock: SharedClock,
    barriers: Barriers,
}

/// Who keeps the accounts of the broker.
#[derive(Debug, Clone)]
pub enum Accounts {
    /// Our own broker asks us at each log-in.
    Own(broker::Broker),
    /// A RabbitMQ has its own.
    RabbitMq(Arc<Management>),
}

impl Courier {
    /// A courier and the other end, for [`super::run`].
    pub fn new(accounts: Accounts, endpoint: Endpoint, clock: SharedClock) -> (Self, Orders) {
        let (orders, receiver) = mpsc::channel(QUEUE);
        let barriers = Barriers::default();
        let courier = Self {
            orders,
            accounts,
            endpoint,
            clock,
            barriers: barriers.clone(),
        };
        (courier, Orders(receiver, barriers))
    }

    async fn order(&self, order: Order) -> Result<(), PostError> {
        let (answer, result) = oneshot::channel();
        let sent = self.orders.send((order, answer)).await;
        sent.map_err(|_| PostError::Away)?;
        result.await.map_err(|_| PostError::Away)?
    }
}

/// The orders of a [`Courier`].
#[derive(Debug)]
pub struct Orders(pub(super) mpsc::Receiver<Ordered>, pub(super) Barriers);

impl Post for Courier {
    fn open<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), PostError>> {
        self.order(Order::Open(node_id.to_owned())).boxed()
    }

    fn send<'a>(&'a self, node_id: &'a str, command: Command) -> BoxFuture<'a, Result<(), PostError>> {
        self.order(Order::Send(node_id.to_owned(), Box::new(command)))
            .boxed()
    }

    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PostError>> {
        self.order(Order::Publish(Box::new(publication))).boxed()
    }

    fn catch_up(&self) -> BoxFuture<'_, Result<(), PostError>> {
        async move {
            let (marker, reached) = self.barriers.raise();
            let caught_up = async {
                self.order(Order::Mark(Box::new(marker))).await?;
                reached.await.map_err(|_| PostError::Away)
            };
            let patience = match self.accounts {
                Accounts::Own(_) => PATIENCE,
                Accounts::RabbitMq(_) => SHORT_PATIENCE,
            };
            match tokio::time::timeout(patience, caught_up).await {
                Ok(Ok(())) => Ok(()),
                // A RabbitMQ may be away for long, and HTTPS is there for that; our own broker is back in a moment.
                _ if matches!(self.accounts, Accounts::RabbitMq(_)) => Ok(()),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(PostError::Behind),
            }
        }
        .boxed()
    }

    fn follow(&self, keys: Vec<String>) -> BoxFuture<'_, Result<mpsc::Receiver<PassingMessage>, PostError>> {
        async move {
            let followed = tail::follow(&self.endpoint, self.clock.clone(), &keys).await;
            followed.map_err(PostError::Refused)
        }
        .boxed()
    }

    fn admit<'a>(&'a self, node: &'a Node, secret: &'a str) -> BoxFuture<'a, Result<(), PostError>> {
        async move {
            if let Accounts::RabbitMq(management) = &self.accounts {
                management.admit(node, secret).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn close<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), PostError>> {
        async move {
            match &self.accounts {
                Accounts::Own(broker) => {
                    broker.close_user(node_id);
                }
                Accounts::RabbitMq(management) => management.expel(node_id).await?,
            }
            self.order(Order::Close(node_id.to_owned())).await
        }
        .boxed()
    }
}
