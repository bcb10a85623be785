//! `jetpack converge` itself, killed at each place at which it changes something: also while it configures the node and tells
//! the server.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use durable::failpoint;

/// A file system in memory: what is killed here is a process, not the machine.
const MEMORY: &str = "/dev/shm";

#[expect(
    clippy::disallowed_methods,
    reason = "the test starts the program that it tests"
)]
fn jetpack(args: &[&str], variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jetpack"));
    command.env_clear().stdin(Stdio::null()).args(args);
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "`std` cannot copy folders")]
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// The names of all files below the folder.
fn files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn wherever_the_program_dies_the_next_one_makes_the_node_ready() {
    let scratch = match Path::new(MEMORY).is_dir() {
        true => tempfile::tempdir_in(MEMORY).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let project = scratch.path().join("project");
    let spec = project.join("specs/default/cluster-init");
    for (path, text) in [
        ("project.ini", "[project]\nname = demo\nversion = 1.0.0\n"),
        (
            "specs/default/cluster-init/scripts/1.sh",
            "#!/bin/sh\necho 1 >>$CYCLECLOUD_HOME/ran\n",
        ),
        (
            "specs/default/cluster-init/scripts/2.sh",
            "#!/bin/sh\necho 2 >>$CYCLECLOUD_HOME/ran\n",
        ),
    ] {
        let path = project.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, 0o644, text.as_bytes()).unwrap();
    }
    assert!(spec.is_dir());
    let made = jetpack(
        &[
            "converge",
            "--project",
            project.to_str().unwrap(),
            "--dry-run",
            "--keep",
        ],
        &[("TMPDIR", scratch.path())],
    );
    let said = String::from_utf8(made.stderr).unwrap();
    let kept = said
        .lines()
        .find_map(|line| line.strip_prefix("kept in `")?.strip_suffix('`'));
    let kept = PathBuf::from(kept.unwrap());
    let home = kept.join("jetpack");
    let template = scratch.path().join("template");
    fs::rename(&kept, &template).unwrap();
    let converge = |variables: &[(&str, &Path)]| {
        let all: Vec<_> = [("CYCLECLOUD_HOME", home.as_path())]
            .iter()
            .chain(variables)
            .copied()
            .collect();
        jetpack(&["converge"], &all)
    };

    copy(&template, &kept);
    let list = scratch.path().join("places");
    let whole = converge(&[(failpoint::LIST, &list)]);
    assert!(whole.status.success(), "{whole:?}");
    let places = fs::read_to_string(&list).unwrap().lines().count();
    assert!(places > 40, "{places}");
    for number in 0..places {
        fs::remove_dir_all(&kept).unwrap();
        copy(&template, &kept);
        let list = scratch.path().join(format!("places.{number}"));
        let place = number.to_string();
        let died = converge(&[(failpoint::KILL, Path::new(&place)), (failpoint::LIST, &list)]);
        // How many markers share one flush differs from run to run, and with it the number of places: only a run that came to
        // fewer may end.
        let reached = fs::read_to_string(&list).unwrap().lines().count();
        assert!(
            died.status.signal().is_some() && reached == number + 1
                || died.status.success() && reached <= number,
            "{number}, {reached} places: {died:?}"
        );
        let next = converge(&[]);
        assert!(next.status.success(), "{number}: {next:?}");

        let mut ran: Vec<_> = fs::read_to_string(home.join("ran"))
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        let runs = ran.len();
        ran.dedup();
        assert_eq!(ran, ["1", "2"], "{number}");
        assert!(runs <= 3, "{number}: {runs}");
        let mut all = BTreeSet::new();
        files(&kept, &mut all);
        let left: Vec<_> = all
            .iter()
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".new-"))
            .collect();
        assert!(left.is_empty(), "{number}: {left:?}");
        let ledger: serde_json::Value = durable::read_json(&home.join("run/converge.json"))
            .unwrap()
            .unwrap();
        assert_eq!(ledger["status"], "ready", "{number}");
    }
}
