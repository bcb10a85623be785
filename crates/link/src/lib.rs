//! Node side of messaging: outbox, AMQP session, HTTPS session, reconnection.
//!
//! A message is first a durable file in the [`outbox`]. The daemon's [`session`] delivers the files in order,
//! over AMQP or HTTPS, and removes each after the server confirmed it; [`local`] is how other programs of the
//! node ask the daemon to deliver now, and how it is. [`https`] also fetches the node's configuration.
//!
//! The crate must not know what messages mean, nor what commands do.

pub mod amqp;
pub mod https;
pub mod join;
pub mod local;
pub mod outbox;
pub mod session;
pub mod tls;
