//! Gems of Ruby.

use super::{Manager, Wanted, call, options};
use crate::resource::act::Act;
use crate::resource::error::Failure;

pub(super) struct Gem;

fn program(act: &Act<'_>) -> String {
    act.text("gem_binary").unwrap_or_else(|| "gem".to_owned())
}

impl Manager for Gem {
    fn installed(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        // `NAME (2.0, default: 1.0)`: all versions that are installed.
        let gem = program(act);
        let text = act.call(&[&gem, "list", "--local", "--exact", &package.name])?;
        let versions = text.lines().find_map(|line| {
            let versions = line.strip_prefix(&package.name)?.trim().strip_prefix('(')?;
            Some(versions.trim_end_matches(')').replace("default: ", ""))
        });
        Ok(versions)
    }

    fn candidate(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        if act.text("source").is_some_and(|source| source.ends_with(".gem")) {
            return Ok(Some(String::new()));
        }
        let mut words = vec![
            program(act),
            "list".to_owned(),
            "--remote".to_owned(),
            "--exact".to_owned(),
        ];
        words.extend(sources(act));
        words.push(package.name.clone());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = act.call(&words)?;
        let version = text.lines().find_map(|line| {
            let versions = line.strip_prefix(&package.name)?.trim().strip_prefix('(')?;
            versions.split([',', ' ', ')']).next().map(str::to_owned)
        });
        Ok(version)
    }

    /// Several versions of a gem may be installed.
    fn satisfies(&self, installed: &str, wanted: &str) -> bool {
        installed.split(", ").any(|version| version == wanted)
    }

    fn install(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        for package in packages {
            let mut words = vec![program(act), "install".to_owned()];
            words.push(
                match act.text("source").filter(|source| source.ends_with(".gem")) {
                    Some(file) => file,
                    None => package.name.clone(),
                },
            );
            words.extend(["-q".to_owned(), "--no-document".to_owned()]);
            if let Some(version) = &package.version {
                words.extend(["-v".to_owned(), version.clone()]);
            }
            words.extend(sources(act));
            words.extend(options(act));
            call(act, &words)?;
        }
        Ok(())
    }

    fn remove(&self, act: &mut Act<'_>, packages: &[Wanted], _purge: bool) -> Result<(), Failure> {
        for package in packages {
            let mut words = vec![program(act), "uninstall".to_owned(), package.name.clone()];
            words.extend(["-q", "-x", "-I"].map(str::to_owned));
            match &package.version {
                Some(version) => words.extend(["-v".to_owned(), version.clone()]),
                None => words.push("-a".to_owned()),
            }
            words.extend(options(act));
            call(act, &words)?;
        }
        Ok(())
    }
}

fn sources(act: &Act<'_>) -> Vec<String> {
    let mut words = Vec::new();
    if act.flag("clear_sources") || !act.flag("include_default_source") {
        words.push("--clear-sources".to_owned());
    }
    if let Some(source) = act.text("source").filter(|source| !source.ends_with(".gem")) {
        words.extend(["--source".to_owned(), source]);
    }
    words
}
