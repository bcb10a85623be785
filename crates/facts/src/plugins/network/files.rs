//! The state of the network from files: /sys/class/net and what /proc/net records. It tells less than the kernel
//! itself: no sources of routes, no addresses on interfaces without a network.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::model::{Address, Counters, Family, LOWER_UP, Link, Neighbour, Route, State, Vlan};
use super::wire::destination;
use crate::machine::Machine;

const INTERFACES: &str = "/sys/class/net";
/// `RT_SCOPE_LINK`, `RT_SCOPE_HOST`
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;

/// Reads the files. None if the machine has none of them.
pub(super) fn read(machine: &Machine) -> Option<State> {
    let mut links: Vec<_> = machine
        .list(INTERFACES)
        .iter()
        .filter_map(|name| link(machine, name))
        .collect();
    if links.is_empty() {
        return None;
    }
    links.sort_by_key(|link| link.index);
    let text = |path: &str| machine.read(path).unwrap_or_default();
    let indices: HashMap<&str, u32> = links
        .iter()
        .map(|link| (link.name.as_str(), link.index))
        .collect();
    let index = |name: &str| indices.get(name).copied();
    let mut routes: Vec<_> = text("/proc/net/route")
        .lines()
        .filter_map(|line| route(line, &index))
        .collect();
    let mut addresses = addresses(&text("/proc/net/fib_trie"), &routes, index("lo"));
    addresses.extend(
        text("/proc/net/if_inet6")
            .lines()
            .filter_map(|line| address6(line, &index)),
    );
    routes.extend(
        text("/proc/net/ipv6_route")
            .lines()
            .filter_map(|line| route6(line, &index)),
    );
    let neighbours = text("/proc/net/arp")
        .lines()
        .filter_map(|line| neighbour(line, &index))
        .collect();
    Some(State {
        links,
        addresses,
        routes,
        neighbours,
        ipv6: false,
    })
}

fn link(machine: &Machine, name: &str) -> Option<Link> {
    let folder = format!("{INTERFACES}/{name}");
    let value = |file: &str| machine.read_value(&format!("{folder}/{file}"));
    let number = |file: &str| value(file)?.parse().ok();
    let counter = |file: &str| value(&format!("statistics/{file}"))?.parse().ok();
    let counters = || {
        Some(Counters {
            rx_bytes: counter("rx_bytes")?,
            rx_packets: counter("rx_packets")?,
            rx_errors: counter("rx_errors")?,
            rx_dropped: counter("rx_dropped")?,
            rx_missed: counter("rx_missed_errors")?,
            tx_bytes: counter("tx_bytes")?,
            tx_packets: counter("tx_packets")?,
            tx_errors: counter("tx_errors")?,
            tx_dropped: counter("tx_dropped")?,
            tx_carrier: counter("tx_carrier_errors")?,
            collisions: counter("collisions")?,
        })
    };
    let set = value("flags").and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    let carrier = if value("carrier").as_deref() == Some("1") {
        LOWER_UP
    } else {
        0
    };
    Some(Link {
        index: number("ifindex")?,
        name: name.to_owned(),
        flags: set.unwrap_or(0) & 0xffff | carrier,
        hardware: value("type")
            .and_then(|kind| kind.parse().ok())
            .unwrap_or(u16::MAX),
        mtu: number("mtu"),
        state: value("operstate"),
        address: value("address")
            .and_then(|text| hardware(&text))
            .unwrap_or_default(),
        queue: number("tx_queue_len"),
        counters: counters(),
        vlan: machine
            .read(&format!("/proc/net/vlan/{name}"))
            .and_then(|text| vlan(&text)),
    })
}

/// `02:fc:00:00:00:01`
fn hardware(text: &str) -> Option<Vec<u8>> {
    text.split(':')
        .map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect()
}

/// The first line of a file of the module 8021q: `eth0.11  VID: 11  REORDER_HDR: 1  dev->priv_flags: 1021`.
fn vlan(text: &str) -> Option<Vlan> {
    let words: Vec<_> = text.lines().next()?.split_whitespace().collect();
    let after = |name: &str| {
        words
            .iter()
            .position(|word| *word == name)
            .and_then(|at| words.get(at + 1))
    };
    let flags = if after("REORDER_HDR:") == Some(&"1") {
        vec!["REORDER_HDR"]
    } else {
        Vec::new()
    };
    Some(Vlan {
        id: after("VID:")?.parse().ok()?,
        protocol: None,
        flags,
    })
}

