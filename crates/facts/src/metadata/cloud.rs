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
