//! Packages of Python, through pip.

use super::{Manager, Wanted, call, options};
use crate::resource::act::Act;
use crate::resource::error::Failure;

pub(super) struct Pip;

fn python(act: &Act<'_>) -> String {
    match (act.text("virtualenv"), act.text("python")) {
        (Some(folder), _) => format!("{}/bin/python", folder.trim_end_matches('/')),
        (None, Some(python)) if python.contains('/') || act.has(&python) => python,
        // A version alone, such as `3`.
        (None, Some(version)) => format!("python{version}"),
        (None, None) => "python3".to_owned(),
    }
}

fn pip(act: &Act<'_>, words: &[&str]) -> Vec<String> {
    let mut all = vec![python(act), "-m".to_owned(), "pip".to_owned()];
    all.extend(["--disable-pip-version-check", "--no-input"].map(str::to_owned));
    all.extend(words.iter().map(|word| (*word).to_owned()));
    all
}

/// Names are compared without regard to case, and `-`, `_` and `.` are one (PEP 503).
fn canonical(name: &str) -> String {
    let bare = name.split('[').next().unwrap_or_default();
    bare.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Of the options of an installation those that say where packages come from: others are none of a question.
fn of_index(options: &[String]) -> Vec<String> {
    const VALUES: [&str; 6] = [
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "--trusted-host",
    ];
    let mut kept = Vec::new();
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if matches!(name, "--no-index" | "--pre") {
            kept.push(word.clone());
        } else if VALUES.contains(&name) {
            kept.push(word.clone());
            if !word.contains('=') {
                kept.extend(words.next().cloned());
            }
        }
    }
    kept
}

impl Manager for Pip {
    fn installed(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        let words = pip(act, &["list", "--format=freeze"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = act.call(&words)?;
        let wanted = canonical(&package.name);
        let version = text.lines().find_map(|line| {
            let (name, version) = line.split_once("==")?;
            (canonical(name) == wanted).then(|| version.trim().to_owned())
        });
        Ok(version)
    }

    /// Only an index knows, and pip asks it when it installs; for an upgrade it is asked here.
    fn candidate(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        if act.action != "upgrade" {
            return Ok(Some(String::new()));
        }
        let mut words = pip(act, &["list", "--outdated", "--format=json"]);
        words.extend(of_index(&options(act)));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = act.call(&words)?;
        let line = text.lines().find(|line| line.starts_with('[')).unwrap_or("[]");
        let outdated: Vec<serde_json::Value> = serde_json::from_str(line).unwrap_or_default();
        let wanted = canonical(&package.name);
        let newer = outdated
            .iter()
            .find(|entry| entry["name"].as_str().map(canonical).as_ref() == Some(&wanted));
        match newer {
            Some(entry) => Ok(entry["latest_version"].as_str().map(str::to_owned)),
            None => Ok(Some(self.installed(act, package)?.unwrap_or_default())),
        }
    }

    fn install(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        let mut words = pip(act, &["install"]);
        if act.action == "upgrade" {
            words.push("--upgrade".to_owned());
        }
        words.extend(options(act));
        for package in packages {
            words.push(match (&package.version, act.text("source")) {
                (_, Some(source)) => source,
                (Some(version), None) => format!("{}=={version}", package.name),
                (None, None) => package.name.clone(),
            });
        }
        call(act, &words)
    }

    fn remove(&self, act: &mut Act<'_>, packages: &[Wanted], _purge: bool) -> Result<(), Failure> {
        let mut words = pip(act, &["uninstall", "--yes"]);
        words.extend(packages.iter().map(|package| package.name.clone()));
        call(act, &words)
    }
}
