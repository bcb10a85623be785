//! `hostnamectl`: what the program of that name prints, from the files that its service reads. Only where systemd runs.

use serde_json::{Map, Value};

use super::{Plugin, dmi, kernel, os_release, small, virtualization};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["hostnamectl"],
    on_demand: false,
    collect,
};

/// What systemd calls the systems that Ohai calls otherwise.
const SYSTEMS: [(&str, &str); 5] = [
    ("hyperv", "microsoft"),
    ("vbox", "oracle"),
    ("amazonec2", "amazon"),
    ("nspawn", "systemd-nspawn"),
    ("openstack", "kvm"),
];
const CONTAINERS: [&str; 4] = ["docker", "lxc", "lxd", "nspawn"];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let mut section = Map::new();
    if machine.exists("/run/systemd/system") {
        describe(machine, &mut section);
    }
    facts.insert("hostnamectl".to_owned(), section.into());
}

fn describe(machine: &Machine, section: &mut Map<String, Value>) {
    let guest = virtualization::guest_of(machine);
    let chassis = match guest.as_deref() {
        Some(system) if CONTAINERS.contains(&system) => Some("container"),
        Some(_) => Some("vm"),
        None => physical(machine),
    };
    let icon = chassis.map_or_else(|| "computer".to_owned(), |chassis| format!("computer-{chassis}"));
    let system = guest.as_deref().map(|guest| {
        SYSTEMS
            .iter()
            .find(|(theirs, _)| *theirs == guest)
            .map_or(guest, |(_, ours)| ours)
    });
    let boot = machine
        .read_value("/proc/sys/kernel/random/boot_id")
        .map(|id| id.replace('-', ""));
    let os_release = machine.read("/etc/os-release").unwrap_or_default();
    let name = os_release::entries(&os_release)
        .find(|(key, _)| *key == "PRETTY_NAME")
        .map(|(_, value)| value);
    let architecture = machine.read_value("/proc/sys/kernel/arch").map(|arch| {
        if arch == "aarch64" {
            "arm64".to_owned()
        } else {
            arch.replace('_', "-")
        }
    });
    let dmi = dmi::read(machine);
    // Who makes a virtual machine is no hardware vendor.
    let hardware = |field| {
        dmi::field(&dmi, "system", field)
            .filter(|_| system != Some("container"))
            .map(str::to_owned)
    };
    let fields = [
        ("static_hostname", machine.read_value("/etc/hostname")),
        ("icon_name", Some(icon)),
        ("chassis", chassis.map(str::to_owned)),
        ("machine_id", small::machine_id(machine)),
        ("boot_id", boot),
        ("virtualization", system.map(str::to_owned)),
        ("operating_system", name),
        (
            "kernel",
            kernel::release(machine).map(|release| format!("Linux {release}")),
        ),
        ("architecture", architecture),
        ("hardware_vendor", hardware("manufacturer")),
        ("hardware_model", hardware("product_name")),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            section.insert(name.to_owned(), value.into());
        }
    }
}

/// The kind of the case, by its number in the firmware.
fn physical(machine: &Machine) -> Option<&'static str> {
    let number: u8 = machine
        .read_value("/sys/class/dmi/id/chassis_type")?
        .parse()
        .ok()?;
    Some(match number {
        3 | 4 | 6 | 7 | 13 | 15 | 24 | 35 | 36 => "desktop",
        8..=10 | 14 => "laptop",
        11 => "handset",
        17 | 28 | 29 | 23 => "server",
        30 => "tablet",
        31 | 32 => "convertible",
        33 | 34 => "embedded",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn a_guest_of_kvm() {
        let (_root, machine) = machine(&[
            ("/run/systemd/system/x", ""),
            ("/etc/hostname", "node\n"),
            ("/etc/machine-id", "aa\n"),
            ("/etc/os-release", "PRETTY_NAME=\"AlmaLinux 9.4\"\n"),
            (
                "/proc/sys/kernel/random/boot_id",
                "0c8bb2c1-d2e7-4a95-bba9-32b1b2ee4a44\n",
            ),
            ("/proc/sys/kernel/osrelease", "5.14.0\n"),
            ("/proc/sys/kernel/arch", "x86_64\n"),
            ("/sys/class/dmi/id/sys_vendor", "QEMU\n"),
            ("/sys/class/dmi/id/product_name", "Standard PC\n"),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(
            facts["hostnamectl"],
            json!({
                "static_hostname": "node",
                "icon_name": "computer-vm",
                "chassis": "vm",
                "machine_id": "aa",
                "boot_id": "0c8bb2c1d2e74a95bba932b1b2ee4a44",
                "virtualization": "kvm",
                "operating_system": "AlmaLinux 9.4",
                "kernel": "Linux 5.14.0",
                "architecture": "x86-64",
                "hardware_vendor": "QEMU",
                "hardware_model": "Standard PC",
            })
        );
    }

    #[test]
    fn without_systemd_there_is_nothing() {
        let (_root, machine) = machine(&[("/etc/hostname", "node\n")]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(facts["hostnamectl"], json!({}));
    }
}
