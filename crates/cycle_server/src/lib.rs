//! The application server.
//!
//! The binary is a thin `main` over this library, so that each room can be tested on its own and the reference pages
//! are made from the program's own definition.

pub mod api;
pub mod app;
pub mod auth;
pub mod clock;
pub mod folder;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod inbox;
pub mod init;
pub mod lifecycle;
pub mod listen;
pub mod lockers;
pub mod logging;
pub mod program;
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
