//! By which interface, gateway and addresses the machine is known.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::model::{Family, Link, NOARP, Route, State};
use super::report;

/// What was chosen.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `default_interface`, `default_gateway`, `default_inet6_…` of `network`.
    pub(super) network: Map<String, Value>,
    /// `ipaddress`, `ip6address`, `macaddress`.
    pub(super) top: Map<String, Value>,
}

/// The route by which most of the world is reached.
struct Gate<'a> {
    link: &'a Link,
    gateway: IpAddr,
}

/// Chooses as Ohai does: the address from which the kernel itself would talk over the default route; without such,
/// one of its interface; without a default route, the widest and most particular address there is.
pub(super) fn choose(state: &State, interfaces: &Value) -> Known {
    let mut known = Known::default();
    let (mut addresses, mut mac) = ([None, None], None);
    let mut gates = [None, None];
    for (number, family) in [Family::Inet, Family::Inet6].into_iter().enumerate() {
        let routes = in_order_of_links(state, family);
        let Some((link, default)) = first_minimum(
            routes
                .iter()
                .copied()
                .filter(|(_, route)| route.destination == "default"),
            |(_, route)| metric(route),
        ) else {
            continue;
        };
        let prefix = match family {
            Family::Inet => "default",
            Family::Inet6 => "default_inet6",
        };
        let gateway = default.via.unwrap_or_else(|| unspecified(family));
        known
            .network
            .insert(format!("{prefix}_interface"), link.name.as_str().into());
        known
            .network
            .insert(format!("{prefix}_gateway"), gateway.to_string().into());
        gates[number] = Some(Gate { link, gateway });

        let own = state.own_addresses(family);
        let favoured = first_minimum(
            routes
                .iter()
                .copied()
                .filter(|(link, route)| may_name_the_machine(&own, link, route, default)),
            |(_, route)| {
                (
                    route.destination != "default",
                    metric(route),
                    prefix_of(&route.destination),
                )
            },
        );
        if let Some((link, route)) = favoured {
            addresses[number] = route.source;
            let own = (link.flags & NOARP == 0)
                .then(|| hardware(interfaces, &link.name))
                .flatten();
            mac = mac.or(own);
        }
    }

    for (number, family) in [Family::Inet, Family::Inet6].into_iter().enumerate() {
        if let Some((address, interface)) = fallback(state, family, gates[number].as_ref()) {
            addresses[number] = addresses[number].or(Some(address));
            mac = mac.or_else(|| hardware(interfaces, interface));
        }
    }
    for (name, address) in ["ipaddress", "ip6address"].into_iter().zip(addresses) {
        if let Some(address) = address {
            known.top.insert(name.to_owned(), address.to_string().into());
        }
    }
    if let Some(mac) = mac {
        known.top.insert("macaddress".to_owned(), mac.into());
    }
    known
}

fn in_order_of_links(state: &State, family: Family) -> Vec<(&Link, &Route)> {
    let mut routes: Vec<_> = report::routes(state, family)
        .into_iter()
        .filter_map(|route| Some((state.link(route.link)?, route)))
        .collect();
    // It keeps the order of the routes of one link.
    routes.sort_by_key(|(link, _)| link.index);
    routes
}

fn first_minimum<T, K: Ord>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Option<T> {
    // `min_by_key` takes the first of equals.
    items.min_by_key(key)
}

fn metric(route: &Route) -> u32 {
    route.metric.unwrap_or(0)
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Inet => IpAddr::from([0; 4]),
        Family::Inet6 => IpAddr::from([0; 16]),
    }
}

/// A route that is the default one or leads to its gateway, from an address that is good for more than the link.
fn may_name_the_machine(
    own: &HashMap<u32, HashMap<IpAddr, u8>>,
    link: &Link,
    route: &Route,
    default: &Route,
) -> bool {
    const SCOPE_LINK: u8 = 253;
    let leads_there = route.destination == "default"
        || default.via.is_some_and(|gateway| {
            network_of(&route.destination).is_some_and(|(network, prefix)| contains(network, prefix, gateway))
        });
    let good = match route.family {
        Family::Inet => route.source.is_some_and(|source| match own.get(&link.index) {
            Some(own) => own.get(&source).is_some_and(|scope| *scope != SCOPE_LINK),
            None => true,
        }),
        Family::Inet6 => link.state.as_deref() == Some("up"),
    };
    leads_there && good
}

/// An address of a family and its interface, without regard to the sources of routes.
fn fallback<'a>(state: &'a State, family: Family, default: Option<&Gate<'a>>) -> Option<(IpAddr, &'a str)> {
    let mut candidates: Vec<_> = state
        .addresses
        .iter()
        .filter(|address| Family::of(address.address) == family)
        .filter(|address| family == Family::Inet || address.peer.is_none())
        .filter_map(|address| {
            Some((
                address,
                report::interface_name(state.link(address.link)?, address),
            ))
        })
        .collect();
    candidates.sort_by_key(|(address, _)| {
        (
            scope_rank(address.scope),
            128 - address.prefix.min(128),
            address.address,
        )
    });
    let Some(default) = default else {
        return candidates.first().map(|(address, name)| (address.address, *name));
    };
    candidates.retain(|(_, name)| *name == default.link.name);
    let on_link = default.gateway.is_unspecified()
        || matches!(default.gateway, IpAddr::V6(gateway) if gateway.segments()[0] == 0xfe80);
    let beside_gateway = candidates.iter().find(|(address, _)| match address.peer {
        Some(peer) => peer == default.gateway,
        None => contains(address.address, address.prefix, default.gateway),
    });
    let chosen = if on_link { None } else { beside_gateway };
    chosen
        .or(candidates.first())
        .map(|(address, name)| (address.address, *name))
}

