//! Clusters that grow and shrink as their nodes ask.

use serde_json::{Value, json};
use testkit::{Site, wait_for};

const TEMPLATE: &str = "
[cluster demo]
    [[node head]]
    [[nodearray execute]]
    MaxCount = 4
    [[nodearray parked]]
    InitialCount = 1
    ShutdownPolicy = deallocate
";

fn names(site: &Site) -> Vec<String> {
    let records = site.records("demo");
    let names = records
        .iter()
        .map(|record| record["Name"].as_str().unwrap().to_owned());
    names.collect()
}

#[test]
fn nodes_come_while_they_are_wanted_and_go_when_they_are_idle() {
    let mut site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    head.jetpack(&["autoscale", "--instancecount", "2"]).success();
    site.wait_status("demo", "execute-1", "Ready");
    site.wait_status("demo", "execute-2", "Ready");
    let shown = site.cyclecloud(&["show_cluster", "demo"]);
    assert!(shown.success().contains("execute: 2 nodes until"), "{shown:?}");

    // What is wanted survives the server, and so does a node that is wanted.
    site.stop();
    site.start();
    let node = site.node("demo", "execute-2");
    node.jetpack(&["shutdown", "--idle"]).success();
    let refused = site.wait_event("demo", "asks to go because it is idle");
    assert_eq!(refused["node"], "execute-2");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("2 nodes of node array `execute`")
    );

    let another = ["autoscale", "--instancecount=1", "--expiration", "1"];
    head.jetpack(&another).success();
    site.wait_event("demo", "wants nothing any more");
    node.jetpack(&["shutdown", "--idle"]).success();
    wait_for("`execute-2` to be gone", || match names(&site) {
        names if names.contains(&"execute-2".to_owned()) => Err(format!("{names:?}")),
        _ => Ok(()),
    });
    assert!(names(&site).contains(&"execute-1".to_owned()), "it never asked");
}

#[test]
fn a_deallocated_node_comes_back_as_itself() {
    let site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    let before = site.wait_status("demo", "parked-1", "Ready");
    let node = site.node("demo", "parked-1");
    node.jetpack(&["shutdown", "--message", "lunch"]).success();
    let record = site.wait_status("demo", "parked-1", "Deallocated");
    assert_eq!(
        (&record["State"], &record["TargetState"]),
        (&json!("Deallocated"), &json!("Deallocated"))
    );
    assert_eq!(node.processes(), [] as [i32; 0]);
    assert!(node.home.join("config/jetpack.ini").exists(), "it keeps its disk");
    let event = site.wait_event("demo", "Node is deallocated as it asked");
    assert!(event["message"].as_str().unwrap().contains("lunch"), "{event:#}");

    let body = json!({"names": ["parked-1"]}).to_string();
    let answer = site.request("POST", "/clusters/demo/nodes/start", Some(&body));
    assert_eq!(answer.status, 202, "{answer:?}");
    let after = site.wait_status("demo", "parked-1", "Ready");
    let of = |record: &Value, key: &str| record[key].clone();
    assert_eq!(of(&after, "NodeId"), of(&before, "NodeId"));
    assert_eq!(of(&after, "InstanceId"), of(&before, "InstanceId"));
}

#[test]
fn what_a_node_says_of_itself_is_seen_by_the_operator() {
    let site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    head.jetpack(&["condition", "set", "-n", "gpu", "-s", "Error", "-m", "no answer"])
        .success();
    site.wait_event("demo", "Condition `gpu` is Error: no answer");
    let issues = site.cyclecloud(&["issues", "demo"]);
    assert!(issues.success().contains("no answer"), "{issues:?}");
    head.jetpack(&["condition", "clear", "gpu"]).success();
    site.wait_event("demo", "Condition `gpu` ended");
    assert_eq!(site.cyclecloud(&["issues", "demo"]).success(), "");
}
