//! `cpu`: the processors, from `/proc/cpuinfo` and the topology in `/sys`.
//!
//! Beside what Ohai 16 reports there are the names of later releases - sockets, threads, NUMA nodes, caches,
//! vulnerabilities - as far as the kernel tells them in files.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

mod lscpu;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["cpu"],
    on_demand: false,
    collect,
};

const SYS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";

/// What the kernel calls it of one processor, and its name among the facts.
const NAMES: [(&str, &str); 10] = [
    ("vendor_id", "vendor_id"),
    ("cpu family", "family"),
    ("model", "model"),
    ("model name", "model_name"),
    ("stepping", "stepping"),
    ("cpu MHz", "mhz"),
    ("cache size", "cache_size"),
    ("physical id", "physical_id"),
    ("core id", "core_id"),
    ("cpu cores", "cores"),
];

/// How the processors are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    sockets: usize,
    cores_per_socket: usize,
    threads_per_core: usize,
}

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let Some(text) = machine.read("/proc/cpuinfo") else {
        return;
    };
    let mut cpu = parse(&text);
    if let Some(layout) = layout(machine) {
        if !cpu.contains_key("real") {
            let cores = layout.sockets * layout.cores_per_socket;
            cpu.insert("total".to_owned(), (cores * layout.threads_per_core).into());
            cpu.insert("real".to_owned(), layout.sockets.into());
            cpu.insert("cores".to_owned(), cores.into());
        }
        cpu.insert("sockets".to_owned(), layout.sockets.into());
        cpu.insert("cores_per_socket".to_owned(), layout.cores_per_socket.into());
        cpu.insert("threads_per_core".to_owned(), layout.threads_per_core.into());
    }
    numa(machine, &mut cpu);
    lscpu::add(machine, &text, &mut cpu);
    facts.insert("cpu".to_owned(), cpu.into());
}

/// The processors by their number, and `total`. `real` and `cores` only if every kernel of the architecture tells them
/// here; those of ARM, POWER and System z do not.
fn parse(text: &str) -> Map<String, Value> {
    let mut cpu = Map::new();
    let mut current: Option<String> = None;
    let mut total = 0_u64;
    let mut sockets = BTreeSet::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() {
            continue;
        }
        if key == "processor" {
            total += 1;
            current = Some(value.to_owned());
            cpu.insert(value.to_owned(), json!({}));
            continue;
        }
        // System z: one line a processor, and what they have in common without a number.
        if let Some(number) = key.strip_prefix("processor ") {
            total += 1;
            cpu.insert(number.to_owned(), assignments(value));
            continue;
        }
        match key {
            "vendor_id" if value.contains("IBM/S390") => {
                cpu.insert("vendor_id".to_owned(), value.into());
                continue;
            }
            "bogomips per cpu" => {
                cpu.insert("bogomips_per_cpu".to_owned(), value.into());
                continue;
            }
            "features" => {
                cpu.insert("features".to_owned(), words(value));
                continue;
            }
            _ => {}
        }
        let Some(Value::Object(processor)) = current.as_ref().and_then(|name| cpu.get_mut(name)) else {
            continue;
        };
        match key {
            "flags" => processor.insert("flags".to_owned(), words(value)),
            "Features" => processor.insert("features".to_owned(), words(value)),
            // Each processor of x86 has its own; Ohai takes the words of ARM.
            "BogoMIPS" | "bogomips" => processor.insert("bogomips".to_owned(), value.into()),
            _ => NAMES
                .iter()
                .find(|(theirs, _)| *theirs == key)
                .and_then(|(_, ours)| processor.insert((*ours).to_owned(), value.into())),
        };
        if key == "physical id" {
            sockets.insert(value.to_owned());
        }
    }
    cpu.insert("total".to_owned(), total.into());
    let cores = cpu
        .get("0")
        .and_then(|first| first.get("cores")?.as_str()?.parse::<usize>().ok());
    if let (false, Some(cores)) = (sockets.is_empty(), cores) {
        cpu.insert("real".to_owned(), sockets.len().into());
        cpu.insert("cores".to_owned(), (sockets.len() * cores).into());
    }
    cpu
}

fn words(text: &str) -> Value {
    text.split_whitespace().collect()
}

/// `version = FF,  identification = 0133E8,  machine = 2964`
fn assignments(text: &str) -> Value {
    text.split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), Value::from(value.trim())))
        .collect::<Map<_, _>>()
        .into()
}

/// How many numbers a list like `0-3,8` holds, and which.
fn numbers(list: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            // A machine has no more; a broken file must not fill the memory.
            numbers.extend((first..=last).take(65_536));
        }
    }
    numbers
}

/// The processors by number, with their names below `/sys`: `cpu0`, `cpu1` and so on.
fn processors(machine: &Machine) -> Vec<(u32, String)> {
    let names = machine.list(SYS).into_iter();
    let mut processors: Vec<_> = names
        .filter_map(|name| Some((name.strip_prefix("cpu")?.parse().ok()?, name)))
        .collect();
    processors.sort_unstable();
    processors
}

fn layout(machine: &Machine) -> Option<Layout> {
    let siblings =
        |cpu: &str, kind: &str| machine.read(&format!("{SYS}/{cpu}/topology/{kind}_siblings_list"));
    let threads_per_core = numbers(&siblings("cpu0", "thread")?).len().max(1);
    let threads_per_socket = numbers(&siblings("cpu0", "core")?).len().max(1);
    let sockets: BTreeSet<String> = processors(machine)
        .iter()
        .filter_map(|(_, cpu)| siblings(cpu, "core"))
        .collect();
    Some(Layout {
        sockets: sockets.len(),
        cores_per_socket: (threads_per_socket / threads_per_core).max(1),
        threads_per_core,
    })
}

