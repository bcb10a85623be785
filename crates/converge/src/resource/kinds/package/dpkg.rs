//! Packages of Debian: what is installed, and files of packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::PoisonError;
use std::time::SystemTime;

use super::{Manager, Wanted, call, options};
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};

const STATUS: &str = "/var/lib/dpkg/status";

/// What is installed, as long as the database does not change.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// When the database was changed, and how long it was.
    stamp: Option<(SystemTime, u64)>,
    installed: BTreeMap<String, String>,
    /// Names that installed packages stand for.
    provided: BTreeSet<String>,
    /// Packages that are gone but for their configuration.
    remains: BTreeSet<String>,
    held: BTreeSet<String>,
}

impl Cache {
    fn refresh(&mut self, act: &Act<'_>) -> Result<(), Failure> {
        let path = act.machine.path(STATUS);
        let metadata = fs::metadata(&path).map_err(Cause::io("read", &path))?;
        let stamp = (
            metadata.modified().map_err(Cause::io("read", &path))?,
            metadata.len(),
        );
        if self.stamp == Some(stamp) {
            return Ok(());
        }
        let text = act.machine.read(STATUS).unwrap_or_default();
        *self = Self {
            stamp: Some(stamp),
            ..Self::default()
        };
        for stanza in text.split("\n\n") {
            self.add(stanza);
        }
        Ok(())
    }

    fn add(&mut self, stanza: &str) {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let (Some(name), Some(status)) = (field("Package"), field("Status")) else {
            return;
        };
        let names = || {
            let arch = field("Architecture").unwrap_or_default();
            [name.to_owned(), format!("{name}:{arch}")]
        };
        if status.starts_with("hold ") {
            self.held.extend(names());
        }
        if status.ends_with(" installed") {
            let version = field("Version").unwrap_or_default();
            for name in names() {
                self.installed.insert(name, version.to_owned());
            }
            let provides = field("Provides").unwrap_or_default().split(',');
            let provided = provides.filter_map(|entry| entry.split_whitespace().next());
            self.provided.extend(provided.map(str::to_owned));
        } else if status.ends_with(" config-files") {
            self.remains.extend(names());
        }
    }
}

/// Looks something up in what is installed.
pub(super) fn look<T>(act: &Act<'_>, look: impl FnOnce(&Cache) -> T) -> Result<T, Failure> {
    let mut cache = act.shared.packages.lock().unwrap_or_else(PoisonError::into_inner);
    cache.refresh(act)?;
    Ok(look(&cache))
}

pub(super) fn installed(act: &Act<'_>, name: &str) -> Result<Option<String>, Failure> {
    look(act, |cache| {
        let known = cache.installed.get(name).cloned();
        known.or_else(|| cache.provided.contains(name).then(|| "provided".to_owned()))
    })
}

pub(super) fn has_remains(act: &Act<'_>, name: &str) -> Result<bool, Failure> {
    look(act, |cache| cache.remains.contains(name))
}

pub(super) fn is_held(act: &Act<'_>, name: &str) -> Result<bool, Failure> {
    look(act, |cache| cache.held.contains(name))
}

/// Answers the questions of a package before it asks them, from a file of this machine or one that was rendered.
pub(super) fn preseed(act: &Act<'_>) -> Result<(), Failure> {
    let Some(file) = act.text("response_file") else {
        return Ok(());
    };
    let mut rendered =
        tempfile::NamedTempFile::new().map_err(Cause::io("write in", &std::env::temp_dir()))?;
    let path = match &act.request.body {
        Some(bytes) => {
            rendered
                .write_all(bytes)
                .map_err(Cause::io("write", rendered.path()))?;
            rendered.path().display().to_string()
        }
        None if file.starts_with('/') => file,
        None => {
            let why = format!("`{file}` is no path of a file on this machine");
            return Err(Failure::invalid("response_file", why));
        }
    };
    act.call(&["debconf-set-selections", &path]).map(drop)
}

/// `dpkg`: packages that are files.
pub(super) struct Dpkg;

/// Name and version of a file of a package.
fn of_file(act: &Act<'_>, path: &str) -> Result<(String, String), Failure> {
    let text = act.call(&["dpkg-deb", "--showformat=${Package}\t${Version}\n", "-W", path])?;
    let last = text.lines().last().unwrap_or_default();
    let (name, version) = last
        .split_once('\t')
        .ok_or_else(|| Cause::Package(format!("`{path}` is no package of Debian")))?;
    Ok((name.to_owned(), version.to_owned()))
}

/// The file that is meant: `source`, else the name if it is a path.
fn source(act: &Act<'_>, package: &Wanted) -> Option<String> {
    let name = Some(package.name.clone()).filter(|name| name.starts_with('/') && name.ends_with(".deb"));
    act.text("source").or(name)
}

impl Manager for Dpkg {
    fn installed(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        let name = match source(act, package).filter(|path| Path::new(path).is_file()) {
            Some(path) => of_file(act, &path)?.0,
            None => package.name.clone(),
        };
        // A name that others provide is no package.
        Ok(installed(act, &name)?.filter(|version| version != "provided"))
    }

    fn candidate(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        let Some(path) = source(act, package) else {
            return Err(Failure::missing("source"));
        };
        if !Path::new(&path).is_file() {
            return Ok(None);
        }
        Ok(Some(of_file(act, &path)?.1))
    }

    fn install(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        preseed(act)?;
        let mut words: Vec<String> = [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "dpkg",
            "-i",
            "--force-confdef",
            "--force-confold",
        ]
        .map(str::to_owned)
        .into();
        words.extend(options(act));
        for package in packages {
            words.push(source(act, package).ok_or_else(|| Failure::missing("source"))?);
        }
        call(act, &words)
    }

    fn remove(&self, act: &mut Act<'_>, packages: &[Wanted], purge: bool) -> Result<(), Failure> {
        let mut words: Vec<String> = ["env", "DEBIAN_FRONTEND=noninteractive", "dpkg"]
            .map(str::to_owned)
            .into();
        words.push(if purge { "-P" } else { "-r" }.to_owned());
        words.extend(options(act));
        for package in packages {
            let name = match source(act, package).filter(|path| Path::new(path).is_file()) {
                Some(path) => of_file(act, &path)?.0,
                None => package.name.clone(),
            };
            words.push(name);
        }
        call(act, &words)
    }

    fn has_remains(&self, act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        has_remains(act, &package.name)
    }

    fn is_locked(&self, act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        is_held(act, &package.name)
    }

    fn lock(&self, act: &mut Act<'_>, package: &Wanted, lock: bool) -> Result<(), Failure> {
        let verb = if lock { "hold" } else { "unhold" };
        call(
            act,
            &["apt-mark".to_owned(), verb.to_owned(), package.name.clone()],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_says_what_is_installed_held_and_left_over() {
        let mut cache = Cache::default();
        for stanza in [
            "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\nProvides: mail-agent, x (= 2)",
            "Package: b\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 2",
            "Package: c\nStatus: hold ok installed\nArchitecture: all\nVersion: 3",
            "Package: d\nStatus: install ok half-configured\nVersion: 4",
        ] {
            cache.add(stanza);
        }
        assert_eq!(cache.installed.get("a").map(String::as_str), Some("1.0-1"));
        assert_eq!(cache.installed.get("a:amd64").map(String::as_str), Some("1.0-1"));
        assert!(cache.provided.contains("mail-agent") && cache.provided.contains("x"));
        assert!(cache.remains.contains("b") && !cache.installed.contains_key("b"));
        assert!(cache.held.contains("c") && cache.installed.contains_key("c"));
        assert!(!cache.installed.contains_key("d"));
    }
}
