//! `machinename`, `hostname`, `fqdn`, `domain`: the name of the machine in the network.

use serde_json::{Map, Value};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["machinename", "hostname", "fqdn", "domain"],
    on_demand: false,
    collect,
};

/// Search domains that no machine is in: Azure's for machines without a name server of Azure's, and the root.
const NO_DOMAINS: [&str; 2] = ["reddog.microsoft.com", "."];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let name = machine
        .read_value("/proc/sys/kernel/hostname")
        .or_else(|| machine.read_value("/etc/hostname"));
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return;
    };
    let fqdn = full_name(machine, &name);
    let hostname = name.split('.').next().unwrap_or(&name);
    facts.insert("hostname".to_owned(), hostname.into());
    let domain = fqdn.split_once('.').map(|(_, domain)| domain.to_owned());
    facts.insert("machinename".to_owned(), name.into());
    facts.insert("fqdn".to_owned(), fqdn.into());
    facts.insert("domain".to_owned(), domain.into());
}

/// The name with its domain, as `hostname --fqdn` finds it, but without the network: by `/etc/hosts`, else by the
/// domain in which the machine looks names up, for there the name server has it.
fn full_name(machine: &Machine, name: &str) -> String {
    let hosts = machine.read("/etc/hosts").unwrap_or_default();
    if let Some(name) = canonical(&hosts, name) {
        return name;
    }
    if name.contains('.') {
        return name.to_owned();
    }
    let resolver = machine.read("/etc/resolv.conf").unwrap_or_default();
    match search_domain(&resolver) {
        Some(domain) => format!("{name}.{domain}"),
        None => name.to_owned(),
    }
}

/// The first name of the line that holds a name: `ADDRESS NAME ALIAS… # COMMENT`. Format: hosts(5).
fn canonical(hosts: &str, name: &str) -> Option<String> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace().skip(1);
        let first = words.next()?;
        let known = first.eq_ignore_ascii_case(name) || words.any(|alias| alias.eq_ignore_ascii_case(name));
        known.then(|| first.to_owned())
    })
}

/// The first domain of the last `search` or `domain` line, without the dot at its end. Format: resolv.conf(5).
fn search_domain(resolver: &str) -> Option<&str> {
    let line = resolver
        .lines()
        .filter_map(|line| {
            line.strip_prefix("search")
                .or_else(|| line.strip_prefix("domain"))
        })
        .rfind(|rest| rest.starts_with([' ', '\t']))?;
    let domain = line.split_whitespace().next()?;
    (!NO_DOMAINS.contains(&domain))
        .then(|| domain.trim_end_matches('.'))
        .filter(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machine::tests::machine;

    fn names(files: &[(&str, &str)]) -> Value {
        let (_root, machine) = machine(files);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        facts.into()
    }

    #[test]
    fn a_name_with_its_domain_in_etc_hosts() {
        let hosts =
            "127.0.0.1 localhost\n# 10.0.0.9 wrong.example.com node\n127.0.1.1\tnode.example.com node # us\n";
        assert_eq!(
            names(&[("/proc/sys/kernel/hostname", "node\n"), ("/etc/hosts", hosts)]),
            json!({"hostname": "node", "machinename": "node", "fqdn": "node.example.com", "domain": "example.com"})
        );
    }

    #[test]
    fn a_cloud_machine_is_in_the_domain_that_it_searches() {
        let resolver = "nameserver 168.63.129.16\nsearch abc.bx.internal.cloudapp.net\noptions edns0\n";
        let facts = names(&[("/etc/hostname", "ip-0A000004\n"), ("/etc/resolv.conf", resolver)]);
        assert_eq!(facts["fqdn"], "ip-0A000004.abc.bx.internal.cloudapp.net");
        let nowhere = names(&[
            ("/etc/hostname", "ip-0A000004\n"),
            ("/etc/resolv.conf", "search reddog.microsoft.com\n"),
        ]);
        assert_eq!(
            nowhere,
            json!({"hostname": "ip-0A000004", "machinename": "ip-0A000004", "fqdn": "ip-0A000004", "domain": null})
        );
    }

    #[test]
    fn a_machine_that_is_called_by_its_full_name() {
        assert_eq!(
            names(&[
                ("/proc/sys/kernel/hostname", "login.hpc.example.org\n"),
                ("/etc/resolv.conf", "search other.org\n"),
            ]),
            json!({
                "hostname": "login",
                "machinename": "login.hpc.example.org",
                "fqdn": "login.hpc.example.org",
                "domain": "hpc.example.org",
            })
        );
    }

    #[test]
    fn search_lines() {
        for (text, domain) in [
            ("search a.com b.com\n", Some("a.com")),
            ("domain a.com\nsearch b.com\n", Some("b.com")),
            ("search a.com.\n", Some("a.com")),
            ("search .\n", None),
            ("searching x\n", None),
            ("# search a.com\n", None),
            ("", None),
        ] {
            assert_eq!(search_domain(text), domain, "{text:?}");
        }
    }
}
