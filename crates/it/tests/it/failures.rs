//! What goes wrong in projects, and how it heals by itself once it is mended.

use testkit::{Project, Site, wait_for};

const ONE_NODE: &str = "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default:1.0.0]]]\n";

#[test]
fn a_failing_script_is_named_with_its_output_and_recovers_after_an_upload() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project
        .script(
            "default",
            "010-good.sh",
            "#!/bin/sh\necho once >>\"$CYCLECLOUD_HOME/good\"\n",
        )
        .script(
            "default",
            "020-bad.sh",
            "#!/bin/sh\necho looking\necho 'no licence server <b>' >&2\nexit 7\n",
        )
        .script(
            "default",
            "030-later.sh",
            "#!/bin/sh\necho never >\"$CYCLECLOUD_HOME/later\"\n",
        );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", ONE_NODE);
    let record = site.wait_status("demo", "head", "Failed");
    let message = record["StatusMessage"].as_str().unwrap();
    assert!(
        message.contains("020-bad.sh") && message.contains("return code: 7"),
        "{message}"
    );
    let head = site.node("demo", "head");
    assert_eq!(
        head.read("later"),
        "",
        "the first failing script stops the converge"
    );

    let shown = site.cyclecloud(&["show_nodes", "-c", "demo"]);
    for part in ["head", "Failed", "020-bad.sh", "7", "no licence server"] {
        assert!(shown.success().contains(part), "`{part}` in {shown:?}");
    }
    let page = site.request("GET", "/c/demo", None);
    assert!(
        page.body.contains("020-bad.sh") && page.body.contains("no licence server &#"),
        "{}",
        page.body
    );
    assert!(
        !page.body.contains("server <b>"),
        "a node's output is text, never markup"
    );
    let status = head.jetpack(&["status"]);
    for part in ["failed", "020-bad.sh", "7", "no licence server"] {
        assert!(status.success().contains(part), "`{part}` in {status:?}");
    }

    project.script("default", "020-bad.sh", "#!/bin/sh\necho found it\n");
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    let record = site.wait_status("demo", "head", "Ready");
    assert!(
        record["StatusMessage"].as_str().unwrap_or_default().is_empty(),
        "{record:#}"
    );
    assert_eq!(
        head.read("good"),
        "once\n",
        "a script that succeeded is not run again by a retry"
    );
    assert_eq!(head.read("later"), "never\n");
}

#[test]
fn a_missing_project_is_named_and_awaited() {
    let site = Site::new();
    site.start_cluster("demo", ONE_NODE);
    let record = site.wait_status("demo", "head", "Failed");
    let message = record["StatusMessage"].as_str().unwrap();
    assert!(
        message.contains("`tools`") && message.contains("projects/tools/1.0.0/manifest.json"),
        "{message}"
    );
    let path = format!("/cloud/api/nodes/{}", record["NodeId"].as_str().unwrap());
    let record: serde_json::Value = serde_json::from_str(&site.request("GET", &path, None).body).unwrap();
    let failed = record["Converges"]
        .as_array()
        .unwrap()
        .iter()
        .find(|converge| converge["status"] == "failed")
        .unwrap_or_else(|| panic!("{record:#}"));
    let second = |key: &str| failed[key].as_str().unwrap_or_default()[..19].to_owned();
    assert!(second("next_attempt") >= second("started"), "{failed:#}");

    let mut project = Project::new(site.folder(), "tools");
    project.script("default", "010-nothing.sh", "#!/bin/sh\n");
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.wait_status("demo", "head", "Ready");
}

#[test]
fn a_blob_or_script_whose_checksum_is_wrong_is_refused() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project
        .blob("data.bin", "the true content")
        .script("default", "010-nothing.sh", "#!/bin/sh\n");
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", ONE_NODE);
    site.wait_status("demo", "head", "Ready");
    let locker = site.server_folder().join("lockers/local/projects/tools");
    let spoil = |path: &str| {
        let path = locker.join(path);
        assert!(path.exists(), "{}", path.display());
        #[expect(clippy::disallowed_methods, reason = "this is the damage that the test makes")]
        std::fs::write(path, "something of another size or content").unwrap();
    };
    spoil("blobs/data.bin");
    let head = site.node("demo", "head");
    let target = site.folder().join("data.bin");
    let run = head.jetpack(&[
        "download",
        "--project",
        "tools",
        "data.bin",
        target.to_str().unwrap(),
    ]);
    let error = run.failure();
    assert!(
        error.contains("data.bin") && error.contains("expected"),
        "{error}"
    );
    assert!(!target.exists(), "nothing half-written is left");

    // A node that has not seen the script yet must not run the spoilt one.
    spoil("1.0.0/default/cluster-init/scripts/010-nothing.sh");
    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    site.wait_status("demo", "head", "Off");
    site.cyclecloud(&["start_cluster", "demo"]).success();
    let record = site.wait_status("demo", "head", "Failed");
    let message = record["StatusMessage"].as_str().unwrap();
    assert!(
        message.contains("010-nothing.sh") && message.contains("expected"),
        "{message}"
    );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.wait_status("demo", "head", "Ready");
}

#[test]
fn absent_blobs_and_projects_are_named() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script("default", "010-nothing.sh", "#!/bin/sh\n");
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", ONE_NODE);
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    let run = head.jetpack(&["download", "--project", "tools", "none.bin"]);
    assert!(run.failure().contains("`none.bin`"), "{run:?}");
    // A node reads only the projects of its own specs.
    let run = head.jetpack(&["download", "--project", "secret", "none.bin"]);
    assert!(run.failure().contains("secret"), "{run:?}");
}

#[test]
fn one_broken_node_does_not_stop_the_others() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script("good", "010-nothing.sh", "#!/bin/sh\n").script(
        "bad",
        "010-fail.sh",
        "#!/bin/sh\nexit 1\n",
    );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node broken]]\n[[[cluster-init tools:bad]]]\n[[node sound]]\n[[[cluster-init tools:good]]]\n",
    );
    site.wait_status("demo", "broken", "Failed");
    site.wait_status("demo", "sound", "Ready");
    wait_for("another try", || {
        let broken = site.node("demo", "broken").jetpack(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(broken.success()).unwrap();
        let attempt = status
            .pointer("/converge/attempt")
            .and_then(serde_json::Value::as_u64);
        if attempt.is_some_and(|attempt| attempt >= 2) {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}
