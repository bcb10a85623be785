//! `os`, `os_version`: the kind of the operating system and the release of its kernel.

use serde_json::{Map, Value};

use super::{Plugin, kernel};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["os", "os_version"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    facts.insert("os".to_owned(), "linux".into());
    if let Some(release) = kernel::release(machine) {
        facts.insert("os_version".to_owned(), release.into());
    }
}
