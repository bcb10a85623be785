//! Asking the person at the terminal.

use std::io::{self, BufRead};

use anyhow::Context;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

/// Longest answer in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// Asks for one line; the default when it is empty.
pub(crate) fn ask(question: &str, default: Option<&str>) -> anyhow::Result<String> {
    let question = match default {
        Some(default) => format!("{question} [{default}]:"),
        None => format!("{question}:"),
    };
    terminal::note(question);
    let answer = line()?;
    match (answer.trim(), default) {
        ("", Some(default)) => Ok(default.to_owned()),
        (answer, _) => Ok(answer.to_owned()),
    }
}

/// Asks for a password, which the terminal does not show.
pub(crate) fn ask_password(question: &str) -> anyhow::Result<SecretString> {
    terminal::note(format_args!("{question}:"));
    let _hidden = Hidden::new();
    Ok(line()?.into())
}

/// The first line of stdin.
pub(crate) fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    let mut stdin = io::Read::take(io::stdin().lock(), MAX_ANSWER);
    let count = stdin.read_line(&mut line).context("cannot read stdin")?;
    anyhow::ensure!(count > 0, "stdin ended before the answer");
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// The terminal shows nothing that is typed until this is dropped. Does nothing when stdin is no terminal.
struct Hidden {
    before: Option<Termios>,
}

impl Hidden {
    fn new() -> Self {
        let Ok(before) = tcgetattr(io::stdin()) else {
            return Self { before: None };
        };
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        let hidden = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet).is_ok();
        Self {
            before: hidden.then_some(before),
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nothing could be done about it.
            let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, before);
        }
    }
}
