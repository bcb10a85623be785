//! The node's daemon: its only connection to the server.
//!
//! It joins, delivers what waits in the outbox, sends heartbeats, obeys commands and starts
//! `jetpack converge` as a process of its own. It must not know how a converge works.
//!
//! The program is a library with a thin `main`, so that the reference pages are made from its own definition.

mod converge;
mod daemon;
mod going;
mod join;
mod program;
mod socket;
mod state;
mod status;

pub use program::{command, run};
