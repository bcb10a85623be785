//! `platform`, `platform_version`, `platform_family`: which distribution this is, under the names that recipes know.

use serde_json::{Map, Value};

use super::{Plugin, kernel, os_release};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["platform", "platform_version", "platform_family"],
    on_demand: false,
    collect,
};

/// A distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Platform {
    /// As recipes call it; empty when it is not known.
    pub(super) name: String,
    /// The version; the release of the kernel where a distribution has no versions.
    pub(super) version: Option<String>,
    /// What it descends from.
    pub(super) family: Option<String>,
}

/// Names that differ from the `ID` of os-release(5).
const NAMES: [(&str, &str); 10] = [
    ("alinux", "alibabalinux"),
    ("amzn", "amazon"),
    ("archarm", "arch"),
    ("cumulus-linux", "cumulus"),
    ("ol", "oracle"),
    ("opensuse-leap", "opensuseleap"),
    ("rhel", "redhat"),
    ("sles", "suse"),
    ("sles_sap", "suse"),
    ("xenenterprise", "xenserver"),
];

/// Families, and what the names of their members contain. The first that fits wins.
const FAMILIES: [(&str, &[&str]); 12] = [
    (
        "debian",
        &[
            "debian",
            "ubuntu",
            "linuxmint",
            "raspbian",
            "cumulus",
            "kali",
            "pop",
        ],
    ),
    (
        "rhel",
        &[
            "oracle",
            "centos",
            "redhat",
            "almalinux",
            "scientific",
            "enterpriseenterprise",
            "xcp",
            "xenserver",
            "cloudlinux",
            "ibm_powerkvm",
            "parallels",
            "clearos",
            "bigip",
            "alibabalinux",
            "sangoma",
            // Not yet known to Ohai 16, but to the recipes of today.
            "rocky",
        ],
    ),
    ("amazon", &["amazon"]),
    ("suse", &["suse", "sles", "sled"]),
    ("fedora", &["fedora", "pidora", "arista_eos"]),
    ("wrlinux", &["nexus", "ios_xr"]),
    ("gentoo", &["gentoo"]),
    ("slackware", &["slackware"]),
    ("arch", &["arch", "manjaro", "antergos"]),
    ("exherbo", &["exherbo"]),
    ("alpine", &["alpine"]),
    ("clearlinux", &["clearlinux"]),
];

/// Files that name the distribution on systems older than os-release(5).
const RED_HAT_FILES: [(&str, Option<&str>); 4] = [
    ("/etc/oracle-release", Some("oracle")),
    ("/etc/enterprise-release", Some("oracle")),
    ("/etc/redhat-release", None),
    ("/etc/system-release", None),
];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let platform = detect(machine);
    if platform.name.is_empty() {
        return;
    }
    facts.insert("platform".to_owned(), platform.name.into());
    facts.insert("platform_version".to_owned(), platform.version.into());
    facts.insert("platform_family".to_owned(), platform.family.into());
}

/// Finds out which distribution the machine runs.
pub(super) fn detect(machine: &Machine) -> Platform {
    let (name, version) = match machine.read("/etc/os-release") {
        Some(text) => by_os_release(machine, &text),
        None => by_older_files(machine),
    };
    let family = FAMILIES
        .iter()
        .find(|(_, members)| members.iter().any(|member| name.contains(member)))
        .map(|(family, _)| (*family).to_owned());
    Platform {
        name,
        version,
        family,
    }
}

fn by_os_release(machine: &Machine, text: &str) -> (String, Option<String>) {
    let find = |key: &str| {
        os_release::entries(text)
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .last()
    };
    let id = find("ID").unwrap_or_default();
    let version = match id.as_str() {
        // It says no more than `7` or `8` there.
        "centos" => machine
            .read("/etc/redhat-release")
            .and_then(|text| red_hat_version(&text))
            .or_else(|| find("VERSION_ID")),
        // What is not released yet has no number.
        "debian" => find("VERSION_ID").or_else(|| machine.read_value("/etc/debian_version")),
        _ => find("VERSION_ID").or_else(|| kernel::release(machine)),
    };
    let name = NAMES
        .iter()
        .find(|(theirs, _)| *theirs == id)
        .map_or(id.as_str(), |(_, ours)| ours);
    (name.to_owned(), version)
}

fn by_older_files(machine: &Machine) -> (String, Option<String>) {
    if let Some(version) = machine.read_value("/etc/debian_version") {
        let lsb = machine.read("/etc/lsb-release").unwrap_or_default();
        let find = |key: &str| {
            os_release::entries(&lsb)
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value)
        };
        return match find("DISTRIB_ID") {
            Some(id) if id.eq_ignore_ascii_case("ubuntu") => ("ubuntu".to_owned(), find("DISTRIB_RELEASE")),
            _ => ("debian".to_owned(), Some(version)),
        };
    }
    for (path, name) in RED_HAT_FILES {
        if let Some(text) = machine.read_value(path) {
            let name = name.map_or_else(|| red_hat_name(&text), str::to_owned);
            return (name, red_hat_version(&text));
        }
    }
    if let Some(text) = machine.read("/etc/SuSE-release") {
        return suse(&text);
    }
    if let Some(text) = machine.read_value("/etc/slackware-version") {
        let version = text
            .chars()
            .filter(|character| character.is_ascii_digit() || *character == '.')
            .collect();
        return ("slackware".to_owned(), Some(version));
    }
    if machine.exists("/etc/exherbo-release") {
        return ("exherbo".to_owned(), kernel::release(machine));
    }
    let text = machine.read("/usr/lib/os-release").unwrap_or_default();
    if text.contains("clear-linux-os") {
        let version = os_release::entries(&text).find(|(name, _)| *name == "VERSION_ID");
        return ("clearlinux".to_owned(), version.map(|(_, value)| value));
    }
    (String::new(), None)
}

