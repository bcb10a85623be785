//! `uptime`, `uptime_seconds`, `idletime`, `idletime_seconds`: since when the machine runs, and how long its processors
//! had nothing to do, all together. Format: proc_uptime(5).

use serde_json::{Map, Value};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["uptime", "uptime_seconds", "idletime", "idletime_seconds"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let text = machine.read("/proc/uptime").unwrap_or_default();
    let seconds = text
        .split_whitespace()
        .filter_map(|word| word.split('.').next()?.parse::<u64>().ok());
    for (name, seconds) in ["uptime", "idletime"].into_iter().zip(seconds) {
        facts.insert(format!("{name}_seconds"), seconds.into());
        facts.insert(name.to_owned(), for_people(seconds).into());
    }
}

/// The largest unit that there is and all smaller ones, `1 day 02 hours 00 minutes 09 seconds`.
fn for_people(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    let rest = format!("{minutes:02} minutes {seconds:02} seconds");
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds:02} seconds"),
        (0, 0, _) => format!("{minutes} minutes {seconds:02} seconds"),
        (0, _, _) => format!("{hours} hours {rest}"),
        (1, _, _) => format!("1 day {hours:02} hours {rest}"),
        _ => format!("{days} days {hours:02} hours {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn times_for_people() {
        for (seconds, text) in [
            (7, "07 seconds"),
            (67, "1 minutes 07 seconds"),
            (3_600, "1 hours 00 minutes 00 seconds"),
            (86_400, "1 day 00 hours 00 minutes 00 seconds"),
            (1_000_000, "11 days 13 hours 46 minutes 40 seconds"),
        ] {
            assert_eq!(for_people(seconds), text);
        }
    }

    #[test]
    fn parts_of_a_second_are_cut_off() {
        let (_root, machine) = machine(&[("/proc/uptime", "12029.99 15929.01\n")]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(facts["uptime_seconds"], json!(12029));
        assert_eq!(facts["idletime"], json!("4 hours 25 minutes 29 seconds"));
    }
}
