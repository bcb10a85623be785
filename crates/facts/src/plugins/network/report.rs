//! The state of the network in Ohai's schema. Numbers are strings there, as `ip` shows them.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::{Value, json};

use super::model::{
    Address, FLAGS, Family, LOWER_UP, Link, Route, SCOPE_GLOBAL, State, address_tags, protocol_name,
    scope_name,
};
use crate::machine::Machine;

/// `network.interfaces`: by name, in the order of the kernel.
pub(super) fn interfaces(state: &State) -> Value {
    let mut interfaces = json!({});
    for link in &state.links {
        interfaces[&link.name] = describe(link);
    }
    for address in &state.addresses {
        let Some(link) = state.link(address.link) else {
            continue;
        };
        // IPv6 addresses of a link from point to point are left out, as in Ohai.
        if address.address.is_ipv6() && address.peer.is_some() {
            continue;
        }
        let name = interface_name(link, address);
        interfaces[name]["addresses"][address.address.to_string()] = describe_address(address);
    }
    for neighbour in &state.neighbours {
        if let Some(link) = state.link(neighbour.link) {
            let kind = match Family::of(neighbour.address) {
                Family::Inet => "arp",
                Family::Inet6 => "neighbour_inet6",
            };
            interfaces[&link.name][kind][neighbour.address.to_string()] = hex(&neighbour.hardware).into();
        }
    }
    for family in [Family::Inet, Family::Inet6] {
        for route in routes(state, family) {
            if let Some(link) = state.link(route.link) {
                let routes = &mut interfaces[&link.name]["routes"];
                match routes.as_array_mut() {
                    Some(routes) => routes.push(describe_route(route)),
                    None => *routes = json!([describe_route(route)]),
                }
            }
        }
    }
    interfaces
}

/// The routes of a family that are facts. One from an address that its interface does not have is left out: in
/// containers it belongs to somebody else.
pub(super) fn routes(state: &State, family: Family) -> Vec<&Route> {
    let own = state.own_addresses(family);
    let is_sane = |route: &&Route| match (route.source, own.get(&route.link)) {
        (Some(source), Some(own)) => own.contains_key(&source),
        _ => true,
    };
    let wanted = |route: &&Route| route.family == family && (family == Family::Inet || state.ipv6);
    state.routes.iter().filter(wanted).filter(is_sane).collect()
}

/// The name under which an address is listed: its interface, or the alias that it was given.
pub(super) fn interface_name<'a>(link: &'a Link, address: &'a Address) -> &'a str {
    let alias = address.label.as_deref().filter(|label| {
        label
            .strip_prefix(&link.name)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    alias.unwrap_or(&link.name)
}

fn describe(link: &Link) -> Value {
    let mut interface = json!({});
    if let Some((kind, number)) = split_name(&link.name) {
        interface["type"] = kind.into();
        interface["number"] = number.into();
    }
    if let Some(mtu) = link.mtu {
        interface["mtu"] = mtu.to_string().into();
    }
    let flags = flags(link.flags);
    if flags.len() > 1 {
        interface["flags"] = flags.into();
    }
    if let (Some(encapsulation), Some(address)) = (encapsulation(link.hardware), hardware_address(link)) {
        interface["encapsulation"] = encapsulation.into();
        if address != "00:00:00:00:00:00" {
            interface["addresses"] = json!({address.to_uppercase(): {"family": "lladdr"}});
        }
    }
    if let Some(state) = &link.state {
        interface["state"] = state.as_str().into();
    }
    if let Some(vlan) = &link.vlan {
        interface["vlan"]["id"] = vlan.id.to_string().into();
        if let Some(protocol) = vlan.protocol {
            interface["vlan"]["protocol"] = protocol.into();
        }
        if !vlan.flags.is_empty() {
            interface["vlan"]["flags"] = vlan.flags.clone().into();
        }
    }
    interface
}

/// `eth0` is number 0 of the type `eth`; `enp0s3` is `0s3` of `enp`.
fn split_name(name: &str) -> Option<(&str, &str)> {
    let digit = name.find(|char: char| char.is_ascii_digit())?;
    let (kind, number) = name.split_at(digit);
    // A name that begins with digits has its first for a type.
    let (kind, number) = match kind {
        "" => name.split_at(1),
        _ => (kind, number),
    };
    let word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    (kind.chars().all(word) && number.starts_with(|char: char| char.is_ascii_digit()))
        .then_some((kind, number))
}

fn flags(bits: u32) -> Vec<&'static str> {
    FLAGS
        .iter()
        .chain(&[(LOWER_UP, "LOWER_UP")])
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, name)| *name)
        .collect()
}

