//! Facts of machines of which there are only recorded files: other distributions, other hardware.
//!
//! `roots/NAME.txt` is the recording: `@@ PATH` begins a file, `@@ PATH -> TARGET` is a symbolic link.
//! `roots/NAME.json` is what is expected of it. `UPDATE_EXPECTED=1 cargo nextest run -p facts roots` writes it anew; read
//! the difference before it is committed.

#![expect(clippy::unwrap_used, reason = "a failure is a failed test, also in helpers")]

mod recording;

use std::fs;

use facts::{Machine, Selection, collect};
use recording::{ON_DEMAND, folder, unpack, write};
use serde_json::Value;

/// What is of the moment in which it is asked.
const OF_THE_MOMENT: [&str; 1] = ["ohai_time"];

fn facts_of(name: &str) -> Value {
    let root = tempfile::tempdir().unwrap();
    unpack(name, root.path());
    let machine = Machine::at(root.path());
    let mut facts = collect(&machine, Selection::Default);
    let named: Vec<_> = ON_DEMAND.iter().map(|name| (*name).to_owned()).collect();
    facts.extend(collect(&machine, Selection::Attributes(&named)));
    for name in OF_THE_MOMENT {
        facts.remove(name);
    }
    facts.sort_keys();
    facts.into()
}

fn check(name: &str) {
    let facts = facts_of(name);
    let path = folder().join(format!("{name}.json"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let text = serde_json::to_string_pretty(&facts).unwrap() + "\n";
        write(&path, &text);
        return;
    }
    let expected: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut differences = Vec::new();
    compare("", &expected, &facts, &mut differences);
    assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
}

/// Names every leaf in which two values differ.
fn compare(path: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                compare(
                    &format!("{path}/{key}"),
                    value,
                    other.get(key).unwrap_or(&Value::Null),
                    differences,
                );
            }
            for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                differences.push(format!("{path}/{key}: not expected: {value}"));
            }
        }
        _ if expected == found => {}
        _ => differences.push(format!("{path}: expected {expected}, found {found}")),
    }
}

#[test]
fn red_hat_on_bare_metal() {
    check("rhel-9");
}

#[test]
fn ubuntu_on_azure() {
    check("ubuntu-22.04-azure");
}

#[test]
fn suse_in_kvm() {
    check("sles-15-kvm");
}

#[test]
fn almalinux_on_azure_with_infiniband() {
    check("almalinux-8-azure-hpc");
}

/// The machine that runs the test has interfaces, disks and packages; an empty root has none of them.
#[test]
fn an_empty_root_knows_nothing_of_the_machine_that_looks_at_it() {
    let root = tempfile::tempdir().unwrap();
    let facts = collect(&Machine::at(root.path()), Selection::Default);
    let from_the_machine = [
        "network",
        "counters",
        "ipaddress",
        "macaddress",
        "filesystem",
        "block_device",
        "sysconf",
        "systemd_paths",
        "hostname",
        "machine_id",
        "kernel",
        "cpu",
        "memory",
        "uptime",
        "platform",
    ];
    for name in from_the_machine {
        let value = facts.get(name);
        let empty = value
            .is_none_or(|value| value.as_object().is_some_and(serde_json::Map::is_empty) || value.is_null());
        assert!(empty, "{name}: {value:?}");
    }
    let programs: Vec<_> = ["languages", "packages", "docker"].map(str::to_owned).into();
    let facts = collect(&Machine::at(root.path()), Selection::Attributes(&programs));
    assert!(
        facts.values().all(|value| value == &serde_json::json!({})),
        "{facts:?}"
    );
}
