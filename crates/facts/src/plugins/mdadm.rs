//! `mdadm`: software RAID arrays, from /proc/mdstat and what the kernel shows of each array in /sys/block (md(4)).

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["mdadm"],
    on_demand: false,
    collect,
};

/// The disks of an array, as /proc/mdstat lists them.
#[derive(Debug, Default, PartialEq)]
struct Members {
    active: Vec<String>,
    spare: Vec<String>,
    journal: Option<String>,
}

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let text = machine.read("/proc/mdstat").unwrap_or_default();
    let mut arrays: Vec<_> = text.lines().filter_map(array).collect();
    arrays.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut described = json!({});
    for (name, members) in arrays {
        described[&name] = describe(machine, &name);
        described[&name]["members"] = members.active.into();
        described[&name]["spares"] = members.spare.into();
        described[&name]["journal"] = members.journal.into();
    }
    if described.as_object().is_some_and(|arrays| !arrays.is_empty()) {
        facts.insert("mdadm".to_owned(), described);
    }
}

/// `md0 : active raid1 sdb1[1] sda1[0](F)`; what failed is listed among the active ones, as in Ohai.
fn array(line: &str) -> Option<(String, Members)> {
    let mut words = line.split_whitespace();
    let name = words.next().filter(|name| {
        name.strip_prefix("md")
            .is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_digit()))
    })?;
    let mut members = Members::default();
    let disks = words.filter_map(|word| {
        let (disk, rest) = word.split_once('[')?;
        let (_, mark) = rest.split_once(']')?;
        Some((disk.to_owned(), mark))
    });
    for (disk, mark) in disks {
        match mark {
            "(J)" => members.journal = Some(disk),
            "(S)" => members.spare.push(disk),
            _ => members.active.push(disk),
        }
    }
    Some((name.to_owned(), members))
}

fn describe(machine: &Machine, name: &str) -> Value {
    let folder = format!("/sys/block/{name}/md");
    let value = |file: &str| machine.read_value(&format!("{folder}/{file}"));
    let mut array = json!({"device_counts": {}});
    if let Some(version) = value("metadata_version").and_then(|text| text.parse::<f64>().ok()) {
        array["version"] = version.into();
    }
    if let Some(level) = value("level").and_then(|text| text.strip_prefix("raid")?.parse::<u64>().ok()) {
        array["level"] = level.into();
    }
    let sectors = machine
        .read_value(&format!("/sys/block/{name}/size"))
        .and_then(|text| text.parse().ok());
    if let Some(size) = sectors.and_then(size) {
        array["size"] = size.into();
    }
    if let Some(state) = value("array_state") {
        array["state"] = match state.as_str() {
            "clear" | "inactive" | "broken" => "inactive",
            "clean" | "readonly" | "read-auto" => "clean",
            _ => "active",
        }
        .into();
    }
    let counts = &mut array["device_counts"];
    if let Some(disks) = value("raid_disks").and_then(|text| text.parse::<u64>().ok()) {
        counts["raid"] = disks.into();
    }
    let (mut active, mut failed, mut spare) = (0, 0, 0);
    for disk in machine
        .list(&folder)
        .iter()
        .filter(|file| file.starts_with("dev-"))
    {
        let state = value(&format!("{disk}/state")).unwrap_or_default();
        let is = |word: &str| state.split(',').any(|other| other == word);
        match () {
            () if is("faulty") => failed += 1,
            () if is("in_sync") => active += 1,
            () if is("journal") => {}
            () => spare += 1,
        }
    }
    for (what, count) in [
        ("total", active + failed + spare),
        ("working", active + spare),
        ("failed", failed),
        ("active", active),
        ("spare", spare),
    ] {
        counts[what] = count.into();
    }
    array
}

/// The size as `mdadm --detail` shows it to people: MiB up to 2 GiB, GiB up to 2 TiB, then TiB; of small arrays none.
fn size(sectors: u64) -> Option<f64> {
    let kib = sectors / 2;
    let divisor: u64 = match kib {
        0..5_000 => return None,
        5_000..2_097_152 => 1 << 10,
        2_097_152..2_147_483_648 => 1 << 20,
        _ => 1 << 30,
    };
    let hundredths =
        u64::try_from((u128::from(kib) * 100 + u128::from(divisor) / 2) / u128::from(divisor)).ok()?;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_told_apart_by_their_marks() {
        let (name, members) =
            array("md127 : active (auto-read-only) raid5 sdd1[3](S) sdc1[2](F) nvme0n1[4](J) sda1[0]")
                .unwrap();
        assert_eq!(name, "md127");
        assert_eq!(members.active, ["sdc1", "sda1"]);
        assert_eq!(members.spare, ["sdd1"]);
        assert_eq!(members.journal.as_deref(), Some("nvme0n1"));
        assert_eq!(array("Personalities : [raid1] [raid0]"), None);
        assert_eq!(array("      1046528 blocks super 1.2 [2/2] [UU]"), None);
    }

    #[test]
    fn sizes_are_in_the_unit_that_suits_them() {
        assert_eq!(size(2_093_056), Some(1022.0));
        assert_eq!(size(3_906_766_848), Some(1862.89));
        assert_eq!(size(1000), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in "(md[0-9]{1,3})?(\\PC|[\\[\\]() ]){0,80}", sectors in any::<u64>()) {
            let _ = array(&line);
            let _ = size(sectors);
        }
    }
}
