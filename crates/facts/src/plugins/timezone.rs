//! `time`: the time zone, as its letters are now: `UTC`, `CET`.

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["time"],
    on_demand: false,
    collect,
};

const LOCAL: &str = "/etc/localtime";

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let variable = if machine.is_live() {
        std::env::var("TZ").ok()
    } else {
        None
    };
    let zone = zone(machine, variable.as_deref());
    let letters = zone.to_offset_info(machine.now()).abbreviation().to_owned();
    facts.insert("time".to_owned(), json!({"timezone": letters}));
}

/// The zone that the variable `TZ` names, else that of the machine, as the C library finds it; UTC when there is none.
fn zone(machine: &Machine, variable: Option<&str>) -> TimeZone {
    let read = |path: &str| TimeZone::tzif(path, &machine.bytes(path)?).ok();
    let Some(name) = variable else {
        return read(LOCAL).unwrap_or(TimeZone::UTC);
    };
    let name = name.trim_start_matches(':');
    if name.is_empty() {
        return TimeZone::UTC;
    }
    if name.starts_with('/') {
        return read(name).unwrap_or(TimeZone::UTC);
    }
    read(&format!("/usr/share/zoneinfo/{name}"))
        .or_else(|| TimeZone::posix(name).ok())
        .unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn the_variable_is_a_name_or_a_rule() {
        let (_root, machine) = machine(&[]);
        for (variable, letters) in [
            (None, "UTC"),
            (Some(""), "UTC"),
            (Some("JST-9"), "JST"),
            (Some("No/Such"), "UTC"),
            (Some(":/no/such"), "UTC"),
        ] {
            let zone = zone(&machine, variable);
            assert_eq!(
                zone.to_offset_info(machine.now()).abbreviation(),
                letters,
                "{variable:?}"
            );
        }
    }
}
