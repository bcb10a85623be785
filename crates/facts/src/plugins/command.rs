//! `command`: how the processes of the machine are listed.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["command"],
    on_demand: false,
    collect,
};

fn collect(_machine: &Machine, facts: &mut Map<String, Value>) {
    facts.insert("command".to_owned(), json!({"ps": "ps -ef"}));
}
