//! `scsi`: devices on SCSI buses, from /sys/bus/scsi, in the words of `lsscsi`.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["scsi"],
    on_demand: true,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    const DEVICES: &str = "/sys/bus/scsi/devices";
    let mut devices = json!({});
    for address in machine.list(DEVICES).iter().filter(|name| is_address(name)) {
        let folder = format!("{DEVICES}/{address}");
        let value = |file: &str| {
            machine
                .read_value(&format!("{folder}/{file}"))
                .unwrap_or_default()
        };
        let file = ["block", "scsi_tape", "scsi_changer"].iter().find_map(|class| {
            let names = machine.list(&format!("{folder}/{class}"));
            names.first().map(|name| format!("/dev/{name}"))
        });
        devices[address] = json!({
            "scsi_addr": address,
            "type": kind(&value("type")),
            "transport": value("vendor"),
            "device": file.unwrap_or_else(|| "-".to_owned()),
            "revision": value("rev"),
            "name": value("model"),
        });
    }
    facts.insert("scsi".to_owned(), devices);
}

/// Host, channel, target and unit: `0:0:0:1`.
fn is_address(name: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split(':').count() == 4 && name.split(':').all(number)
}

/// A kind of device by its number in the standard (SPC).
fn kind(number: &str) -> &'static str {
    match number {
        "0" | "14" => "disk",
        "1" => "tape",
        "2" => "printer",
        "3" => "process",
        "4" => "worm",
        "5" => "cd/dvd",
        "6" => "scanner",
        "7" => "optical",
        "8" => "mediumx",
        "9" => "comms",
        "12" => "storage",
        "13" => "enclosu",
        "17" => "osd",
        "20" => "zbc",
        _ => "no dev",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_targets_are_no_devices() {
        assert!(is_address("0:0:10:1"));
        assert!(!is_address("host0"));
        assert!(!is_address("target0:0:0"));
        assert!(!is_address("0:0:0:"));
    }
}