/// `numa_nodes` and, by number of the node, `numa_node_cpus`.
fn numa(machine: &Machine, cpu: &mut Map<String, Value>) {
    let mut nodes = Map::new();
    for name in machine.list(NODES) {
        let Some(number) = name
            .strip_prefix("node")
            .filter(|rest| rest.parse::<u32>().is_ok())
        else {
            continue;
        };
        if let Some(list) = machine.read(&format!("{NODES}/{name}/cpulist")) {
            nodes.insert(number.to_owned(), numbers(&list).into());
        }
    }
    if !nodes.is_empty() {
        cpu.insert("numa_nodes".to_owned(), nodes.len().into());
        cpu.insert("numa_node_cpus".to_owned(), nodes.into());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn two_sockets_of_intel() {
        let processor = |number, socket, core| {
            format!(
                "processor\t: {number}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n\
                 model name\t: Intel(R) Xeon(R) Platinum 8168 CPU @ 2.70GHz\nstepping\t: 4\nmicrocode\t: 0xffffffff\n\
                 cpu MHz\t\t: 2693.876\ncache size\t: 33792 KB\nphysical id\t: {socket}\nsiblings\t: 2\n\
                 core id\t\t: {core}\ncpu cores\t: 2\nflags\t\t: fpu vme hypervisor\nvmx flags\t: vnmi\nbugs\t\t:\n\
                 bogomips\t: 5387.75\npower management:\n\n"
            )
        };
        let text = processor(0, 0, 0) + &processor(1, 0, 1) + &processor(2, 1, 0) + &processor(3, 1, 1);
        let cpu = parse(&text);
        assert_eq!(
            (&cpu["total"], &cpu["real"], &cpu["cores"]),
            (&json!(4), &json!(2), &json!(4))
        );
        assert_eq!(
            cpu["3"],
            json!({
                "vendor_id": "GenuineIntel",
                "family": "6",
                "model": "85",
                "model_name": "Intel(R) Xeon(R) Platinum 8168 CPU @ 2.70GHz",
                "stepping": "4",
                "mhz": "2693.876",
                "cache_size": "33792 KB",
                "physical_id": "1",
                "core_id": "1",
                "cores": "2",
                "flags": ["fpu", "vme", "hypervisor"],
                "bogomips": "5387.75",
            })
        );
    }

    #[test]
    fn arm_tells_its_layout_elsewhere() {
        let text = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n\nprocessor\t: 1\n\
                    BogoMIPS\t: 50.00\nFeatures\t: fp asimd\n";
        let (_root, machine) = machine(&[
            ("/proc/cpuinfo", text),
            (
                "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
                "0\n",
            ),
            (
                "/sys/devices/system/cpu/cpu0/topology/core_siblings_list",
                "0-1\n",
            ),
            (
                "/sys/devices/system/cpu/cpu1/topology/core_siblings_list",
                "0-1\n",
            ),
            ("/sys/devices/system/cpu/cpufreq/x", ""),
            ("/sys/devices/system/cpu/cpu0/cache/index0/level", "1\n"),
            ("/sys/devices/system/cpu/cpu0/cache/index0/type", "Data\n"),
            ("/sys/devices/system/cpu/cpu0/cache/index0/size", "64K\n"),
            (
                "/sys/devices/system/cpu/vulnerabilities/meltdown",
                "Not affected\n",
            ),
            ("/sys/devices/system/node/node0/cpulist", "0-1\n"),
            ("/sys/devices/system/node/has_cpu", "0\n"),
        ]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        let processor = json!({"bogomips": "50.00", "features": ["fp", "asimd"]});
        assert_eq!(
            facts["cpu"],
            json!({
                "0": processor,
                "1": processor,
                "total": 2,
                "real": 1,
                "cores": 2,
                "sockets": 1,
                "cores_per_socket": 2,
                "threads_per_core": 1,
                "numa_nodes": 1,
                "numa_node_cpus": {"0": [0, 1]},
                "l1d_cache": "64 KiB (1 instance)",
                "bogomips": "50.00",
                "flags": ["asimd", "fp"],
                "features": ["asimd", "fp"],
                "vulnerability": {"meltdown": "Not affected"},
            })
        );
    }

    #[test]
    fn system_z_has_a_line_a_processor() {
        let text = "vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 3033.00\nfeatures\t: esan3 zarch\n\
                    processor 0: version = FF,  identification = 0133E8,  machine = 2964\n\
                    processor 1: version = FF,  identification = 0133E8,  machine = 2964\n";
        assert_eq!(
            Value::from(parse(text)),
            json!({
                "vendor_id": "IBM/S390",
                "bogomips_per_cpu": "3033.00",
                "features": ["esan3", "zarch"],
                "0": {"version": "FF", "identification": "0133E8", "machine": "2964"},
                "1": {"version": "FF", "identification": "0133E8", "machine": "2964"},
                "total": 2,
            })
        );
    }

    #[test]
    fn lists_of_numbers() {
        assert_eq!(numbers("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(numbers("\n"), Vec::<u32>::new());
        assert_eq!(numbers("0-4294967295").len(), 65_536);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_trouble(text in "\\PC*", list in "[0-9,-]{0,20}") {
            prop_assert!(parse(&text).contains_key("total"));
            prop_assert!(numbers(&list).len() <= 65_536 * 20);
        }
    }
}
