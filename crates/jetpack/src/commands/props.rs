//! `jetpack props`.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use node::clock::SystemClock;
use node::config::{ConfigError, NodeData};
use node::home::Home;
use node::properties::{self, Properties};
use protocol::MessageType;
use serde_json::Value;
use terminal::ResultExt;

use crate::{context, deliver};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct PropsArgs {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    old: OldForm,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a property, a section, or without a key all properties
    ///
    /// Values are printed as Python does: True, False, None, [1, 2].
    #[command(after_help = "Examples:
  jetpack props get os.id_like rhel       prints rhel if nobody set os.id_like
  jetpack props get --json")]
    Get(GetArgs),

    /// Set properties and tell the server
    ///
    /// A value is a text as it stands, also if it looks like a number; with --json it is JSON.
    #[command(after_help = "Examples:
  jetpack props set site.rack r12
  jetpack props set site.slots=4 site.ready=true --json")]
    Set(SetArgs),

    /// Print all properties, one `key = value` a line
    #[command(after_help = "Example:
  jetpack props list")]
    List(ListArgs),
}

#[derive(Debug, Args)]
struct GetArgs {
    /// Dotted key, for instance cyclecloud.owner
    key: Option<String>,

    /// Printed as it is when nobody set the key
    #[arg(allow_negative_numbers = true)]
    default: Option<String>,

    /// Print JSON: a section as it is, any other value as {"KEY": value}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// A key and its value, or any number of KEY=VALUE; after -- also values that begin with a dash
    #[arg(
        required = true,
        value_name = "KEY VALUE | KEY=VALUE",
        allow_negative_numbers = true
    )]
    words: Vec<String>,

    /// The values are JSON: 4, true, null, [1, 2], "text"
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct OldForm {
    /// Same as `props set`
    #[arg(long, num_args = 1.., value_names = ["KEY", "VALUE"], allow_negative_numbers = true)]
    set: Vec<String>,

    /// With --set: the values are JSON
    #[arg(long, requires = "set")]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Print JSON, nested
    #[arg(long)]
    json: bool,
}

/// Prints or sets properties.
pub(crate) fn run(args: &PropsArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    match &args.action {
        Some(Action::Get(args)) => get(&home, args.key.as_deref(), args.default.as_deref(), args.json),
        Some(Action::List(args)) => get(&home, None, None, args.json),
        Some(Action::Set(args)) => set(&home, &args.words, args.json),
        None => set(&home, &args.old.set, args.old.json),
    }
}

fn get(home: &Home, key: Option<&str>, default: Option<&str>, json: bool) -> anyhow::Result<()> {
    let tree = properties::load(home)?;
    if key.is_none() && tree.is_empty() && !json {
        terminal::note("this node has no properties");
        return Ok(());
    }
    let tree = NodeData::from(tree);
    let text = if json {
        tree.json(key, default)
    } else {
        tree.text(key, default)
    };
    let text = match text {
        Err(ConfigError::NotFound { key }) => {
            bail!("the key `{key}` was not found in the properties of this node")
        }
        text => text?,
    };
    Ok(terminal::out(format_args!("{text}\n"))?)
}

/// All of them or none. Always sent, also when nothing changed: whoever calls knows better than we whether the server
/// has lost it.
fn set(home: &Home, words: &[String], json: bool) -> anyhow::Result<()> {
    let settings = context::settings(home)?;
    let pairs = pairs(words)?;
    let mut properties = Properties::open(home, &SystemClock)?;
    for warning in &properties.warnings {
        terminal::warn(warning);
    }
    for (key, text) in pairs {
        let value = match json {
            true => serde_json::from_str(text)
                .with_context(|| format!("the value `{text}` of `{key}` is not JSON"))
                .hint("without --json a value is a text")?,
            false => Value::String(text.to_owned()),
        };
        properties.set(key, value)?;
    }
    properties.save()?;
    let Some(node_id) = &settings.identity.node_id else {
        terminal::note("this node has not joined its cluster yet; the server is told when it has");
        return Ok(());
    };
    // Under the lock: of two callers, the tree that was written last is the one that the server hears last.
    let message = protocol::Properties {
        properties: properties.tree().clone(),
    };
    deliver::keep(home, &settings, MessageType::Props, &message)?;
    let marked = properties.mark_sent(node_id);
    drop(properties);
    deliver::push(home);
    Ok(marked?)
}

/// `KEY VALUE`, unless the first word is `KEY=VALUE`: then all are.
fn pairs(words: &[String]) -> anyhow::Result<Vec<(&str, &str)>> {
    if let [key, value] = words
        && !key.contains('=')
    {
        return Ok(vec![(key, value)]);
    }
    let pairs = words.iter().map(|word| {
        word.split_once('=').ok_or_else(|| {
            terminal::usage_error(format_args!(
                "`{word}` is not KEY=VALUE\n\n`jetpack props set KEY VALUE` sets one property, `KEY=VALUE…` any number."
            ))
        })
    });
    pairs.collect()
}
