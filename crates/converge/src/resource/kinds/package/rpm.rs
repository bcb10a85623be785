//! RPM, and yum and dnf above it.

use std::path::Path;

use serde_json::Value;

use super::{Manager, Wanted, call, options};
use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};

/// The database, through one of its programs.
pub(super) struct Rpm {
    /// `rpm`, `yum` or `dnf`.
    program: &'static str,
}

const FORMAT: &str = "%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\n";

/// What rpm says of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    name: String,
    epoch: String,
    version: String,
    release: String,
}

impl Known {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim().split('\t').map(str::to_owned);
        let known = Self {
            name: fields.next()?,
            epoch: fields.next()?,
            version: fields.next()?,
            release: fields.next()?,
        };
        fields.next().map(|_| known)
    }

    /// With the epoch, if it is not 0, as the managers write it.
    fn evr(&self) -> String {
        let epoch = if self.epoch == "0" {
            String::new()
        } else {
            format!("{}:", self.epoch)
        };
        format!("{epoch}{}-{}", self.version, self.release)
    }
}

impl Rpm {
    pub(super) fn new(program: &'static str) -> Self {
        Self { program }
    }

    fn manager(&self, act: &Act<'_>) -> String {
        let own = act
            .kind
            .property("yum_binary")
            .and_then(|_| act.text("yum_binary"));
        if let Some(program) = own.filter(|_| self.program == "yum") {
            return program;
        }
        // On new releases yum is a link to dnf, on some not even that.
        match self.program {
            "yum" if !act.has("yum") && act.has("dnf") => "dnf".to_owned(),
            "dnf" if !act.has("dnf") && act.has("yum") => "yum".to_owned(),
            program => program.to_owned(),
        }
    }

    fn call(
        &self,
        act: &mut Act<'_>,
        verb: &str,
        more: impl IntoIterator<Item = String>,
    ) -> Result<(), Failure> {
        let flush = act
            .kind
            .property("flush_cache")
            .and_then(|_| act.value("flush_cache"));
        let flushes = match flush {
            Some(Value::Object(map)) => map.get("before") == Some(&Value::Bool(true)),
            Some(Value::Array(list)) => list.iter().any(|when| when == "before"),
            _ => false,
        };
        if flushes {
            let clean = ["-q", "clean", "expire-cache"].map(str::to_owned);
            let words: Vec<String> = std::iter::once(self.manager(act)).chain(clean).collect();
            call(act, &words)?;
        }
        let mut words = vec![self.manager(act), "-y".to_owned()];
        words.extend(options(act));
        words.push(verb.to_owned());
        words.extend(more);
        call(act, &words)
    }
}

/// The file that is meant: `source`, else the name if it is a path or an address.
fn source(act: &Act<'_>, package: &Wanted) -> Option<String> {
    let is_file = |name: &String| name.ends_with(".rpm") && (name.starts_with('/') || name.contains("://"));
    act.text("source")
        .or_else(|| Some(package.name.clone()).filter(is_file))
}

/// What rpm answers to a query.
fn query(act: &Act<'_>, words: &[&str]) -> Result<Option<Known>, Failure> {
    let mut all = vec!["rpm", "-q", "--queryformat", FORMAT];
    all.extend(words);
    let output = act.ask(&all)?;
    if !output.success() {
        return Ok(None);
    }
    // Of several versions, as a machine has of its kernel, the last is the newest.
    Ok(output.text.lines().filter_map(Known::parse).next_back())
}

fn of_file(act: &Act<'_>, path: &str) -> Result<Option<Known>, Failure> {
    if path.contains("://") || !Path::new(path).is_file() {
        return Ok(None);
    }
    query(act, &["-p", path])
}

