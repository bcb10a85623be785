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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::model::{Address, Family, Link, Neighbour, Route, State};
    use super::*;

    /// As in a host of containers. With work for each pair of them this would not end soon.
    #[test]
    fn ten_thousand_interfaces() {
        const MANY: u32 = 10_000;
        let address = |number: u32| IpAddr::V4((0x0a00_0000 + number).into());
        let mut state = State::default();
        for number in 1..=MANY {
            state.links.push(Link {
                index: number,
                name: format!("veth{number}"),
                ..Link::default()
            });
            state.addresses.push(Address {
                link: number,
                address: address(number),
                prefix: 32,
                peer: None,
                broadcast: None,
                scope: 0,
                flags: 0,
                label: None,
            });
            state.routes.push(Route {
                link: number,
                family: Family::Inet,
                destination: "default".to_owned(),
                via: None,
                metric: Some(MANY - number),
                protocol: None,
                scope: None,
                source: Some(address(number)),
            });
            state.neighbours.push(Neighbour {
                link: number,
                address: address(0),
                hardware: vec![2; 6],
            });
        }
        let interfaces = report::interfaces(&state);
        let last = &interfaces["veth10000"];
        assert_eq!(interfaces.as_object().map(Map::len), Some(10_000));
        assert_eq!(last["arp"]["10.0.0.0"], "02:02:02:02:02:02");
        assert_eq!(last["routes"][0]["src"], "10.0.39.16");
        let known = defaults::choose(&state, &interfaces);
        assert_eq!(known.network["default_interface"], "veth10000");
        assert_eq!(known.top["ipaddress"], "10.0.39.16");
    }
}
