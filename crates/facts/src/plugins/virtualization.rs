//! `virtualization`: what the machine runs on, and what runs on it.
//!
//! `systems` has every one that was found, as `host` or `guest`; `system` and `role` are the last found, from the
//! hypervisor inwards to the container.

use serde_json::{Map, Value};

use super::{Plugin, dmi};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["virtualization"],
    on_demand: false,
    collect,
};

/// Names in `/proc/cpuinfo` of the processors that QEMU makes up.
const QEMU_PROCESSORS: [&str; 3] = [
    "QEMU Virtual CPU",
    "Common KVM processor",
    "Common 32-bit KVM processor",
];

/// Where LXD keeps its socket for guests, by the way it was installed.
const LXD_FOLDERS: [&str; 2] = ["/var/lib/lxd/devlxd", "/var/snap/lxd/common/lxd/devlxd"];

const HYPERV_POOL: &str = "/var/lib/hyperv/.kvp_pool_3";

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    systems: Map<String, Value>,
    last: Option<(String, &'static str)>,
}

impl Found {
    fn guest(&mut self, system: &str) {
        self.add(system, "guest");
    }

    fn host(&mut self, system: &str) {
        self.add(system, "host");
    }

    fn add(&mut self, system: &str, role: &'static str) {
        self.systems.insert(system.to_owned(), role.into());
        self.last = Some((system.to_owned(), role));
    }
}

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let found = find(machine);
    let mut section = Map::new();
    section.insert("systems".to_owned(), found.systems.into());
    if let Some((system, role)) = found.last {
        section.insert("system".to_owned(), system.into());
        section.insert("role".to_owned(), role.into());
    }
    if let Some(host) = machine.read(HYPERV_POOL).and_then(|pool| hyperv_host(&pool)) {
        section.insert("hypervisor_host".to_owned(), host.into());
    }
    facts.insert("virtualization".to_owned(), section.into());
}

/// The innermost system that the machine is a guest of, if it is one.
pub(super) fn guest_of(machine: &Machine) -> Option<String> {
    find(machine)
        .last
        .filter(|(_, role)| *role == "guest")
        .map(|(system, _)| system)
}

/// Whether the machine is a guest or a host of a system.
pub(super) fn knows(machine: &Machine, system: &str) -> bool {
    find(machine).systems.contains_key(system)
}

fn find(machine: &Machine) -> Found {
    let mut found = Found::default();
    if machine.has_program("docker") {
        found.host("docker");
    }
    hypervisors(machine, &mut found);
    if let Some(guest) = by_firmware(&dmi::read(machine)) {
        found.guest(guest);
    }
    if machine.exists("/proc/bc/0") {
        found.host("openvz");
    } else if machine.exists("/proc/vz") {
        found.guest("openvz");
    }
    if machine.exists(HYPERV_POOL) {
        found.guest("hyperv");
    }
    vserver(machine, &mut found);
    containers(machine, &mut found);
    found
}

fn hypervisors(machine: &Machine, found: &mut Found) {
    if machine.exists("/proc/xen") {
        let capabilities = machine.read("/proc/xen/capabilities").unwrap_or_default();
        if capabilities.contains("control_d") {
            found.host("xen");
        } else {
            found.guest("xen");
        }
    }
    let modules = machine.read("/proc/modules").unwrap_or_default();
    let loaded = |prefix| modules.lines().any(|line| line.starts_with(prefix));
    if loaded("vboxdrv") {
        found.host("vbox");
    } else if loaded("vboxguest") {
        found.guest("vbox");
    }
    if machine.has_program("nova") {
        found.host("openstack");
    }
    let cpuinfo = machine.read("/proc/cpuinfo").unwrap_or_default();
    if QEMU_PROCESSORS.iter().any(|name| cpuinfo.contains(name)) {
        found.guest("kvm");
    }
    if machine.exists("/sys/devices/virtual/misc/kvm") {
        // Hosts' processors do not say that there is a hypervisor below them.
        if cpuinfo.contains("hypervisor") {
            found.guest("kvm");
        } else {
            found.host("kvm");
        }
    }
}

/// The hypervisor that signs the firmware.
fn by_firmware(dmi: &Map<String, Value>) -> Option<&'static str> {
    let field = |name| dmi::field(dmi, "system", name).unwrap_or_default();
    let (maker, product) = (field("manufacturer"), field("product_name"));
    let makers = [
        ("OpenStack", "openstack"),
        ("Xen", "xen"),
        ("VMware", "vmware"),
        ("Amazon EC2", "amazonec2"),
        ("QEMU", "kvm"),
        ("Veertu", "veertu"),
        ("Parallels", "parallels"),
    ];
    let products = [
        ("VirtualBox", "vbox"),
        ("OpenStack", "openstack"),
        ("KVM", "kvm"),
        ("RHEV", "kvm"),
        ("BHYVE", "bhyve"),
    ];
    if maker.contains("Microsoft") && product.contains("Virtual Machine") {
        return Some("hyperv");
    }
    let within = |text: &str, names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(name, _)| text.contains(name))
            .map(|(_, system)| *system)
    };
    within(maker, &makers).or_else(|| within(product, &products))
}

/// Linux-VServer gives each guest a number; that of the host is 0.
fn vserver(machine: &Machine, found: &mut Found) {
    let status = machine.read("/proc/self/status").unwrap_or_default();
    let number = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| matches!(*key, "s_context" | "VxID"))
        .map(|(_, value)| value.trim());
    match number {
        Some("0") => found.host("linux-vserver"),
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty() => {
            found.guest("linux-vserver");
        }
        _ => {}
    }
}