/// A line of /proc/net/route. Its addresses are numbers in the byte order of the machine, which is little-endian.
fn route(line: &str, index: &impl Fn(&str) -> Option<u32>) -> Option<Route> {
    const UP: u32 = 1;
    const GATEWAY: u32 = 2;
    const REJECT: u32 = 0x200;
    let fields: Vec<_> = line.split_whitespace().collect();
    let &[name, to, gateway, flags, _, _, metric, mask, ..] = fields.as_slice() else {
        return None;
    };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    if flags & UP == 0 || flags & REJECT != 0 {
        return None;
    }
    let via = (flags & GATEWAY != 0).then_some(IpAddr::V4(address4(gateway)?));
    let prefix = u8::try_from(address4(mask)?.to_bits().leading_ones()).ok()?;
    Some(Route {
        link: index(name)?,
        family: Family::Inet,
        destination: destination(address4(to)?.into(), prefix),
        via,
        metric: metric.parse().ok().filter(|metric| *metric != 0),
        protocol: None,
        scope: via.is_none().then_some(SCOPE_LINK),
        source: None,
    })
}

fn address4(hex: &str) -> Option<Ipv4Addr> {
    Some(u32::from_str_radix(hex, 16).ok()?.to_le_bytes().into())
}

/// The addresses of the machine among the routes of the kernel in /proc/net/fib_trie. The network that each lies in
/// tells its interface.
fn addresses(trie: &str, routes: &[Route], loopback: Option<u32>) -> Vec<Address> {
    let (mut own, mut seen, mut broadcasts) = (Vec::new(), HashSet::new(), HashSet::new());
    let mut current = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            current = address.parse::<Ipv4Addr>().ok();
            continue;
        }
        // Each stands there once for each table.
        match (line, current) {
            ("/32 host LOCAL", Some(address)) if seen.insert(address) => own.push(address),
            ("/32 link BROADCAST", Some(address)) => drop(broadcasts.insert(address)),
            _ => {}
        }
    }
    let networks = networks(routes);
    own.into_iter()
        .filter_map(|address| {
            let (link, prefix) = if address.is_loopback() {
                (loopback?, 8)
            } else {
                network_of(address, &networks)?
            };
            let last = Ipv4Addr::from(address.to_bits() | u32::MAX.checked_shr(prefix.into()).unwrap_or(0));
            Some(Address {
                link,
                address: address.into(),
                prefix,
                peer: None,
                broadcast: (!address.is_loopback() && broadcasts.contains(&last)).then_some(last.into()),
                scope: match address {
                    address if address.is_loopback() => SCOPE_HOST,
                    address if address.is_link_local() => SCOPE_LINK,
                    _ => 0,
                },
                flags: 0,
                label: None,
            })
        })
        .collect()
}

/// The networks without a gateway, by first address and length of the prefix, and their interfaces.
fn networks(routes: &[Route]) -> HashMap<(u32, u8), u32> {
    routes
        .iter()
        .filter(|route| route.via.is_none())
        .filter_map(|route| {
            let (network, prefix) = route.destination.split_once('/')?;
            let (network, prefix): (Ipv4Addr, u8) = (network.parse().ok()?, prefix.parse().ok()?);
            (prefix <= 32).then(|| ((first_of(network, prefix), prefix), route.link))
        })
        .collect()
}

/// The interface and length of the smallest network that an address lies in.
fn network_of(address: Ipv4Addr, networks: &HashMap<(u32, u8), u32>) -> Option<(u32, u8)> {
    (0..=32).rev().find_map(|prefix| {
        let link = networks.get(&(first_of(address, prefix), prefix))?;
        Some((*link, prefix))
    })
}

/// The first address of the network of this length that an address lies in.
fn first_of(address: Ipv4Addr, prefix: u8) -> u32 {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    address.to_bits() & mask
}

/// A line of /proc/net/if_inet6: address, number of the interface, length of the prefix, scope, flags, interface.
fn address6(line: &str, index: &impl Fn(&str) -> Option<u32>) -> Option<Address> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let &[address, _, prefix, scope, flags, name] = fields.as_slice() else {
        return None;
    };
    Some(Address {
        link: index(name)?,
        address: bits6(address)?.into(),
        prefix: u8::from_str_radix(prefix, 16).ok()?,
        peer: None,
        broadcast: None,
        // `IPV6_ADDR_…` of the kernel.
        scope: match scope {
            "10" => SCOPE_HOST,
            "20" => SCOPE_LINK,
            "40" => 200,
            _ => 0,
        },
        flags: u32::from_str_radix(flags, 16).ok()?,
        label: None,
    })
}

/// A line of /proc/net/ipv6_route: destination, source, next hop, metric, uses, flags, interface. Numbers are hex.
fn route6(line: &str, index: &impl Fn(&str) -> Option<u32>) -> Option<Route> {
    const UP: u32 = 1;
    /// Local, cached and anycast routes are of other tables; rejected ones lead nowhere.
    const OTHERS: u32 = 0x8000_0000 | 0x0100_0000 | 0x0010_0000 | 0x200;
    let fields: Vec<_> = line.split_whitespace().collect();
    let &[to, prefix, _, _, via, metric, _, _, flags, name] = fields.as_slice() else {
        return None;
    };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let (to, via) = (bits6(to)?, bits6(via)?);
    if flags & UP == 0 || flags & OTHERS != 0 || to.is_multicast() {
        return None;
    }
    Some(Route {
        link: index(name)?,
        family: Family::Inet6,
        destination: destination(to.into(), u8::from_str_radix(prefix, 16).ok()?),
        via: (!via.is_unspecified()).then_some(via.into()),
        metric: u32::from_str_radix(metric, 16).ok(),
        protocol: None,
        scope: None,
        source: None,
    })
}

