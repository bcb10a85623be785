//! `jetpack report_issue`, form by form, without a server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::home::{Home, Run};

/// Runs with a temporary folder of its own.
fn run(home: &Home, args: &[&str]) -> Run {
    let temporary = temporary(home);
    fs::create_dir_all(&temporary).unwrap();
    let mut command = home.command(&home.path(), &[&["report_issue"], args].concat());
    Run::from(
        command
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .output()
            .unwrap(),
    )
}

fn temporary(home: &Home) -> PathBuf {
    home.path().parent().unwrap().join("temporary")
}

/// The archive that the output names.
#[track_caller]
fn archive(run: &Run) -> PathBuf {
    assert_eq!(run.code, 0, "{run:?}");
    let path = run.stdout.strip_prefix("Logs can be found at: ").unwrap();
    path.strip_suffix('\n').unwrap().into()
}

fn content(path: &Path) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(entry.name().unwrap().into_owned(), text);
    }
    files
}

#[test]
fn without_upload_the_archive_of_the_logs_is_made_and_named() {
    let home = Home::joined("[]");
    home.write("logs/jetpack.log", "one\n");
    home.write("logs/cluster-init/p/s/scripts/1.out", "out\n");
    let run = run(&home, &["--no-upload"]);
    assert_eq!(run.stderr, "");
    let path = archive(&run);
    let name = path.file_name().unwrap().to_str().unwrap();
    let id = name
        .strip_prefix("my.demo-head-")
        .unwrap()
        .strip_suffix(".zip")
        .unwrap();
    assert_eq!(id.len(), 36, "{name}");
    assert_eq!(path.parent().unwrap().parent().unwrap(), temporary(&home));
    let folder = fs::metadata(path.parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700, "for this user only");
    let files = content(&path);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "logs/cluster-init/p/s/scripts/1.out",
            "logs/jetpack.log",
            "report_issue/status.json",
            "report_issue/version.txt"
        ]
    );
    assert_eq!(files["logs/jetpack.log"], "one\n");
    let status: serde_json::Value = serde_json::from_str(&files["report_issue/status.json"]).unwrap();
    assert_eq!(status["node"]["name"], "head");
}

#[test]
fn secrets_and_links_are_left_out_and_that_is_said() {
    let home = Home::joined("[]");
    home.write("config/connection.json", "{}");
    home.write("config/properties.json", "{}");
    home.write("config/own.txt", "the secret is s, as in `secret`");
    symlink("/etc", home.path().join("config/etc")).unwrap();
    let config = home.path().join("config");
    let run = run(&home, &[config.to_str().unwrap(), "--no-upload"]);
    let files = content(&archive(&run));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    // The secret of this node is `s`.
    assert_eq!(
        names,
        [
            "config/properties.json",
            "report_issue/left_out.txt",
            "report_issue/status.json",
            "report_issue/version.txt"
        ]
    );
    let config = config.canonicalize().unwrap();
    let expected: String = [
        "connection.json: it may hold secrets",
        "etc: it is a link",
        "jetpack.ini: it may hold secrets",
        "own.txt: it holds the secret of this node",
    ]
    .iter()
    .map(|line| format!("Warning: left out: {}/{line}\n", config.display()))
    .collect();
    assert_eq!(run.stderr, expected);
    assert_eq!(
        files["report_issue/left_out.txt"],
        expected.replace("Warning: left out: ", "")
    );
}

#[test]
fn a_server_that_is_away_leaves_the_archive_and_says_where() {
    let home = Home::joined("[]");
    home.write("logs/jetpack.log", "one\n");
    let run = run(&home, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    let (error, hint) = run.stderr.split_once('\n').unwrap();
    assert_eq!(
        error,
        "Error: cannot upload the archive: the server at `http://127.0.0.1:9/` is away (Connection refused (os error \
         111))"
    );
    let hint = hint.strip_prefix("Hint: it is kept at `").unwrap();
    let (path, rest) = hint.split_once('`').unwrap();
    assert_eq!(rest, "; the same command makes and uploads another one\n");
    assert_eq!(content(Path::new(path))["logs/jetpack.log"], "one\n");
}

#[test]
fn without_a_server_it_says_so_before_the_work() {
    let home = Home::initialized();
    let run1 = run(&home, &[]);
    assert_eq!((run1.code, run1.stdout.as_str()), (1, ""));
    assert!(
        run1.stderr
            .starts_with("Error: this node was not initialized: no `webserver` in `")
            && run1
                .stderr
                .ends_with("Hint: `jetpack initialize` joins a cluster; --no-upload needs none\n"),
        "{run1:?}"
    );
    assert_eq!(
        fs::read_dir(temporary(&home)).unwrap().count(),
        0,
        "nothing is left"
    );
    // The last one said holds.
    for options in [&["--no-upload"][..], &["--upload", "--no-sign", "--no-upload"]] {
        archive(&run(&home, options));
    }
    let run2 = run(&home, &["--no-upload", "--upload"]);
    assert_eq!(run2.code, 1, "{run2:?}");
    // No node is needed for what is no node's.
    let no_node = Home::new();
    let folder = home.path().join("config");
    fs::create_dir_all(no_node.path()).unwrap();
    archive(&run(&no_node, &[folder.to_str().unwrap(), "--no-upload"]));
    assert!(!no_node.path().join("run").exists());
}

#[test]
fn what_is_not_there_is_named_and_leaves_nothing() {
    let home = Home::initialized();
    let run = run(&home, &["/no/such/folder", "--no-upload"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (
            1,
            "",
            "Error: cannot read `/no/such/folder`: No such file or directory (os error 2)\n"
        )
    );
    assert_eq!(fs::read_dir(temporary(&home)).unwrap().count(), 0);
    home.misused(
        &["report_issue", "a", "b"],
        "Error: unexpected argument 'b' found",
    );
}
