//! End-to-end tests: the real programs, real sockets, real files. Each test has a site of its own.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a failure is a failed test, also in helpers"
)]

mod bad_input;
mod cluster;
mod converges;
mod crashes;
mod downloads;
mod elastic;
mod failures;
mod faults;
mod identity;
mod messages;
mod node_data;
mod people;
mod plugins;
mod rabbitmq;
mod recipes;
mod senders;
mod shutdown;
mod storage;
mod testing;
