//! `jetpack facts`.

use anyhow::anyhow;
use clap::Args;
use facts::{Freshness, Machine, Selection, metadata, node_facts};
use serde_json::{Map, Value};
use terminal::ResultExt;

use crate::context;

#[derive(Debug, Args)]
pub(crate) struct FactsArgs {
    /// Attributes to print, for instance kernel/release; without any, all that cost no child process
    #[arg(value_name = "ATTRIBUTE")]
    attributes: Vec<String>,

    /// Print each attribute as ohai does: as JSON, a value that is no section or list in a list of its own
    #[arg(long)]
    json: bool,

    /// Print the names of all attributes, and which of them need a child process
    #[arg(long, conflicts_with_all = ["attributes", "json"])]
    list: bool,
}

/// Prints what this machine is.
pub(crate) fn run(args: &FactsArgs) -> anyhow::Result<()> {
    if args.list {
        let mut lines: Vec<String> = facts::attributes()
            .into_iter()
            .map(|(name, on_demand)| format!("{name}{}", if on_demand { "  (by name only)" } else { "" }))
            .collect();
        lines.extend(metadata::ATTRIBUTES.map(|name| format!("{name}  (by name only; the cloud says it)")));
        lines.sort();
        let names: String = lines.into_iter().map(|line| line + "\n").collect();
        return Ok(terminal::out(names)?);
    }
    let machine = Machine::this();
    if args.attributes.is_empty() {
        let facts = facts::collect(&machine, Selection::Default);
        return print(&Value::Object(facts));
    }
    let is_known = |path: &&String| is_of_cloud(path) || facts::is_known(path);
    if let Some(unknown) = args.attributes.iter().find(|path| !is_known(path)) {
        return missing(unknown);
    }
    let mut facts = facts::collect(&machine, Selection::Attributes(&args.attributes));
    if args.attributes.iter().any(|path| is_of_cloud(path)) {
        facts.extend(cloud()?);
    }
    for path in &args.attributes {
        match facts::find(&facts, path) {
            None => return missing(path),
            Some(Value::String(text)) if !args.json => terminal::out(format_args!("{text}\n"))?,
            Some(value) if args.json && !value.is_object() && !value.is_array() => {
                print(&Value::Array(vec![value.clone()]))?;
            }
            Some(value) => print(value)?,
        }
    }
    Ok(())
}

/// Whether an attribute is one that the cloud says and not the machine.
fn is_of_cloud(path: &str) -> bool {
    let top = path.split(['/', '.']).next().unwrap_or(path);
    metadata::ATTRIBUTES.contains(&top)
}

/// What the cloud of this machine says. What it said last is good enough; on a machine that is no node it is asked.
fn cloud() -> anyhow::Result<Map<String, Value>> {
    let home = context::home()?;
    let settings = context::settings(&home)?;
    let facts =
        context::with_runtime(async { Ok(node_facts(&home, &settings.metadata, Freshness::Last).await) })?;
    let mut facts = facts.automatic;
    facts.retain(|name, _| metadata::ATTRIBUTES.contains(&name.as_str()));
    Ok(facts)
}

fn missing(path: &str) -> anyhow::Result<()> {
    Err(anyhow!("this machine has no attribute `{path}`"))
        .hint("`jetpack facts --list` prints the names, `jetpack facts` all values")
}

fn print(value: &Value) -> anyhow::Result<()> {
    Ok(terminal::out(format_args!("{value:#}\n"))?)
}
