//! A converge that is killed at any of its steps: the next one reaches the same end.
//!
//! This test program runs itself as the converge that dies, so that nothing is cleaned up in between.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use converge::{Ledger, Status};
use durable::failpoint;
use node::command::{Command, Ended, Outcome, Process, Stop};

use crate::site::{Said, Site};

const SITE: &str = "CONVERGE_CRASH_SITE";
const SPECS: [&str; 2] = ["demo:one", "demo:two"];
/// A file system in memory: what is killed here is a process, not the machine, and there are hundreds of converges.
const MEMORY: &str = "/dev/shm";

/// Does nothing unless it is the program that a test starts.
#[tokio::test]
async fn the_converge_that_dies() {
    let Ok(top) = std::env::var(SITE) else {
        return;
    };
    let site = Site::at(&PathBuf::from(top));
    site.run(&site.specs(&SPECS), &mut Said::default(), &Stop::new())
        .await
        .unwrap();
}

/// Runs a converge in a process of its own.
fn converge_apart(site: &Site, variables: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(std::env::current_exe().unwrap())
        .inherit_environment()
        .arg("--exact")
        .arg("crash::the_converge_that_dies")
        .env(SITE, site.top());
    for (name, value) in variables {
        command = command.env(name, value);
    }
    command.run(&Stop::new()).unwrap()
}

fn scratch() -> tempfile::TempDir {
    if Path::new(MEMORY).is_dir() {
        tempfile::tempdir_in(MEMORY).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// A script that may run twice, and that says how often it did.
fn harmless(name: &str) -> String {
    format!(
        "#!/bin/sh\necho {name} >>$CYCLECLOUD_HOME/ran\nmkdir -p $CYCLECLOUD_HOME/state\n\
         cat ../files/x >$CYCLECLOUD_HOME/state/{name}\necho output of {name}\n"
    )
}

/// The scripts of [`first`] in their order.
const FIRST: [&str; 5] = ["one-install", "one-1", "one-2", "two-1", "one-activate"];

/// A project whose node is converged for the first time.
async fn first(site: &mut Site) {
    site.file("demo", "one", "stages/install.sh", &harmless("one-install"));
    site.file("demo", "one", "stages/activate.sh", &harmless("one-activate"));
    site.script("demo", "one", "1.sh", &harmless("one-1"));
    site.script("demo", "one", "2.sh", &harmless("one-2"));
    site.script("demo", "two", "1.sh", &harmless("two-1"));
    site.file("demo", "one", "files/x", "x of one");
    site.file("demo", "two", "files/x", "x of two");
    site.upload("demo").await;
}

/// A node that is converged, and whose project has changed since: a script is new, one is gone, one is another.
async fn changed(site: &mut Site) {
    first(site).await;
    site.converge(&SPECS).await.unwrap();
    fs::remove_file(site.home.root().join("ran")).unwrap();
    fs::remove_file(
        site.top()
            .join("projects/demo/specs/one/cluster-init/scripts/1.sh"),
    )
    .unwrap();
    site.script("demo", "one", "3.sh", &harmless("one-3"));
    site.script("demo", "two", "1.sh", &format!("{}# new\n", harmless("two-1")));
    site.file("demo", "two", "files/x", "another x of two");
    site.upload("demo").await;
}

/// Everything that a converge leaves on a machine but ids and times.
fn end_state(site: &Site) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    walk(site.top(), site.top(), &mut state);
    state
}

fn walk(top: &Path, folder: &Path, state: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if ["projects", "locker"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            state.insert(name, format!("folder {mode:o}"));
            walk(top, &path, state);
            continue;
        }
        let mut text = fs::read_to_string(&path).unwrap();
        match name.as_str() {
            "jetpack/ran" | "jetpack/run/converge-history.json" | "jetpack/run/converge.lock" => continue,
            "jetpack/run/converge.json" | "cluster-init/.tree" | "jetpack/run/cluster-init/tree.json" => {
                text.clear();
            }
            _ if name.ends_with(".run") => {
                let mut marker: serde_json::Value = serde_json::from_str(&text).unwrap();
                marker.as_object_mut().unwrap().remove("finished").unwrap();
                text = marker.to_string();
            }
            _ => {}
        }
        state.insert(name, format!("{mode:o} {text}"));
    }
}

/// What one of them lacks, or has another way.
fn difference(one: &BTreeMap<String, String>, two: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<_> = one.keys().chain(two.keys()).collect();
    let differs = names.into_iter().filter(|name| one.get(*name) != two.get(*name));
    differs
        .map(|name| format!("{name}: {:?} and {:?}", one.get(name), two.get(name)))
        .collect()
}

