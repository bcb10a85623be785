//! Running our programs.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where a program of this workspace was built.
///
/// # Panics
/// When it was not: `cargo build --workspace --bins` builds all of them.
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    // target/PROFILE/deps/TEST
    let path = test.ancestors().nth(2).unwrap().join(name);
    assert!(
        path.exists(),
        "`{}` is missing: run `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// A command line to be run to its end.
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Option<Vec<u8>>,
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Run {
    /// The command line, for messages.
    pub command: String,
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Program {
    /// A program of this workspace, with an environment of its own: nothing of the person who runs the tests gets in.
    pub fn new(name: &str) -> Self {
        Self::at(&program(name))
    }

    /// Any program.
    pub fn at(path: &Path) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "tests start the programs that they test"
        )]
        let mut command = Command::new(path);
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8");
        Self { command, input: None }
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working folder.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it this on stdin.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.as_bytes().to_vec());
        self
    }

    /// The command, for tests that need the running process.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Run {
        let stdin = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start {:?}: {error}", self.command);
            });
        if let Some(input) = &self.input {
            // A program that does not read its input is free to do so.
            let _ = child.stdin.take().unwrap().write_all(input);
        }
        let output = child.wait_with_output().unwrap();
        Run {
            command: format!("{:?}", self.command),
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a program of this workspace with arguments.
pub fn run(name: &str, args: &[&str]) -> Run {
    Program::new(name).args(args).run()
}

impl Run {
    /// Demands success and gives stdout.
    #[track_caller]
    pub fn success(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:#?}");
        &self.stdout
    }

    /// Demands exit code 1 and exactly one `Error:` line, and gives stderr.
    #[track_caller]
    pub fn failure(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert_eq!(
            self.stderr
                .lines()
                .filter(|line| line.starts_with("Error: "))
                .count(),
            1,
            "{self:#?}"
        );
        &self.stderr
    }
}

/// Whether a process exists and is no zombie.
pub fn alive(pid: i32) -> bool {
    // The state is the field after the name, which is in parentheses and may hold anything.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

/// Ends a process as a power cut would.
#[track_caller]
pub fn kill_hard(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}
