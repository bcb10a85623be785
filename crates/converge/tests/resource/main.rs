//! Resources, applied in a scratch root as a normal user, and the law of all of them.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up is a failed test"
)]

mod access;
mod anything;
mod archives;
mod commands;
mod crash;
mod files;
mod folders;
mod law;
mod lines;
mod live;
mod remote;
mod repositories;
mod system;