fn containers(machine: &Machine, found: &mut Found) {
    if let Some(cgroups) = machine.read("/proc/self/cgroup") {
        let environment = machine.read("/proc/1/environ").unwrap_or_default();
        let is = |value: &str| {
            environment
                .split('\0')
                .any(|variable| variable.strip_prefix("container=") == Some(value))
        };
        if let Some(system) = cgroups.lines().find_map(container_of) {
            found.guest(system);
        } else if is("lxc") {
            found.guest("lxc");
        } else if is("systemd-nspawn") {
            found.guest("nspawn");
        } else if (machine.has_program("lxc-version") || machine.has_program("lxc-start"))
            && cgroups.lines().any(|line| line.ends_with(":/"))
        {
            let last = found.last.take();
            found.host("lxc");
            // That it could be a host says less than what was found before.
            found.last = last.or(found.last.take());
        }
    }
    if machine.exists("/.dockerenv") || machine.exists("/.dockerinit") {
        found.guest("docker");
    }
    if machine.exists("/dev/lxd/sock") {
        found.guest("lxd");
    } else if LXD_FOLDERS.iter().any(|folder| machine.exists(folder)) {
        found.host("lxd");
    }
}

/// Whose container a control group is, `NUMBER:CONTROLLERS:/docker/ID` or one folder deeper, where it may be written
/// with the id in one word.
fn container_of(line: &str) -> Option<&'static str> {
    let mut parts = line.splitn(3, ':');
    let (number, _, path) = (parts.next()?, parts.next()?, parts.next()?);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut folders = path.strip_prefix('/')?.splitn(3, '/');
    let (first, second) = (folders.next()?, folders.next()?);
    ["lxc", "docker"].into_iter().find(|system| {
        let outer = first == *system && !second.is_empty();
        let inner = !first.is_empty()
            && second
                .strip_prefix(system)
                .is_some_and(|rest| !rest.is_empty() || folders.clone().next().is_some());
        outer || inner
    })
}

/// The name of the host, which Hyper-V writes between its names of two things, with zeroes all around.
fn hyperv_host(pool: &str) -> Option<String> {
    let (_, rest) = pool.split_once("HostName")?;
    let (name, _) = rest.split_once("HostingSystemEditionId")?;
    let name: String = name.chars().filter(char::is_ascii_graphic).collect();
    Some(name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machine::tests::machine;

    #[track_caller]
    fn is(files: &[(&str, &str)], expected: Value) {
        let (_root, machine) = machine(files);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(facts["virtualization"], expected);
    }

    #[test]
    fn bare_metal_is_nothing() {
        is(
            &[
                ("/proc/cpuinfo", "flags : fpu\n"),
                ("/proc/self/cgroup", "0::/user.slice\n"),
                ("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n"),
            ],
            json!({"systems": {}}),
        );
    }

    #[test]
    fn guests_of_hypervisors() {
        is(
            &[
                ("/sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n"),
                ("/sys/class/dmi/id/product_name", "Virtual Machine\n"),
                (
                    "/var/lib/hyperv/.kvp_pool_3",
                    "HostName\0\0\0BNZ081062\0\0HostingSystemEditionId\0",
                ),
            ],
            json!({"systems": {"hyperv": "guest"}, "system": "hyperv", "role": "guest", "hypervisor_host": "bnz081062"}),
        );
        is(
            &[
                ("/sys/devices/virtual/misc/kvm/dev", ""),
                ("/proc/cpuinfo", "flags : fpu hypervisor\n"),
                ("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
            ],
            json!({
                "systems": {"kvm": "guest", "amazonec2": "guest"},
                "system": "amazonec2",
                "role": "guest",
            }),
        );
        is(
            &[("/proc/xen/capabilities", "control_d\n")],
            json!({"systems": {"xen": "host"}, "system": "xen", "role": "host"}),
        );
    }

    #[test]
    fn containers_are_found_in_their_control_group() {
        for (line, system) in [
            ("4:memory:/docker/3f2a", Some("docker")),
            ("4:memory:/system.slice/docker-3f2a.scope", Some("docker")),
            ("1:name=systemd:/lxc/web", Some("lxc")),
            ("0::/docker/3f2a", Some("docker")),
            ("4:memory:/docker", None),
            ("4:memory:/docker/", None),
            ("4:memory:/Charlie", None),
            ("0::/", None),
            ("x:memory:/docker/a", None),
            ("", None),
        ] {
            assert_eq!(container_of(line), system, "{line}");
        }
        is(
            &[("/proc/self/cgroup", "0::/\n"), ("/.dockerenv", "")],
            json!({"systems": {"docker": "guest"}, "system": "docker", "role": "guest"}),
        );
        is(
            &[
                ("/proc/self/cgroup", "0::/payload\n"),
                ("/proc/1/environ", "TERM=x\0container=systemd-nspawn\0"),
            ],
            json!({"systems": {"nspawn": "guest"}, "system": "nspawn", "role": "guest"}),
        );
    }

    #[test]
    fn that_it_could_be_a_host_of_containers_does_not_hide_that_it_is_a_guest() {
        is(
            &[
                ("/proc/xen/x", ""),
                ("/usr/bin/lxc-start", ""),
                ("/proc/self/cgroup", "4:memory:/\n"),
            ],
            json!({"systems": {"xen": "guest", "lxc": "host"}, "system": "xen", "role": "guest"}),
        );
    }
}
