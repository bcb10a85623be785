//! `jetpack run_on_shutdown`.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use node::clock::{Clock, SystemClock};
use node::duration::{self, Unit};
use node::home::Home;
use node::identity::Machine;
use node::run_on_shutdown::{self as actions, Action, Actions};
use terminal::Table;

use crate::context;
use crate::json::indented;

#[derive(Debug, Args)]
pub(crate) struct RunOnShutdownArgs {
    #[command(subcommand)]
    action: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Register a command, in the place of the one with the same name
    ///
    /// It runs in the home of the node. A time limit of its own, and 15 minutes for all, are what it has; then it is ended
    /// with all that it started.
    #[command(after_help = "Examples:
  jetpack run_on_shutdown add -- /opt/site/save-results.sh /scratch
  jetpack run_on_shutdown add --name drain --timeout 2m -- sh -c 'scontrol update nodename=$(hostname) state=drain'")]
    Add(AddArgs),

    /// Print what is registered, in the order in which it runs
    #[command(after_help = "Example:
  jetpack run_on_shutdown list --json | jq -r '.[].name'")]
    List(ListArgs),

    /// Forget a command
    #[command(after_help = "Example:
  jetpack run_on_shutdown remove drain")]
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Names the action; if not given, the name of the program
    #[arg(short, long, value_name = "NAME", allow_hyphen_values = true, value_parser = name)]
    name: Option<String>,

    /// Longest run: seconds, or like 2m; at most 15m
    #[arg(long, value_name = "TIME", default_value = "5m", allow_negative_numbers = true, value_parser = time_limit)]
    timeout: Duration,

    /// The program and its arguments, after --; it is no line for a shell
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// The action; there need not be one
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
}

fn name(text: &str) -> Result<String, actions::NameError> {
    actions::check_name(text).map(|()| text.to_owned())
}

fn time_limit(text: &str) -> Result<Duration, String> {
    let limit = duration::parse(text, Unit::Seconds).map_err(|error| error.to_string())?;
    if limit > actions::TOTAL {
        return Err(format!(
            "all that runs before a shutdown has {} minutes together",
            actions::TOTAL.as_secs() / 60
        ));
    }
    Ok(limit)
}

/// Registers, lists or forgets what runs before the node goes.
pub(crate) fn run(args: &RunOnShutdownArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    match &args.action {
        Order::Add(args) => add(&home, args),
        Order::List(args) => list(&home, args),
        Order::Remove(args) => remove(&home, args),
    }
}

fn open(home: &Home) -> anyhow::Result<Actions> {
    let actions = Actions::open(home, &Machine::this(), &SystemClock)?;
    if let Some(warning) = &actions.warning {
        terminal::warn(warning);
    }
    Ok(actions)
}

fn add(home: &Home, args: &AddArgs) -> anyhow::Result<()> {
    let mut registered = open(home)?;
    let mut command = args.command.clone();
    // It starts in another folder.
    if let Some(program) = command.first_mut()
        && program.contains('/')
        && Path::new(program).is_relative()
    {
        let path = std::path::absolute(&program).context("cannot tell the current folder")?;
        *program = path
            .into_os_string()
            .into_string()
            .map_err(|path| anyhow::anyhow!("`{}` is not UTF-8", path.display()))?;
    }
    let name = args.name.clone().unwrap_or_else(|| registered.name_for(&command));
    let added = Action {
        name: name.clone(),
        command,
        timeout_seconds: args.timeout.as_secs(),
        added: SystemClock.now(),
    };
    let runs = line(&added.command);
    if let Some(replaced) = registered.add(added)?
        && line(&replaced.command) != runs
    {
        terminal::note(format_args!("`{name}` was `{}` before", line(&replaced.command)));
    }
    terminal::note(format_args!(
        "`{name}` runs before this node goes, for at most {} s: `{runs}`",
        args.timeout.as_secs()
    ));
    let sum: u64 = registered
        .list()
        .iter()
        .map(|action| action.timeout_seconds)
        .sum();
    let total = actions::TOTAL.as_secs();
    if sum > total {
        terminal::warn(format_args!(
            "what is registered may take {sum} s, and has {total} s together; what is not begun by then does not run"
        ));
    }
    Ok(())
}

fn list(home: &Home, args: &ListArgs) -> anyhow::Result<()> {
    let loaded = actions::load(home, &Machine::this())?;
    if let Some(warning) = loaded.warning {
        terminal::warn(warning);
    }
    if args.json {
        return Ok(terminal::out(indented(&loaded.actions)?)?);
    }
    if loaded.actions.is_empty() {
        terminal::note("nothing is registered to run before this node goes");
        return Ok(());
    }
    let mut table = Table::new(["NAME", "TIMEOUT", "COMMAND"]);
    for action in loaded.actions {
        let timeout = format!("{} s", action.timeout_seconds);
        table.row([action.name, timeout, line(&action.command)]);
    }
    Ok(terminal::out(table)?)
}

fn remove(home: &Home, args: &RemoveArgs) -> anyhow::Result<()> {
    if !open(home)?.remove(&args.name)? {
        terminal::note(format_args!("no `{}` is registered", args.name));
    }
    Ok(())
}

/// The command as a shell would take it.
fn line(command: &[String]) -> String {
    let is_plain = |word: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter);
        !word.is_empty() && word.chars().all(plain)
    };
    let quoted = command.iter().map(|word| {
        if is_plain(word) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
