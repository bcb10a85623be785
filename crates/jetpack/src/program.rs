//! From the command line to the command.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::commands;

/// The definition of the command line, for reference pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The whole program: reads the command line, obeys it and tells the exit code.
pub fn run() -> ExitCode {
    node::nss::pin();
    let cli = match terminal::parse::<Cli>() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
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
        Command::Send(args) => commands::send::run(&args),
        Command::Autoscale(args) => commands::autoscale::run(&args),
        Command::Shutdown(args) => commands::shutdown::run(&args),
        Command::RunOnShutdown(args) => commands::run_on_shutdown::run(&args),
        Command::Keepalive(args) => commands::keepalive::run(&args),
        Command::Condition(args) => commands::condition::run(&args),
        Command::Props(args) => commands::props::run(&args),
        Command::Users(args) => commands::users::run(&args),
        Command::Download(args) => commands::download::run(&args),
        Command::Converge(args) => commands::converge::run(&args),
        Command::Facts(args) => commands::facts::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Test(args) => commands::test::run(&args),
        Command::ReportIssue(args) => commands::report_issue::run(&args),
        Command::ReportHost => commands::report_host::run(),
        Command::Completions(args) => commands::completions::run(&args),
    };
    terminal::finish(result, verbose)
}