/// Which scope is preferred.
fn scope_rank(scope: u8) -> u8 {
    match scope {
        0 => 0,
        200 => 1,
        253 => 2,
        254 => 4,
        _ => u8::MAX,
    }
}

fn hardware(interfaces: &Value, name: &str) -> Option<String> {
    let addresses = interfaces.get(name)?.get("addresses")?.as_object()?;
    let (mac, _) = addresses
        .iter()
        .find(|(_, address)| address["family"] == "lladdr")?;
    Some(mac.clone())
}

fn prefix_of(destination: &str) -> u8 {
    network_of(destination).map_or(0, |(_, prefix)| prefix)
}

/// `10.0.0.0/8`, or a host.
fn network_of(destination: &str) -> Option<(IpAddr, u8)> {
    match destination.split_once('/') {
        Some((network, prefix)) => Some((network.parse().ok()?, prefix.parse().ok()?)),
        None => {
            let host: IpAddr = destination.parse().ok()?;
            Some((host, if host.is_ipv4() { 32 } else { 128 }))
        }
    }
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let shared = |a: u128, b: u128, whole: u8| {
        let rest = u32::from(whole.saturating_sub(prefix));
        (a ^ b).checked_shr(rest).unwrap_or(0) == 0
    };
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => shared(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => shared(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Address;
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            hardware: 1,
            state: Some("up".to_owned()),
            address: vec![2, 0, 0, 0, 0, u8::try_from(index).unwrap()],
            ..Link::default()
        }
    }

    fn address(link: u32, address: &str, prefix: u8) -> Address {
        Address {
            link,
            address: address.parse().unwrap(),
            prefix,
            peer: None,
            broadcast: None,
            scope: 0,
            flags: 0x80,
            label: None,
        }
    }

    fn route(link: u32, destination: &str, via: Option<&str>, source: Option<&str>, metric: u32) -> Route {
        let via: Option<IpAddr> = via.map(|via| via.parse().unwrap());
        Route {
            link,
            family: via.map_or(Family::Inet, Family::of),
            destination: destination.to_owned(),
            via,
            metric: Some(metric),
            protocol: None,
            scope: None,
            source: source.map(|source| source.parse().unwrap()),
        }
    }

    fn top(state: &State) -> Value {
        let known = choose(state, &report::interfaces(state));
        Value::Object(known.network.into_iter().chain(known.top).collect())
    }

    #[test]
    fn the_default_route_with_the_lowest_metric_wins() {
        let state = State {
            links: vec![link(2, "eth0"), link(3, "ib0")],
            addresses: vec![address(2, "10.0.0.4", 24), address(3, "172.16.0.9", 16)],
            routes: vec![
                route(3, "default", Some("172.16.0.1"), Some("172.16.0.9"), 200),
                route(2, "default", Some("10.0.0.1"), Some("10.0.0.4"), 100),
            ],
            ..State::default()
        };
        assert_eq!(
            top(&state),
            serde_json::json!({
                "default_interface": "eth0", "default_gateway": "10.0.0.1",
                "ipaddress": "10.0.0.4", "macaddress": "02:00:00:00:00:02",
            })
        );
    }

    #[test]
    fn the_route_to_the_gateway_tells_the_address_when_the_default_route_does_not() {
        let state = State {
            links: vec![link(2, "eth0")],
            addresses: vec![address(2, "10.0.0.4", 24), address(2, "10.9.0.4", 16)],
            routes: vec![
                route(2, "default", Some("10.9.0.1"), None, 0),
                route(2, "10.0.0.0/24", None, Some("10.0.0.4"), 0),
                route(2, "10.9.0.0/16", None, Some("10.9.0.4"), 0),
            ],
            ..State::default()
        };
        assert_eq!(top(&state)["ipaddress"], "10.9.0.4");
    }

    #[test]
    fn without_a_default_route_the_widest_address_is_taken() {
        let mut here = address(1, "127.0.0.1", 8);
        here.scope = 254;
        let state = State {
            links: vec![link(1, "lo"), link(2, "eth0")],
            addresses: vec![here, address(2, "192.168.0.7", 24), address(2, "10.0.0.4", 25)],
            ..State::default()
        };
        let known = top(&state);
        assert_eq!(known["ipaddress"], "10.0.0.4");
        assert_eq!(known.get("default_interface"), None);
    }

    #[test]
    fn an_ipv6_machine_is_known_by_the_address_beside_its_gateway() {
        let state = State {
            links: vec![link(2, "eth0")],
            addresses: vec![address(2, "fd00::7", 128), address(2, "fd01::2", 64)],
            routes: vec![route(2, "default", Some("fd01::1"), None, 1024)],
            ipv6: true,
            ..State::default()
        };
        let known = top(&state);
        assert_eq!(known["ip6address"], "fd01::2");
        assert_eq!(known["default_inet6_gateway"], "fd01::1");
        assert_eq!(known["macaddress"], "02:00:00:00:00:02");
    }

    #[test]
    fn networks_contain_their_own() {
        let is_in = |network: &str, prefix, address: &str| {
            contains(network.parse().unwrap(), prefix, address.parse().unwrap())
        };
        assert!(is_in("10.0.0.0", 8, "10.255.0.1"));
        assert!(!is_in("10.0.0.0", 16, "10.255.0.1"));
        assert!(is_in("0.0.0.0", 0, "1.2.3.4"));
        assert!(is_in("::", 0, "fe80::1"));
        assert!(!is_in("10.0.0.0", 8, "::1"));
    }
}
