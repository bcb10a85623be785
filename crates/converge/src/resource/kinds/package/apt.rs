//! APT.

use super::{Manager, Wanted, call, dpkg, options};
use crate::resource::act::Act;
use crate::resource::error::Failure;

pub(super) struct Apt;

/// How apt-get is called: it asks nothing, keeps changed configuration, and waits for others that are at work, such as
/// the upgrades that clouds' images do when they start.
fn apt_get(act: &Act<'_>, verb: &str) -> Vec<String> {
    let overwrites =
        act.kind.property("overwrite_config_files").is_some() && act.flag("overwrite_config_files");
    let keep = if overwrites {
        "--force-confnew"
    } else {
        "--force-confold"
    };
    let mut words: Vec<String> = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
        .map(str::to_owned)
        .into();
    words.extend([
        "-o".to_owned(),
        "Dpkg::Options::=--force-confdef".to_owned(),
        "-o".to_owned(),
        format!("Dpkg::Options::={keep}"),
        "-o".to_owned(),
        "DPkg::Lock::Timeout=600".to_owned(),
    ]);
    if let Some(release) = release(act) {
        words.extend(["-o".to_owned(), format!("APT::Default-Release={release}")]);
    }
    if act.flag("allow_downgrade") && verb == "install" {
        words.push("--allow-downgrades".to_owned());
    }
    words.extend(options(act));
    words.push(verb.to_owned());
    words
}

fn release(act: &Act<'_>) -> Option<String> {
    act.kind.property("default_release")?;
    act.text("default_release")
}

impl Manager for Apt {
    fn installed(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        dpkg::installed(act, &package.name)
    }

    fn candidate(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        let mut words = vec!["apt-cache".to_owned()];
        if let Some(release) = release(act) {
            words.extend(["-o".to_owned(), format!("APT::Default-Release={release}")]);
        }
        words.extend(["policy".to_owned(), package.name.clone()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = act.call(&words)?;
        let candidate = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Candidate:"))
            .map(str::trim)
            .filter(|version| !version.is_empty() && *version != "(none)");
        if let Some(version) = candidate {
            return Ok(Some(version.to_owned()));
        }
        // A name that other packages stand for has no version of its own.
        let text = act.ask(&["apt-cache", "showpkg", &package.name])?.text;
        let providers = text
            .split_once("Reverse Provides:")
            .map(|(_, rest)| rest.lines().filter(|line| !line.trim().is_empty()).count());
        Ok((providers.unwrap_or(0) > 0).then(String::new))
    }

    fn install(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        dpkg::preseed(act)?;
        let mut words = apt_get(act, "install");
        for package in packages {
            words.push(match &package.version {
                Some(version) => format!("{}={version}", package.name),
                None => package.name.clone(),
            });
        }
        call(act, &words)
    }

    fn remove(&self, act: &mut Act<'_>, packages: &[Wanted], purge: bool) -> Result<(), Failure> {
        let mut words = apt_get(act, if purge { "purge" } else { "remove" });
        words.extend(packages.iter().map(|package| package.name.clone()));
        call(act, &words)
    }

    fn has_remains(&self, act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        dpkg::has_remains(act, &package.name)
    }

    fn is_locked(&self, act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        dpkg::is_held(act, &package.name)
    }

    fn lock(&self, act: &mut Act<'_>, package: &Wanted, lock: bool) -> Result<(), Failure> {
        let verb = if lock { "hold" } else { "unhold" };
        call(
            act,
            &["apt-mark".to_owned(), verb.to_owned(), package.name.clone()],
        )
    }
}
