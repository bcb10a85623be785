//! The state of the network, whoever told it.

use std::collections::HashMap;
use std::net::IpAddr;

/// Everything that is known of the network.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct State {
    /// By index.
    pub(super) links: Vec<Link>,
    pub(super) addresses: Vec<Address>,
    pub(super) routes: Vec<Route>,
    pub(super) neighbours: Vec<Neighbour>,
    /// Whether the kernel has IPv6 at all.
    pub(super) ipv6: bool,
}

impl State {
    pub(super) fn link(&self, index: u32) -> Option<&Link> {
        let at = self.links.binary_search_by_key(&index, |link| link.index).ok()?;
        self.links.get(at)
    }

    /// The addresses of a family with their scopes, by the index of the interface that has them.
    pub(super) fn own_addresses(&self, family: Family) -> HashMap<u32, HashMap<IpAddr, u8>> {
        let mut own: HashMap<u32, HashMap<IpAddr, u8>> = HashMap::new();
        for address in &self.addresses {
            if Family::of(address.address) == family {
                own.entry(address.link)
                    .or_default()
                    .insert(address.address, address.scope);
            }
        }
        own
    }
}

/// An interface.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    /// `IFF_…` of <linux/if.h>.
    pub(super) flags: u32,
    /// `ARPHRD_…` of <linux/if_arp.h>.
    pub(super) hardware: u16,
    pub(super) mtu: Option<u32>,
    /// As the kernel names it: `up`, `down`, `unknown`, `lowerlayerdown` …
    pub(super) state: Option<String>,
    /// Bytes of the hardware address.
    pub(super) address: Vec<u8>,
    /// Packets that the transmit queue holds.
    pub(super) queue: Option<u32>,
    pub(super) counters: Option<Counters>,
    pub(super) vlan: Option<Vlan>,
}

/// What went through an interface since it was made.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Counters {
    pub(super) rx_bytes: u64,
    pub(super) rx_packets: u64,
    pub(super) rx_errors: u64,
    pub(super) rx_dropped: u64,
    pub(super) rx_missed: u64,
    pub(super) tx_bytes: u64,
    pub(super) tx_packets: u64,
    pub(super) tx_errors: u64,
    pub(super) tx_dropped: u64,
    pub(super) tx_carrier: u64,
    pub(super) collisions: u64,
}

/// That an interface is a VLAN.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Vlan {
    pub(super) id: u16,
    /// `802.1Q` or `802.1ad`.
    pub(super) protocol: Option<&'static str>,
    /// `REORDER_HDR`, `GVRP`, `LOOSE_BINDING`.
    pub(super) flags: Vec<&'static str>,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Address {
    pub(super) link: u32,
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    pub(super) peer: Option<IpAddr>,
    pub(super) broadcast: Option<IpAddr>,
    /// `RT_SCOPE_…` of <linux/rtnetlink.h>.
    pub(super) scope: u8,
    /// `IFA_F_…` of <linux/if_addr.h>.
    pub(super) flags: u32,
    /// The name that the address was given, `eth0:1` for an alias.
    pub(super) label: Option<String>,
}

/// A route of the main table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) link: u32,
    pub(super) family: Family,
    /// `default`, `10.0.0.0/8`, `10.0.0.1`; the kind of the route when it is none to a host, as `unreachable`.
    pub(super) destination: String,
    pub(super) via: Option<IpAddr>,
    pub(super) metric: Option<u32>,
    /// `RTPROT_…`; none if the source does not tell.
    pub(super) protocol: Option<u8>,
    /// `RT_SCOPE_…`; none if the source does not tell.
    pub(super) scope: Option<u8>,
    pub(super) source: Option<IpAddr>,
}

/// A machine on the same network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Neighbour {
    pub(super) link: u32,
    pub(super) address: IpAddr,
    pub(super) hardware: Vec<u8>,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Inet,
    Inet6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Inet,
            IpAddr::V6(_) => Self::Inet6,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
        }
    }
}

/// `IFF_UP`
pub(super) const UP: u32 = 1;
/// `IFF_NOARP`
pub(super) const NOARP: u32 = 0x80;
/// `IFF_LOWER_UP`
pub(super) const LOWER_UP: u32 = 0x1_0000;

/// The flags of an interface that are facts, in the order in which `ip` shows them.
pub(super) const FLAGS: [(u32, &str); 12] = [
    (8, "LOOPBACK"),
    (2, "BROADCAST"),
    (0x1000, "MULTICAST"),
    (NOARP, "NOARP"),
    (0x200, "ALLMULTI"),
    (0x100, "PROMISC"),
    (0x400, "MASTER"),
    (0x800, "SLAVE"),
    (4, "DEBUG"),
    (0x8000, "DYNAMIC"),
    (0x20, "NOTRAILERS"),
    (UP, "UP"),
];

/// The scope of routes and addresses without one.
pub(super) const SCOPE_GLOBAL: u8 = 0;

/// The name of a scope as `ip` shows it.
pub(super) fn scope_name(scope: u8) -> String {
    match scope {
        SCOPE_GLOBAL => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        255 => "nowhere".to_owned(),
        other => other.to_string(),
    }
}

/// Who made a route, as `ip` shows it.
pub(super) fn protocol_name(protocol: u8) -> String {
    let name = match protocol {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        18 => "keepalived",
        42 => "babel",
        99 => "openr",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The flags of an IPv6 address that `ip` shows, in its order. Those that say `temporary` and `dynamic` stand apart.
pub(super) fn address_tags(flags: u32) -> Vec<&'static str> {
    const PERMANENT: u32 = 0x80;
    const TAGS: [(u32, &str); 12] = [
        (0x01, "temporary"),
        (0x02, "nodad"),
        (0x04, "optimistic"),
        (0x08, "dadfailed"),
        (0x10, "home"),
        (0x20, "deprecated"),
        (0x40, "tentative"),
        (PERMANENT, "dynamic"),
        (0x100, "mngtmpaddr"),
        (0x200, "noprefixroute"),
        (0x400, "autojoin"),
        (0x800, "stable-privacy"),
    ];
    TAGS.iter()
        // An address is dynamic that is not permanent.
        .filter(|(bit, _)| (flags & bit != 0) != (*bit == PERMANENT))
        .map(|(_, name)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_named_in_the_order_of_ip() {
        assert_eq!(address_tags(0x80), [""; 0]);
        assert_eq!(address_tags(0x82), ["nodad"]);
        assert_eq!(
            address_tags(0x301),
            ["temporary", "dynamic", "mngtmpaddr", "noprefixroute"]
        );
    }

    #[test]
    fn names_fall_back_to_numbers() {
        assert_eq!(scope_name(254), "host");
        assert_eq!(scope_name(7), "7");
        assert_eq!(protocol_name(16), "dhcp");
        assert_eq!(protocol_name(77), "77");
    }
}
