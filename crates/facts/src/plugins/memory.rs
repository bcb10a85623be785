//! `memory`: how much there is and what it is used for. Format: proc_meminfo(5).

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["memory"],
    on_demand: false,
    collect,
};

/// What the kernel calls it, and where it is among the facts.
const NAMES: &[(&str, &str, &str)] = &[
    ("MemTotal", "", "total"),
    ("MemFree", "", "free"),
    ("MemAvailable", "", "available"),
    ("Buffers", "", "buffers"),
    ("Cached", "", "cached"),
    ("Active", "", "active"),
    ("Inactive", "", "inactive"),
    ("HighTotal", "", "high_total"),
    ("HighFree", "", "high_free"),
    ("LowTotal", "", "low_total"),
    ("LowFree", "", "low_free"),
    ("Dirty", "", "dirty"),
    ("Writeback", "", "writeback"),
    ("AnonPages", "", "anon_pages"),
    ("Mapped", "", "mapped"),
    ("Slab", "", "slab"),
    ("SReclaimable", "", "slab_reclaimable"),
    ("SUnreclaim", "", "slab_unreclaim"),
    ("PageTables", "", "page_tables"),
    ("NFS_Unstable", "", "nfs_unstable"),
    ("Bounce", "", "bounce"),
    ("CommitLimit", "", "commit_limit"),
    ("Committed_AS", "", "committed_as"),
    ("VmallocTotal", "", "vmalloc_total"),
    ("VmallocUsed", "", "vmalloc_used"),
    ("VmallocChunk", "", "vmalloc_chunk"),
    ("SwapCached", "swap", "cached"),
    ("SwapTotal", "swap", "total"),
    ("SwapFree", "swap", "free"),
    ("HugePages_Total", "hugepages", "total"),
    ("HugePages_Free", "hugepages", "free"),
    ("HugePages_Rsvd", "hugepages", "reserved"),
    ("HugePages_Surp", "hugepages", "surplus"),
    ("Hugepagesize", "", "hugepage_size"),
    ("Hugetlb", "", "hugetlb"),
];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    if let Some(text) = machine.read("/proc/meminfo") {
        facts.insert("memory".to_owned(), parse(&text));
    }
}

/// Amounts are texts with their unit, `24684096kB`, numbers of pages texts without one.
fn parse(text: &str) -> Value {
    let mut memory = json!({"swap": {}, "hugepages": {}, "directmap": {}});
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value: String = value.split_whitespace().collect();
        if let Some(size) = key.strip_prefix("DirectMap") {
            memory["directmap"][size] = value.into();
        } else if let Some((_, section, name)) = NAMES.iter().find(|(theirs, ..)| *theirs == key) {
            let section = if section.is_empty() {
                &mut memory
            } else {
                &mut memory[*section]
            };
            section[*name] = value.into();
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_unit_and_pages_none() {
        let text = "MemTotal:       115402636 kB\nMemAvailable:   1 kB\nActive(anon):  99 kB\nSwapCached:            0 kB\n\
                    HugePages_Total:       8\nHugepagesize:       2048 kB\nDirectMap4k:      206784 kB\n\
                    DirectMap1G:    115343360 kB\nUnaccepted: 7 kB\nodd\n";
        assert_eq!(
            parse(text),
            json!({
                "total": "115402636kB",
                "available": "1kB",
                "swap": {"cached": "0kB"},
                "hugepages": {"total": "8"},
                "hugepage_size": "2048kB",
                "directmap": {"4k": "206784kB", "1G": "115343360kB"},
            })
        );
    }
}
