//! What releases of Ohai after 16 tell of the processors as a whole, in the words of `lscpu`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{SYS, numbers};
use crate::machine::Machine;

/// Names of one processor that are also those of the machine: all are alike.
const ALIKE: [&str; 6] = [
    "vendor_id",
    "family",
    "model",
    "model_name",
    "stepping",
    "bogomips",
];

/// What the processor says below a hypervisor, and who that is.
const HYPERVISORS: [(&str, &str); 6] = [
    ("KVMKVMKVM", "KVM"),
    ("Linux KVM Hv", "KVM"),
    ("Microsoft Hv", "Microsoft"),
    ("VMwareVMware", "VMware"),
    ("XenVMMXenVMM", "Xen"),
    ("bhyve bhyve ", "bhyve"),
];

/// Adds to what is known of the single processors. `cpuinfo` is the text of `/proc/cpuinfo`.
pub(super) fn add(machine: &Machine, cpuinfo: &str, cpu: &mut Map<String, Value>) {
    let first = cpu.get("0").cloned().unwrap_or_default();
    let flag = |name: &str| {
        let flags = first["flags"].as_array();
        flags.is_some_and(|flags| flags.iter().any(|flag| flag == name))
    };
    for name in ALIKE {
        if let Some(value) = first.get(name) {
            cpu.entry(name).or_insert_with(|| value.clone());
        }
    }
    for name in ["flags", "features"] {
        if let Some(flags) = first[name].as_array() {
            let mut flags: Vec<&str> = flags.iter().filter_map(Value::as_str).collect();
            flags.sort_unstable();
            cpu.entry(name).or_insert_with(|| flags.clone().into());
            cpu.entry("flags").or_insert_with(|| flags.into());
        }
    }
    if let Some(architecture) = architecture(machine, &flag) {
        cpu.insert("architecture".to_owned(), architecture.into());
    }
    if flag("lm") {
        cpu.insert("cpu_opmodes".to_owned(), json!(["32-bit", "64-bit"]));
    }
    if machine.is_live() {
        let order = if cfg!(target_endian = "big") {
            "big endian"
        } else {
            "little endian"
        };
        cpu.insert("byte_order".to_owned(), order.into());
    }
    if let Some(sizes) = value_of(cpuinfo, "address sizes") {
        cpu.insert("address_sizes".to_owned(), sizes.split(", ").collect());
    }
    processors(machine, cpu);
    frequencies(machine, cpu);
    let virtualization = [("vmx", "VT-x"), ("svm", "AMD-V")];
    if let Some((_, name)) = virtualization.iter().find(|(name, _)| flag(name)) {
        cpu.insert("virtualization".to_owned(), (*name).into());
    }
    if flag("hypervisor")
        && let Some(vendor) = machine.is_live().then(hypervisor).flatten()
    {
        cpu.insert("hypervisor_vendor".to_owned(), vendor.into());
        cpu.insert("virtualization_type".to_owned(), "full".into());
    }
    caches(machine, cpu);
    vulnerabilities(machine, cpu);
}

fn architecture(machine: &Machine, flag: &impl Fn(&str) -> bool) -> Option<String> {
    if machine.is_live() {
        return Some(std::env::consts::ARCH.to_owned());
    }
    // Other architectures do not tell it in a file.
    flag("lm").then(|| "x86_64".to_owned())
}

/// The value of the first line `KEY : VALUE`.
fn value_of<'a>(cpuinfo: &'a str, key: &str) -> Option<&'a str> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}

/// How many processors there are, run, and do not.
fn processors(machine: &Machine, cpu: &mut Map<String, Value>) {
    let list = |file: &str| {
        let list = machine.read_value(&format!("{SYS}/{file}"))?;
        Some(numbers(&list)).filter(|numbers| !numbers.is_empty())
    };
    if let Some(present) = list("present") {
        cpu.insert("cpus".to_owned(), present.len().into());
    }
    for (file, name) in [("online", "cpus_online"), ("offline", "cpus_offline")] {
        if let Some(numbers) = list(file) {
            // Ohai takes the processor 0 alone for none.
            let count = if numbers == [0] { 0 } else { numbers.len() };
            cpu.insert(name.to_owned(), count.into());
        }
    }
}

