//! `lsb`: what `lsb_release -a` prints, from the files that it reads.
//!
//! Like Ohai it is empty where `lsb_release` is not installed: recipes ask whether it is.

use serde_json::{Map, Value};

use super::{Plugin, os_release};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["lsb"],
    on_demand: false,
    collect,
};

/// The names under which `lsb_release` knows distributions that do not call themselves so.
const IDS: [(&str, &str); 7] = [
    ("rhel", "RedHatEnterprise"),
    ("ol", "OracleServer"),
    ("centos", "CentOS"),
    ("amzn", "Amazon"),
    ("sles", "SUSE"),
    ("opensuse-leap", "openSUSE"),
    ("linuxmint", "LinuxMint"),
];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let section = if machine.exists("/usr/bin/lsb_release") {
        describe(machine)
    } else {
        Map::new()
    };
    facts.insert("lsb".to_owned(), section.into());
}

/// `id`, `description`, `release` and `codename`, as far as the files tell: `lsb-release` where there is one, else
/// `os-release`.
fn describe(machine: &Machine) -> Map<String, Value> {
    let os_release = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| machine.read(path))
        .unwrap_or_default();
    let lsb_release = machine.read("/etc/lsb-release").unwrap_or_default();
    let find = |text: &str, key: &str| {
        os_release::entries(text)
            .filter(|(name, value)| *name == key && !value.is_empty())
            .map(|(_, value)| value)
            .last()
    };
    let os = |key| find(&os_release, key);
    let lsb = |key| find(&lsb_release, key);
    let values = [
        (
            "id",
            lsb("DISTRIB_ID").or_else(|| Some(id(&os("ID")?, os("NAME")))),
        ),
        (
            "description",
            lsb("DISTRIB_DESCRIPTION").or_else(|| os("PRETTY_NAME")),
        ),
        ("release", lsb("DISTRIB_RELEASE").or_else(|| os("VERSION_ID"))),
        (
            "codename",
            lsb("DISTRIB_CODENAME")
                .or_else(|| os("VERSION_CODENAME"))
                .or_else(|| in_parentheses(&os("VERSION")?)),
        ),
    ];
    values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.unwrap_or_else(|| "n/a".to_owned()).into()))
        .collect()
}

/// The name if it is the id but for capitals, else the id with a capital.
fn id(id: &str, name: Option<String>) -> String {
    if let Some((_, known)) = IDS.iter().find(|(known, _)| *known == id) {
        return (*known).to_owned();
    }
    if let Some(name) = name.filter(|name| name.eq_ignore_ascii_case(id)) {
        return name;
    }
    let mut letters = id.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn in_parentheses(version: &str) -> Option<String> {
    let (_, rest) = version.split_once('(')?;
    Some(rest.split_once(')')?.0.replace(' ', ""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machine::tests::machine;

    fn lsb(files: &[(&str, &str)]) -> Value {
        let (_root, machine) = machine(files);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        facts["lsb"].clone()
    }

    #[test]
    fn ubuntu_says_it_in_a_file_of_its_own() {
        let text = "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\nDISTRIB_CODENAME=jammy\nDISTRIB_DESCRIPTION=\"Ubuntu 22.04.4 LTS\"\n";
        assert_eq!(
            lsb(&[("/usr/bin/lsb_release", ""), ("/etc/lsb-release", text)]),
            json!({"id": "Ubuntu", "description": "Ubuntu 22.04.4 LTS", "release": "22.04", "codename": "jammy"})
        );
    }

    #[test]
    fn the_others_by_os_release() {
        let red_hat = "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"8.5 (Ootpa)\"\nID=\"rhel\"\nVERSION_ID=\"8.5\"\n\
                       PRETTY_NAME=\"Red Hat Enterprise Linux 8.5 (Ootpa)\"\n";
        assert_eq!(
            lsb(&[("/usr/bin/lsb_release", ""), ("/etc/os-release", red_hat)]),
            json!({
                "id": "RedHatEnterprise",
                "description": "Red Hat Enterprise Linux 8.5 (Ootpa)",
                "release": "8.5",
                "codename": "Ootpa",
            })
        );
        let sid = "PRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\nNAME=\"Debian GNU/Linux\"\nID=debian\n";
        assert_eq!(
            lsb(&[("/usr/bin/lsb_release", ""), ("/usr/lib/os-release", sid)]),
            json!({"id": "Debian", "description": "Debian GNU/Linux trixie/sid", "release": "n/a", "codename": "n/a"})
        );
    }

    #[test]
    fn without_the_program_there_is_nothing() {
        assert_eq!(lsb(&[("/etc/os-release", "ID=debian\n")]), json!({}));
    }
}
