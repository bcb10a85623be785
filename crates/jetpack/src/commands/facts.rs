//! `jetpack facts`.

use anyhow::anyhow;
use clap::Args;
use facts::{Machine, Selection};
use serde_json::Value;
use terminal::ResultExt;

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
        let mut names = String::new();
        for (name, on_demand) in facts::attributes() {
            names.push_str(name);
            names.push_str(if on_demand { "  (by name only)\n" } else { "\n" });
        }
        return Ok(terminal::out(names)?);
    }
    let machine = Machine::this();
    if args.attributes.is_empty() {
        let facts = facts::collect(&machine, Selection::Default);
        return print(&Value::Object(facts));
    }
    if let Some(unknown) = args.attributes.iter().find(|path| !facts::is_known(path)) {
        return missing(unknown);
    }
    let facts = facts::collect(&machine, Selection::Attributes(&args.attributes));
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

fn missing(path: &str) -> anyhow::Result<()> {
    Err(anyhow!("this machine has no attribute `{path}`"))
        .hint("`jetpack facts --list` prints the names, `jetpack facts` all values")
}

fn print(value: &Value) -> anyhow::Result<()> {
    Ok(terminal::out(format_args!("{value:#}\n"))?)
}
