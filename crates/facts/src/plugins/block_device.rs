//! `block_device`: disks and what else the kernel reads and writes in blocks, from /sys/block. Sizes are in sectors of
//! 512 bytes.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["block_device"],
    on_demand: false,
    collect,
};

/// The files of a device that are facts, and where they are below its folder.
const FILES: [(&str, &[&str]); 3] = [
    ("", &["size", "removable"]),
    (
        "device/",
        &["model", "rev", "state", "timeout", "vendor", "queue_depth"],
    ),
    (
        "queue/",
        &["rotational", "physical_block_size", "logical_block_size"],
    ),
];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    const BLOCK: &str = "/sys/block";
    if !machine.exists(BLOCK) {
        return;
    }
    let mut devices = json!({});
    for name in machine.list(BLOCK) {
        let device = &mut devices[&name];
        *device = json!({});
        for (folder, files) in FILES {
            for file in files {
                if let Some(value) = machine.read_value(&format!("{BLOCK}/{name}/{folder}{file}")) {
                    device[file] = value.into();
                }
            }
        }
    }
    facts.insert("block_device".to_owned(), devices);
}
