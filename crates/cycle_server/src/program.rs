//! From the command line to the server.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::clock::SystemClock;
use crate::init::{self, Options};
use crate::run;

/// The application server: makes clusters of nodes and listens to them
#[derive(Debug, Parser)]
#[command(name = "cycle_server", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print every cause of an error on a line of its own
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the folder of a server: store, certificates, first account, locker
    #[command(after_help = "Example:
  cycle_server init /srv/cycle_server")]
    Init {
        /// The folder; it must be empty or not exist
        dir: PathBuf,
        /// Name of the first account
        #[arg(long, value_name = "NAME", default_value = "admin")]
        admin: String,
        /// Read the password of the account from stdin instead of making one
        #[arg(long)]
        password_stdin: bool,
        /// Another name or address of this host, for its certificate; may be given more than once
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
    },
    /// Run a server until it gets SIGTERM or SIGINT
    #[command(after_help = "Example:
  cycle_server run --dir /srv/cycle_server")]
    Run {
        /// The folder that `init` made
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Address for HTTP; with TLS unless it is loopback; port 0 takes a free one [default: 127.0.0.1:8080]
        #[arg(long, value_name = "ADDR")]
        http: Option<String>,
        /// Address for AMQP; with TLS unless it is loopback; port 0 takes a free one [default: 127.0.0.1:5672]
        #[arg(long, value_name = "ADDR")]
        amqp: Option<String>,
    },
}

/// The definition of the command line, for reference pages.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// The whole program: reads the command line, obeys it and tells the exit code.
pub fn main() -> ExitCode {
    let arguments = match terminal::parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    terminal::finish(execute(arguments.command), arguments.verbose)
}

fn execute(command: Command) -> anyhow::Result<()> {
    // Fails only when there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    match command {
        Command::Init {
            dir,
            admin,
            password_stdin,
            hosts,
        } => {
            let password = password_stdin.then(read_password).transpose()?;
            let options = Options {
                admin,
                password,
                hosts,
            };
            runtime.block_on(init::init(&dir, options, &SystemClock))
        }
        Command::Run { dir, http, amqp } => runtime.block_on(run::run(
            &dir,
            http.as_deref(),
            amqp.as_deref(),
            Arc::new(SystemClock),
        )),
    }
}

/// The first line of stdin.
fn read_password() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the password from stdin")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