/// `Red Hat Enterprise Linux Server release 6.9 (Santiago)` is `redhat`, others are called as their line begins.
fn red_hat_name(text: &str) -> String {
    if text.to_lowercase().starts_with("red hat") {
        return "redhat".to_owned();
    }
    text.chars()
        .skip_while(|character| !character.is_alphanumeric())
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect::<String>()
        .to_lowercase()
}

/// The first word that is a number, `8.10` of `AlmaLinux release 8.10 (Cerulean Leopard)`.
fn red_hat_version(text: &str) -> Option<String> {
    text.split(' ')
        .skip(1)
        .map(|word| {
            word.chars()
                .take_while(|character| character.is_ascii_digit() || *character == '.')
                .collect::<String>()
        })
        .find(|word| !word.is_empty())
}

fn suse(text: &str) -> (String, Option<String>) {
    let number = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
    };
    let version = number("VERSION");
    let major: u32 = version
        .as_deref()
        .and_then(|version| version.split('.').next()?.parse().ok())
        .unwrap_or(0);
    let name = match text.starts_with("openSUSE") {
        true if major < 42 => "opensuse",
        true => "opensuseleap",
        false => "suse",
    };
    let version = match (version, number("PATCHLEVEL")) {
        (Some(version), Some(patch)) => Some(format!("{version}.{patch}")),
        (version, _) => version,
    };
    (name.to_owned(), version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[track_caller]
    fn is(files: &[(&str, &str)], name: &str, version: &str, family: &str) {
        let (_root, machine) = machine(files);
        let expected = Platform {
            name: name.to_owned(),
            version: Some(version.to_owned()),
            family: Some(family.to_owned()),
        };
        assert_eq!(detect(&machine), expected);
    }

    #[test]
    fn distributions_that_say_who_they_are() {
        for (id, version, name, family) in [
            ("debian", "12", "debian", "debian"),
            ("ubuntu", "22.04", "ubuntu", "debian"),
            ("rhel", "8.5", "redhat", "rhel"),
            ("almalinux", "8.10", "almalinux", "rhel"),
            ("rocky", "9.4", "rocky", "rhel"),
            ("ol", "8.9", "oracle", "rhel"),
            ("sles", "15.5", "suse", "suse"),
            ("sles_sap", "15.5", "suse", "suse"),
            ("opensuse-leap", "15.5", "opensuseleap", "suse"),
            ("amzn", "2023", "amazon", "amazon"),
            ("fedora", "40", "fedora", "fedora"),
            ("alpine", "3.19.1", "alpine", "alpine"),
        ] {
            let text = format!("NAME=\"X Y\"\nID=\"{id}\"\nVERSION_ID=\"{version}\"\n");
            is(&[("/etc/os-release", &text)], name, version, family);
        }
    }

    #[test]
    fn versions_that_stand_elsewhere() {
        is(
            &[
                ("/etc/os-release", "ID=\"centos\"\nVERSION_ID=\"7\"\n"),
                ("/etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n"),
            ],
            "centos",
            "7.9.2009",
            "rhel",
        );
        is(
            &[
                ("/etc/os-release", "ID=debian\n"),
                ("/etc/debian_version", "trixie/sid\n"),
            ],
            "debian",
            "trixie/sid",
            "debian",
        );
        is(
            &[
                ("/etc/os-release", "ID=arch\n"),
                ("/proc/sys/kernel/osrelease", "6.9.1-arch1-1\n"),
            ],
            "arch",
            "6.9.1-arch1-1",
            "arch",
        );
    }

    #[test]
    fn systems_older_than_os_release() {
        is(
            &[(
                "/etc/redhat-release",
                "Red Hat Enterprise Linux Server release 6.9 (Santiago)\n",
            )],
            "redhat",
            "6.9",
            "rhel",
        );
        is(
            &[("/etc/redhat-release", "CentOS release 6.10 (Final)\n")],
            "centos",
            "6.10",
            "rhel",
        );
        is(
            &[
                ("/etc/oracle-release", "Oracle Linux Server release 6.5\n"),
                ("/etc/redhat-release", "Red Hat"),
            ],
            "oracle",
            "6.5",
            "rhel",
        );
        is(
            &[("/etc/system-release", "Amazon Linux AMI release 2014.03\n")],
            "amazon",
            "2014.03",
            "amazon",
        );
        is(
            &[(
                "/etc/SuSE-release",
                "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n",
            )],
            "suse",
            "11.4",
            "suse",
        );
        is(
            &[
                ("/etc/debian_version", "wheezy/sid\n"),
                ("/etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\n"),
            ],
            "ubuntu",
            "12.04",
            "debian",
        );
        is(
            &[("/etc/debian_version", "6.0.10\n")],
            "debian",
            "6.0.10",
            "debian",
        );
    }

    #[test]
    fn what_is_not_known_is_not_invented() {
        let (_root, machine) = machine(&[]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert!(facts.is_empty(), "{facts:?}");
    }
}
