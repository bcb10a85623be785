//! `kernel`: what `uname` and `lsmod` print.

use nix::sys::utsname::uname;
use serde_json::{Map, Value, json};

use super::{Plugin, platform};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["kernel"],
    on_demand: false,
    collect,
};

/// The release of the kernel, for instance `6.1.0-42-amd64`.
pub(super) fn release(machine: &Machine) -> Option<String> {
    machine.read_value("/proc/sys/kernel/osrelease")
}

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let Some(release) = release(machine) else {
        return;
    };
    let mut kernel = Map::new();
    let name = machine.read_value("/proc/sys/kernel/ostype");
    kernel.insert(
        "name".to_owned(),
        name.unwrap_or_else(|| "Linux".to_owned()).into(),
    );
    kernel.insert("release".to_owned(), release.into());
    if let Some(version) = machine.read_value("/proc/sys/kernel/version") {
        kernel.insert("version".to_owned(), version.into());
    }
    let distribution = platform::detect(machine);
    if let Some(hardware) = hardware(machine) {
        kernel.insert(
            "processor".to_owned(),
            processor(distribution.family.as_deref(), &distribution.name, &hardware).into(),
        );
        kernel.insert("machine".to_owned(), hardware.into());
    }
    let os = if distribution.name == "alpine" {
        "Linux"
    } else {
        "GNU/Linux"
    };
    kernel.insert("os".to_owned(), os.into());
    kernel.insert("modules".to_owned(), modules(machine));
    facts.insert("kernel".to_owned(), kernel.into());
}

/// The name of the instruction set. Kernels before 6.1 do not tell it in a file.
fn hardware(machine: &Machine) -> Option<String> {
    machine.read_value("/proc/sys/kernel/arch").or_else(|| {
        let uname = machine.is_live().then(uname)?.ok()?;
        uname.machine().to_str().map(str::to_owned)
    })
}

/// What `uname -p` says: GNU's says that it does not know, some distributions taught theirs to print the machine.
fn processor(family: Option<&str>, platform: &str, hardware: &str) -> String {
    if matches!(family, Some("rhel" | "fedora" | "amazon" | "suse")) || platform == "ubuntu" {
        hardware.to_owned()
    } else {
        "unknown".to_owned()
    }
}

/// The loaded modules: `NAME SIZE USES …` a line.
fn modules(machine: &Machine) -> Value {
    let text = machine.read("/proc/modules").unwrap_or_default();
    let mut modules = Map::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(size), Some(uses)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let mut module = json!({"size": size, "refcount": uses});
        let version = machine.read_value(&format!("/sys/module/{name}/version"));
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            module["version"] = version.into();
        }
        modules.insert(name.to_owned(), module);
    }
    modules.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn a_red_hat_machine() {
        let (_root, machine) = machine(&[
            ("/etc/os-release", "ID=\"almalinux\"\nVERSION_ID=\"8.10\"\n"),
            ("/proc/sys/kernel/ostype", "Linux\n"),
            ("/proc/sys/kernel/osrelease", "4.18.0-553.el8_10.x86_64\n"),
            (
                "/proc/sys/kernel/version",
                "#1 SMP Fri May 24 13:05:10 UTC 2024\n",
            ),
            ("/proc/sys/kernel/arch", "x86_64\n"),
            (
                "/proc/modules",
                "nfsv4 942080 2 - Live 0x0000000000000000\nmlx5_core 2166784 1 mlx5_ib, Live 0x0 (OE)\nodd\n",
            ),
            ("/sys/module/mlx5_core/version", "5.8-3.0.7\n"),
            ("/sys/module/nfsv4/version", "\n"),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(
            Value::from(facts),
            json!({"kernel": {
                "name": "Linux",
                "release": "4.18.0-553.el8_10.x86_64",
                "version": "#1 SMP Fri May 24 13:05:10 UTC 2024",
                "machine": "x86_64",
                "processor": "x86_64",
                "os": "GNU/Linux",
                "modules": {
                    "nfsv4": {"size": "942080", "refcount": "2"},
                    "mlx5_core": {"size": "2166784", "refcount": "1", "version": "5.8-3.0.7"},
                },
            }})
        );
    }
}
