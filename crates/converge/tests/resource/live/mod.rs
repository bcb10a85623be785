//! What needs a running system: each test in a booted container of its own.

mod disks;
mod packages;
mod services;
mod storage;
mod system;
mod users;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use converge::resource::{Cause, Machine, Options, Platform, Report, Request, ResourceError, Runner};
use node::command::{Command, Stop};
use node::home::Home;

/// The machine, and the law as it can be tested on one that lives: what resources change stands in these folders.
pub(crate) struct Live {
    home: tempfile::TempDir,
}

const WATCHED: [&str; 6] = [
    "/etc",
    "/home",
    "/srv",
    "/usr/local",
    "/var/lib/dpkg",
    "/var/spool/cron",
];

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn runner(&self, dry_run: bool) -> Runner {
        let platform = Platform {
            name: "debian".to_owned(),
            family: "debian".to_owned(),
            version: "12".to_owned(),
        };
        let options = Options {
            dry_run,
            time_limit: Duration::from_secs(60),
            ..Options::of(&Home::at(self.home.path()), platform)
        };
        Runner::new(Machine::this(), options)
    }

    pub(crate) fn run(&self, request: &Request) -> Result<Report, Box<ResourceError>> {
        self.runner(false).run(request)
    }

    pub(crate) fn fails(&self, request: &Request) -> Cause {
        match self.run(request) {
            Ok(report) => panic!("{request:?} succeeded: {report:?}"),
            Err(error) => error.cause,
        }
    }

    pub(crate) fn law(&self, request: &Request) -> Report {
        let (would, first) = self.law_of_changes(request);
        assert_eq!(would.changes, first.changes);
        first
    }

    /// The law for what cannot be told in the same words before: the UUID of a file system that is not made yet.
    pub(crate) fn law_of_changes(&self, request: &Request) -> (Report, Report) {
        let before = state();
        let would = self
            .runner(true)
            .run(request)
            .unwrap_or_else(|error| panic!("dry run: {error}"));
        same(&before, &state(), &format!("a dry run of {request:?}"));
        let first = self.run(request).unwrap_or_else(|error| panic!("{error}"));
        assert!(first.updated, "{request:?} did nothing");
        assert!(would.updated, "{request:?} would do nothing");
        let after = state();
        let second = self
            .run(request)
            .unwrap_or_else(|error| panic!("second time: {error}"));
        assert_eq!(second.changes, [""; 0], "the second time of {request:?}");
        same(&after, &state(), &format!("the second time of {request:?}"));
        (would, first)
    }

    pub(crate) fn nothing(&self, request: &Request) {
        let report = self.run(request).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.changes, [""; 0], "{request:?}");
    }
}

fn state() -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, state: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                walk(&path, state);
            }
            let content = if kind.is_file() {
                fs::read(&path).unwrap_or_default()
            } else {
                fs::read_link(&path)
                    .map(|to| to.display().to_string().into_bytes())
                    .unwrap_or_default()
            };
            state.insert(path, content);
        }
    }
    let mut state = BTreeMap::new();
    for folder in WATCHED {
        walk(Path::new(folder), &mut state);
    }
    state
}

fn same(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>, what: &str) {
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path)
        .chain(before.keys().filter(|path| !after.contains_key(*path)))
        .collect();
    assert!(changed.is_empty(), "{what} changed {changed:?}");
}

/// What a command says; it must succeed.
pub(crate) fn said(line: &str) -> String {
    let outcome = Command::new("sh")
        .inherit_environment()
        .arg("-c")
        .arg(line)
        .tail_bytes(1 << 16)
        .run(&Stop::new())
        .unwrap();
    assert!(outcome.ended.success(), "{line}: {}", outcome.tail);
    outcome.tail.trim().to_owned()
}

pub(crate) fn holds(line: &str) -> bool {
    let command = Command::new("sh").inherit_environment().arg("-c").arg(line);
    command.run(&Stop::new()).unwrap().ended.success()
}

pub(crate) fn request(kind: &str, name: &str, action: &str) -> Request {
    Request::new(kind, name).action(action)
}