/// The limits of processors that change their frequency, in MHz.
fn frequencies(machine: &Machine, cpu: &mut Map<String, Value>) {
    for (file, name) in [("cpuinfo_max_freq", "mhz_max"), ("cpuinfo_min_freq", "mhz_min")] {
        let kilohertz = machine
            .read_value(&format!("{SYS}/cpu0/cpufreq/{file}"))
            .and_then(|text| text.parse::<u64>().ok());
        if let Some(kilohertz) = kilohertz {
            let text = format!("{}.{:03}0", kilohertz / 1000, kilohertz % 1000);
            cpu.insert(name.to_owned(), text.into());
        }
    }
}

/// Who runs below us, as the processor tells.
#[cfg(target_arch = "x86_64")]
fn hypervisor() -> Option<&'static str> {
    /// The leaf that hypervisors answer.
    const LEAF: u32 = 0x4000_0000;
    let answer = core::arch::x86_64::__cpuid(LEAF);
    let bytes: Vec<u8> = [answer.ebx, answer.ecx, answer.edx]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    hypervisor_of(&bytes)
}

#[cfg(not(target_arch = "x86_64"))]
fn hypervisor() -> Option<&'static str> {
    None
}

#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "only these processors tell")
)]
fn hypervisor_of(signature: &[u8]) -> Option<&'static str> {
    HYPERVISORS
        .iter()
        .find(|(name, _)| signature.starts_with(name.as_bytes()))
        .map(|(_, vendor)| *vendor)
}

/// How much there is of each cache, and in how many parts: `l1d_cache` of `64 KiB (2 instances)`.
fn caches(machine: &Machine, cpu: &mut Map<String, Value>) {
    let mut known: Vec<(String, Cache)> = Vec::new();
    for (number, processor) in super::processors(machine) {
        for index in machine.list(&format!("{SYS}/{processor}/cache")) {
            // Most are shared with one that was seen before.
            let seen = |cache: &&(String, Cache)| cache.0 == index;
            if known
                .iter()
                .find(seen)
                .is_some_and(|(_, cache)| cache.users.contains(&number))
            {
                continue;
            }
            let read = |file: &str| machine.read_value(&format!("{SYS}/{processor}/cache/{index}/{file}"));
            let at = match known.iter().position(|cache| cache.0 == index) {
                Some(at) => at,
                None => {
                    let (Some(level), Some(kind)) = (read("level"), read("type")) else {
                        continue;
                    };
                    let kind = match kind.as_str() {
                        "Data" => "d",
                        "Instruction" => "i",
                        _ => "",
                    };
                    let name = format!("l{level}{kind}_cache");
                    known.push((index.clone(), Cache::new(name)));
                    known.len() - 1
                }
            };
            let Some(size) = read("size").as_deref().and_then(bytes) else {
                continue;
            };
            let cache = &mut known[at].1;
            cache.instances += 1;
            cache.size = cache.size.saturating_add(size);
            cache.users.insert(number);
            cache.users.extend(
                read("shared_cpu_list")
                    .as_deref()
                    .map(numbers)
                    .unwrap_or_default(),
            );
        }
    }
    for (_, cache) in known.into_iter().filter(|(_, cache)| cache.instances > 0) {
        let plural = if cache.instances == 1 { "" } else { "s" };
        let text = format!("{} ({} instance{plural})", human(cache.size), cache.instances);
        cpu.insert(cache.name, text.into());
    }
}

/// A kind of cache.
#[derive(Debug)]
struct Cache {
    name: String,
    size: u64,
    instances: usize,
    /// The processors whose cache was counted.
    users: BTreeSet<u32>,
}

impl Cache {
    fn new(name: String) -> Self {
        Self {
            name,
            size: 0,
            instances: 0,
            users: BTreeSet::new(),
        }
    }
}

/// `32K`, `1M`.
fn bytes(size: &str) -> Option<u64> {
    let units = [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30)];
    for (unit, factor) in units {
        if let Some(number) = size.strip_suffix(unit) {
            return number.parse::<u64>().ok()?.checked_mul(factor);
        }
    }
    size.parse().ok()
}

