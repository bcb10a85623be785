//! `jetpack condition`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use node::clock::{Clock, SystemClock};
use node::conditions::{self, Conditions, Held, NameError};
use node::home::Home;
use node::identity::Machine;
use node::settings::Settings;
use protocol::{Condition, ConditionStatus, MessageType};
use serde_json::Value;
use terminal::Table;

use crate::json::indented;
use crate::{context, deliver};

#[derive(Debug, Args)]
pub(crate) struct ConditionArgs {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Report a condition of this node
    ///
    /// A report replaces the one of the same name before it; OK ends the condition.
    #[command(after_help = "Examples:
  jetpack condition set -n gpu -s Error -m \"2 of 8 GPUs answer\" -r \"replace the node\"
  jetpack condition set -n gpu -s OK")]
    Set(SetArgs),

    /// List the conditions of this node
    ///
    /// These are those that were reported here and not cleared since; the server is not asked.
    #[command(after_help = "Example:
  jetpack condition list --json | jq -r '.[].name'")]
    List(ListArgs),

    /// End a condition
    #[command(after_help = "Example:
  jetpack condition clear gpu")]
    Clear(ClearArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// What is judged, unique on this node
    #[arg(short, long, value_name = "NAME", value_parser = name)]
    pub(crate) name: String,

    /// The judgement: NA, OK, Warning, Error
    #[arg(short, long, value_name = "STATUS")]
    pub(crate) status: StatusWord,

    /// What is wrong, in one line
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,

    /// What the condition means
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) description: Option<String>,

    /// What a person can do about it
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) recommendations: Option<String>,

    /// Output of the check
    #[arg(long, value_name = "TEXT")]
    pub(crate) details: Option<String>,

    /// What the provider can do about it: GHR, a report of guest health to Azure
    #[arg(long, value_name = "TYPE", value_parser = ["GHR"], ignore_case = true, requires = "ghr_category")]
    pub(crate) action_type: Option<String>,

    /// Category of that report, for instance Resource.Hpc.Unhealthy.HpcMissingGpu
    #[arg(long, value_name = "CATEGORY", requires = "action_type")]
    pub(crate) ghr_category: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    /// The condition; there need not be one
    #[arg(value_name = "NAME", value_parser = name)]
    pub(crate) name: String,
}

/// A status as people type it, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusWord(ConditionStatus);

impl FromStr for StatusWord {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = ConditionStatus::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(word));
        known
            .map(Self)
            .ok_or_else(|| format!("`{word}` is not one of NA, OK, Warning, Error"))
    }
}

/// Reports, lists or ends conditions.
pub(crate) fn run(args: &ConditionArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    match &args.action {
        Action::List(args) => list(&home, args),
        Action::Set(args) => report(&home, condition(args)),
        Action::Clear(args) => report(
            &home,
            Condition {
                name: args.name.clone(),
                status: ConditionStatus::Ok,
                message: None,
                description: None,
                recommendations: None,
                details: None,
                action_type: None,
                ghr_category: None,
            },
        ),
    }
}

fn condition(args: &SetArgs) -> Condition {
    Condition {
        name: args.name.clone(),
        status: args.status.0,
        message: args.message.clone(),
        description: args.description.clone(),
        recommendations: args.recommendations.clone(),
        details: args.details.clone(),
        action_type: args.action_type.as_ref().map(|word| word.to_ascii_uppercase()),
        ghr_category: args.ghr_category.clone(),
    }
}

/// Always sent, also when nothing changed: whoever calls knows better than we whether the server has lost it.
fn report(home: &Home, condition: Condition) -> anyhow::Result<()> {
    let settings: Settings = context::settings(home)?;
    let mut conditions = Conditions::open(home, &Machine::this(), &SystemClock)?;
    if let Some(warning) = &conditions.warning {
        terminal::warn(warning);
    }
    // Both under one lock: of two callers, the last in the list is the last that the server hears.
    deliver::keep(home, &settings, MessageType::Condition, &condition)?;
    let written = conditions.report(condition, SystemClock.now());
    drop(conditions);
    deliver::push(home);
    Ok(written?)
}

fn list(home: &Home, args: &ListArgs) -> anyhow::Result<()> {
    let loaded = conditions::load(home, &Machine::this())?;
    if let Some(warning) = loaded.warning {
        terminal::warn(warning);
    }
    if args.json {
        let list: Vec<Value> = loaded.conditions.iter().map(json).collect::<Result<_, _>>()?;
        return Ok(terminal::out(indented(&list)?)?);
    }
    if loaded.conditions.is_empty() {
        terminal::note("this node has no conditions");
        return Ok(());
    }
    let mut table = Table::new(["NAME", "STATUS", "SINCE", "MESSAGE"]);
    for Held { since, condition } in loaded.conditions {
        table.row([
            condition.name,
            condition.status.as_str().to_owned(),
            format!("{since:.0}"),
            condition.message.unwrap_or_default(),
        ]);
    }
    Ok(terminal::out(table)?)
}

fn json(held: &Held) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(&held.condition)?;
    value["since"] = serde_json::to_value(held.since)?;
    Ok(value)
}

fn name(text: &str) -> Result<String, NameError> {
    conditions::check_name(text).map(|()| text.to_owned())
}
