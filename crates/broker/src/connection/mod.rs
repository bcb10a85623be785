//! One client: handshake, frames in, frames out, heartbeats, the end.

mod basic;
mod channel;
mod content;
mod declare;
mod drive;
mod handshake;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use drive::{Ends, run};
