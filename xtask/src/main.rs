//! Repository chores: `cargo xtask check-deps` checks the arrows between the crates.

mod arrows;

use std::process::ExitCode;

use anyhow::bail;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("check-deps") => arrows::check(&arrows::repository()),
        Some(other) => bad_usage(&format!("there is no chore `{other}`")),
        None => bad_usage("no chore given"),
    };
    terminal::finish(result, false)
}

fn bad_usage(problem: &str) -> anyhow::Result<()> {
    bail!("{problem}; there is `check-deps`")
}
