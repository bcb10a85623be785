//! The application server: everything but its command line.
//!
//! The binary is a thin `main` over this library, so that each room can be tested on its own.

pub mod api;
pub mod app;
pub mod auth;
pub mod clock;
pub mod folder;
pub mod inbox;
pub mod init;
pub mod lifecycle;
pub mod listen;
pub mod logging;
pub mod provider;
pub mod reconcile;
pub mod run;
pub mod settings;
pub mod store;
pub mod template;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod web;
