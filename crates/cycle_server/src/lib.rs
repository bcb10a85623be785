//! The application server: everything but its command line.
//!
//! The binary is a thin `main` over this library, so that each room can be tested on its own.

pub mod clock;
pub mod lifecycle;
pub mod provider;
pub mod store;
pub mod template;
pub mod web;
