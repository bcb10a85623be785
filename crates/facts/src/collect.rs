//! Runs the plugins.

use serde_json::{Map, Value};

use crate::machine::Machine;
use crate::plugins::PLUGINS;

/// Which facts are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// All that cost no child process.
    Default,
    /// Those of the plugins that provide one of these top-level attributes, child process or not.
    Attributes(&'a [String]),
}

/// Collects the facts of a machine, in the schema of Ohai.
pub fn collect(machine: &Machine, selection: Selection<'_>) -> Map<String, Value> {
    let mut facts = Map::new();
    for plugin in PLUGINS {
        let wanted = match selection {
            Selection::Default => !plugin.on_demand,
            Selection::Attributes(names) => names.iter().any(|name| plugin.provides.contains(&name.as_str())),
        };
        if wanted {
            (plugin.collect)(machine, &mut facts);
        }
    }
    facts
}
