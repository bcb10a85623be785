//! A run that is killed at any of its steps: the next one reaches the same end.
//!
//! This test program runs itself as the run that dies, so that nothing is cleaned up in between.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use converge::resource::{Machine, Options, Platform, Request, Runner};
use durable::failpoint;
use node::command::{Command, Ended, Stop};
use node::home::Home;

const PLACE: &str = "RESOURCE_CRASH_PLACE";

fn runner(place: &Path) -> Runner {
    let options = Options::of(&Home::at(place.join("home")), Platform::default());
    Runner::new(Machine::at(place.join("root")), options)
}

/// One of each kind that writes in several steps.
fn requests(place: &Path) -> Vec<Request> {
    vec![
        Request::new("directory", "/srv/app")
            .with("recursive", true)
            .with("mode", "2750"),
        Request::new("file", "/srv/app/new")
            .with("mode", "0600")
            .body("new\n"),
        Request::new("file", "/etc/old")
            .with("mode", "0640")
            .body("changed\n"),
        Request::new("link", "/srv/current").with("to", "/srv/app"),
        Request::new("link", "/etc/link").with("to", "new"),
        Request::new("append_if_no_line", "x")
            .with("path", "/etc/lines")
            .with("line", "two"),
        Request::new("mount", "/data")
            .action("enable")
            .with("device", "server:/data")
            .with("fstype", "nfs"),
        Request::new("remote_file", "/srv/copy").with("source", "/etc/source"),
        Request::new("remote_directory", "/srv/tree")
            .with("source_path", place.join("root/cookbook").display().to_string())
            .with("purge", true),
        Request::new("archive_file", "/app.tar").with("destination", "/opt/archive"),
        Request::new("ark", "tool")
            .action("put")
            .with("url", "/app.tar")
            .with("path", "/opt")
            .with("owner", "me"),
        Request::new("git", "/opt/checkout")
            .action("checkout")
            .with("repository", "/repo"),
        Request::new("file", "/etc/gone").action("delete"),
    ]
}

fn prepare(place: &Path) {
    let uid = nix::unistd::getuid();
    let root = place.join("root");
    fs::create_dir_all(place.join("home")).unwrap();
    for (path, text) in [
        ("etc/passwd", format!("me:x:{uid}:0::/:/bin/sh\n")),
        ("etc/old", "old\n".to_owned()),
        ("etc/lines", "one\n".to_owned()),
        ("etc/source", "source\n".to_owned()),
        ("etc/fstab", String::new()),
        ("etc/gone", "gone\n".to_owned()),
        ("cookbook/sub/file", "file\n".to_owned()),
        ("pack/app/bin/run", "run\n".to_owned()),
        ("pack/app/README", "read\n".to_owned()),
        ("srv/tree/stranger", String::new()),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write_unflushed(&path, 0o644, text.as_bytes()).unwrap();
    }
    std::os::unix::fs::symlink("old", root.join("etc/link")).unwrap();
    let line = "cd pack; tar cf ../app.tar app; cd ..; mkdir opt; git init -q -b main repo; cd repo; echo 1 >f; git add f; \
                git -c user.name=x -c user.email=x@example.com commit -qm one";
    let command = Command::new("sh")
        .inherit_environment()
        .arg("-ec")
        .arg(line)
        .current_dir(&root);
    let outcome = command.run(&Stop::new()).unwrap();
    assert!(outcome.ended.success(), "{}", outcome.tail);
}

fn run(place: &Path) {
    let runner = runner(place);
    for request in requests(place) {
        runner.run(&request).unwrap_or_else(|error| panic!("{error}"));
    }
    runner.flush().unwrap();
}

/// Does nothing unless it is the program that a test starts.
#[test]
fn the_run_that_dies() {
    if let Ok(place) = std::env::var(PLACE) {
        run(&PathBuf::from(place));
    }
}

