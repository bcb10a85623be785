//! Commands to nodes, as the reconcilers give them, and what nodes want published.

use std::fmt;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use protocol::Command;
use tokio::sync::{mpsc, oneshot};

use super::custom::Publication;

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
    broker: broker::Broker,
}

impl Courier {
    /// A courier and the other end, for [`super::run`].
    pub fn new(broker: broker::Broker) -> (Self, Orders) {
        let (orders, receiver) = mpsc::channel(QUEUE);
        (Self { orders, broker }, Orders(receiver))
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

    fn close<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), PostError>> {
        self.broker.close_user(node_id);
        self.order(Order::Close(node_id.to_owned())).boxed()
    }
}
