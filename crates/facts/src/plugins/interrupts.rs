//! `interrupts`: how often each came to each processor, and which processors may be asked, from /proc/interrupts and
//! /proc/irq.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["interrupts"],
    on_demand: true,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let Some(text) = machine.read("/proc/interrupts") else {
        return;
    };
    let mut lines = text.lines();
    let processors = lines.next().unwrap_or_default().split_whitespace().count();
    let affinity = |file: &str| {
        let mask = machine.read_value(&format!("/proc/irq/{file}"))?;
        Some(allowed(&mask, processors))
    };
    let mut interrupts = json!({"irq": {}});
    if let Some(allowed) = affinity("default_smp_affinity") {
        interrupts["smp_affinity_by_cpu"] = allowed;
    }
    for (number, mut interrupt) in lines.filter_map(|line| interrupt(line, processors)) {
        if let Some(allowed) = affinity(&format!("{number}/smp_affinity")) {
            interrupt["smp_affinity_by_cpu"] = allowed;
        }
        interrupts["irq"][number] = interrupt;
    }
    facts.insert("interrupts".to_owned(), interrupts);
}

/// ` 24:   0  17  PCI-MSI 524288-edge  virtio0-config`, or a word and what it means: `NMI:  0  0  Non-maskable interrupts`.
fn interrupt(line: &str, processors: usize) -> Option<(&str, Value)> {
    let (name, rest) = line.split_once(':')?;
    let name = name.trim();
    let mut rest = rest.trim_start();
    let mut events = Map::new();
    for processor in 0..processors {
        let (count, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        // Some counters are of the whole machine, and stand in the first column alone.
        let Ok(number) = count.parse::<u64>() else {
            events.insert(processor.to_string(), 0.into());
            continue;
        };
        events.insert(processor.to_string(), number.into());
        rest = after.trim_start();
    }
    let mut interrupt = json!({"events_by_cpu": events});
    let rest = rest.trim();
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        for (key, word) in ["type", "vector", "device"]
            .into_iter()
            .zip(rest.split_whitespace())
        {
            interrupt[key] = word.into();
        }
    } else if !rest.is_empty() {
        interrupt["type"] = rest.into();
    }
    Some((name, interrupt))
}

/// A mask of processors in groups of 32, the highest first: `00000000,00000003`.
fn allowed(mask: &str, processors: usize) -> Value {
    let groups: Vec<_> = mask
        .split(',')
        .rev()
        .map(|group| u32::from_str_radix(group, 16).unwrap_or(0))
        .collect();
    let may = |processor: usize| {
        groups
            .get(processor / 32)
            .is_some_and(|group| group >> (processor % 32) & 1 == 1)
    };
    (0..processors)
        .map(|processor| (processor.to_string(), Value::Bool(may(processor))))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_and_kinds_are_read() {
        let (name, device) = interrupt(
            " 24:          0         17   PCI-MSI 524288-edge      virtio0-config",
            2,
        )
        .unwrap();
        assert_eq!(name, "24");
        assert_eq!(
            device,
            json!({"events_by_cpu": {"0": 0, "1": 17}, "type": "PCI-MSI", "vector": "524288-edge", "device": "virtio0-config"})
        );
        let (_, word) = interrupt("NMI:          0          3   Non-maskable interrupts", 2).unwrap();
        assert_eq!(word["type"], "Non-maskable interrupts");
        let (_, alone) = interrupt("ERR:          5", 2).unwrap();
        assert_eq!(alone, json!({"events_by_cpu": {"0": 5, "1": 0}}));
    }

    #[test]
    fn masks_of_many_processors_come_in_groups() {
        assert_eq!(allowed("2", 2), json!({"0": false, "1": true}));
        assert_eq!(allowed("00000001,00000000", 33)["32"], true);
        assert_eq!(allowed("00000001,00000000", 33)["0"], false);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in "(\\PC|[0-9: ,]){0,80}", processors in 0_usize..100) {
            let _ = interrupt(&line, processors);
            let _ = allowed(&line, processors);
        }
    }
}
