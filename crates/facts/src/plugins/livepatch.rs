//! `livepatch`: patches of the running kernel, from /sys/kernel/livepatch. Ohai has it from version 17 on.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["livepatch"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    const PATCHES: &str = "/sys/kernel/livepatch";
    let names = machine.list(PATCHES);
    if names.is_empty() {
        return;
    }
    let mut patches = json!({});
    for name in names {
        for file in ["enabled", "transition"] {
            if let Some(value) = machine.read_value(&format!("{PATCHES}/{name}/{file}")) {
                patches[&name][file] = value.into();
            }
        }
    }
    facts.insert("livepatch".to_owned(), patches);
}