/// What `ip` calls `link/…`, by `ARPHRD_…`; the usual ones have better names.
fn encapsulation(hardware: u16) -> Option<&'static str> {
    Some(match hardware {
        1 => "Ethernet",
        24 => "ieee1394",
        32 => "infiniband",
        280 => "can",
        512 => "ppp",
        769 => "tunnel6",
        772 => "Loopback",
        801 => "ieee802",
        804 => "ieee802",
        820 => "phonet",
        823 => "gre6",
        _ => return None,
    })
}

/// The address of an interface as `ip` shows it. Those of tunnels over IPv4 are no hardware addresses.
fn hardware_address(link: &Link) -> Option<String> {
    const TUNNEL6: u16 = 769;
    const GRE6: u16 = 823;
    if let (TUNNEL6 | GRE6, Ok(address)) = (link.hardware, <[u8; 16]>::try_from(link.address.as_slice())) {
        return Some(Ipv6Addr::from(address).to_string());
    }
    (!link.address.is_empty()).then(|| hex(&link.address))
}

/// `02:fc:00:00:00:01`
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

fn describe_address(address: &Address) -> Value {
    let scope = match scope_name(address.scope).as_str() {
        "host" => "Node".to_owned(),
        name => name[..1].to_uppercase() + &name[1..],
    };
    match address.address {
        IpAddr::V4(_) => {
            // Ohai takes the length of the prefix from beside the address, where `ip` puts that of the peer apart.
            let prefix = if address.peer.is_some() {
                32
            } else {
                address.prefix.min(32)
            };
            let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
            let mut described = json!({
                "family": "inet",
                "prefixlen": prefix.to_string(),
                "netmask": std::net::Ipv4Addr::from(mask).to_string(),
            });
            if let Some(peer) = address.peer {
                described["peer"] = peer.to_string().into();
            }
            if let Some(broadcast) = address.broadcast {
                described["broadcast"] = broadcast.to_string().into();
            }
            described["scope"] = scope.into();
            described
        }
        IpAddr::V6(_) => json!({
            "family": "inet6",
            "prefixlen": address.prefix.to_string(),
            "scope": scope,
            "tags": address_tags(address.flags),
        }),
    }
}

fn describe_route(route: &Route) -> Value {
    const BOOT: u8 = 3;
    let mut described = json!({"destination": route.destination, "family": route.family.name()});
    if let Some(via) = route.via {
        described["via"] = via.to_string().into();
    }
    if let Some(scope) = route.scope.filter(|scope| *scope != SCOPE_GLOBAL) {
        described["scope"] = scope_name(scope).into();
    }
    if let Some(metric) = route.metric {
        described["metric"] = metric.to_string().into();
    }
    // That somebody added it by hand is what `ip` does not say.
    if let Some(protocol) = route.protocol.filter(|protocol| *protocol != BOOT) {
        described["proto"] = protocol_name(protocol).into();
    }
    if let Some(source) = route.source {
        described["src"] = source.to_string().into();
    }
    described
}

/// `counters.network.interfaces`.
pub(super) fn counters(state: &State) -> Value {
    let mut interfaces = json!({});
    for link in &state.links {
        let mut interface = json!({});
        if let Some(counters) = link.counters {
            interface["rx"] = json!({
                "bytes": counters.rx_bytes.to_string(),
                "packets": counters.rx_packets.to_string(),
                "errors": counters.rx_errors.to_string(),
                "drop": counters.rx_dropped.to_string(),
                "overrun": counters.rx_missed.to_string(),
            });
            interface["tx"] = json!({
                "bytes": counters.tx_bytes.to_string(),
                "packets": counters.tx_packets.to_string(),
                "errors": counters.tx_errors.to_string(),
                "drop": counters.tx_dropped.to_string(),
                "carrier": counters.tx_carrier.to_string(),
                "collisions": counters.collisions.to_string(),
            });
        }
        if let Some(queue) = link.queue.filter(|queue| *queue != 0) {
            interface["tx"]["queuelen"] = queue.to_string().into();
        }
        interfaces[&link.name] = interface;
    }
    interfaces
}

