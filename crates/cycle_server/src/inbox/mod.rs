//! Messages over AMQP: what nodes say comes in, commands go out.
//!
//! [`Gate`] tells the broker who may connect. [`run`] keeps a connection of the server's own, reads the inbox
//! into the store and sends what a [`Courier`] is given: commands, and what nodes that have no AMQP want
//! published. The module must not know what messages mean: it hands
//! them to [`App::receive`](crate::app::App::receive).

mod barrier;
mod courier;
mod custom;
mod gate;
mod incoming;
mod rabbitmq;
mod session;
mod tail;

pub use courier::{Accounts, Courier, Post, PostError};
pub use custom::Publication;
pub use gate::Gate;
pub use rabbitmq::Management;
pub use session::{Endpoint, run};

#[cfg(test)]
mod tests;
