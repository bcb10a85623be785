//! The operator's command-line tool: projects, lockers, clusters, nodes and events over the server's REST API.
//!
//! It keeps nothing but its configuration file, and knows of the server only what REST tells.

mod cli;
mod client;
mod commands;
mod config;
mod prompt;
mod sse;
mod workplace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Fails only when somebody was faster, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = cli::Cli::parse();
    let verbose = cli.verbose;
    terminal::finish(run(cli), verbose)
}

fn run(cli: cli::Cli) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(commands::run(cli))
}
