//! The node's command-line tool.
//!
//! People, scripts, cron and recipes call it, thousands of times a day: it starts without a runtime, a network
//! connection or a log, and sets up only what the command at hand needs. What it prints on stdout, and its exit
//! codes, are read by scripts and frozen by tests.
//!
//! The program is a library with a thin `main`, so that the reference pages are made from its own definition.

mod archive;
mod cli;
mod commands;
mod context;
mod deliver;
mod input;
mod json;
mod node_data;
mod program;
mod testing;

pub use program::{command, run};
