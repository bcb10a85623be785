//! Facts of one file and one line each: `init_package`, `root_group`, `shells`, `machine_id`, `fips`, `ohai_time`.

use serde_json::{Map, Value, json};

use super::{Plugin, users};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &[
        "init_package",
        "root_group",
        "shells",
        "machine_id",
        "fips",
        "ohai_time",
    ],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let init = machine.read_value("/proc/1/comm");
    facts.insert(
        "init_package".to_owned(),
        init.unwrap_or_else(|| "init".to_owned()).into(),
    );
    if let Some(group) = users::root_group(machine) {
        facts.insert("root_group".to_owned(), group.into());
    }
    if let Some(text) = machine.read("/etc/shells") {
        let shells: Value = text.lines().filter(|line| line.starts_with('/')).collect();
        facts.insert("shells".to_owned(), shells);
    }
    if let Some(id) = machine_id(machine) {
        facts.insert("machine_id".to_owned(), id.into());
    }
    facts.insert("fips".to_owned(), json!({"kernel": {"enabled": fips(machine)}}));
    facts.insert(
        "ohai_time".to_owned(),
        machine.now().as_duration().as_secs_f64().into(),
    );
}

/// The id of this installation of the operating system. Format: machine-id(5).
pub(super) fn machine_id(machine: &Machine) -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .find_map(|path| machine.read_value(path))
}

/// Whether the kernel allows only the cryptography of the American standard.
pub(super) fn fips(machine: &Machine) -> bool {
    machine.read_value("/proc/sys/crypto/fips_enabled").as_deref() == Some("1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn a_systemd_machine() {
        let (_root, machine) = machine(&[
            ("/proc/1/comm", "systemd\n"),
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("/etc/group", "root:x:0:\n"),
            ("/etc/shells", "# list\n/bin/sh\n\n/bin/bash\n"),
            ("/var/lib/dbus/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n"),
            ("/proc/sys/crypto/fips_enabled", "1\n"),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert!(facts.remove("ohai_time").unwrap().as_f64().unwrap() > 1.7e9);
        assert_eq!(
            Value::from(facts),
            json!({
                "init_package": "systemd",
                "root_group": "root",
                "shells": ["/bin/sh", "/bin/bash"],
                "machine_id": "3d1219c7c4c5404aaa1f6d2a48adfda4",
                "fips": {"kernel": {"enabled": true}},
            })
        );
    }
}
