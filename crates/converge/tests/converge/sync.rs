//! Downloading: what is missing, wrong, unchanged or left over.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use node::command::Stop;

use crate::site::{Said, Site, failure};

#[tokio::test]
async fn a_missing_project_is_named_with_its_place_and_changes_nothing() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntouch $CYCLECLOUD_HOME/ran\n");
    site.upload("demo").await;
    let failure = failure(site.converge(&["demo:s", "none:s"]).await);
    assert_eq!(
        failure.message,
        "failed to find project `none` in locker `local` at projects/none/1.0.0/manifest.json"
    );
    assert!(
        failure
            .recommendation
            .unwrap()
            .contains("cyclecloud project upload")
    );
    assert!(!site.home.root().join("ran").exists());
    assert!(!site.root().join("demo").exists());
}

#[tokio::test]
async fn an_optional_spec_may_be_missing() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let mut specs = site.specs(&["none:s", "demo:none", "demo:s"]);
    specs[0].optional = true;
    specs[1].optional = true;
    let mut said = Said::default();
    site.run(&specs, &mut said, &Stop::new()).await.unwrap();
    assert_eq!(
        said.0[1..4],
        ["missing none:s", "missing demo:none", "synced demo:s (1)"]
    );
    assert_eq!(said.0.last().unwrap(), "ready");

    specs[1].optional = false;
    let error = failure(site.run(&specs, &mut Said::default(), &Stop::new()).await);
    assert_eq!(
        error.message,
        "project `demo` version `1.0.0` in locker `local` has no spec `none`"
    );
}

#[tokio::test]
async fn without_a_version_the_newest_is_taken() {
    let mut site = Site::new();
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\necho $CYCLECLOUD_PROJECT_VERSION\n",
    );
    site.upload("demo").await;
    let mut specs = site.specs(&["demo:s"]);
    specs[0].version = None;
    site.run(&specs, &mut Said::default(), &Stop::new())
        .await
        .unwrap();
    assert_eq!(site.output("demo/s/scripts/1.sh"), "1.0.0\n");
    specs[0].project = "none".to_owned();
    let error = failure(site.run(&specs, &mut Said::default(), &Stop::new()).await);
    assert!(
        error
            .message
            .starts_with("failed to find project `none` in locker `local`"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_wrong_checksum_leaves_the_old_spec_in_place() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntrue\n");
    site.file("demo", "s", "files/x", "old");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    site.file("demo", "s", "files/x", "new");
    site.upload("demo").await;
    let blob = site
        .locker_folder()
        .join("projects/demo/1.0.0/s/cluster-init/files/x");
    durable::write(&blob, 0o644, b"bad").unwrap();
    let failure = failure(site.converge(&["demo:s"]).await);
    assert!(
        failure.message.contains("files/x` in the locker") && failure.message.contains("sha256"),
        "{}",
        failure.message
    );
    assert!(
        failure
            .recommendation
            .unwrap()
            .contains("upload the project again")
    );
    assert_eq!(
        fs::read_to_string(site.root().join("demo/s/files/x")).unwrap(),
        "old"
    );

    durable::write(&blob, 0o644, b"new").unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(
        fs::read_to_string(site.root().join("demo/s/files/x")).unwrap(),
        "new"
    );
}

#[tokio::test]
async fn what_has_not_changed_is_not_downloaded() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntrue\n");
    site.file("demo", "s", "files/x", "x");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    // The blobs are gone: only the manifest is read.
    fs::remove_dir_all(site.locker_folder().join("projects/demo/1.0.0/s")).unwrap();
    let said = site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(said[1], "synced demo:s (unchanged)");
    // But a file that is missing here is fetched again.
    fs::remove_file(site.root().join("demo/s/files/x")).unwrap();
    failure(site.converge(&["demo:s"]).await);
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    assert!(site.root().join("demo/s/files/x").exists());
}

#[tokio::test]
async fn files_that_left_the_project_leave_the_machine() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntrue\n");
    site.script("demo", "s", "2.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    fs::remove_file(site.top().join("projects/demo/specs/s/cluster-init/scripts/2.sh")).unwrap();
    site.upload("demo").await;
    // A crash left this.
    fs::create_dir(site.root().join("demo/.s.new")).unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    assert!(!site.root().join("demo/s/scripts/2.sh").exists());
    let names: Vec<_> = fs::read_dir(site.root().join("demo"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["s"]);
}

#[tokio::test]
async fn files_keep_the_mode_of_their_author_and_shell_scripts_always_run() {
    let mut site = Site::new();
    site.file(
        "demo",
        "s",
        "scripts/1.sh",
        "#!/bin/sh\ntouch $CYCLECLOUD_HOME/ran\n",
    );
    site.file("demo", "s", "files/plain", "x");
    site.file("demo", "s", "files/tool", "x");
    let tool = site.top().join("projects/demo/specs/s/cluster-init/files/tool");
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    let mode = |path: &str| {
        fs::metadata(site.root().join("demo/s").join(path))
            .unwrap()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode("files/plain"), mode("files/tool"), mode("scripts/1.sh")),
        (0o644, 0o755, 0o755)
    );
    assert!(site.home.root().join("ran").exists());
}

#[tokio::test]
async fn without_sync_the_scripts_that_are_there_run() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\necho x >> $CYCLECLOUD_HOME/ran\n");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    fs::remove_dir_all(site.locker_folder().join("projects")).unwrap();
    site.options.sync = false;
    // An author at work on the node.
    let script = site.root().join("demo/s/scripts/1.sh");
    durable::write(&script, 0o755, b"#!/bin/sh\necho y >> $CYCLECLOUD_HOME/ran\n").unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "x\ny\n");
}
