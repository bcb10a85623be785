//! Everything that can die does, at a bad moment, and nothing is lost.

use std::collections::BTreeMap;
use std::fs;

use testkit::{Project, Site, kill_hard, wait_for};

const ONE_NODE: &str = "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default:1.0.0]]]\n";

/// A site with one node that is Ready after a script that does nothing.
fn ready_site() -> Site {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script("default", "010-nothing.sh", "#!/bin/sh\n");
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", ONE_NODE);
    site.wait_status("demo", "head", "Ready");
    site
}

/// A site whose node runs a script that waits until the test makes the file `go` in the scratch folder.
fn site_with_waiting_script() -> Site {
    let site = Site::new();
    let go = site.folder().join("go");
    let mut project = Project::new(site.folder(), "tools");
    project
        .script(
            "default",
            "010-first.sh",
            "#!/bin/sh\necho first >>\"$CYCLECLOUD_HOME/trace\"\n",
        )
        .script(
            "default",
            "020-wait.sh",
            &format!(
                "#!/bin/sh\necho begin >>\"$CYCLECLOUD_HOME/trace\"\n\
             while [ ! -e {} ]; do sleep 0.05; done\necho end >>\"$CYCLECLOUD_HOME/trace\"\n",
                go.display()
            ),
        );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", ONE_NODE);
    let head = wait_for("the node to have an id", || {
        if site.records("demo").is_empty() {
            Err("none yet")
        } else {
            Ok(site.node("demo", "head"))
        }
    });
    wait_for("the second script to run", || {
        let trace = head.read("trace");
        if trace.contains("begin") {
            Ok(())
        } else {
            Err(format!("{trace}\n{}", head.read("logs/jetpackd.log")))
        }
    });
    site
}

fn go(site: &Site) {
    fs::File::create(site.folder().join("go")).unwrap();
}

/// The process of the running converge.
fn converge_process(site: &Site) -> i32 {
    let head = site.node("demo", "head");
    let found = head.processes().into_iter().find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split('\0');
        words.next().is_some_and(|program| program.ends_with("jetpack")) && words.next() == Some("converge")
    });
    found.expect("a converge runs")
}

#[test]
fn a_killed_converge_is_done_again_without_what_had_succeeded() {
    let site = site_with_waiting_script();
    kill_hard(converge_process(&site));
    go(&site);
    site.wait_status("demo", "head", "Ready");
    let trace = site.node("demo", "head").read("trace");
    assert_eq!(trace.matches("first").count(), 1, "{trace}");
    assert!(trace.ends_with("end\n"), "{trace}");
}

#[test]
fn a_killed_daemon_comes_back_and_its_converge_is_not_doubled() {
    let site = site_with_waiting_script();
    let head = site.node("demo", "head");
    let daemon = head.daemon();
    kill_hard(daemon);
    wait_for("another daemon", || {
        let now = head.daemon();
        if now == daemon {
            Err("it is the old one")
        } else {
            Ok(())
        }
    });
    go(&site);
    site.wait_status("demo", "head", "Ready");
    assert_eq!(head.read("trace"), "first\nbegin\nend\n");
}

#[test]
fn a_killed_server_finds_its_nodes_again_and_no_message_is_lost() {
    let mut site = ready_site();
    let head = site.node("demo", "head");
    let daemon = head.daemon();
    let mut sent = 0;
    let mut send = |count: usize| {
        for _ in 0..count {
            sent += 1;
            head.jetpack(&["log", &format!("number {sent} of the test")])
                .success();
        }
    };
    send(5);
    site.kill();
    send(5);
    let said = head.jetpack(&["log", "said while the server is away"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stderr.contains("server") && said.stdout.is_empty(),
        "the user is told: {said:?}"
    );
    site.start();
    send(5);
    site.wait_event("demo", "number 15 of the test");
    site.wait_event("demo", "said while the server is away");
    let mut seen = BTreeMap::new();
    let mut order = Vec::new();
    for event in site.events("demo") {
        if let Some(number) = event["message"].as_str().and_then(|text| {
            text.strip_prefix("number ")?
                .split(' ')
                .next()?
                .parse::<u32>()
                .ok()
        }) {
            *seen.entry(number).or_insert(0) += 1;
            order.push(number);
        }
    }
    assert_eq!(
        seen,
        (1..=15).map(|number| (number, 1)).collect(),
        "each is stored once"
    );
    assert!(order.is_sorted(), "in the order of the node: {order:?}");
    assert_eq!(head.daemon(), daemon, "the node was adopted, not started anew");
    assert_eq!(site.records("demo")[0]["Status"], "Ready");
    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    site.wait_status("demo", "head", "Off");
    assert_eq!(head.processes(), Vec::<i32>::new());
}

#[test]
fn a_server_killed_while_a_node_starts_goes_on_from_there() {
    let mut site = site_with_waiting_script();
    site.kill();
    go(&site);
    let head_trace = wait_for("the converge to end without a server", || {
        let nodes = site.server_folder().join("nodes");
        let home = fs::read_dir(&nodes)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
            .join("jetpack");
        let trace = fs::read_to_string(home.join("trace")).unwrap();
        if trace.ends_with("end\n") {
            Ok(trace)
        } else {
            Err(trace)
        }
    });
    assert_eq!(head_trace, "first\nbegin\nend\n");
    site.start();
    site.wait_status("demo", "head", "Ready");
}

#[test]
fn a_stopped_server_stops_its_nodes_and_starts_them_again() {
    let mut site = ready_site();
    let head = site.node("demo", "head");
    site.stop();
    assert_eq!(head.processes(), Vec::<i32>::new());
    site.start();
    head.daemon();
    site.wait_status("demo", "head", "Ready");
    head.jetpack(&["log", "still here"]).success();
    site.wait_event("demo", "still here");
}

#[test]
fn a_node_that_starts_while_the_server_is_away_joins_later() {
    let mut site = ready_site();
    let head = site.node("demo", "head");
    site.stop();
    // The daemon alone, as on a machine that boots while the server is down.
    let mut daemon = testkit::Program::new("jetpackd")
        .env("CYCLECLOUD_HOME", &head.home)
        .into_command();
    let mut daemon = daemon
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the daemon to say that the server is away", || {
        let status = head.jetpack(&["status"]);
        if status.stdout.contains("away") {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    });
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    site.start();
    site.wait_status("demo", "head", "Ready");
}

#[test]
fn a_server_started_from_the_shell_of_a_node_outlives_the_node() {
    let mut site = ready_site();
    let head = site.node("demo", "head");
    site.kill();
    site.start_with_home(Some(&head.home));
    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    site.wait_status("demo", "head", "Off");
    site.stop();
}
