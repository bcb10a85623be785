//! `network`, `counters`, `ipaddress`, `ip6address`, `macaddress`: interfaces, their addresses, routes, neighbours and
//! counters, and which of them the machine is known by.
//!
//! The running kernel is asked through rtnetlink(7), as `ip` does; of a machine that is only files, what /proc/net and
//! /sys/class/net record.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

mod attributes;
mod defaults;
mod files;
mod model;
mod netlink;
mod report;
mod wire;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["network", "counters", "ipaddress", "ip6address", "macaddress"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let asked = if machine.is_live() { netlink::ask() } else { None };
    let Some(mut state) = asked.or_else(|| files::read(machine)) else {
        return;
    };
    state.ipv6 = machine.exists("/proc/net/if_inet6");
    let mut interfaces = report::interfaces(&state);
    report::add_hardware(machine, &mut interfaces);
    let known = defaults::choose(&state, &interfaces);

    let mut network = Map::new();
    network.insert("interfaces".to_owned(), interfaces);
    network.extend(known.network);
    facts.insert("network".to_owned(), Value::Object(network));
    facts.insert(
        "counters".to_owned(),
        json!({"network": {"interfaces": report::counters(&state)}}),
    );
    facts.extend(known.top);
}
