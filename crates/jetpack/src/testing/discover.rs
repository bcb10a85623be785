//! Which tests there are.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use node::config::NodeData;
use protocol::check_name;
use serde::Deserialize;
use terminal::ResultExt;

/// The key with the specs of the node.
const SPECS: &str = "cyclecloud.cluster_init_specs";

/// A spec of the node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Spec {
    pub(crate) project: String,
    pub(crate) spec: String,
    #[serde(default)]
    pub(crate) version: Option<String>,
}

/// How a file of tests is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By pytest or unittest: it may hold many tests.
    Python,
    /// As a program: it is one test.
    Program,
}

/// One file of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestFile {
    /// Its path below the folder of the tests.
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl Spec {
    /// Where its tests are.
    pub(super) fn folder(&self, root: &Path) -> PathBuf {
        root.join(&self.project).join(&self.spec).join("tests")
    }
}

/// The specs of this node in the order in which they run, or those of one project, or that one spec of them.
pub(crate) fn specs(data: &NodeData, project: Option<&str>, spec: Option<&str>) -> anyhow::Result<Vec<Spec>> {
    let all: Vec<Spec> = match data.get(SPECS) {
        None => Vec::new(),
        Some(value) => Vec::deserialize(value)
            .with_context(|| format!("the key `{SPECS}` of the node configuration is not valid"))?,
    };
    for one in &all {
        check_name("project", &one.project)?;
        check_name("spec", &one.spec)?;
    }
    if let Some(project) = project
        && !all.iter().any(|one| one.project == project)
    {
        bail!(
            "`{project}` is not a project of this node, which has: {}",
            list(all.iter().map(|one| one.project.as_str()))
        );
    }
    let of_project = |one: &&Spec| project.is_none_or(|project| one.project == project);
    let found: Vec<Spec> = all
        .iter()
        .filter(of_project)
        .filter(|one| spec.is_none_or(|spec| one.spec == spec))
        .cloned()
        .collect();
    if let (Some(spec), true) = (spec, found.is_empty()) {
        let whose = project.map_or_else(|| "this node".to_owned(), |name| format!("project `{name}` here"));
        let known = list(all.iter().filter(of_project).map(|one| one.spec.as_str()));
        let unknown: anyhow::Result<_> =
            (|| bail!("`{spec}` is not a spec of {whose}, which has: {known}"))();
        return unknown.hint("specs of a node are in `jetpack config cyclecloud.cluster_init_specs`");
    }
    Ok(found)
}

/// Names, each once, in their order.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    if known.is_empty() {
        return "none".to_owned();
    }
    known.join(", ")
}

/// The files of tests in a folder, in the order of their names: `test_*.py` and `*_test.py`, also in folders below, and
/// programs with a first line `#!` at the top. Everything else is for these to use. A folder that is missing has none.
pub(super) fn files(folder: &Path) -> io::Result<Vec<TestFile>> {
    let mut files = Vec::new();
    if folder.is_dir() {
        collect(folder, "", &mut files)?;
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<TestFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let file_name = entry.file_name();
        // A name that is no text cannot be reported either.
        let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        if path.is_dir() {
            // A link to a folder above would never end.
            if !path.is_symlink() && name != "__pycache__" {
                collect(&path, &format!("{prefix}{name}/"), files)?;
            }
            continue;
        }
        let kind = match name.strip_suffix(".py") {
            Some(stem) if stem.starts_with("test_") || stem.ends_with("_test") => Kind::Python,
            None if prefix.is_empty() && is_script(&path)? => Kind::Program,
            _ => continue,
        };
        files.push(TestFile {
            name: format!("{prefix}{name}"),
            kind,
        });
    }
    Ok(())
}

fn is_script(path: &Path) -> io::Result<bool> {
    if !path.is_file() || fs::metadata(path)?.permissions().mode() & 0o111 == 0 {
        return Ok(false);
    }
    let mut start = [0; 2];
    Ok(File::open(path)?.read_exact(&mut start).is_ok() && start == *b"#!")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn data() -> NodeData {
        let tree = json!({"cyclecloud": {"cluster_init_specs": [
            {"project": "b", "spec": "default", "version": "1.0.0", "locker": "l"},
            {"project": "a", "spec": "default"},
            {"project": "b", "spec": "execute"},
        ]}});
        NodeData::from(tree.as_object().unwrap().clone())
    }

    fn names(project: Option<&str>, spec: Option<&str>) -> Vec<String> {
        let found = specs(&data(), project, spec).unwrap();
        found
            .iter()
            .map(|one| format!("{}:{}", one.project, one.spec))
            .collect()
    }

    #[test]
    fn specs_come_in_the_order_of_the_configuration() {
        assert_eq!(names(None, None), ["b:default", "a:default", "b:execute"]);
        assert_eq!(names(Some("b"), None), ["b:default", "b:execute"]);
        assert_eq!(names(None, Some("default")), ["b:default", "a:default"]);
        assert_eq!(names(Some("b"), Some("execute")), ["b:execute"]);
        assert_eq!(specs(&NodeData::default(), None, None).unwrap(), []);
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for (project, spec, expected) in [
            (
                Some("c"),
                None,
                "`c` is not a project of this node, which has: b, a",
            ),
            (
                Some("a"),
                Some("execute"),
                "`execute` is not a spec of project `a` here, which has: default",
            ),
            (
                None,
                Some("x"),
                "`x` is not a spec of this node, which has: default, execute",
            ),
        ] {
            let error = specs(&data(), project, spec).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_name_that_leaves_the_tree_is_refused() {
        let tree = json!({"cyclecloud": {"cluster_init_specs": [{"project": "../x", "spec": "s"}]}});
        specs(&NodeData::from(tree.as_object().unwrap().clone()), None, None).unwrap_err();
    }

    #[test]
    fn only_tests_are_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("more/__pycache__")).unwrap();
        for (name, mode, text) in [
            ("test_b.py", 0o644, ""),
            ("celery_test.py", 0o755, "#!/usr/bin/env python3\n"),
            ("helper.py", 0o755, "#!/usr/bin/env python3\n"),
            ("check.sh", 0o755, "#!/bin/sh\n"),
            ("not-executable.sh", 0o644, "#!/bin/sh\n"),
            ("data.bin", 0o755, "x"),
            ("empty", 0o755, ""),
            (".hidden.sh", 0o755, "#!/bin/sh\n"),
            ("more/test_c.py", 0o644, ""),
            ("more/tool.sh", 0o755, "#!/bin/sh\n"),
            ("more/__pycache__/test_c.py", 0o644, ""),
        ] {
            durable::write(&folder.path().join(name), mode, text.as_bytes()).unwrap();
        }
        let found = files(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|file| (file.name.as_str(), file.kind)).collect();
        assert_eq!(
            names,
            [
                ("celery_test.py", Kind::Python),
                ("check.sh", Kind::Program),
                ("more/test_c.py", Kind::Python),
                ("test_b.py", Kind::Python),
            ]
        );
        assert_eq!(files(&folder.path().join("none")).unwrap(), []);
    }
}
