//! When a node converges by itself, and what is seen of it.

use std::fs;

use serde_json::Value;
use testkit::{Node, Project, Site, kill_hard, wait_for};

const ONE_NODE: &str = "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default:1.0.0]]]\n";

/// A site with one node that is Ready after a script that counts its runs.
fn ready_site(configuration: &str, script: &str) -> (Site, Node) {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script(
        "default",
        "010-count.sh",
        &format!("#!/bin/sh\necho run >>\"$CYCLECLOUD_HOME/runs\"\n{script}"),
    );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", &format!("{ONE_NODE}[[[configuration]]]\n{configuration}"));
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    (site, head)
}

fn status(head: &Node) -> Value {
    serde_json::from_str(head.jetpack(&["status", "--json"]).success()).unwrap()
}

/// Waits until the last converge is ready and was run for this reason.
fn wait_converge(head: &Node, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || {
        let status = status(head);
        if status["converge"]["status"] == "ready" && wanted(&status) {
            Ok(status)
        } else {
            Err(format!("{status:#}\n{}", head.read("logs/jetpackd.log")))
        }
    })
}

#[test]
fn a_node_that_is_to_be_maintained_converges_again_and_again() {
    let (_site, head) = ready_site(
        "cyclecloud.maintenance_converge.enabled = true\n",
        "printf '[converge]\\nmaintenance_interval = 1\\n' >>\"$CYCLECLOUD_HOME/config/jetpack.ini\"\n",
    );
    let status = wait_converge(&head, "two converges for maintenance", |status| {
        status["converge"]["mode"] == "maintenance" && status["history"][0]["mode"] == "maintenance"
    });
    assert_eq!(status["converge"]["steps"][0]["state"], "skipped");
    assert_eq!(head.read("runs"), "run\n", "what has succeeded is not run again");
}

#[test]
fn a_lost_disk_is_filled_again_when_the_daemon_starts() {
    let (_site, head) = ready_site("", "");
    let daemon = head.daemon();
    kill_hard(daemon);
    fs::remove_dir_all(&head.tree).unwrap();
    wait_converge(&head, "the tree to be back", |_| {
        head.tree.join("tools/default/scripts/010-count.sh").exists()
    });
    assert_eq!(head.read("runs"), "run\n");
    assert_eq!(status(&head)["history"].as_array().unwrap().len(), 1);
}

#[test]
fn a_node_converges_at_each_boot_if_it_is_told_to() {
    for (configuration, expected) in [("cyclecloud.converge_on_boot = true\n", 1), ("", 0)] {
        let (_site, head) = ready_site(configuration, "");
        wait_for("the daemon to know that the node is converged", || {
            let state = head.read("run/jetpackd.json");
            if state.contains("\"converged\": true") {
                Ok(())
            } else {
                Err(state)
            }
        });
        let daemon = head.daemon();
        kill_hard(daemon);
        // As if the machine had been started anew since.
        let path = head.home.join("run/jetpackd.json");
        let mut state: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(state["boot"].is_string(), "{state}");
        state["boot"] = "another boot".into();
        #[expect(clippy::disallowed_methods, reason = "nobody else writes it now")]
        fs::write(&path, state.to_string()).unwrap();
        wait_for("another daemon", || {
            if head.daemon() == daemon {
                Err("the same")
            } else {
                Ok(())
            }
        });
        let status = wait_converge(&head, "the daemon to be idle", |status| {
            status["daemon"]["activity"] == "idle"
        });
        assert_eq!(
            status["history"].as_array().unwrap().len(),
            expected,
            "{configuration}: {status:#}"
        );
        assert_eq!(head.read("runs"), "run\n");
    }
}

#[test]
fn the_time_of_each_script_is_on_the_page_of_its_node() {
    let (site, head) = ready_site("", "sleep 0.3\n");
    let page = site.request("GET", "/c/demo/n/head", None);
    for part in [
        "Converges",
        "succeeded",
        "install",
        "tools/default/scripts/010-count.sh",
        "1 run",
    ] {
        assert!(page.body.contains(part), "`{part}` in {}", page.body);
    }
    let record = site.records("demo");
    let shown = head.jetpack(&["status"]);
    assert!(
        shown
            .success()
            .contains("tools/default/scripts/010-count.sh succeeded in 0."),
        "{shown:?} {record:?}"
    );
    // One that runs is seen while it does.
    site.wait_event("demo", "cluster-init: tools/default/scripts/010-count.sh");
    let preview = head.jetpack(&["converge", "--dry-run"]);
    assert_eq!(
        preview.success(),
        "tools:default 1.0.0: unchanged\n\
         skip tools/default/scripts/010-count.sh: has already run successfully\n\
         0 scripts would run\n"
    );
}
