//! `sysctl`: the settings of the kernel, as `sysctl -a` prints them. By name only: there are more than a thousand.

use serde_json::{Map, Value};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["sysctl"],
    on_demand: true,
    collect,
};

const ROOT: &str = "/proc/sys";
/// How many folders deep settings are.
const DEEPEST: usize = 8;
/// Settings that `sysctl` does not print: two for which there are others in milliseconds, and one that is no setting
/// but does something.
const HIDDEN: [&str; 3] = ["base_reachable_time", "retrans_time", "stat_refresh"];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let mut settings = Map::new();
    walk(machine, ROOT, "", DEEPEST, &mut settings);
    if !settings.is_empty() {
        facts.insert("sysctl".to_owned(), settings.into());
    }
}

fn walk(machine: &Machine, folder: &str, prefix: &str, depth: usize, settings: &mut Map<String, Value>) {
    for name in machine.list(folder) {
        // The kernel has no links there; elsewhere they may lead in circles.
        if HIDDEN.contains(&name.as_str()) || machine.link(&format!("{folder}/{name}")).is_some() {
            continue;
        }
        let path = format!("{folder}/{name}");
        // A dot in the name of an interface is a slash in the name of its settings.
        let key = format!("{prefix}{}", name.replace('.', "/"));
        if machine.path(&path).is_dir() {
            if depth > 0 {
                walk(machine, &path, &format!("{key}."), depth - 1, settings);
            }
        } else if let Some(text) = machine.read(&path) {
            // Of several lines each is printed with the key; the last one stays.
            let value = text.lines().last().unwrap_or_default();
            settings.insert(key, value.trim().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn settings_are_named_by_their_path() {
        let (_root, machine) = machine(&[
            ("/proc/sys/vm/swappiness", "60\n"),
            ("/proc/sys/vm/stat_refresh", ""),
            ("/proc/sys/net/ipv4/neigh/lo/retrans_time", "100\n"),
            ("/proc/sys/net/ipv4/neigh/lo/retrans_time_ms", "1000\n"),
            ("/proc/sys/net/ipv4/conf/eth0.5/mtu", "1500\n"),
            ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(
            facts["sysctl"],
            json!({
                "vm.swappiness": "60",
                "net.ipv4.neigh.lo.retrans_time_ms": "1000",
                "net.ipv4.conf.eth0/5.mtu": "1500",
                "net.ipv4.ip_local_port_range": "32768\t60999",
            })
        );
    }
}
