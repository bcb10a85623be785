//! The arrows between our crates, from user to used: the drawing in `ARCHITECTURE.md` as code.
//!
//! A crate that may not use another cannot come to know it. Whoever needs a new arrow changes the list here
//! and the drawing, in a commit that says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What each crate may use of ours. Tests may also use what is in [`FOR_TESTS`].
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("durable", &[]),
    ("terminal", &[]),
    ("broker", &["durable"]),
    ("locker", &["durable", "protocol"]),
    ("node", &["durable", "protocol"]),
    ("facts", &["node"]),
    ("ruby", &[]),
    ("recipe", &["converge", "durable", "node", "ruby"]),
    ("link", &["durable", "node", "protocol"]),
    ("converge", &["durable", "locker", "node", "protocol"]),
    (
        "jetpack",
        &[
            "converge", "durable", "facts", "link", "locker", "node", "protocol", "recipe", "terminal",
        ],
    ),
    (
        "jetpackd",
        &["durable", "facts", "link", "node", "protocol", "terminal"],
    ),
    (
        "cycle_server",
        &["broker", "durable", "locker", "protocol", "terminal"],
    ),
    ("cyclecloud", &["durable", "locker", "protocol", "terminal"]),
    (
        "reference",
        &[
            "converge",
            "cycle_server",
            "cyclecloud",
            "durable",
            "jetpack",
            "jetpackd",
            "terminal",
        ],
    ),
    ("testkit", &[]),
    ("it", &[]),
    ("benches", &["broker", "durable", "terminal", "testkit"]),
    ("xtask", &["converge", "durable", "ruby", "terminal"]),
];

/// The crates that are no part of the product and have their folder at the root of the repository.
const AT_ROOT: &[&str] = &["benches", "xtask"];

/// What tests may use beside the arrows of their crate.
const FOR_TESTS: &[(&str, &[&str])] = &[
    ("it", &["protocol", "testkit"]),
    ("converge", &["testkit"]),
    ("facts", &["testkit"]),
    ("link", &["broker"]),
    ("broker", &["testkit"]),
    ("locker", &["testkit"]),
    ("cyclecloud", &["testkit"]),
    ("cycle_server", &["testkit"]),
];

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    // At run time, where cargo says it: a target folder may outlive the folder that it was built in.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).to_owned()
}

/// Compares the manifests of the workspace with the lists above.
///
/// # Errors
/// Names every arrow that is not allowed and every crate that is not listed or not there any more.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let manifests = manifests(root)?;
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let for_tests: BTreeMap<&str, &[&str]> = FOR_TESTS.iter().copied().collect();
    let mut problems = Vec::new();
    for (name, manifest) in &manifests {
        let Some(allowed) = allowed.get(name.as_str()) else {
            problems.push(format!("crate `{name}` has no entry in xtask/src/arrows.rs"));
            continue;
        };
        let for_tests = for_tests.get(name.as_str()).copied().unwrap_or_default();
        for used in ours(manifest, &["dependencies", "build-dependencies"], &manifests) {
            if !allowed.contains(&used.as_str()) {
                problems.push(format!("`{name}` must not use `{used}`"));
            }
        }
        for used in ours(manifest, &["dev-dependencies"], &manifests) {
            if !allowed.contains(&used.as_str()) && !for_tests.contains(&used.as_str()) {
                problems.push(format!("tests of `{name}` must not use `{used}`"));
            }
        }
    }
    for (name, _) in ARROWS {
        if !manifests.contains_key(*name) {
            problems.push(format!("xtask/src/arrows.rs lists `{name}`, which is no crate"));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        bail!("{}", problems.join("; "))
    }
}

fn manifests(root: &Path) -> anyhow::Result<BTreeMap<String, toml::Table>> {
    let crates = root.join("crates");
    let mut folders: Vec<PathBuf> = AT_ROOT.iter().map(|name| root.join(name)).collect();
    for entry in fs::read_dir(&crates).with_context(|| format!("cannot read `{}`", crates.display()))? {
        folders.push(entry?.path());
    }
    let mut manifests = BTreeMap::new();
    for folder in folders {
        let path = folder.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let manifest: toml::Table = text
            .parse()
            .with_context(|| format!("`{}` is not valid", path.display()))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(|name| name.as_str());
        let name = name
            .with_context(|| format!("`{}` names no package", path.display()))?
            .to_owned();
        let expected = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name != expected {
            bail!("folder `{expected}` holds crate `{name}`: folder and crate have one name");
        }
        manifests.insert(name, manifest);
    }
    Ok(manifests)
}

/// The crates of ours that a manifest names in these sections, also those for one platform only.
fn ours(manifest: &toml::Table, sections: &[&str], all: &BTreeMap<String, toml::Table>) -> BTreeSet<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(manifest).chain(
        platforms
            .into_iter()
            .flat_map(|targets| targets.values().filter_map(toml::Value::as_table)),
    );
    tables
        .flat_map(|table| {
            sections
                .iter()
                .filter_map(|section| table.get(*section)?.as_table())
        })
        .flat_map(toml::Table::keys)
        .filter(|name| all.contains_key(*name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_arrows() {
        check(&repository()).unwrap();
    }

    #[test]
    fn a_new_arrow_is_found_in_every_section() {
        let root = tempfile::tempdir().unwrap();
        for (name, _) in ARROWS {
            let folder = if AT_ROOT.contains(name) {
                root.path().join(name)
            } else {
                root.path().join("crates").join(name)
            };
            fs::create_dir_all(&folder).unwrap();
            let extra = match *name {
                "broker" => "[dependencies]\nprotocol.workspace = true\n",
                "node" => "[dev-dependencies]\nlink.workspace = true\n",
                "link" => "[target.'cfg(unix)'.dependencies]\nconverge.workspace = true\n",
                _ => "",
            };
            durable::write(
                &folder.join("Cargo.toml"),
                0o644,
                format!("[package]\nname = \"{name}\"\n{extra}").as_bytes(),
            )
            .unwrap();
        }
        let error = check(root.path()).unwrap_err().to_string();
        assert_eq!(
            error,
            "`broker` must not use `protocol`; `link` must not use `converge`; tests of `node` must not use `link`"
        );
    }
}
