//! From the command line to the daemon.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use node::clock::SystemClock;
use node::home::Home;
use node::log::{Level, LogFile};
use node::settings::Settings;
use node::trace::LogLayer;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

const EXAMPLES: &str = "Examples:
  jetpackd                                 serve the node in /opt/cycle/jetpack
  CYCLECLOUD_HOME=/srv/node1 jetpackd      serve the node in another folder";

/// Connects this node to its server, and keeps it converged.
#[derive(Debug, Parser)]
#[command(name = "jetpackd", help_expected = true, after_help = EXAMPLES)]
struct Args {
    /// Log every step, and print all causes of an error
    #[arg(short, long)]
    verbose: bool,
    /// Print the version, MAJOR.MINOR.PATCH-BUILD
    #[arg(short = 'V', long)]
    version: bool,
}

/// The definition of the command line, for reference pages.
pub fn command() -> clap::Command {
    Args::command()
}

/// The whole program: reads the command line, serves the node and tells the exit code.
pub fn run() -> ExitCode {
    node::nss::pin();
    let args = match terminal::parse::<Args>() {
        Ok(args) => args,
        Err(code) => return code,
    };
    terminal::finish(serve(&args), args.verbose)
}

fn serve(args: &Args) -> anyhow::Result<()> {
    if args.version {
        return Ok(terminal::out(format_args!("{}\n", node::version()))?);
    }
    let home = Home::from_environment().context("cannot tell where the node's home is")?;
    home.create()?;
    // A broken settings file must not silence the log: the daemon itself reports it and waits for a better one.
    let limits =
        Settings::load(&home).map_or_else(|_| Settings::defaults(&home).log, |settings| settings.log);
    let clock = Arc::new(SystemClock);
    let layer = LogLayer::new(
        LogFile::new(home.jetpackd_log(), limits),
        Arc::clone(&clock) as Arc<_>,
        Some(Box::new(|level: Level, text: &str| {
            terminal::note(format_args!("{:<8} {text}", level.as_str()));
        })),
    );
    let level = if args.verbose {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    // The libraries below have their own debug talk, which is of no use to an administrator.
    let ours = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::ERROR)
        // `link` reports its failures, with the address and the next try.
        .with_target("lapin", LevelFilter::OFF)
        .with_target("jetpackd", level)
        .with_target("facts", level)
        .with_target("link", level)
        .with_target("node", level);
    tracing_subscriber::registry()
        .with(layer.with_filter(ours))
        .init();
    // Only a second installation fails, and then there is a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?
        .block_on(crate::daemon::run(home, clock))
}
