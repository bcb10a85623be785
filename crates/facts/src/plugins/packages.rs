//! `packages`: what the package manager has installed: from the database of dpkg, or as `rpm` tells.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;
use crate::programs;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["packages"],
    on_demand: true,
    collect,
};

const RPM_FORMAT: &str =
    r"%{NAME}\t%|EPOCH?{%{EPOCH}}:{0}|\t%{VERSION}\t%{RELEASE}\t%{INSTALLTIME}\t%{ARCH}\n";

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let packages = match machine.read("/var/lib/dpkg/status") {
        Some(status) => Some(dpkg(&status)),
        None => programs::say(machine, "rpm", &["-qa", "--qf", RPM_FORMAT]).map(|text| rpm(&text)),
    };
    if let Some(packages) = packages {
        facts.insert("packages".to_owned(), packages);
    }
}

/// The database of dpkg: a paragraph for each package, with fields `Name: value` (deb-status(5)).
fn dpkg(status: &str) -> Value {
    let mut packages = json!({});
    for paragraph in status.split("\n\n") {
        let field = |wanted: &str| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(wanted)?.strip_prefix(": "))
                .map(str::trim)
        };
        let known = !field("Status").is_some_and(|status| status.ends_with("not-installed"));
        if let (Some(name), Some(version), true) = (field("Package"), field("Version"), known) {
            packages[name] = json!({"version": version, "arch": field("Architecture")});
        }
    }
    packages
}

/// Lines in [`RPM_FORMAT`]. Of packages of which there are several, as kernels, the last counts and all are listed.
fn rpm(text: &str) -> Value {
    let mut packages = json!({});
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let &[name, epoch, version, release, installed, arch] = fields.as_slice() else {
            continue;
        };
        let package = json!({"epoch": epoch, "version": version, "release": release, "installdate": installed, "arch": arch});
        let known = &mut packages[name];
        let mut versions = match known.get("versions") {
            Some(Value::Array(versions)) => versions.clone(),
            _ if known.is_object() => vec![known.clone()],
            _ => Vec::new(),
        };
        *known = package.clone();
        if !versions.is_empty() {
            versions.push(package);
            known["versions"] = versions.into();
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn removed_packages_count_until_they_are_purged() {
        let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b2\n\
                      Description: shell\n Version: no field\n\nPackage: old\nStatus: deinstall ok config-files\n\
                      Architecture: all\nVersion: 1.0\n\nPackage: gone\nStatus: purge ok not-installed\nVersion: 2\n";
        assert_eq!(
            dpkg(status),
            json!({"bash": {"version": "5.2.15-2+b2", "arch": "amd64"}, "old": {"version": "1.0", "arch": "all"}})
        );
    }

    #[test]
    fn of_several_kernels_all_are_listed() {
        let text = "bash\t0\t5.1.8\t9.el9\t1700000000\tx86_64\nkernel\t0\t5.14.0\t1.el9\t1\tx86_64\n\
                    kernel\t0\t5.14.0\t2.el9\t2\tx86_64\nkernel\t0\t5.14.0\t3.el9\t3\tx86_64\n";
        let packages = rpm(text);
        assert_eq!(packages["bash"]["version"], "5.1.8");
        assert_eq!(packages["bash"].get("versions"), None);
        assert_eq!(packages["kernel"]["release"], "3.el9");
        let releases: Vec<_> = packages["kernel"]["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["release"])
            .collect();
        assert_eq!(releases, ["1.el9", "2.el9", "3.el9"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "(\\PC|Package: |Version: |[\\t\\n]){0,100}") {
            dpkg(&text);
            rpm(&text);
        }
    }
}