fn run_apart(place: &Path, variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap())
        .inherit_environment()
        .arg("--exact")
        .arg("crash::the_run_that_dies")
        .env(PLACE, place);
    for (name, value) in variables {
        command = command.env(*name, *value);
    }
    command.run(&Stop::new()).unwrap().ended
}

/// What is below the root, without what a killed run may leave: temporary files, and the insides of repositories.
fn state(root: &Path) -> BTreeMap<PathBuf, String> {
    fn walk(root: &Path, folder: &Path, state: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with(".chef-") || name == ".git" {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_dir() {
                walk(root, &path, state);
                String::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if name.ends_with(".tar") {
                String::new()
            } else {
                fs::read_to_string(&path).unwrap()
            };
            let line = format!("{:o} {content:?}", metadata.mode());
            state.insert(path.strip_prefix(root).unwrap().to_owned(), line);
        }
    }
    let mut state = BTreeMap::new();
    walk(root, root, &mut state);
    state
}

#[test]
fn a_run_that_was_killed_anywhere_is_finished_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    prepare(whole.path());
    let list = whole.path().join("list");
    let ended = run_apart(whole.path(), &[(failpoint::LIST, list.to_str().unwrap())]);
    assert!(ended.success(), "{ended}");
    let wanted = state(&whole.path().join("root"));
    let names = fs::read_to_string(list).unwrap();
    let count = names.lines().count();
    for place in [
        "staged",
        "in its place",
        "made",
        "link made",
        "linked",
        "unpacked",
    ] {
        assert!(
            names.lines().any(|name| name == place),
            "`{place}` is not among {names}"
        );
    }
    for number in 0..count {
        let place = tempfile::tempdir().unwrap();
        prepare(place.path());
        let ended = run_apart(place.path(), &[(failpoint::KILL, &number.to_string())]);
        assert!(matches!(ended, Ended::Signaled(_)), "{number}: {ended}");
        // Neither old nor new content is ever missing.
        let old = fs::read_to_string(place.path().join("root/etc/old")).unwrap();
        assert!(old == "old\n" || old == "changed\n", "{number}: {old}");
        assert!(place.path().join("root/etc/link").is_symlink(), "{number}");
        run(place.path());
        assert_eq!(state(&place.path().join("root")), wanted, "killed at {number}");
        let again = requests(place.path());
        let runner = runner(place.path());
        for request in again {
            assert_eq!(
                runner.run(&request).unwrap().changes,
                [""; 0],
                "{number}: {request:?}"
            );
        }
    }
}

#[test]
fn a_checkout_that_was_killed_is_done_again() {
    let place = tempfile::tempdir().unwrap();
    prepare(place.path());
    // What a clone leaves whose checkout was killed.
    let line = "cd opt; git clone -q --no-checkout ../repo checkout; touch checkout/.git/index.lock";
    let command = Command::new("sh").inherit_environment().arg("-ec").arg(line);
    let outcome = command
        .current_dir(place.path().join("root"))
        .run(&Stop::new())
        .unwrap();
    assert!(outcome.ended.success(), "{}", outcome.tail);
    for (action, name) in [("checkout", "checkout"), ("sync", "synced")] {
        if name != "checkout" {
            let root = place.path().join("root/opt");
            fs::remove_dir_all(root.join("checkout")).unwrap();
            let line = "git clone -q --no-checkout ../repo synced";
            let command = Command::new("sh")
                .inherit_environment()
                .arg("-ec")
                .arg(line)
                .current_dir(&root);
            assert!(command.run(&Stop::new()).unwrap().ended.success());
        }
        let request = Request::new("git", format!("/opt/{name}"))
            .action(action)
            .with("repository", "/repo");
        let runner = runner(place.path());
        assert!(runner.run(&request).unwrap().updated, "{action}");
        assert_eq!(runner.run(&request).unwrap().changes, [""; 0]);
        let file = place.path().join("root/opt").join(name).join("f");
        assert_eq!(fs::read_to_string(file).unwrap(), "1\n", "{action}");
    }
}
