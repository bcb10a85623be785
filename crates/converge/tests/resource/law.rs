//! The law of all kinds: under dry run nothing changes, the first time it is done, the second time nothing is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use converge::resource::{Machine, Options, Platform, Report, Request, ResourceError, Runner};
use node::clock::ManualClock;
use node::home::Home;

/// A scratch root and what is kept beside it.
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for below in ["root/etc", "root/tmp", "home"] {
            fs::create_dir_all(folder.path().join(below)).unwrap();
        }
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        let scratch = Self {
            folder,
            clock: Arc::new(ManualClock::at("2026-05-04T03:02:01Z".parse().unwrap())),
        };
        scratch.write("/etc/passwd", &format!("me:x:{uid}:{gid}::/home/me:/bin/sh\n"));
        scratch.write("/etc/group", &format!("mine:x:{gid}:\n"));
        scratch
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.folder.path().join("home/backup")
    }

    /// Where a path of the machine is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write_unflushed(&path, 0o644, text.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.path(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    }

    pub(crate) fn runner(&self, dry_run: bool) -> Runner {
        let platform = Platform {
            name: "debian".to_owned(),
            family: "debian".to_owned(),
            version: "12".to_owned(),
        };
        let home = self.folder.path().join("home");
        let options = Options {
            dry_run,
            backup_folder: home.join("backup"),
            cache_folder: home.join("cache"),
            clock: Arc::clone(&self.clock) as _,
            ..Options::of(&Home::at(&home), platform)
        };
        Runner::new(Machine::at(self.root()), options)
    }

    pub(crate) fn run(&self, request: &Request) -> Result<Report, Box<ResourceError>> {
        self.runner(false).run(request)
    }

    /// Everything below root and home: type, mode, owner, content, time of change.
    pub(crate) fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut state = BTreeMap::new();
        walk(self.folder.path(), &mut state);
        state
    }

    /// Applies a request by the law, and returns what the first time said.
    pub(crate) fn law(&self, request: &Request) -> Report {
        let before = self.state();
        let would = self
            .runner(true)
            .run(request)
            .unwrap_or_else(|error| panic!("dry run: {error}"));
        same(&before, &self.state(), &format!("a dry run of {request:?}"));
        let first = self.run(request).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            first.updated && !first.changes.is_empty(),
            "{request:?} did nothing"
        );
        assert_eq!(would.changes, first.changes, "dry run and run differ");
        assert_eq!(would.diff, first.diff, "dry run and run differ");
        let after = self.state();
        let second = self
            .run(request)
            .unwrap_or_else(|error| panic!("second time: {error}"));
        assert_eq!(second.changes, [""; 0], "the second time of {request:?}");
        assert!(!second.updated);
        assert_eq!(
            self.state(),
            after,
            "the second time of {request:?} changed something"
        );
        first
    }
}

fn same(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>, what: &str) {
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, state)| before.get(*path) != Some(state))
        .map(|(path, state)| (path, before.get(path), Some(state)))
        .chain(
            before
                .iter()
                .filter(|(path, _)| !after.contains_key(*path))
                .map(|(path, state)| (path, Some(state), None)),
        )
        .collect();
    assert!(changed.is_empty(), "{what} changed {changed:#?}");
}

fn walk(folder: &Path, state: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else {
            walk(&path, state);
            String::new()
        };
        let line = format!(
            "{:o} {}:{} {}.{} {content:?}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            // Downloads come and go in the cache; what stays in it is compared.
            if path.ends_with("home/cache") {
                0
            } else {
                metadata.mtime()
            },
            if path.ends_with("home/cache") {
                0
            } else {
                metadata.mtime_nsec()
            },
        );
        state.insert(path, line);
    }
}
