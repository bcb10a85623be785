//! Runs the plugins and finds single facts in what they have set.

use serde_json::{Map, Value};

use crate::machine::Machine;
use crate::plugins::PLUGINS;

/// Which facts are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// All that cost no child process.
    Default,
    /// Those of the plugins that provide one of these attributes, child process or not. An attribute is a top-level
    /// name, or a path below it as for [`find`].
    Attributes(&'a [String]),
}

/// Collects the facts of a machine, in the schema of Ohai.
pub fn collect(machine: &Machine, selection: Selection<'_>) -> Map<String, Value> {
    let mut facts = Map::new();
    for plugin in PLUGINS {
        let wanted = match selection {
            Selection::Default => !plugin.on_demand,
            Selection::Attributes(paths) => paths.iter().any(|path| plugin.provides.contains(&top(path))),
        };
        if wanted {
            (plugin.collect)(machine, &mut facts);
        }
    }
    facts
}

/// The top-level names that there are, sorted, and whether they come only when they are asked for by name.
pub fn attributes() -> Vec<(&'static str, bool)> {
    let mut names: Vec<_> = PLUGINS
        .iter()
        .flat_map(|plugin| plugin.provides.iter().map(|name| (*name, plugin.on_demand)))
        .collect();
    // A name of several plugins comes by default when one of them does: false is before true.
    names.sort_unstable();
    names.dedup_by_key(|(name, _)| *name);
    names
}

/// Whether some plugin provides the top-level name of this path.
pub fn is_known(path: &str) -> bool {
    PLUGINS.iter().any(|plugin| plugin.provides.contains(&top(path)))
}

/// The fact at a path: names with `/` between them as Ohai has it, `kernel/release`, or with dots,
/// `kernel.release`, when there is no `/` in it. An element of a list has its position as its name.
///
/// A name may hold the separator itself: `filesystem/by_mountpoint//boot` finds the mount point `/boot`.
pub fn find<'a>(facts: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    below(facts, path, separator(path))
}

fn below<'a>(section: &'a Map<String, Value>, path: &str, separator: char) -> Option<&'a Value> {
    if let Some(value) = section.get(path) {
        return Some(value);
    }
    path.rmatch_indices(separator).find_map(|(at, _)| {
        let (name, rest) = (&path[..at], &path[at + 1..]);
        match section.get(name)? {
            Value::Object(section) => below(section, rest, separator),
            Value::Array(list) => list.get(rest.parse::<usize>().ok()?),
            _ => None,
        }
    })
}

fn top(path: &str) -> &str {
    path.split(separator(path)).next().unwrap_or(path)
}

fn separator(path: &str) -> char {
    if path.contains('/') { '/' } else { '.' }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fact_is_found_by_slashes_by_dots_and_by_names_that_hold_them() {
        let Value::Object(facts) = json!({
            "kernel": {"release": "6.1"},
            "filesystem": {"by_mountpoint": {"/": {"fs_type": "ext4"}, "/boot": {"fs_type": "vfat"}}},
            "network": {"addresses": {"10.0.0.4": {"family": "inet"}}},
            "shells": ["/bin/sh", "/bin/bash"],
            "hostname": "n",
        }) else {
            panic!()
        };
        for (path, value) in [
            ("hostname", json!("n")),
            ("kernel/release", json!("6.1")),
            ("kernel.release", json!("6.1")),
            ("shells/1", json!("/bin/bash")),
            ("filesystem/by_mountpoint//boot/fs_type", json!("vfat")),
            ("filesystem/by_mountpoint///fs_type", json!("ext4")),
            ("network/addresses/10.0.0.4/family", json!("inet")),
            ("network.addresses.10.0.0.4.family", json!("inet")),
        ] {
            assert_eq!(find(&facts, path), Some(&value), "{path}");
        }
        for path in [
            "",
            "kernel/",
            "kernel/nosuch",
            "hostname/x",
            "shells/2",
            "shells/x",
            "/",
        ] {
            assert_eq!(find(&facts, path), None, "{path}");
        }
    }

    #[test]
    fn a_path_is_known_by_its_first_name() {
        assert!(is_known("os"));
        assert!(is_known("os/x"));
        assert!(!is_known("nosuch/os"));
        assert!(!is_known(""));
    }
}
