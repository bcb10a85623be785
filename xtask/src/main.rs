//! Repository chores: `cargo xtask check-deps` checks the arrows between the crates, `cargo xtask generate` writes the
//! reference pages of the programs, `cargo xtask ruby` makes the image of Ruby that `recipe` needs.

mod arrows;
mod ruby_image;

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        Some("check-deps") => arrows::check(&arrows::repository()),
        Some("generate") => generate(arguments),
        Some("ruby") => ruby_image::make(&arrows::repository()),
        Some(other) => bad_usage(&format!("there is no chore `{other}`")),
        None => bad_usage("no chore given"),
    };
    terminal::finish(result, false)
}

/// The pages are made by a crate of their own, because it needs all programs and the other chores do not.
#[expect(clippy::disallowed_methods, reason = "a chore of the repository runs cargo")]
fn generate(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--package", "reference", "--"])
        .args(arguments)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the reference pages are not as they should be");
    }
    Ok(())
}

fn bad_usage(problem: &str) -> anyhow::Result<()> {
    bail!("{problem}; there are `check-deps`, `generate` and `ruby`")
}
