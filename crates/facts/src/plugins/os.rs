//! `os`: the kind of the operating system.

use serde_json::{Map, Value};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["os"],
    on_demand: false,
    collect,
};

fn collect(_machine: &Machine, facts: &mut Map<String, Value>) {
    facts.insert("os".to_owned(), "linux".into());
}
