//! `route`.

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides};
use crate::resource::error::Failure;

pub(super) const ROUTE: Definition = Definition {
    kind: Kind::new(
        "route",
        &[Provides::everywhere("route")],
        &["add", "delete"],
        &[
            Property::named("target"),
            Property::string("netmask"),
            Property::string("gateway"),
            Property::string("device"),
            Property::string("route_type")
                .or(Default::String("host"))
                .one_of(&["host", "net"]),
            Property::integer("metric"),
            Property::string("comment"),
            Property::string("networking"),
            Property::string("networking_ipv6"),
            Property::string("hostname"),
            Property::string("domainname"),
            Property::string("domain"),
        ],
    ),
    run,
};

/// How many bits a mask like `255.255.0.0` has.
fn bits(mask: &str) -> Option<u32> {
    let address: std::net::Ipv4Addr = mask.parse().ok()?;
    let number = u32::from(address);
    (number.leading_ones() + number.trailing_zeros() >= 32).then(|| number.leading_ones())
}

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let target = act.need("target")?;
    let mut to = target.clone();
    if let Some(mask) = act.text("netmask") {
        let bits = bits(&mask).ok_or_else(|| Failure::invalid("netmask", format!("`{mask}` is no mask")))?;
        to = format!("{target}/{bits}");
    }
    let bare = to.split('/').next().unwrap_or_default();
    if to != "default" && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(Failure::invalid("target", format!("`{target}` is no address")));
    }
    // The kernel shows a route to one host without its 32 bits.
    let shown = to.strip_suffix("/32").unwrap_or(&to).to_owned();
    let routes = act.call(&["ip", "route", "show", "exact", &to])?;
    let (gateway, device) = (act.text("gateway"), act.text("device"));
    let has = |line: &str, word: &str, value: &Option<String>| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        value
            .as_ref()
            .is_none_or(|value| fields.windows(2).any(|pair| pair[0] == word && pair[1] == value))
    };
    let is_there = routes
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(shown.as_str()))
        .any(|line| has(line, "via", &gateway) && has(line, "dev", &device));
    let adds = act.action == "add";
    if is_there == adds {
        return Ok(());
    }
    let metric = act.text("metric");
    let mut words = vec!["ip", "route", if adds { "replace" } else { "delete" }, &to];
    if let Some(gateway) = &gateway {
        words.extend(["via", gateway]);
    }
    if let Some(device) = &device {
        words.extend(["dev", device]);
    }
    if let Some(metric) = &metric {
        words.extend(["metric", metric]);
    }
    if act.will(format!("{} route {shown}", act.action)) {
        act.call(&words)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_counted() {
        assert_eq!(bits("255.255.0.0"), Some(16));
        assert_eq!(bits("255.255.255.255"), Some(32));
        assert_eq!(bits("0.0.0.0"), Some(0));
        assert_eq!(bits("255.0.255.0"), None);
        assert_eq!(bits("x"), None);
    }
}
