//! The way of a cluster from its template to its ready nodes, and back.

use std::fs;

use serde_json::Value;
use testkit::{Project, Site, alive, wait_for};

/// A node and an array of one project, `tools:default`.
const TEMPLATE: &str = "
[cluster demo]
    [[node defaults]]
        [[[configuration]]]
        tools.colour = green
        tools.count = 3
        tools.fast = true
        [[[cluster-init tools:default]]]
    [[node head]]
    [[nodearray execute]]
    InitialCount = 2
    MaxCount = 4
";

fn upload(site: &Site, project: &Project) {
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
}

#[test]
fn nodes_become_ready_and_their_scripts_find_what_was_promised() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project
        .blob("greeting.txt", "hello from a blob\n")
        .script(
            "default",
            "010-environment.sh",
            "#!/bin/bash\nset -eu\n\
             echo \"$CYCLECLOUD_PROJECT_NAME $CYCLECLOUD_SPEC_NAME $CYCLECLOUD_PROJECT_VERSION\"\n\
             echo \"cwd $(basename \"$PWD\") spec $(basename \"$CYCLECLOUD_SPEC_PATH\")\"\n\
             test -f ../files/data.txt\n\
             jetpack config tools.fast\njetpack config tools.count\njetpack config tools.colour\n\
             jetpack config tools.none fallback\n",
        )
        .script(
            "default",
            "020-blob.sh",
            "#!/bin/sh\nset -e\njetpack download greeting.txt ./here.txt\ncat ./here.txt\n",
        )
        .script(
            "default",
            "030-log.sh",
            "#!/bin/sh\njetpack log \"low one\" -p low\njetpack log \"bad one\" --level error\n",
        )
        .script("default", "040-no-shebang.sh", "echo done without a shebang\n")
        .script("default", "README.txt", "echo never run\n")
        .file("specs/default/cluster-init/files/data.txt", "data\n", 0o644);
    upload(&site, &project);
    site.start_cluster("demo", TEMPLATE);
    for node in ["head", "execute-1", "execute-2"] {
        let record = site.wait_status("demo", node, "Ready");
        assert_eq!(record["State"], "Started", "{record:#}");
        assert_eq!(record["TargetState"], "Started", "{record:#}");
    }
    let head = site.node("demo", "head");
    let output = |script: &str| head.read(&format!("logs/cluster-init/tools/default/scripts/{script}.out"));
    assert_eq!(
        output("010-environment.sh"),
        "tools default 1.0.0\ncwd scripts spec default\nTrue\n3\ngreen\nfallback\n"
    );
    assert_eq!(output("020-blob.sh"), "hello from a blob\n");
    assert_eq!(output("040-no-shebang.sh"), "done without a shebang\n");
    assert!(
        !head
            .home
            .join("logs/cluster-init/tools/default/scripts/README.txt.out")
            .exists()
    );

    let event = site.wait_event("demo", "bad one");
    assert_eq!(
        (&event["level"], &event["priority"]),
        (&Value::from("error"), &Value::from("high")),
        "{event:#}"
    );
    let event = site.wait_event("demo", "low one");
    assert_eq!(
        (&event["level"], &event["priority"]),
        (&Value::from("info"), &Value::from("low")),
        "{event:#}"
    );

    let said = site.cyclecloud(&["show_cluster", "demo"]);
    assert!(said.success().contains("demo : started"), "{said:?}");
    assert!(said.success().contains("Total nodes: 3"), "{said:?}");
    assert!(head.jetpack(&["config", "cyclecloud.node.name"]).success() == "head\n");
    assert!(
        head.jetpack(&["status"]).success().contains("ready"),
        "{:?}",
        head.jetpack(&["status"])
    );
}

#[test]
fn a_script_that_succeeded_runs_again_only_when_its_content_changes() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script(
        "default",
        "010-count.sh",
        "#!/bin/sh\necho run >>\"$CYCLECLOUD_HOME/count\"\n",
    );
    upload(&site, &project);
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default:1.0.0]]]\n",
    );
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    head.jetpack(&["converge"]).success();
    assert_eq!(head.read("count"), "run\n");
    assert!(
        head.tree
            .join(".run/tools/default/scripts/010-count.sh.run")
            .exists()
    );

    project.script(
        "default",
        "010-count.sh",
        "#!/bin/sh\necho changed >>\"$CYCLECLOUD_HOME/count\"\n",
    );
    upload(&site, &project);
    head.jetpack(&["converge", "--no-sync", "--debug"]).success();
    assert_eq!(head.read("count"), "run\n", "the new one was not downloaded");
    assert!(head.read("logs/jetpack.log").contains(" DEBUG "));
    head.jetpack(&["converge"]).success();
    assert_eq!(head.read("count"), "run\nchanged\n");

    fs::remove_file(head.tree.join(".run/tools/default/scripts/010-count.sh.run")).unwrap();
    head.jetpack(&["converge"]).success();
    assert_eq!(head.read("count"), "run\nchanged\nchanged\n");

    head.jetpack(&["converge", "--rerun-scripts"]).success();
    assert_eq!(head.read("count"), "run\nchanged\nchanged\nchanged\n");
}

