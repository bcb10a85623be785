//! What runs before a node goes.

use std::fs;
use std::path::Path;

use serde_json::json;
use testkit::{Node, Site, kill_hard, wait_for};

const TEMPLATE: &str = "[cluster demo]\n[[node head]]\n[[nodearray parked]]\nInitialCount = 1\n";

fn ready() -> Site {
    let site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    site
}

/// Registers a line for the shell. `trace` stands in the folder of the test, which outlives the node.
fn add(node: &Node, name: &str, line: &str) {
    node.jetpack(&["run_on_shutdown", "add", "--name", name, "--", "sh", "-c", line])
        .success();
}

fn trace_line(site: &Site, word: &str) -> String {
    format!("echo {word} >>{}/trace", site.folder().display())
}

fn trace(site: &Site) -> String {
    fs::read_to_string(site.folder().join("trace")).unwrap_or_default()
}

fn wait_for_trace(site: &Site, word: &str) {
    wait_for(&format!("an action to say `{word}`"), || {
        let trace = trace(site);
        if trace.contains(word) { Ok(()) } else { Err(trace) }
    });
}

/// A line that goes on once the file is there.
fn wait_line(path: &Path) -> String {
    format!("while [ ! -e {} ]; do sleep 0.05; done", path.display())
}

#[test]
fn actions_run_before_a_terminated_node_confirms_and_failures_are_reported() {
    let site = ready();
    let head = site.node("demo", "head");
    add(&head, "first", &trace_line(&site, "first"));
    add(&head, "broken", "echo no licence; exit 3");
    add(&head, "removed", &trace_line(&site, "removed"));
    let last = format!(
        "{}; jetpack log 'said by the last action'",
        trace_line(&site, "last")
    );
    add(&head, "last", &last);
    head.jetpack(&["run_on_shutdown", "remove", "removed"]).success();
    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    site.wait_status("demo", "head", "Off");
    assert_eq!(trace(&site), "first\nlast\n");
    let events = site.events("demo");
    let texts: Vec<&str> = events
        .iter()
        .filter(|event| event["node"] == "head")
        .filter_map(|event| event["message"].as_str())
        .collect();
    let place = |text: &str| {
        let found = texts.iter().position(|said| said.contains(text));
        found.unwrap_or_else(|| panic!("`{text}` in {texts:#?}"))
    };
    let places = [
        "Node runs what is registered to run before its end, for up to 900 s",
        "run_on_shutdown: `broken` has failed: return code: 3\nno licence",
        "said by the last action",
        "Node stopped its work",
        "Node terminated",
    ]
    .map(place);
    assert!(places.is_sorted(), "{texts:#?}");
    let failed = site.wait_event("demo", "`broken` has failed");
    assert_eq!(failed["level"], "warn");
}

#[test]
fn actions_run_each_time_that_a_node_is_deallocated() {
    let site = ready();
    site.wait_status("demo", "parked-1", "Ready");
    let node = site.node("demo", "parked-1");
    add(&node, "save", &trace_line(&site, "saved"));
    for times in 1..=2 {
        node.jetpack(&["shutdown", "--deallocate"]).success();
        site.wait_status("demo", "parked-1", "Deallocated");
        assert_eq!(trace(&site), "saved\n".repeat(times));
        assert_eq!(node.read("logs/run_on_shutdown/save.out"), "");
        assert!(node.home.join("logs/run_on_shutdown/save.out").exists());
        let body = json!({"names": ["parked-1"]}).to_string();
        let answer = site.request("POST", "/clusters/demo/nodes/start", Some(&body));
        assert_eq!(answer.status, 202, "{answer:?}");
        site.wait_status("demo", "parked-1", "Ready");
    }
}

#[test]
fn a_daemon_killed_half_way_goes_on_with_the_action_that_was_interrupted() {
    let site = ready();
    let head = site.node("demo", "head");
    let go = site.folder().join("go");
    add(&head, "first", &trace_line(&site, "first"));
    let lines = [
        trace_line(&site, "begin"),
        wait_line(&go),
        trace_line(&site, "end"),
    ];
    add(&head, "wait", &lines.join("; "));
    add(&head, "last", &trace_line(&site, "last"));
    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    wait_for_trace(&site, "begin");
    site.wait_event("demo", "Node runs what is registered");
    kill_hard(head.daemon());
    wait_for("the action to begin again", || match trace(&site) {
        trace if trace.matches("begin").count() == 2 => Ok(()),
        trace => Err(format!("{trace}\n{}", head.read("logs/jetpackd.log"))),
    });
    fs::File::create(go).unwrap();
    site.wait_status("demo", "head", "Off");
    assert_eq!(trace(&site), "first\nbegin\nbegin\nend\nlast\n");
    site.wait_event("demo", "Node stopped its work");
}

#[test]
fn a_node_that_needs_longer_than_the_limit_is_taken_and_that_is_said() {
    let mut site = ready();
    let head = site.node("demo", "head");
    add(
        &head,
        "slow",
        &format!("{}; sleep 600", trace_line(&site, "slow")),
    );
    site.stop();
    let settings = site.server_folder().join("cycle_server.toml");
    #[expect(
        clippy::disallowed_methods,
        reason = "a scratch file of a test need not survive a power cut"
    )]
    fs::write(
        settings,
        "[provider]\ngrace_seconds = 3\nshutdown_limit_seconds = 3\n",
    )
    .unwrap();
    site.start();
    site.wait_status("demo", "head", "Ready");
    head.daemon();
    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    wait_for_trace(&site, "slow");
    site.wait_status("demo", "head", "Off");
    let said = site.wait_event("demo", "Node had not confirmed its end after 3 s");
    assert_eq!(said["level"], "warn");
    assert!(
        said["message"]
            .as_str()
            .unwrap()
            .contains("it had asked for 310 s, the setting `provider.shutdown_limit_seconds` is 3"),
        "{said:#}"
    );
    assert_eq!(head.processes(), [] as [i32; 0]);
}