fn bits6(hex: &str) -> Option<Ipv6Addr> {
    Some(u128::from_str_radix(hex, 16).ok()?.into())
}

/// A line of /proc/net/arp.
fn neighbour(line: &str, index: &impl Fn(&str) -> Option<u32>) -> Option<Neighbour> {
    const COMPLETE: u32 = 2;
    let fields: Vec<_> = line.split_whitespace().collect();
    let &[address, _, flags, mac, _, name] = fields.as_slice() else {
        return None;
    };
    let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
    Some(Neighbour {
        link: index(name)?,
        address: address.parse().ok()?,
        hardware: hardware(mac).filter(|_| flags & COMPLETE != 0)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(name: &str) -> Option<u32> {
        ["lo", "eth0", "ib0"]
            .iter()
            .position(|known| *known == name)
            .map(|at| at as u32 + 1)
    }

    #[test]
    fn routes_of_both_families_are_read() {
        let default = route(
            "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0",
            &index,
        )
        .unwrap();
        assert_eq!(default.destination, "default");
        assert_eq!(default.via, Some([10, 0, 0, 1].into()));
        assert_eq!((default.metric, default.scope), (Some(100), None));
        let network = route(
            "ib0\t000010AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
            &index,
        )
        .unwrap();
        assert_eq!(network.destination, "172.16.0.0/16");
        assert_eq!(
            (network.link, network.metric, network.scope),
            (3, None, Some(SCOPE_LINK))
        );
        assert_eq!(
            route(
                "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask",
                &index
            ),
            None
        );

        let zero = "0".repeat(32);
        let line = format!(
            "{zero} 00 {zero} 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003 eth0"
        );
        let default = route6(&line, &index).unwrap();
        assert_eq!(
            (default.destination.as_str(), default.metric),
            ("default", Some(1024))
        );
        assert_eq!(default.via.unwrap().to_string(), "fd00::1");
        let local = line.replace("00000003 eth0", "80200001 eth0");
        assert_eq!(route6(&local, &index), None);
    }

    #[test]
    fn an_address_belongs_to_the_smallest_network_around_it() {
        let routes: Vec<_> = [
            "eth0 0000000A 00000000 0001 0 0 0 000000FF 0 0 0",
            "ib0 0001000A 00000000 0001 0 0 0 00FFFFFF 0 0 0",
        ]
        .iter()
        .filter_map(|line| route(line, &index))
        .collect();
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.1.7\n        /32 host LOCAL\n     |-- 10.0.1.255\n        \
                    /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n     |-- 10.0.1.7\n        \
                    /32 host LOCAL\n";
        let addresses = addresses(trie, &routes, Some(1));
        assert_eq!(addresses.len(), 2);
        assert_eq!((addresses[0].link, addresses[0].prefix), (3, 24));
        assert_eq!(addresses[0].broadcast.unwrap().to_string(), "10.0.1.255");
        assert_eq!(
            (addresses[1].link, addresses[1].prefix, addresses[1].scope),
            (1, 8, SCOPE_HOST)
        );
    }

    #[test]
    fn neighbours_that_did_not_answer_are_left_out() {
        let line = "10.0.0.1         0x1         0x2         02:FC:00:00:00:05     *        eth0";
        assert_eq!(neighbour(line, &index).unwrap().hardware, [2, 0xfc, 0, 0, 0, 5]);
        assert_eq!(neighbour(&line.replace("0x2 ", "0x0 "), &index), None);
    }

    #[test]
    fn a_vlan_is_read_from_the_file_of_its_module() {
        let text = "eth0.11  VID: 11\t REORDER_HDR: 1  dev->priv_flags: 1021\n";
        let vlan = vlan(text).unwrap();
        assert_eq!((vlan.id, vlan.flags), (11, vec!["REORDER_HDR"]));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "(\\PC|[0-9a-fA-F:./ |\\n-]){0,200}") {
            for line in text.lines() {
                let _ = route(line, &index);
                let _ = route6(line, &index);
                let _ = address6(line, &index);
                let _ = neighbour(line, &index);
            }
            let _ = vlan(&text);
            let _ = hardware(&text);
            let _ = addresses(&text, &[], Some(1));
        }

        #[test]
        fn no_numbers_make_a_reader_panic(
            words in proptest::collection::vec("[0-9a-f]{1,34}|eth0|lo", 0..12)
        ) {
            let line = words.join(" ");
            let route = route(&line, &index);
            let _ = route6(&line, &index);
            let _ = address6(&line, &index);
            let trie = "|-- 10.0.0.1\n/32 host LOCAL\n";
            let _ = addresses(trie, &route.into_iter().collect::<Vec<_>>(), Some(1));
        }
    }
}