/// With one digit after the point, if it is no zero.
fn human(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (bytes.max(1).ilog2() / 10) as usize;
    let one = 1_u128 << (10 * power);
    let tenths = (u128::from(bytes) * 10 + one / 2) / one;
    let unit = units.get(power).unwrap_or(&"B");
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        tenth => format!("{}.{tenth} {unit}", tenths / 10),
    }
}

/// What the kernel says of each known weakness of the processors, by its name.
fn vulnerabilities(machine: &Machine, cpu: &mut Map<String, Value>) {
    let folder = format!("{SYS}/vulnerabilities");
    let section: Map<String, Value> = machine
        .list(&folder)
        .into_iter()
        .filter_map(|name| {
            let text = machine.read_value(&format!("{folder}/{name}"))?;
            // lscpu has no colons in what is a list of measures.
            let text = match text.strip_prefix("Mitigation:") {
                Some(measures) => format!("Mitigation;{}", measures.replace(':', "")),
                None => text,
            };
            Some((name, text.into()))
        })
        .collect();
    if !section.is_empty() {
        cpu.insert("vulnerability".to_owned(), section.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn caches_are_counted_once_for_all_that_share_them() {
        let mut files = Vec::new();
        for cpu in 0..4 {
            let shared = cpu / 2 * 2;
            for (index, level, kind, size, list) in [
                (0, "1", "Data", "32K", format!("{cpu}\n")),
                (2, "2", "Unified", "1M", format!("{shared}-{}\n", shared + 1)),
                (3, "3", "Unified", "33792K", "0-3\n".to_owned()),
            ] {
                let folder = format!("{SYS}/cpu{cpu}/cache/index{index}");
                for (file, text) in [
                    ("level", level),
                    ("type", kind),
                    ("size", size),
                    ("shared_cpu_list", &list),
                ] {
                    files.push((format!("{folder}/{file}"), text.to_owned()));
                }
            }
        }
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let (_root, machine) = machine(&files);
        let mut cpu = Map::new();
        caches(&machine, &mut cpu);
        assert_eq!(
            Value::from(cpu),
            json!({
                "l1d_cache": "128 KiB (4 instances)",
                "l2_cache": "2 MiB (2 instances)",
                "l3_cache": "33 MiB (1 instance)",
            })
        );
    }

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1_310_720, "1.3 MiB"),
            (40_265_318, "38.4 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(bytes("32K"), Some(32_768));
        assert_eq!(bytes("18446744073709551615G"), None);
        assert_eq!(bytes("K"), None);
    }

    #[test]
    fn the_machine_as_a_whole() {
        let cpuinfo =
            "processor : 0\nbogomips\t: 5192.26\naddress sizes\t: 48 bits physical, 48 bits virtual\n";
        let (_root, machine) = machine(&[
            ("/sys/devices/system/cpu/present", "0-3\n"),
            ("/sys/devices/system/cpu/online", "0\n"),
            ("/sys/devices/system/cpu/offline", "1-3\n"),
            (
                "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
                "3700007\n",
            ),
            ("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_min_freq", "many\n"),
            (
                "/sys/devices/system/cpu/vulnerabilities/spectre_v2",
                "Mitigation: Retpolines; STIBP: disabled\n",
            ),
            (
                "/sys/devices/system/cpu/vulnerabilities/srso",
                "Vulnerable: no microcode\n",
            ),
        ]);
        let mut cpu = Map::new();
        cpu.insert("0".to_owned(), json!({"model": "17", "flags": ["svm", "lm"]}));
        add(&machine, cpuinfo, &mut cpu);
        cpu.remove("0");
        assert_eq!(
            Value::from(cpu),
            json!({
                "model": "17",
                "flags": ["lm", "svm"],
                "architecture": "x86_64",
                "cpu_opmodes": ["32-bit", "64-bit"],
                "address_sizes": ["48 bits physical", "48 bits virtual"],
                "cpus": 4,
                "cpus_online": 0,
                "cpus_offline": 3,
                "mhz_max": "3700.0070",
                "virtualization": "AMD-V",
                "vulnerability": {"spectre_v2": "Mitigation; Retpolines; STIBP disabled", "srso": "Vulnerable: no microcode"},
            })
        );
        assert_eq!(hypervisor_of(b"KVMKVMKVM\0\0\0"), Some("KVM"));
        assert_eq!(hypervisor_of(b""), None);
    }
}
