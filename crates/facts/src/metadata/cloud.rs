//! The section `cloud`, which says the same of every cloud.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// Names and addresses of a machine in its cloud, in the schema of Ohai.
#[derive(Debug, Default)]
pub(super) struct CloudSection {
    provider: &'static str,
    public: Vec<IpAddr>,
    local: Vec<IpAddr>,
    public_hostname: Option<String>,
    local_hostname: Option<String>,
}

impl CloudSection {
    /// Nothing is known but whose cloud it is.
    pub(super) fn of(provider: &'static str) -> Self {
        Self {
            provider,
            ..Self::default()
        }
    }

    /// Adds an address that the world knows. What is no address is left out.
    pub(super) fn add_public(&mut self, address: Option<&str>) {
        add(&mut self.public, address);
    }

    /// Adds an address of the machine's own network.
    pub(super) fn add_local(&mut self, address: Option<&str>) {
        add(&mut self.local, address);
    }

    /// Sets the names.
    pub(super) fn set_hostnames(&mut self, public: Option<&str>, local: Option<&str>) {
        let known = |name: Option<&str>| name.filter(|name| !name.is_empty()).map(str::to_owned);
        self.public_hostname = known(public);
        self.local_hostname = known(local);
    }

    /// `provider`, `public_ipv4_addrs`, `public_ipv4` and so on; what is not known is left out.
    pub(super) fn finish(self) -> Value {
        let mut section = Map::new();
        section.insert("provider".to_owned(), self.provider.into());
        for (name, value) in [
            ("public_hostname", self.public_hostname),
            ("local_hostname", self.local_hostname),
        ] {
            if let Some(value) = value {
                section.insert(name.to_owned(), value.into());
            }
        }
        for (side, addresses) in [("public", &self.public), ("local", &self.local)] {
            for (family, wanted) in [("ipv4", true), ("ipv6", false)] {
                let known: Vec<Value> = addresses
                    .iter()
                    .filter(|address| address.is_ipv4() == wanted)
                    .map(|address| address.to_string().into())
                    .collect();
                if let Some(first) = known.first().cloned() {
                    section.insert(format!("{side}_{family}_addrs"), known.into());
                    section.insert(format!("{side}_{family}"), first);
                }
            }
        }
        section.into()
    }
}

fn add(addresses: &mut Vec<IpAddr>, address: Option<&str>) {
    let parsed = address.and_then(|address| address.trim().parse().ok());
    if let Some(address) = parsed.filter(|address| !addresses.contains(address)) {
        addresses.push(address);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_sorted_by_family_and_what_is_none_is_left_out() {
        let mut cloud = CloudSection::of("azure");
        for address in [
            Some("10.0.0.4"),
            Some("fd00::4"),
            Some(" 10.0.0.5 "),
            Some("10.0.0.4"),
        ] {
            cloud.add_local(address);
        }
        for address in [Some(""), None, Some("pending"), Some("2603:1020::1")] {
            cloud.add_public(address);
        }
        cloud.set_hostnames(Some(""), Some("n1"));
        assert_eq!(
            cloud.finish(),
            json!({
                "provider": "azure",
                "local_hostname": "n1",
                "public_ipv6_addrs": ["2603:1020::1"],
                "public_ipv6": "2603:1020::1",
                "local_ipv4_addrs": ["10.0.0.4", "10.0.0.5"],
                "local_ipv4": "10.0.0.4",
                "local_ipv6_addrs": ["fd00::4"],
                "local_ipv6": "fd00::4",
            })
        );
        assert_eq!(CloudSection::of("ec2").finish(), json!({"provider": "ec2"}));
    }
}
