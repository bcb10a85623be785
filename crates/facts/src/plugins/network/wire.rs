//! Messages of rtnetlink(7): what the kernel answers about links, addresses, routes and neighbours.

use std::net::IpAddr;

use super::attributes::{Attributes, align, text, u16_at, u32_at, u64_at};
use super::model::{Address, Counters, Family, LOWER_UP, Link, Neighbour, Route, Vlan};

/// `AF_INET`
const INET: u8 = 2;
/// `AF_INET6`
const INET6: u8 = 10;

/// `struct ifinfomsg` and its attributes: `RTM_NEWLINK`.
pub(super) fn link(message: &[u8]) -> Option<Link> {
    let mut link = Link {
        hardware: u16_at(message, 2)?,
        index: u32_at(message, 4)?,
        flags: u32_at(message, 8)?,
        ..Link::default()
    };
    for (kind, value) in Attributes(message.get(16..)?) {
        match kind {
            1 => link.address = value.to_vec(),
            3 => link.name = text(value),
            4 => link.mtu = u32_at(value, 0),
            13 => link.queue = u32_at(value, 0),
            16 => link.state = value.first().map(|state| operational_state(*state).to_owned()),
            18 => link.vlan = vlan(value),
            23 => link.counters = counters(value),
            _ => {}
        }
    }
    // Above the sixteen bits that a program can set are those that the driver reports; only this one is a fact.
    link.flags &= 0xffff | LOWER_UP;
    (!link.name.is_empty()).then_some(link)
}

/// `IF_OPER_…` of RFC 2863 as the kernel names them in sysfs.
fn operational_state(state: u8) -> &'static str {
    match state {
        1 => "notpresent",
        2 => "down",
        3 => "lowerlayerdown",
        4 => "testing",
        5 => "dormant",
        6 => "up",
        _ => "unknown",
    }
}

/// `struct rtnl_link_stats64`.
fn counters(value: &[u8]) -> Option<Counters> {
    let field = |number: usize| u64_at(value, number * 8);
    Some(Counters {
        rx_packets: field(0)?,
        tx_packets: field(1)?,
        rx_bytes: field(2)?,
        tx_bytes: field(3)?,
        rx_errors: field(4)?,
        tx_errors: field(5)?,
        rx_dropped: field(6)?,
        tx_dropped: field(7)?,
        collisions: field(9)?,
        rx_missed: field(15)?,
        tx_carrier: field(17)?,
    })
}