/// What Ohai learns of the hardware from `ethtool`, as far as the kernel shows it in files.
pub(super) fn add_hardware(machine: &Machine, interfaces: &mut Value) {
    for (name, interface) in interfaces.as_object_mut().into_iter().flatten() {
        if interface["encapsulation"] != "Ethernet" {
            continue;
        }
        let folder = format!("/sys/class/net/{name}");
        match machine.read_value(&format!("{folder}/speed")).as_deref() {
            // Virtual hardware does not know it; Ohai makes a number of that.
            Some("-1") => interface["link_speed"] = 0.into(),
            Some(speed) => {
                if let Ok(speed) = speed.parse::<u32>() {
                    interface["link_speed"] = speed.into();
                }
            }
            None => {}
        }
        match machine.read_value(&format!("{folder}/duplex")).as_deref() {
            Some("full") => interface["duplex"] = "Full".into(),
            Some("half") => interface["duplex"] = "Half".into(),
            Some("unknown") => interface["duplex"] = "Unknown! (255)".into(),
            _ => {}
        }
        let driver = machine.link(&format!("{folder}/device/driver"));
        if let Some(driver) = driver.as_deref().and_then(|path| path.file_name()?.to_str()) {
            interface["driver_info"] = json!({"driver": driver});
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_split_at_the_first_digit() {
        assert_eq!(split_name("eth0"), Some(("eth", "0")));
        assert_eq!(split_name("enp0s3"), Some(("enp", "0s3")));
        assert_eq!(split_name("eth0.11"), Some(("eth", "0.11")));
        assert_eq!(split_name("lo"), None);
        assert_eq!(split_name("br-12ab"), None);
        assert_eq!(split_name("10g1"), Some(("1", "0g1")));
        assert_eq!(split_name(""), None);
    }

    #[test]
    fn an_address_with_a_numbered_label_belongs_to_an_alias() {
        let link = Link {
            name: "eth0".to_owned(),
            ..Link::default()
        };
        let mut address = Address {
            link: 1,
            address: [10, 0, 0, 5].into(),
            prefix: 24,
            peer: None,
            broadcast: None,
            scope: 0,
            flags: 0x80,
            label: Some("eth0:1".to_owned()),
        };
        assert_eq!(interface_name(&link, &address), "eth0:1");
        address.label = Some("eth0:web".to_owned());
        assert_eq!(interface_name(&link, &address), "eth0");
        assert_eq!(describe_address(&address)["netmask"], "255.255.255.0");
        address.peer = Some([10, 0, 0, 6].into());
        assert_eq!(describe_address(&address)["prefixlen"], "32");
    }

    #[test]
    fn a_route_from_somebody_elses_address_is_left_out() {
        let route = |source: [u8; 4]| Route {
            link: 1,
            family: Family::Inet,
            destination: "default".to_owned(),
            via: None,
            metric: None,
            protocol: None,
            scope: None,
            source: Some(source.into()),
        };
        let mut state = State {
            routes: vec![route([10, 0, 0, 5]), route([10, 0, 0, 9])],
            ..State::default()
        };
        assert_eq!(routes(&state, Family::Inet).len(), 2);
        state.addresses = vec![Address {
            link: 1,
            address: [10, 0, 0, 5].into(),
            prefix: 24,
            peer: None,
            broadcast: None,
            scope: 0,
            flags: 0,
            label: None,
        }];
        let left = routes(&state, Family::Inet);
        assert_eq!(left, [&state.routes[0]]);
    }

    proptest! {
        #[test]
        fn any_name_can_be_split(name in "\\PC{0,15}") {
            let _ = split_name(&name);
        }
    }
}
