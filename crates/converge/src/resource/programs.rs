//! Programs that resources start.

use std::ffi::OsString;
use std::time::Duration;

use node::command::{Command, Ended};

use super::act::Act;
use super::error::{Cause, Failure};

/// How much of a program's output is kept.
const KEPT: usize = 1 << 20;
/// How much of it an error shows.
const SHOWN: usize = 16 << 10;
/// Where programs are, for one who was started without a `PATH`.
const FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What came of a program.
#[derive(Debug)]
pub(crate) struct Output {
    /// As an error names it.
    command: String,
    pub(crate) ended: Ended,
    /// Standard output and standard error, the end of them if they are long.
    pub(crate) text: String,
}

impl Output {
    pub(crate) fn success(&self) -> bool {
        self.ended.success()
    }

    /// The text, if the program did not fail.
    pub(crate) fn ok(self) -> Result<String, Failure> {
        if self.success() {
            return Ok(self.text);
        }
        Err(self.failure().into())
    }

    pub(crate) fn failure(self) -> Cause {
        Cause::Failed {
            command: self.command,
            ended: self.ended,
            output: end(&self.text, SHOWN),
        }
    }
}

/// The end of a text, from the start of a character.
pub(crate) fn end(text: &str, bytes: usize) -> String {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

impl Act<'_> {
    /// A program with our environment, texts in English, and the usual limit of time.
    pub(crate) fn program(&self, program: &str) -> Command {
        let command = Command::new(program)
            .inherit_environment()
            .env("LC_ALL", "C.UTF-8")
            .env("LANGUAGE", "")
            .time_limit(self.options.time_limit)
            .tail_bytes(KEPT);
        self.with_path(command)
    }

    /// Makes sure that programs of the system are found.
    pub(crate) fn with_path(&self, command: Command) -> Command {
        let path = command.get_env("PATH").map(OsString::from).unwrap_or_default();
        if path.is_empty() {
            return command.env("PATH", FOLDERS);
        }
        let mut path = path;
        let text = path.to_string_lossy().into_owned();
        for folder in FOLDERS.split(':') {
            if !text.split(':').any(|known| known == folder) {
                path.push(":");
                path.push(folder);
            }
        }
        command.env("PATH", path)
    }

    /// Runs a prepared command, which errors and reports call `shown`.
    pub(crate) fn finish(&self, command: Command, shown: &str) -> Result<Output, Failure> {
        let outcome = command.run(&self.options.stop)?;
        Ok(Output {
            command: if self.is_sensitive() {
                "(suppressed sensitive resource)".to_owned()
            } else {
                shown.to_owned()
            },
            ended: outcome.ended,
            text: if self.is_sensitive() && !outcome.ended.success() {
                String::new()
            } else {
                outcome.tail
            },
        })
    }

    /// Runs a program with arguments and waits for its end, whatever it is.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Output, Failure> {
        self.ask_for(words, self.options.time_limit)
    }

    /// As [`Act::ask`], with a limit of time.
    pub(crate) fn ask_for(&self, words: &[&str], limit: Duration) -> Result<Output, Failure> {
        let (program, args) = words.split_first().unwrap_or((&"true", &[]));
        let command = args
            .iter()
            .fold(self.program(program).time_limit(limit), |command, arg| {
                command.arg(*arg)
            });
        self.finish(command, &words.join(" "))
    }

    /// Runs a program that must succeed; its output.
    pub(crate) fn call(&self, words: &[&str]) -> Result<String, Failure> {
        self.ask(words)?.ok()
    }

    /// Whether the machine has a program.
    pub(crate) fn has(&self, program: &str) -> bool {
        self.machine.program(program).is_some()
    }
}
