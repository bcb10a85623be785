//! Tests of projects, run on their nodes.

use std::fs;

use testkit::{Node, Project, Site, wait_for};

/// One that passes, one that fails, and the line that public projects use.
const TESTS: &str = "import os
import unittest

import jetpack.config
from jetpack import cluster_init


class Node(unittest.TestCase):
    def test_configuration(self):
        self.assertEqual(jetpack.config.get('cyclecloud.cluster.name'), 'demo')
        [spec] = cluster_init.get_specs()
        self.assertTrue(os.path.isdir(os.path.join(spec.path, 'tests')))

    def test_colour(self):
        self.assertEqual(jetpack.config.get('tools.colour'), 'blue')
";

const SCRIPT: &str = "#!/bin/sh
set -e
# The system's own commands come before those of the node's Python.
case $(command -v python3) in \"$CYCLECLOUD_HOME\"/*) exit 1 ;; esac
\"$CYCLECLOUD_HOME/system/embedded/bin/python\" -c \"import jetpack.converge as jc; jc._send_installation_status('warning')\"
\"$CYCLECLOUD_HOME/system/embedded/bin/python\" -c 'from jetpack import log; log.info(\"said by Python\", priority=\"high\")'
";

fn project(site: &Site) {
    let mut project = Project::new(site.folder(), "tools");
    project
        .script("default", "010-python.sh", SCRIPT)
        .file("specs/default/cluster-init/tests/test_node.py", TESTS, 0o644)
        .file(
            "specs/default/cluster-init/tests/run.sh",
            "#!/bin/sh\necho run >>\"$CYCLECLOUD_HOME/tested\"\n",
            0o755,
        );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
}

fn wait_for_empty_outbox(node: &Node) {
    wait_for("the server to have all messages", || {
        let waiting = fs::read_dir(node.home.join("run/outbox")).unwrap();
        let waiting = waiting
            .flatten()
            .filter(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "json")
            })
            .count();
        if waiting == 0 {
            Ok(())
        } else {
            Err(format!("{waiting} wait"))
        }
    });
}

#[test]
fn tests_run_on_the_node_and_the_server_hears_of_them() {
    let site = Site::new();
    project(&site);
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[configuration]]]\ntools.colour = green\n\
         [[[cluster-init tools:default]]]\n",
    );
    let record = site.wait_status("demo", "head", "Ready");
    assert!(record["Hostname"].is_string(), "{record:#}");
    site.wait_event("demo", "said by Python");
    let head = site.node("demo", "head");
    assert_eq!(head.read("tested"), "", "tests run when somebody asks");

    let run = head.jetpack(&[
        "test",
        "--junit-xml",
        head.home.join("logs/t.xml").to_str().unwrap(),
    ]);
    assert_eq!(
        run.failure().lines().last(),
        Some("Error: 1 of 3 tests did not pass")
    );
    assert!(
        run.stdout
            .contains("tools:default: 2 passed, 1 failed, 0 errors, 0 skipped in "),
        "{run:#?}"
    );
    assert!(
        run.stdout.contains("  FAILED test_node.py::Node::test_colour: "),
        "{run:#?}"
    );
    assert!(
        head.read("logs/t.xml")
            .contains("<testsuite name=\"tools:default\" tests=\"3\" failures=\"1\"")
    );
    wait_for_empty_outbox(&head);
    let event = site.wait_event("demo", "tests of tools:default: 2 passed, 1 failed");
    assert_eq!(
        (&event["level"], &event["node"]),
        (&"error".into(), &"head".into())
    );
    assert!(
        event["message"]
            .as_str()
            .unwrap()
            .contains("\ntest_node.py::Node::test_colour: "),
        "{event:#}"
    );
    let answer = site.request("GET", "/cloud/api/nodes/head?cluster=demo", None);
    assert_eq!(answer.json()["Tests"]["tools:default"]["failed"], 1, "{answer:?}");
}

#[test]
fn a_cluster_in_test_mode_tests_its_nodes_once_they_are_ready() {
    let site = Site::new();
    project(&site);
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[configuration]]]\ncyclecloud.test_mode = true\n\
         tools.colour = blue\n[[[cluster-init tools:default]]]\n",
    );
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    wait_for("the tests to pass", || {
        let log = head.read("logs/jetpack.log");
        if log.contains("the tests have passed") {
            Ok(())
        } else {
            Err(log)
        }
    });
    assert_eq!(head.read("tested"), "run\n");
    wait_for_empty_outbox(&head);
}

#[test]
fn a_project_is_tested_on_a_cluster_of_its_own() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.file("specs/default/cluster-init/tests/test_node.py", TESTS, 0o644);
    let template = "[cluster tools]\n[[node head]]\n[[[configuration]]]\ntools.colour = $Colour\n\
                    [[[cluster-init tools:default]]]\n[parameters All]\n[[parameter Colour]]\nDefaultValue = green\n";
    project.file("templates/tools.txt", template, 0o644);
    let run = |args: &[&str]| {
        let all: Vec<_> = ["project", "test", "-n", "demo"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        site.cyclecloud_in(project.folder(), &all)
    };
    let failed = run(&["--junit-xml", "tests.xml", "--output-json", "tests.json"]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(
        failed.stderr.contains("Error: 1 of 2 tests failed\n"),
        "{failed:#?}"
    );
    assert!(
        failed.stdout.contains("head: test_node.py::Node::test_colour\n"),
        "{failed:#?}"
    );
    let read = |name: &str| fs::read_to_string(project.folder().join(name)).unwrap();
    assert!(read("tests.xml").contains("name=\"test_node.py::Node::test_colour\""));
    assert!(read("tests.json").contains("\"failed\": 1"));
    let gone = site.cyclecloud(&["show_cluster", "demo"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert_eq!(
        gone.stderr, "Error: there is no cluster `demo`\n",
        "nothing of it is left"
    );

    let passed = run(&["-e", "Colour=blue"]);
    assert_eq!(passed.code, Some(0), "{passed:#?}");
    assert!(
        passed.stdout.contains("head  tools:default  2       0"),
        "{passed:#?}"
    );
}
