//! Commands to nodes, as the reconcilers give them, and what nodes want published.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use protocol::{Command, PassingMessage};
use tokio::sync::{mpsc, oneshot};

use super::custom::Publication;
use super::rabbitmq::{Management, ManagementError};
use super::session::Endpoint;
use super::tail;
use crate::clock::SharedClock;
use crate::store::Node;

/// Orders that wait for the connection; more make their callers wait.
const QUEUE: usize = 256;

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
        let courier = Self {
            orders,
            accounts,
            endpoint,
            clock,
        };
        (courier, Orders(receiver))
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
pub struct Orders(pub(super) mpsc::Receiver<Ordered>);

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
