//! An embedded AMQP 0-9-1 listener with durable queues, made to look like RabbitMQ to its clients.
//!
//! The crate must not know what the messages mean: no nodes, no clusters, no JSON. Who may connect and do what is the
//! embedder's [`Authority`].
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn run(authority: Arc<dyn broker::Authority>) -> Result<(), Box<dyn std::error::Error>> {
//! let broker = broker::Broker::open(broker::Settings::new("/var/lib/example/messages"), authority)?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:5672").await?;
//! tokio::spawn({
//!     let broker = broker.clone();
//!     async move { broker.listen(listener, None).await }
//! });
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//! - A confirm (`basic.ack` to a publisher in confirm mode) is sent after the message is on the disk (`fdatasync`), if it is
//!   persistent and went to a durable queue. The answers to declare, bind, unbind and delete wait for the disk as well.
//! - Acknowledged messages do not come back once the acknowledgement is on the disk, at most 20 ms later on a
//!   healthy disk, and always before any later confirm.
//! - Order in a queue is the order of publishing; what is put back returns to its place.
//! - After a restart, messages are delivered with `redelivered` set: nobody can know that they were not seen.
//!
//! # What is there
//! Connection (PLAIN, EXTERNAL with the certificate that TLS verified, several vhosts, `update-secret`), channel, exchange (direct,
//! fanout, topic, headers; bindings between exchanges; alternate exchanges; predeclared `amq.*`), queue, basic, confirm,
//! `access.request`. Queue arguments: `x-expires`, `x-message-ttl`, `x-max-length`, `x-max-length-bytes`, `x-overflow`,
//! `x-dead-letter-exchange` and `-routing-key`, `x-single-active-consumer`, `x-queue-type` `classic` or `quorum`; the property
//! `expiration`; `x-priority` of consumers. A quorum queue is a durable queue like any other: there is one broker.
//!
//! # Where it differs from RabbitMQ 3.10
//! - Stricter: a clean close where RabbitMQ drops the socket: 403 for a wrong password even without the capability, 540 for
//!   unknown methods, 530 for a frame-max or channel-max beyond the offer, 504 for a method before the connection is open, 501
//!   for field tables nested more than 32 deep or malformed and for property flags that do not exist.
//! - `tx`, `basic.recover` without requeue, `immediate`, direct reply-to: 540.
//! - Arguments that change the meaning and are not supported are refused with 406, not ignored: priorities of messages in a queue,
//!   delivery limits, consumer timeouts, stream queues. Unknown arguments are accepted.
//! - AMQPLAIN is not offered. A body over [`Settings::max_body`] is refused with 406 by its header. Channel numbers above the negotiated
//!   channel-max are refused with 530.
//! - Short strings that are not UTF-8 are refused with 501.
//! - Messages expire at the head of their queue, by a look each second and before every delivery.
//!
//! What is written here is what the tests in `tests/pika` compare, case by case, with RabbitMQ itself.
//!
//! # Bounds
//! Frames are measured before they are buffered. Above half of [`Settings::memory_limit`], bodies of messages in the log
//! leave the memory once they are on the disk, and are read again when they are delivered; some 250 bytes of each message
//! stay. Above the limit, and while there is less than [`Settings::disk_free_limit`] on the disk or the disk refuses, connections
//! that publish are not read from any more (they hear `connection.blocked` if they can), so TCP makes the publishers
//! wait; a client that does both should therefore use one connection for each. A client that does not read holds at
//! most about 1 MiB and one message of output; then nothing more is delivered to it and its requests are not read,
//! and after two heartbeat intervals it counts as dead. One connection may assemble at most twice
//! [`Settings::max_body`] at a time over all its channels, and have 4096 consumers. Publishers that outrun the disk
//! by 8 MiB wait for it. The number of queues, exchanges and bindings is not bounded: give `configure` only to users
//! that are trusted with it.

mod authority;
mod codec;
mod connection;
mod engine;
mod error;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod hub;
mod server;
mod settings;
mod status;
mod store;

pub use authority::{
    Authentication, Authority, CertificateAuthentication, Pattern, Permissions, Scope, TopicPermission,
};
pub use error::Error;
pub use server::Broker;
pub use settings::{Clock, Settings};
pub use status::{ConnectionStatus, QueueStatus, Status};
