//! Zypper of SUSE, above RPM.

use super::rpm::Rpm;
use super::{Manager, Wanted, call, options};
use crate::resource::act::Act;
use crate::resource::error::Failure;

pub(super) struct Zypper;

impl Zypper {
    fn call(act: &mut Act<'_>, verb: &[&str], names: Vec<String>) -> Result<(), Failure> {
        let mut words = vec!["zypper".to_owned(), "--non-interactive".to_owned()];
        if !act.flag("gpg_check") {
            words.push("--no-gpg-checks".to_owned());
        }
        words.extend(act.list("global_options"));
        words.extend(verb.iter().map(|word| (*word).to_owned()));
        words.extend(options(act));
        words.extend(names);
        call(act, &words)
    }
}

fn names(packages: &[Wanted]) -> Vec<String> {
    let names = packages.iter().map(|package| match &package.version {
        Some(version) => format!("{}={version}", package.name),
        None => package.name.clone(),
    });
    names.collect()
}

impl Manager for Zypper {
    fn installed(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        Rpm::new("zypper").installed(act, package)
    }

    fn candidate(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        let output = act.ask(&["zypper", "--non-interactive", "info", &package.name])?;
        let version = output
            .text
            .lines()
            .find_map(|line| line.strip_prefix("Version")?.split_once(':'))
            .map(|(_, version)| version.trim().to_owned());
        if version.is_some() {
            return Ok(version);
        }
        let output = act.ask(&["zypper", "--non-interactive", "what-provides", &package.name])?;
        let found = output.success() && !output.text.contains("No matching items found");
        Ok(found.then(String::new))
    }

    fn satisfies(&self, installed: &str, wanted: &str) -> bool {
        Rpm::new("zypper").satisfies(installed, wanted)
    }

    fn install(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        let mut verb = vec!["install", "--auto-agree-with-licenses"];
        if act.flag("allow_downgrade") {
            verb.push("--oldpackage");
        }
        Self::call(act, &verb, names(packages))
    }

    fn remove(&self, act: &mut Act<'_>, packages: &[Wanted], purge: bool) -> Result<(), Failure> {
        let verb: &[&str] = if purge {
            &["remove", "--clean-deps"]
        } else {
            &["remove"]
        };
        Self::call(act, verb, names(packages))
    }

    fn is_locked(&self, act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        let text = act.call(&["zypper", "--non-interactive", "locks"])?;
        let fields = |line: &str| {
            line.split('|')
                .map(|field| field.trim().to_owned())
                .collect::<Vec<_>>()
        };
        Ok(text
            .lines()
            .any(|line| fields(line).get(1) == Some(&package.name)))
    }

    fn lock(&self, act: &mut Act<'_>, package: &Wanted, lock: bool) -> Result<(), Failure> {
        let verb = if lock { "addlock" } else { "removelock" };
        Self::call(act, &[verb], vec![package.name.clone()])
    }
}
