//! The machine from our side: home, settings, node.json, commands, locks, logs.
//!
//! Everything that a program on the node needs to know about the machine it runs on, and every way
//! in which it touches that machine: where files are ([`home`]), what the administrator set
//! ([`settings`]), who the node is ([`identity`], [`connection`]), what it was configured to be
//! ([`config`]), how a child process is run ([`command`]), who works on what ([`lock`]), what was
//! said ([`log`]) and when ([`clock`], [`backoff`]), what is wrong with it ([`conditions`]) and until when that
//! ends nothing ([`keepalive`]), and what it is in a few words ([`properties`]).
//!
//! The crate must not know that a server exists: no sockets, no messages, no transports.

pub mod backoff;
pub mod clock;
pub mod command;
pub mod conditions;
pub mod config;
pub mod connection;
pub mod duration;
pub mod environment;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod home;
pub mod host;
pub mod identity;
pub mod ini;
mod installed;
pub mod instance_metadata;
pub mod keepalive;
pub mod lock;
pub mod log;
pub mod nss;
pub mod properties;
mod python;
pub mod python_package;
pub mod random;
pub mod rooted;
pub mod run_on_shutdown;
pub mod sandbox;
mod seek;
pub mod settings;
pub mod socket;
pub mod trace;
mod version;

pub use version::version;
