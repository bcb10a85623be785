//! The node's command-line tool.
//!
//! People, scripts, cron and recipes call it, thousands of times a day: it starts without a runtime, a network
//! connection or a log, and sets up only what the command at hand needs. What it prints on stdout, and its exit
//! codes, are read by scripts and frozen by tests.

mod cli;
mod commands;
mod context;
mod deliver;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbose = cli.verbose;
    let Some(command) = cli.command else {
        // `jetpack -v` alone has always been the version.
        if verbose || cli.version {
            return terminal::finish(commands::version(), false);
        }
        let _ = Cli::command().print_help();
        return ExitCode::from(terminal::exit::USAGE);
    };
    let result = match command {
        Command::Initialize(args) => commands::initialize::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::Log(args) => commands::log::run(&args),
        Command::Download(args) => commands::download::run(&args),
        Command::Converge(args) => commands::converge::run(&args),
        Command::Facts(args) => commands::facts::run(&args),
        Command::Status(args) => commands::status::run(&args),
    };
    terminal::finish(result, verbose)
}
