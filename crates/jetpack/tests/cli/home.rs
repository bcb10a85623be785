//! A home in a scratch folder, and `jetpack` run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A home. Nothing is in it until the test puts it there.
pub(crate) struct Home {
    folder: TempDir,
}

/// How `jetpack` ended and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A home with this `node.json`.
    pub(crate) fn configured(node_json: &str) -> Self {
        let home = Self::new();
        home.write("config/node.json", node_json);
        home
    }

    /// A home with the folders of a node that has not joined.
    pub(crate) fn initialized() -> Self {
        let home = Self::new();
        node::home::Home::at(home.path()).create().unwrap();
        home
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("jetpack")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, 0o644, text.as_bytes()).unwrap();
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_in(self.folder.path(), args)
    }

    pub(crate) fn run_in(&self, folder: &Path, args: &[&str]) -> Run {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test starts the program that it tests"
        )]
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetpack"));
        let output = command
            .env_clear()
            .env("CYCLECLOUD_HOME", self.path())
            .current_dir(folder)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Run {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Demands this on stdout, nothing on stderr, and success.
    #[track_caller]
    pub(crate) fn prints(&self, args: &[&str], stdout: &str) {
        let run = self.run(args);
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (0, stdout, ""),
            "{args:?}"
        );
    }

    /// Demands exactly this on stderr, nothing on stdout, and failure.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str], stderr: &str) {
        let run = self.run(args);
        let stderr = stderr.replace("$HOME", self.path().to_str().unwrap());
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (1, "", stderr.as_str()),
            "{args:?}"
        );
    }
}
