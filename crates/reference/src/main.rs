//! The reference pages - man pages and markdown - of the programs, made from the definitions of their command lines, and
//! of the resources of recipes, made from their catalogue.
//!
//! `cargo xtask generate` writes them, `cargo xtask generate --check` tells which are not up to date. The crate is on
//! its own because it needs all four programs, which other chores should not wait for.

mod files;
mod man;
mod markdown;
mod programs;
mod resources;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Writes the reference pages of the programs
#[derive(Debug, Parser)]
#[command(name = "cargo xtask generate", help_expected = true)]
struct Arguments {
    /// Write nothing; tell which pages are not what the programs say
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = match terminal::parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let root = repository();
    let pages = files::pages();
    let result = if arguments.check {
        files::check(&root, &pages)
    } else {
        files::write(&root, &pages)
    };
    terminal::finish(result, false)
}

/// The root of the repository.
fn repository() -> PathBuf {
    // At run time, where cargo says it: a target folder may outlive the folder that it was built in.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors().nth(2).unwrap_or(&here).to_owned()
}
