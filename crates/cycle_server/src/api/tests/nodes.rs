//! Creating and managing nodes.

use serde_json::{Value, json};

use crate::testing::Bench;

fn names(list: &Value) -> Vec<&str> {
    let nodes = list["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["Name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_creation_is_an_operation_that_can_be_asked_for() {
    let bench = Bench::started().await;
    let body = json!({"requestId": "r1", "sets": [{"nodearray": "execute", "count": 1, "nodeAttributes": {"KeepAlive": true}}]});
    let answer = bench
        .call("POST", "/clusters/demo/nodes/create", Some(body.clone()))
        .await
        .expect(202);
    let result = answer.json();
    assert_eq!(result["sets"], json!([{"added": 1}]));
    let operation = result["operationId"].as_str().unwrap();
    let location = answer.headers["location"].to_str().unwrap();
    assert_eq!(
        location,
        format!("{}/operations/{operation}", bench.app.reach.url)
    );
    let status = bench
        .get(&format!("/operations/{operation}"))
        .await
        .expect(200)
        .json();
    assert_eq!(status["action"], "create");
    for query in [format!("operation={operation}"), "request_id=r1".to_owned()] {
        let list = bench
            .get(&format!("/clusters/demo/nodes?{query}"))
            .await
            .expect(200)
            .json();
        assert_eq!(names(&list), ["execute-3"]);
        assert_eq!(list["nodes"][0]["KeepAlive"], true);
        assert_eq!(list["nodes"][0]["RequestId"], "r1");
        assert_eq!(list["operation"]["action"], "create");
    }
    let listed = bench.get("/operations/?request_id=r1").await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let repeated = bench
        .call("POST", "/clusters/demo/nodes/create", Some(body))
        .await
        .expect(409);
    assert!(repeated.error().contains("`r1`"));
}

#[tokio::test]
async fn an_unknown_request_id_is_answered_with_the_words_that_clients_know() {
    let bench = Bench::started().await;
    for path in ["/clusters/demo/nodes?request_id=zz", "/operations/?request_id=zz"] {
        let error = bench.get(path).await.expect(404).error();
        assert!(error.contains("No operation found for request id"), "{error}");
    }
}

#[tokio::test]
async fn json_is_json_whatever_it_is_called() {
    let bench = Bench::started().await;
    let request = bench
        .request("POST", "/clusters/demo/nodes/create")
        .basic_auth(crate::testing::ADMIN.0, Some(crate::testing::ADMIN.1))
        .header("content-type", "text/plain")
        .body(r#"{"sets": [{"nodearray": "execute", "count": 1}]}"#);
    bench.send(request).await.expect(202);
    bench
        .call("POST", "/clusters/demo/nodes/create", Some(json!([])))
        .await
        .expect(400);
    bench
        .call(
            "POST",
            "/clusters/demo/nodes/create",
            Some(json!({"sets": [{"nodearray": "x", "count": 1}]})),
        )
        .await
        .expect(409);
}

#[tokio::test]
async fn all_nodes_are_listed_with_the_standalone_ones() {
    let bench = Bench::started().await;
    let list = bench.get("/clusters/demo/nodes").await.expect(200).json();
    assert_eq!(names(&list), ["execute-1", "execute-2", "head"]);
    assert_eq!(list["nodes"][2]["Template"], "head");
    assert_eq!(list.get("operation"), None);
}

#[tokio::test]
async fn managing_needs_a_selector_and_knows_no_filters() {
    let bench = Bench::started().await;
    for (body, word) in [
        (json!({}), "names no node"),
        (json!({"filter": "State === \"Started\""}), "filter"),
    ] {
        let answer = bench
            .call("POST", "/clusters/demo/nodes/terminate", Some(body))
            .await
            .expect(409);
        assert!(answer.error().contains(word), "{}", answer.error());
    }
}

#[tokio::test]
async fn a_termination_answers_for_each_node_and_once_for_each_request() {
    let bench = Bench::started().await;
    let body = json!({"names": ["execute-1", "nope"], "requestId": "t1"});
    let answer = bench
        .call("POST", "/clusters/demo/nodes/shutdown", Some(body.clone()))
        .await
        .expect(202)
        .json();
    assert_eq!(answer["nodes"][0]["status"], "OK");
    assert_eq!(answer["nodes"][1]["status"], "Error");
    let list = bench
        .get("/clusters/demo/nodes?request_id=t1")
        .await
        .expect(200)
        .json();
    assert_eq!(list["nodes"][0]["Status"], "Terminating");
    assert_eq!(list["nodes"][0]["TargetState"], "Terminated");
    bench
        .call("POST", "/clusters/demo/nodes/shutdown", Some(body))
        .await
        .expect(409);
}