impl Manager for Rpm {
    fn installed(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        let source = source(act, package);
        let name = match &source {
            Some(path) => of_file(act, path)?.map(|known| known.name),
            None => None,
        };
        let name = name.unwrap_or_else(|| package.name.clone());
        if name.contains("://") {
            // What an address holds is known only when it was fetched: by its name, if that is as usual.
            let file = name
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches(".rpm");
            return Ok(query(act, &[file])?.map(|known| known.evr()));
        }
        let known = match query(act, &[&name])? {
            Some(known) => Some(known),
            None => query(act, &["--whatprovides", &name])?,
        };
        Ok(known.map(|known| known.evr()))
    }

    fn candidate(&self, act: &Act<'_>, package: &Wanted) -> Result<Option<String>, Failure> {
        if let Some(path) = source(act, package) {
            if path.contains("://") {
                return Ok(Some(String::new()));
            }
            return Ok(of_file(act, &path)?.map(|known| known.evr()));
        }
        if self.program == "rpm" {
            return Err(Failure::missing("source"));
        }
        let manager = self.manager(act);
        let mut words = vec![manager.as_str(), "-q"];
        let options = options(act);
        words.extend(options.iter().map(String::as_str));
        words.extend(["list", &package.name]);
        let output = act.ask(&words)?;
        if !output.success() {
            // Groups, files and capabilities are no packages of that name, and can be installed all the same.
            if package.name.starts_with('@') {
                return Ok(Some(String::new()));
            }
            let provides = act.ask(&[&manager, "-q", "provides", &package.name])?;
            return Ok(provides.success().then(String::new));
        }
        // The available ones come last: `NAME.ARCH  [EPOCH:]VERSION-RELEASE  REPOSITORY`.
        let version = output.text.lines().rev().find_map(|line| {
            let mut fields = line.split_whitespace();
            let name = fields.next()?;
            let version = fields.next()?;
            fields.next()?;
            (name.contains('.') && version.contains('-')).then(|| version.to_owned())
        });
        Ok(version)
    }

    /// A version may be given with or without its release and its epoch.
    fn satisfies(&self, installed: &str, wanted: &str) -> bool {
        let bare = installed.split_once(':').map_or(installed, |(_, rest)| rest);
        let wanted_bare = wanted.strip_prefix("0:").unwrap_or(wanted);
        [installed, bare].into_iter().any(|installed| {
            let version = installed.rsplit_once('-').map(|(version, _)| version);
            installed == wanted_bare || version == Some(wanted_bare)
        })
    }

    fn install(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        let words = packages
            .iter()
            .map(|package| match (source(act, package), &package.version) {
                (Some(path), _) => path,
                (None, Some(version)) => format!("{}-{version}", package.name),
                (None, None) => package.name.clone(),
            });
        let words: Vec<_> = words.collect();
        if self.program == "rpm" {
            let mut all = vec!["rpm".to_owned()];
            all.extend(options(act));
            all.push("-U".to_owned());
            if act.flag("allow_downgrade") {
                all.push("--oldpackage".to_owned());
            }
            all.extend(words);
            return call(act, &all);
        }
        let mut lower = false;
        for package in packages {
            if let (Some(version), Some(now)) = (&package.version, self.installed(act, package)?) {
                lower |= older(version, &now);
            }
        }
        let verb = if lower && act.flag("allow_downgrade") {
            "downgrade"
        } else {
            "install"
        };
        self.call(act, verb, words)
    }

    fn upgrade(&self, act: &mut Act<'_>, packages: &[Wanted]) -> Result<(), Failure> {
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for package in packages {
            let is_new = self.installed(act, package)?.is_none() || package.version.is_some();
            let list = if is_new || source(act, package).is_some() {
                &mut missing
            } else {
                &mut there
            };
            list.push(package.clone());
        }
        if !missing.is_empty() {
            self.install(act, &missing)?;
        }
        if there.is_empty() {
            return Ok(());
        }
        self.call(act, "upgrade", there.into_iter().map(|package| package.name))
    }

