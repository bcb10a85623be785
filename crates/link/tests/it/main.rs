//! The node's side of messaging against a real broker, over loopback.

#[cfg(test)]
mod amqp;
#[cfg(test)]
mod https;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod support;