#[test]
fn terminating_a_cluster_leaves_no_process_and_no_folder() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script(
        "default",
        "010-daemon.sh",
        "#!/bin/sh\nsetsid sleep 1000 >/dev/null 2>&1 </dev/null &\n",
    );
    upload(&site, &project);
    site.start_cluster("demo", TEMPLATE);
    for node in ["head", "execute-1", "execute-2"] {
        site.wait_status("demo", node, "Ready");
    }
    let nodes = ["head", "execute-1", "execute-2"].map(|name| site.node("demo", name));
    let processes: Vec<i32> = nodes.iter().flat_map(testkit::Node::processes).collect();
    assert!(
        processes.len() >= 6,
        "three daemons and what their scripts started: {processes:?}"
    );

    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    site.wait_status("demo", "head", "Off");
    wait_for("the array's nodes to vanish", || {
        let records = site.records("demo");
        if records.len() == 1 {
            Ok(())
        } else {
            Err(format!("{records:#?}"))
        }
    });
    for node in &nodes {
        assert_eq!(node.processes(), Vec::<i32>::new());
        assert!(!node.home.exists(), "{}", node.home.display());
    }
    assert!(!processes.into_iter().any(alive));

    // Started again, the node is a new machine with the same id.
    site.cyclecloud(&["start_cluster", "demo"]).success();
    site.wait_status("demo", "head", "Ready");
    assert_eq!(site.node("demo", "head").id, nodes[0].id);
}

#[test]
fn nodes_are_added_and_terminated_over_rest() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script("default", "010-nothing.sh", "#!/bin/sh\n");
    upload(&site, &project);
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "execute-2", "Ready");

    let body = r#"{"requestId": "r1", "sets": [{"nodearray": "execute", "count": 1}]}"#;
    let created = site.request("POST", "/clusters/demo/nodes/create", Some(body));
    assert_eq!(created.status, 202, "{created:?}");
    assert_eq!(created.json()["sets"][0]["added"], 1, "{created:?}");
    let again = site.request("POST", "/clusters/demo/nodes/create", Some(body));
    assert_eq!(again.status, 409, "a repeated request id is refused: {again:?}");
    site.wait_status("demo", "execute-3", "Ready");

    let status = site
        .request("GET", "/clusters/demo/status?nodes=true", None)
        .json();
    assert_eq!(status["state"], "Started", "{status:#}");
    let names: Vec<&str> = status["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["Name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["execute-1", "execute-2", "execute-3"],
        "standalone nodes are left out"
    );
    let bucket = &status["nodearrays"][0]["buckets"][0];
    assert_eq!(
        (&bucket["activeCount"], &bucket["maxCount"]),
        (&Value::from(3), &Value::from(4)),
        "{status:#}"
    );
    assert_eq!(bucket["availableCount"], 1, "{status:#}");

    let body = r#"{"names": ["execute-1"]}"#;
    let ended = site.request("POST", "/clusters/demo/nodes/terminate", Some(body));
    assert_eq!(ended.status, 202, "{ended:?}");
    assert_eq!(ended.json()["nodes"][0]["status"], "OK", "{ended:?}");
    wait_for("execute-1 to vanish", || {
        let records = site.records("demo");
        if records.iter().any(|record| record["Name"] == "execute-1") {
            Err(format!("{records:#?}"))
        } else {
            Ok(())
        }
    });
    let more = site.request(
        "POST",
        "/clusters/demo/nodes/create",
        Some(r#"{"sets": [{"nodearray": "execute", "count": 9}]}"#),
    );
    assert_eq!(
        more.json()["sets"][0]["added"],
        2,
        "the array has room for four: {more:?}"
    );
    site.wait_status("demo", "execute-1", "Ready");
    let nothing = site.request("POST", "/clusters/demo/nodes/terminate", Some("{}"));
    assert_eq!(
        nothing.status, 409,
        "no selector never means all nodes: {nothing:?}"
    );
}
