//! `jetpack config`.

use clap::Args;
use node::config::NodeData;

use crate::context;

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Dotted key, for instance cyclecloud.node.name
    pub(crate) key: Option<String>,

    /// Printed as it is when nobody set the key
    #[arg(allow_negative_numbers = true)]
    pub(crate) default: Option<String>,

    /// Print JSON: a section as it is, any other value as {"KEY": value}
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints a key, a section or everything.
pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    let home = context::home()?;
    let (key, default) = (args.key.as_deref(), args.default.as_deref());
    let data = match key {
        Some(key) => NodeData::load_key(&home, key)?,
        None => NodeData::load(&home)?,
    };
    let text = if args.json {
        data.json(key, default)?
    } else {
        data.text(key, default)?
    };
    Ok(terminal::out(format_args!("{text}\n"))?)
}
