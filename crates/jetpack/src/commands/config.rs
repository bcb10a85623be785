//! `jetpack config`.

use node::config::NodeData;

use crate::cli::ConfigArgs;
use crate::context;

/// Prints a key, a section or everything.
pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    let data = NodeData::load(&context::home()?)?;
    let (key, default) = (args.key.as_deref(), args.default.as_deref());
    let text = if args.json {
        data.json(key, default)?
    } else {
        data.text(key, default)?
    };
    Ok(terminal::out(format_args!("{text}\n"))?)
}
