//! From the command line to the command.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::{cli, commands};

/// The definition of the command line, for reference pages.
pub fn command() -> clap::Command {
    cli::Cli::command()
}

/// The whole program: reads the command line, obeys it and tells the exit code.
pub fn run() -> ExitCode {
    // Fails only when somebody was faster, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match terminal::parse::<cli::Cli>() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let verbose = cli.verbose;
    terminal::finish(execute(cli), verbose)
}

fn execute(cli: cli::Cli) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(commands::run(cli))
}