/// `IFLA_LINKINFO` of an interface that is a VLAN.
fn vlan(info: &[u8]) -> Option<Vlan> {
    let mut kind = String::new();
    let mut data: &[u8] = &[];
    for (attribute, value) in Attributes(info) {
        match attribute {
            1 => kind = text(value),
            2 => data = value,
            _ => {}
        }
    }
    if kind != "vlan" {
        return None;
    }
    let mut vlan = Vlan::default();
    for (attribute, value) in Attributes(data) {
        match attribute {
            1 => vlan.id = u16_at(value, 0)?,
            2 => {
                let flags = u32_at(value, 0)?;
                vlan.flags = [(1, "REORDER_HDR"), (2, "GVRP"), (4, "LOOSE_BINDING")]
                    .iter()
                    .filter(|(bit, _)| flags & bit != 0)
                    .map(|(_, name)| *name)
                    .collect();
            }
            // The one number in network byte order.
            5 => {
                vlan.protocol = match value {
                    [0x81, 0x00] => Some("802.1Q"),
                    [0x88, 0xa8] => Some("802.1ad"),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    Some(vlan)
}

/// `struct ifaddrmsg` and its attributes: `RTM_NEWADDR`.
pub(super) fn address(message: &[u8]) -> Option<Address> {
    let mut flags = u32::from(*message.get(2)?);
    let (mut far, mut local, mut broadcast, mut label) = (None, None, None, None);
    for (kind, value) in Attributes(message.get(8..)?) {
        match kind {
            1 => far = ip(value),
            2 => local = ip(value),
            3 => label = Some(text(value)),
            4 => broadcast = ip(value),
            8 => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    let address = local.or(far)?;
    Some(Address {
        link: u32_at(message, 4)?,
        address,
        prefix: *message.get(1)?,
        // On a link from point to point the address is that of the far end.
        peer: far.filter(|far| *far != address),
        broadcast,
        scope: *message.get(3)?,
        flags,
        label,
    })
}

/// `struct rtmsg` and its attributes, `RTM_NEWROUTE`: one route for each next hop that has an interface. Nothing for
/// a route of another table than the main one, and for what the kernel only remembers of a path.
pub(super) fn routes(message: &[u8]) -> Option<Vec<Route>> {
    const MAIN: u32 = 254;
    const CLONED: u32 = 0x200;
    let family = match *message.first()? {
        INET => Family::Inet,
        INET6 => Family::Inet6,
        _ => return None,
    };
    let prefix = *message.get(1)?;
    let mut table = u32::from(*message.get(4)?);
    let mut to = None;
    let mut route = Route {
        link: 0,
        family,
        destination: String::new(),
        via: None,
        metric: None,
        protocol: message.get(5).copied(),
        scope: message.get(6).copied(),
        source: None,
    };
    let mut hops: &[u8] = &[];
    for (kind, value) in Attributes(message.get(12..)?) {
        match kind {
            1 => to = ip(value),
            4 => route.link = u32_at(value, 0)?,
            6 => route.metric = u32_at(value, 0),
            7 => route.source = ip(value),
            9 => hops = value,
            15 => table = u32_at(value, 0)?,
            _ => route.via = gateway(kind, value).or(route.via),
        }
    }
    if table != MAIN || u32_at(message, 8)? & CLONED != 0 {
        return None;
    }
    route.destination = match (kind_of_route(*message.get(7)?), to) {
        (Some(kind), _) => kind.to_owned(),
        (None, None) => "default".to_owned(),
        (None, Some(to)) => destination(to, prefix),
    };
    let mut routes = Vec::new();
    if route.link != 0 {
        routes.push(route.clone());
    }
    // `struct rtnexthop`, each with attributes of its own.
    while let (Some(length), Some(link)) = (u16_at(hops, 0), u32_at(hops, 4)) {
        let Some(attributes) = hops.get(8..usize::from(length)) else {
            break;
        };
        let via = Attributes(attributes).find_map(|(kind, value)| gateway(kind, value));
        routes.push(Route {
            link,
            via,
            ..route.clone()
        });
        hops = hops.get(align(usize::from(length))..).unwrap_or_default();
    }
    Some(routes)
}

/// `RTA_GATEWAY`, or `RTA_VIA` with a gateway of the other family.
fn gateway(kind: u16, value: &[u8]) -> Option<IpAddr> {
    match kind {
        5 => ip(value),
        18 => ip(value.get(2..)?),
        _ => None,
    }
}

/// The name of a route that is not simply to a host or network.
fn kind_of_route(kind: u8) -> Option<&'static str> {
    Some(match kind {
        2 => "local",
        3 => "broadcast",
        4 => "anycast",
        5 => "multicast",
        6 => "blackhole",
        7 => "unreachable",
        8 => "prohibit",
        9 => "throw",
        _ => return None,
    })
}

/// A destination as `ip` shows it: a host without the length of its prefix, everything as `default`.
pub(super) fn destination(to: IpAddr, prefix: u8) -> String {
    let whole = if to.is_ipv4() { 32 } else { 128 };
    match prefix {
        0 if to.is_unspecified() => "default".to_owned(),
        prefix if prefix == whole => to.to_string(),
        prefix => format!("{to}/{prefix}"),
    }
}

/// `struct ndmsg` and its attributes: `RTM_NEWNEIGH`. Nothing for those whose hardware is not known or not asked for.
pub(super) fn neighbour(message: &[u8]) -> Option<Neighbour> {
    const NOARP: u16 = 0x40;
    let state = u16_at(message, 8)?;
    if state == 0 || state & NOARP != 0 {
        return None;
    }
    let (mut address, mut hardware) = (None, Vec::new());
    for (kind, value) in Attributes(message.get(12..)?) {
        match kind {
            1 => address = ip(value),
            2 => hardware = value.to_vec(),
            _ => {}
        }
    }
    Some(Neighbour {
        link: u32_at(message, 4)?,
        address: address?,
        hardware: Some(hardware).filter(|hardware| !hardware.is_empty())?,
    })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    #[test]
    fn a_vlan_tells_its_number_protocol_and_flags() {
        let data = [
            attribute(1, &11_u16.to_ne_bytes()),
            attribute(2, &[5_u32.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat()),
            attribute(5, &[0x88, 0xa8]),
        ]
        .concat();
        let info = [attribute(1, b"vlan\0"), attribute(2 | 0x8000, &data)].concat();
        let mut message = vec![0, 0, 1, 0];
        message.extend(7_u32.to_ne_bytes());
        message.extend(0x5_1043_u32.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(attribute(3, b"eth0.11\0"));
        message.extend(attribute(16, &[6]));
        message.extend(attribute(18, &info));
        let link = link(&message).unwrap();
        assert_eq!(link.name, "eth0.11");
        assert_eq!(link.index, 7);
        assert_eq!(link.flags, 0x1_1043);
        assert_eq!(link.state.as_deref(), Some("up"));
        assert_eq!(
            link.vlan,
            Some(Vlan {
                id: 11,
                protocol: Some("802.1ad"),
                flags: vec!["REORDER_HDR", "LOOSE_BINDING"]
            })
        );
    }

    fn route_message(prefix: u8, table: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut message = vec![INET, prefix, 0, 0, table, 4, 0, 1, 0, 0, 0, 0];
        message.extend(attributes.concat());
        message
    }

    #[test]
    fn a_route_over_two_gateways_is_two_routes() {
        let hop = |link: u32, gateway: [u8; 4]| {
            let attributes = attribute(5, &gateway);
            let length = u16::try_from(8 + attributes.len()).unwrap();
            let mut hop = length.to_ne_bytes().to_vec();
            hop.extend([0, 0]);
            hop.extend(link.to_ne_bytes());
            hop.extend(attributes);
            hop
        };
        let hops = [hop(2, [10, 0, 0, 1]), hop(3, [10, 1, 0, 1])].concat();
        let message = route_message(
            0,
            254,
            &[attribute(9, &hops), attribute(6, &100_u32.to_ne_bytes())],
        );
        let routes = routes(&message).unwrap();
        let seen: Vec<_> = routes
            .iter()
            .map(|route| {
                (
                    route.link,
                    route.destination.as_str(),
                    route.via.unwrap().to_string(),
                    route.metric,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (2, "default", "10.0.0.1".to_owned(), Some(100)),
                (3, "default", "10.1.0.1".to_owned(), Some(100))
            ]
        );
    }

    #[test]
    fn only_the_main_table_counts() {
        let message = route_message(
            32,
            255,
            &[attribute(1, &[10, 0, 0, 1]), attribute(4, &[2, 0, 0, 0])],
        );
        assert_eq!(routes(&message), None);
        let message = route_message(
            32,
            254,
            &[attribute(1, &[10, 0, 0, 1]), attribute(4, &2_u32.to_ne_bytes())],
        );
        assert_eq!(routes(&message).unwrap()[0].destination, "10.0.0.1");
    }

    #[test]
    fn a_link_from_point_to_point_has_a_peer() {
        let mut message = vec![INET, 32, 0x80, 0];
        message.extend(4_u32.to_ne_bytes());
        message.extend(attribute(1, &[10, 8, 0, 1]));
        message.extend(attribute(2, &[10, 8, 0, 6]));
        let address = address(&message).unwrap();
        assert_eq!(address.address.to_string(), "10.8.0.6");
        assert_eq!(address.peer.unwrap().to_string(), "10.8.0.1");
    }

    proptest! {
        #[test]
        fn no_message_makes_the_reader_panic(message in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = link(&message);
            let _ = address(&message);
            let _ = routes(&message);
            let _ = neighbour(&message);
        }

        #[test]
        fn no_attributes_make_the_reader_panic(
            head in proptest::collection::vec(any::<u8>(), 16),
            attributes in proptest::collection::vec(
                (0_u16..25, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        ) {
            let tail: Vec<u8> = attributes.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
            for from in [4, 8, 16] {
                let message = [&head[..from.min(head.len())], &tail[..]].concat();
                let _ = link(&message);
                let _ = address(&message);
                let _ = routes(&message);
                let _ = neighbour(&message);
            }
        }
    }
}
