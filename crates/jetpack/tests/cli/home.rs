//! A home in a scratch folder, and `jetpack` run in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A home. Nothing is in it until the test puts it there.
pub(crate) struct Home {
    folder: TempDir,
}

/// What sending commands say while no daemon runs.
pub(crate) const NOT_RUNNING: &str =
    "jetpackd is not running; the message is kept and will be delivered to the server\n";

/// How `jetpack` ended and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
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

    /// A home of a node that has joined the cluster `demo` of a server that is away, with these users (JSON).
    pub(crate) fn joined(users: &str) -> Self {
        let home = Self::initialized();
        // Nobody listens at a port below 1024 that has no service; it is refused at once.
        home.write(
            "config/jetpack.ini",
            "[cycle_server]\nwebserver = http://127.0.0.1:9\n\
             [identity]\ncluster_name = my.demo\nnode_id = 00ab\nnode_name = head\n",
        );
        home.write(
            "run/identity.json",
            r#"{"version": 1, "machine": null, "secret": "s", "userdata": "0123"}"#,
        );
        home.write(
            "run/configuration.json",
            &format!(
                r#"{{"version": 1, "userdata": "0123", "configuration": {{
                    "cluster_name": "my.demo", "node_id": "00ab", "node_name": "head", "cluster_session_id": "s1",
                    "instance_id": "i1", "heartbeat_seconds": 60, "users": {users}}}}}"#
            ),
        );
        home
    }

    /// The messages that wait: type and data, oldest first.
    pub(crate) fn outbox(&self) -> Vec<(String, serde_json::Value)> {
        let Ok(folder) = std::fs::read_dir(self.path().join("run/outbox")) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path: &PathBuf| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        paths
            .iter()
            .map(read)
            .map(|message| {
                (
                    message["type"].as_str().unwrap().to_owned(),
                    message["data"].clone(),
                )
            })
            .collect()
    }

    /// Demands that the command succeeds without a daemon, says so, and leaves exactly this message; then removes it.
    #[track_caller]
    pub(crate) fn keeps(&self, args: &[&str], kind: &str, data: &serde_json::Value) -> Run {
        let run = self.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{args:?}: {run:?}");
        assert!(run.stderr.starts_with(NOT_RUNNING), "{args:?}: {run:?}");
        assert_eq!(self.outbox(), [(kind.to_owned(), data.clone())], "{args:?}");
        std::fs::remove_dir_all(self.path().join("run/outbox")).unwrap();
        run
    }

    /// Demands a usage error with this line, nothing on stdout, and nothing kept.
    #[track_caller]
    pub(crate) fn misused(&self, args: &[&str], line: &str) {
        let run = self.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}: {run:?}");
        assert!(
            run.stderr.lines().any(|said| said == line),
            "{args:?} says:\n{}",
            run.stderr
        );
        assert_eq!(self.outbox(), [], "{args:?}");
    }

    /// [`Home::run`] with this on standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Run {
        let mut child = self
            .command(self.folder.path(), args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may have seen enough before the end.
        let _ = child.stdin.take().unwrap().write_all(input);
        Run::from(child.wait_with_output().unwrap())
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
        let mut command = self.command(folder, args);
        Run::from(command.stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn command(&self, folder: &Path, args: &[&str]) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test starts the program that it tests"
        )]
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetpack"));
        command
            .env_clear()
            .env("CYCLECLOUD_HOME", self.path())
            .env("TZ", "UTC")
            .current_dir(folder)
            .args(args);
        command
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
