//! The operator's command-line tool: projects, lockers, clusters, nodes and events over the server's REST API.
//!
//! It keeps nothing but its configuration file, and knows of the server only what REST tells.
//!
//! The program is a library with a thin `main`, so that the reference pages are made from its own definition.

mod cli;
mod client;
mod commands;
mod config;
mod follow;
mod program;
mod prompt;
mod sse;
mod workplace;

pub use program::{command, run};
