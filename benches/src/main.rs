//! Our programs against their peers: whole processes, measured in one run. `make bench` starts it.
//!
//! `benches [NAME…]` runs the comparisons of these names, or all. A figure alone says more of the machine than of the
//! program, so each comparison has a peer that is measured in turns with ours, and its goals are ratios. A goal that
//! is missed is exit code 1.

mod comparison;
mod config;
mod converge;
mod facts;
mod messaging;
mod node;
mod process;
mod recipes;
mod statistics;
mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::comparison::Comparison;

/// Makes comparisons. It may put files into the folder, which is removed at the end.
type Make = fn(&Path) -> anyhow::Result<Vec<Comparison>>;

/// All comparisons, one file each.
const COMPARISONS: &[(&str, Make)] = &[
    ("config", config::comparisons),
    ("converge", converge::comparisons),
    ("facts", facts::comparisons),
    ("recipes", recipes::comparisons),
];

/// The one that is no comparison of processes.
const MESSAGING: &str = "messaging";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some(process::ONCE) => process::run_once(&arguments[1..]),
        Some(messaging::SERVE) => messaging::serve(Path::new(arguments.get(1).map_or("", String::as_str))),
        _ => run(&arguments),
    };
    terminal::finish(result, false)
}

fn run(names: &[String]) -> anyhow::Result<()> {
    let known: Vec<&str> = COMPARISONS
        .iter()
        .map(|(name, _)| *name)
        .chain([MESSAGING])
        .collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "there is no comparison `{unknown}`; there is {}",
            known.join(", ")
        );
    }
    let mut missed = Vec::new();
    for (name, make) in COMPARISONS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let folder = tempfile::tempdir().context("cannot make a scratch folder")?;
        for comparison in make(folder.path())? {
            let report = comparison.run()?;
            terminal::out(format_args!("{report}\n"))?;
            missed.extend(
                report
                    .missed()
                    .map(|goal| format!("{name}: {goal}"))
                    .collect::<Vec<_>>(),
            );
        }
    }
    if names.is_empty() || names.iter().any(|wanted| wanted == MESSAGING) {
        let folder = tempfile::tempdir().context("cannot make a scratch folder")?;
        let figures = messaging::run(folder.path())?;
        terminal::out(format_args!("{}\n", figures.text))?;
        missed.extend(
            figures
                .missed
                .into_iter()
                .map(|goal| format!("{MESSAGING}: {goal}")),
        );
    }
    if missed.is_empty() {
        Ok(())
    } else {
        bail!("missed: {}", missed.join("; "))
    }
}

/// One of our programs, built beside this one.
fn ours(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe().context("cannot tell where this program is")?;
    let path = here.with_file_name(name);
    if !path.is_file() {
        bail!("`{}` is not built; run `make bench`", path.display());
    }
    Ok(path)
}