/// Kills the converge at each place in turn, and compares what the next one makes of it with what an uninterrupted one
/// leaves. Says how often each kind of place was tried.
async fn matrix(scenario: impl AsyncFn(&mut Site)) -> BTreeMap<String, usize> {
    let template = scratch();
    let mut origin = Site::in_folder(template.path());
    scenario(&mut origin).await;
    let copy = || {
        let folder = scratch();
        let copied = Command::new("cp")
            .inherit_environment()
            .arg("-a")
            .arg(template.path().join("."))
            .arg(folder.path())
            .run(&Stop::new())
            .unwrap();
        assert!(copied.ended.success(), "{}", copied.tail);
        let site = Site::at(folder.path());
        (folder, site)
    };

    let (folder, site) = copy();
    let list = folder.path().join("places");
    let whole = converge_apart(&site, &[(failpoint::LIST, list.to_str().unwrap())]);
    assert_eq!(whole.ended, Ended::Exited(0), "{}", whole.tail);
    let places: Vec<String> = site.read("places").lines().map(str::to_owned).collect();
    fs::remove_file(list).unwrap();
    let expected = end_state(&site);
    let ran = site.read("jetpack/ran");

    let mut tried = BTreeMap::new();
    for (number, place) in places.iter().enumerate() {
        let (_folder, site) = copy();
        let died = converge_apart(&site, &[(failpoint::KILL, &number.to_string())]);
        assert!(
            matches!(died.ended, Ended::Signaled(_)),
            "{number} {place}: {}",
            died.tail
        );
        let mut said = Said::default();
        site.run(&site.specs(&SPECS), &mut said, &Stop::new())
            .await
            .unwrap();
        assert_eq!(said.0.last().unwrap(), "ready", "{number} {place}");
        let difference = difference(&expected, &end_state(&site));
        assert!(difference.is_empty(), "{number} {place}: {difference:#?}");
        let ledger = Ledger::observe(&site.home).unwrap().unwrap();
        assert_eq!(ledger.status, Status::Ready, "{number} {place}");

        // Only a script that had not been marked yet may have run twice, and none before the ones before it.
        let mut order: Vec<_> = site.read("jetpack/ran").lines().map(str::to_owned).collect();
        let runs = order.len();
        order.dedup();
        assert_eq!(order.join("\n") + "\n", ran, "{number} {place}");
        assert!(runs <= order.len() + 1, "{number} {place}: {order:?}");
        *tried.entry(place.clone()).or_default() += 1;
    }
    tried
}

#[tokio::test]
async fn wherever_it_dies_the_next_converge_reaches_the_same_end() {
    let tried = matrix(first).await;
    println!("{tried:#?}");
    for place in [
        "converge begun",
        "phase entered",
        "staged",
        "swapped",
        "script noted",
        "script ended",
        "marked",
        "reported",
    ] {
        assert!(tried.contains_key(place), "{place} in {tried:?}");
    }
    assert_eq!(tried["marked"], 2 * FIRST.len());
}

#[tokio::test]
async fn wherever_an_update_dies_the_next_converge_reaches_the_same_end() {
    let tried = matrix(changed).await;
    println!("{tried:#?}");
    assert_eq!((tried["swapped"], tried["marked"]), (2, 4));
}

#[tokio::test]
async fn a_script_whose_converge_was_killed_does_not_run_beside_itself() {
    let mut site = Site::new();
    let text = "#!/bin/sh\necho $$ >> $CYCLECLOUD_HOME/ran\n\
                [ $(wc -l < $CYCLECLOUD_HOME/ran) -gt 1 ] && exit 0\nkill -KILL $PPID\nsleep 300\n";
    site.script("demo", "one", "1.sh", text);
    site.script("demo", "two", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let died = converge_apart(&site, &[]);
    assert_eq!(died.ended, Ended::Signaled(9), "{}", died.tail);
    let orphan: i32 = site.read("jetpack/ran").trim().parse().unwrap();
    assert!(Process::of(orphan).is_some());
    site.converge(&SPECS).await.unwrap();
    assert!(Process::of(orphan).is_none());
    assert!(!site.home.running_script().exists());
    assert_eq!(site.read("jetpack/ran").lines().count(), 2);
}

#[tokio::test]
async fn a_script_that_is_killed_half_way_is_run_again() {
    let mut site = Site::new();
    // It kills the converge that runs it, the first time.
    let text = "#!/bin/sh\necho x >> $CYCLECLOUD_HOME/ran\n\
                [ $(wc -l < $CYCLECLOUD_HOME/ran) -gt 1 ] || kill -KILL $PPID\n";
    site.script("demo", "one", "1.sh", text);
    site.script("demo", "two", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let died = converge_apart(&site, &[]);
    assert_eq!(died.ended, Ended::Signaled(9), "{}", died.tail);
    assert_eq!(
        Ledger::observe(&site.home).unwrap().unwrap().status,
        Status::Interrupted
    );
    site.converge(&SPECS).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "x\nx\n");
}
