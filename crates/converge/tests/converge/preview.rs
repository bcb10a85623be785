//! What a converge would do, compared with what it does.

use std::fs;
use std::path::Path;

use converge::{ChangeKind, SpecChange};

use crate::site::{Site, failure};

fn tree(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.display().to_string());
        if path.is_dir() {
            tree(&path, found);
        }
    }
    found.sort();
}

fn everything(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    tree(site.top(), &mut found);
    found
}

async fn would_run(site: &Site, specs: &[&str]) -> Vec<String> {
    let preview = site.preview(specs).await.unwrap();
    let scripts = preview.scripts.iter().filter(|script| script.skip.is_none());
    scripts.map(|script| script.script.step()).collect()
}

async fn runs(site: &Site, specs: &[&str]) -> Vec<String> {
    let said = site.converge(specs).await.unwrap();
    let started = said.iter().filter_map(|line| line.strip_prefix("start "));
    started.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_preview_names_exactly_what_then_runs_and_changes_nothing() {
    let specs = ["demo:one", "demo:two"];
    let mut site = Site::new();
    site.script("demo", "one", "1.sh", "#!/bin/sh\ntrue\n");
    site.script("demo", "one", "2.bat", "");
    site.file("demo", "one", "scripts/helper.py", "");
    site.file("demo", "one", "stages/activate.sh", "#!/bin/sh\n# activate\n");
    site.script("demo", "two", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let before = everything(&site);
    let first = would_run(&site, &specs).await;
    assert_eq!(everything(&site), before);
    assert_eq!(
        first,
        [
            "demo/one/scripts/1.sh",
            "demo/two/scripts/1.sh",
            "demo/one/stages/activate.sh"
        ]
    );
    assert_eq!(runs(&site, &specs).await, first);
    assert!(would_run(&site, &specs).await.is_empty());
    site.options.rerun_scripts = true;
    assert_eq!(would_run(&site, &specs).await, first);
    site.options.rerun_scripts = false;

    // The disk is lost: everything is downloaded and nothing is run.
    fs::remove_dir_all(site.root()).unwrap();
    assert!(would_run(&site, &specs).await.is_empty());
    assert!(runs(&site, &specs).await.is_empty());

    // A marker is removed by hand.
    fs::remove_file(site.root().join(".run/demo/two/scripts/1.sh.run")).unwrap();
    assert_eq!(would_run(&site, &specs).await, ["demo/two/scripts/1.sh"]);
    site.options.sync = false;
    assert_eq!(would_run(&site, &specs).await, ["demo/two/scripts/1.sh"]);
    assert_eq!(runs(&site, &specs).await, ["demo/two/scripts/1.sh"]);
}

#[tokio::test]
async fn a_preview_shows_which_files_change() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntrue\n");
    site.file("demo", "s", "files/x", "x");
    site.file("demo", "s", "files/gone", "x");
    site.upload("demo").await;
    let preview = site.preview(&["demo:s"]).await.unwrap();
    assert_eq!(preview.specs[0].change, SpecChange::New(3));
    site.converge(&["demo:s"]).await.unwrap();
    let preview = site.preview(&["demo:s"]).await.unwrap();
    assert_eq!(preview.specs[0].change, SpecChange::Unchanged);
    site.file("demo", "s", "files/x", "y");
    site.file("demo", "s", "files/new", "x");
    fs::remove_file(site.top().join("projects/demo/specs/s/cluster-init/files/gone")).unwrap();
    site.upload("demo").await;
    let preview = site.preview(&["demo:s"]).await.unwrap();
    let SpecChange::Changed(changes) = &preview.specs[0].change else {
        panic!("{preview:?}")
    };
    let changes: Vec<_> = changes
        .iter()
        .map(|change| (change.path.as_str(), change.kind))
        .collect();
    assert_eq!(
        changes,
        [
            ("files/gone", ChangeKind::Removed),
            ("files/new", ChangeKind::Added),
            ("files/x", ChangeKind::Changed)
        ]
    );
}

#[tokio::test]
async fn a_preview_fails_as_the_converge_would() {
    let site = Site::new();
    let failure = failure(site.preview(&["none:s"]).await);
    assert_eq!(
        failure.message,
        "failed to find project `none` in locker `local` at projects/none/1.0.0/manifest.json"
    );
}
