//! What the machine is called and where it is reached.

use std::net::Ipv4Addr;

use crate::home::BOOT_ID;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// The host name up to its first dot; none when the system has none that can be read.
pub fn short_hostname() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let short = name.split('.').next().unwrap_or_default();
    (!short.is_empty()).then(|| short.to_owned())
}

/// The first IPv4 address of an interface that is up and not loopback, in the system's order.
pub fn first_ipv4() -> Option<Ipv4Addr> {
    getifaddrs().ok()?.find_map(|interface| {
        let address = interface.address?.as_sockaddr_in()?.ip();
        let usable = interface.flags.contains(InterfaceFlags::IFF_UP)
            && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
            && !address.is_loopback();
        usable.then_some(address)
    })
}

/// Names this boot of the machine: another id means that it was started anew. None when the system does not tell.
pub fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string(BOOT_ID).ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_one_id() {
        assert!(boot_id().is_some_and(|id| boot_id() == Some(id)));
    }

    #[test]
    fn the_host_name_is_short() {
        let name = short_hostname().unwrap();
        assert!(!name.contains('.') && !name.is_empty());
    }

    #[test]
    fn loopback_is_no_address_of_the_machine() {
        assert!(first_ipv4().is_none_or(|address| !address.is_loopback()));
    }
}