    fn remove(&self, act: &mut Act<'_>, packages: &[Wanted], _purge: bool) -> Result<(), Failure> {
        let mut names = Vec::new();
        for package in packages {
            let known = source(act, package)
                .map(|path| of_file(act, &path))
                .transpose()?
                .flatten();
            names.push(known.map_or_else(|| package.name.clone(), |known| known.name));
        }
        if self.program == "rpm" {
            let mut words = vec!["rpm".to_owned(), "-e".to_owned()];
            words.extend(options(act));
            words.extend(names);
            return call(act, &words);
        }
        self.call(act, "remove", names)
    }

    fn is_locked(&self, act: &Act<'_>, package: &Wanted) -> Result<bool, Failure> {
        if self.program == "rpm" {
            return Err(Cause::Unsupported("rpm cannot lock packages".to_owned()).into());
        }
        let text = act.call(&[&self.manager(act), "-q", "versionlock", "list"])?;
        Ok(text.lines().any(|line| {
            let line = line.trim_start_matches('!');
            let line = line.split_once(':').map_or(line, |(_, rest)| rest);
            line.starts_with(&format!("{}-", package.name)) || line == package.name
        }))
    }

    fn lock(&self, act: &mut Act<'_>, package: &Wanted, lock: bool) -> Result<(), Failure> {
        let verb = if lock { "add" } else { "delete" };
        self.call(act, "versionlock", [verb.to_owned(), package.name.clone()])
    }
}

/// Whether a version is older than another, by the rules of rpm: parts of digits are numbers, others letters.
fn older(left: &str, right: &str) -> bool {
    fn parts(version: &str) -> Vec<(bool, String)> {
        let mut parts: Vec<(bool, String)> = Vec::new();
        let mut last = None;
        for character in version.chars() {
            let kind = if character.is_ascii_digit() {
                Some(true)
            } else if character.is_alphabetic() {
                Some(false)
            } else {
                None
            };
            match (kind, last, parts.last_mut()) {
                (Some(digit), Some(before), Some((_, text))) if digit == before => text.push(character),
                (Some(digit), ..) => parts.push((digit, character.to_string())),
                (None, ..) => {}
            }
            last = kind;
        }
        parts
    }
    let bare = |version: &str| {
        version
            .split_once(':')
            .map_or(version.to_owned(), |(_, rest)| rest.to_owned())
    };
    let (left, right) = (parts(&bare(left)), parts(&bare(right)));
    for ((left_digit, left), (right_digit, right)) in left.iter().zip(&right) {
        let order = match (left_digit, right_digit) {
            (true, true) => {
                let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
                left.len().cmp(&right.len()).then_with(|| left.cmp(right))
            }
            (false, false) => left.cmp(right),
            (left, right) => left.cmp(right),
        };
        if order.is_ne() {
            return order.is_lt();
        }
    }
    // A version without its release is not older than the one with it.
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_rpm_does() {
        assert!(older("1.9-1", "1.10-1"));
        assert!(!older("1.10-1", "1.9-1"));
        assert!(older("1.0a", "1.0b"));
        assert!(older("1.0.alpha", "1.0.1"));
        assert!(!older("1.0", "1.0-5"));
        assert!(older("1:1.0-1", "1:1.0-02"));
    }

    #[test]
    fn a_version_may_leave_out_release_and_epoch() {
        let dnf = Rpm::new("dnf");
        for wanted in ["1.2-3.el9", "1.2", "2:1.2-3.el9", "2:1.2"] {
            assert!(dnf.satisfies("2:1.2-3.el9", wanted), "{wanted}");
        }
        assert!(!dnf.satisfies("1.2-3", "1.3"));
        let known = Known::parse("bash\t0\t5.1.8\t9.el9\tx86_64").unwrap();
        assert_eq!(known.evr(), "5.1.8-9.el9");
        assert_eq!(Known::parse("package x is not installed"), None);
    }
}
