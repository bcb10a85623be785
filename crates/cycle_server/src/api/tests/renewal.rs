//! Nodes that get another machine, arrays that are scaled, health reports, and clusters that go.

use serde_json::{Value, json};

use crate::store::Renewal;
use crate::testing::{Bench, TEMPLATE, secret};

fn names(names: &[&str]) -> Option<Value> {
    Some(json!({ "names": names }))
}

#[tokio::test]
async fn a_scale_adds_what_is_missing() {
    let bench = Bench::started().await;
    let path = "/clusters/demo/scale/execute";
    let answer = bench
        .call("POST", &format!("{path}?totalNodeCount=3"), None)
        .await
        .expect(202);
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    let result = answer.json();
    assert_eq!(result["sets"], json!([{"added": 1}]));
    let operation = result["operationId"].as_str().unwrap();
    assert!(location.ends_with(&format!("/operations/{operation}")));
    bench.get(&format!("/operations/{operation}")).await.expect(200);
    let again = bench
        .call("POST", &format!("{path}?totalNodeCount=2"), None)
        .await
        .expect(202);
    assert_eq!(again.json()["sets"], json!([{"added": 0}]));
    for (query, error) in [
        ("", "give `totalCoreCount` or `totalNodeCount`"),
        ("?totalNodeCount=1&totalCoreCount=1", "exclude each other"),
        (
            "?totalNodeCount=-1",
            "`totalNodeCount` is `-1`, which is no count",
        ),
        ("?totalCoreCount=many", "`totalCoreCount` is `many`"),
    ] {
        let answer = bench
            .call("POST", &format!("{path}{query}"), None)
            .await
            .expect(409);
        assert!(answer.error().contains(error), "{query}: {}", answer.error());
    }
    let nope = bench
        .call("POST", "/clusters/demo/scale/nope?totalNodeCount=1", None)
        .await
        .expect(409);
    assert!(nope.error().contains("there is no node array `nope`"));
    bench
        .call("POST", "/clusters/nope/scale/execute?totalNodeCount=1", None)
        .await
        .expect(404);
}

#[tokio::test]
async fn a_renewal_is_kept_until_it_is_done() {
    let bench = Bench::started().await;
    bench
        .app
        .store
        .edit_node(&bench.node("head").await.id, bench.app.clock.now(), |node, _| {
            crate::lifecycle::machine_is_there(node);
        })
        .await
        .unwrap();
    for (action, renewal) in [("restart", Renewal::Restart), ("reimage", Renewal::Reimage)] {
        let path = format!("/clusters/demo/nodes/{action}");
        let answer = bench
            .call("POST", &path, names(&["head", "execute-1"]))
            .await
            .expect(202)
            .json();
        let entry = |name: &str| {
            let nodes = answer["nodes"].as_array().unwrap().iter();
            nodes.clone().find(|node| node["name"] == name).unwrap().clone()
        };
        assert_eq!(entry("head")["status"], "OK");
        assert_eq!(
            entry("execute-1")["error"],
            "the node `execute-1` has no machine that runs"
        );
        assert_eq!(bench.node("head").await.renewal, Some(renewal));
    }
}

#[tokio::test]
async fn one_health_report_is_filed_for_a_machine() {
    let bench = Bench::new().await;
    bench.import(TEMPLATE, false).await.expect(200);
    let path = "/clusters/demo/nodes/head/ghr";
    let query = "?category=Resource.Hpc.Unhealthy.HpcMissingGpu&description=7%20of%208";
    bench.get(path).await.expect(404);
    let none = bench
        .call("POST", &format!("{path}{query}"), None)
        .await
        .expect(400);
    assert_eq!(none.error(), "the node `head` has no machine to report");
    let bench = Bench::started().await;
    let instance = bench.node("head").await.instance_id.unwrap();
    for (query, status) in [("", 400), ("?category=x", 400), (query, 202), (query, 409)] {
        bench
            .call("POST", &format!("{path}{query}"), None)
            .await
            .expect(status);
    }
    bench
        .call("POST", "/clusters/demo/nodes/nope/ghr?category=Resource.x", None)
        .await
        .expect(404);
    let report = bench.get(path).await.expect(200).json();
    assert_eq!(report["category"], "Resource.Hpc.Unhealthy.HpcMissingGpu");
    assert_eq!(
        (&report["description"], &report["instanceId"]),
        (&json!("7 of 8"), &json!(instance))
    );
    let events = bench.get("/cloud/api/events?cluster=demo").await.json();
    assert!(
        events
            .to_string()
            .contains("Health report `Resource.Hpc.Unhealthy.HpcMissingGpu` filed by `admin`")
    );
}

#[tokio::test]
async fn a_cluster_goes_with_its_nodes_when_they_are_off() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    let refused = bench
        .call("POST", "/cloud/actions/removecluster/demo", None)
        .await
        .expect(409);
    assert_eq!(
        refused.error(),
        "the cluster `demo` must be terminated before it is removed"
    );
    bench
        .call("POST", "/cloud/actions/removecluster/demo?force=true", None)
        .await
        .expect(200);
    // Its nodes have machines, which go first.
    bench.get("/clusters/demo/status").await.expect(200);
    for node in bench.app.store.nodes(Some("demo")).await.unwrap() {
        let now = bench.app.clock.now();
        bench
            .app
            .store
            .edit_node(&node.id, now, |node, _| crate::lifecycle::settle_terminated(node))
            .await
            .unwrap();
    }
    bench
        .call("POST", "/cloud/actions/removecluster/demo", None)
        .await
        .expect(200);
    bench.get("/clusters/demo/status").await.expect(404);
    assert!(bench.app.store.nodes(None).await.unwrap().is_empty());
    bench
        .call("POST", "/cloud/actions/removecluster/demo", None)
        .await
        .expect(404);
    // The name is free.
    bench.start(TEMPLATE).await;
    bench.get("/clusters/demo/status").await.expect(200);
}
