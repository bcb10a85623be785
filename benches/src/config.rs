//! `jetpack config KEY` against Python, and against a static C program that only finds the key as text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::comparison::{Comparison, Goal, Measure};
use crate::ours;
use crate::process::{Contender, run_quietly};

const FIND_C: &str = include_str!("config/find.c");
const PYTHON: &str = "import json, sys\nvalue = json.load(open(sys.argv[1]))\nfor step in sys.argv[2].split('.'): value = value[step]\nprint(value)";
/// Size of the file, about that of a node in Azure with its facts.
const BYTES: usize = 100_000;
const KEY: &str = "cyclecloud.node.name";
/// Not one of a version manager: such a shim costs more than Python itself.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// One key of a node.json of 100 KB, at its end, where it costs most.
pub(crate) fn comparisons(scratch: &Path) -> anyhow::Result<Vec<Comparison>> {
    let file = scratch.join("config/node.json");
    durable::create_folder(&scratch.join("config"), 0o755)?;
    durable::write(&file, 0o644, node_json().as_bytes())?;
    let find = compile(scratch)?;
    Ok(vec![Comparison {
        title: format!("One key of a node.json of {} KB", BYTES / 1000),
        ours: Contender::new("jetpack config", ours("jetpack")?)
            .args(["config", KEY])
            .env("CYCLECLOUD_HOME", scratch),
        peers: vec![
            Contender::new("python3 -c", SYSTEM_PYTHON)
                .args(["-c", PYTHON])
                .args([file.as_os_str()])
                .args([KEY]),
            Contender::new("static C", find)
                .args([file.as_os_str()])
                .args(["name"]),
        ],
        goals: vec![
            Goal::Ratio {
                peer: "python3 -c",
                measure: Measure::Wall,
                at_least: 30.0,
            },
            Goal::Ratio {
                peer: "static C",
                measure: Measure::Wall,
                at_least: 0.5,
            },
            Goal::Alone,
        ],
    }])
}

/// Builds the C program with the machine's compiler.
fn compile(scratch: &Path) -> anyhow::Result<PathBuf> {
    let (source, program) = (scratch.join("find.c"), scratch.join("find"));
    durable::write(&source, 0o644, FIND_C.as_bytes())?;
    let args = [
        "-O2".as_ref(),
        "-static".as_ref(),
        "-o".as_ref(),
        program.as_os_str(),
        source.as_os_str(),
    ];
    run_quietly("cc", &args).context("cannot build the C program")?;
    Ok(program)
}

/// Sections of texts, numbers and lists as Ohai has them, and the key at the end.
fn node_json() -> String {
    let mut text = String::from("{\n");
    let mut section = 0;
    while text.len() < BYTES - 100 {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  \"section{section}\": {{\"address\": \"10.0.{}.{}\", \"up\": true, \"bytes\": {}, \"flags\": [\"UP\", \"LOWER_UP\"]}},",
            section / 250,
            section % 250,
            section * 1_048_573,
        );
        section += 1;
    }
    text.push_str("  \"cyclecloud\": {\"node\": {\"name\": \"execute-1\"}}\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_its_size_and_the_key_is_the_only_one_of_its_name() {
        let text = node_json();
        assert!(text.len().abs_diff(BYTES) < 200, "{}", text.len());
        assert_eq!(text.matches("\"name\":").count(), 1);
        assert!(text.trim_end().ends_with("\"execute-1\"}}\n}"));
    }

    #[test]
    fn a_program_that_cannot_be_built_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = compile(&folder.path().join("none")).unwrap_err();
        assert!(format!("{error:#}").contains("none"), "{error:#}");
    }
}
