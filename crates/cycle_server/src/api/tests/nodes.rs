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
async fn managing_needs_a_selector() {
    let bench = Bench::started().await;
    for body in [json!({}), json!({"filter": "  "}), json!({"names": []})] {
        let answer = bench
            .call("POST", "/clusters/demo/nodes/terminate", Some(body))
            .await
            .expect(409);
        assert!(answer.error().contains("names no node"), "{}", answer.error());
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

#[tokio::test]
async fn filters_choose_nodes() {
    let bench = Bench::started().await;
    let quoted = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let names = async |path: String| {
        let records = bench.get(&path).await.expect(200).json();
        let records = records.as_array().unwrap().clone();
        records
            .iter()
            .map(|record| record["Name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let filter = quoted("Template === \"execute\" && Name != \"execute-2\"");
    assert_eq!(
        names(format!("/cloud/api/nodes?cluster=demo&filter={filter}")).await,
        ["execute-1"]
    );
    let query = format!("/db/Cloud.Node?attr=nodeid,Name&f={filter}&format=json");
    assert_eq!(names(query.clone()).await, ["execute-1"]);
    let record = bench.get(&query).await.json()[0].clone();
    assert_eq!(record.as_object().unwrap().len(), 2, "{record}");
    for (path, error) in [
        (
            format!("/db/Cloud.Node?f={}", quoted("Name ==")),
            "the filter is no expression",
        ),
        ("/db/Cloud.Node?format=xml".to_owned(), "`xml`"),
        (format!("/cloud/api/nodes?filter={}", quoted("nope(1)")), "`nope`"),
    ] {
        let answer = bench.get(&path).await.expect(400);
        assert!(answer.error().contains(error), "{path}: {}", answer.error());
    }

    let terminate = async |body: Value| {
        bench
            .call("POST", "/clusters/demo/nodes/terminate", Some(body))
            .await
    };
    let refused = terminate(json!({"filter": "Name =="})).await.expect(409);
    assert!(
        refused.error().contains("the filter is no expression"),
        "{refused:?}"
    );
    terminate(json!({"filter": ""})).await.expect(409);
    let none = terminate(json!({"filter": "Name == \"nobody\""}))
        .await
        .expect(202)
        .json();
    assert_eq!(none["nodes"], json!([]));
    let both = terminate(json!({"filter": "Name == \"execute-1\"", "names": ["head"]}))
        .await
        .expect(202)
        .json();
    assert_eq!(both["nodes"].as_array().unwrap().len(), 2, "a union");
    assert_eq!(
        bench.node("execute-2").await.target_state,
        crate::store::TargetState::Started
    );

    let action = async |filter: &str| {
        let path = format!(
            "/cloud/actions/terminate_node/demo?instance-filter={}",
            quoted(filter)
        );
        bench.call("POST", &path, None).await
    };
    let text = action("Name in {\"execute-2\", \"x\"}").await.expect(200).text;
    assert_eq!(text, "Terminating execute-2....\n");
    let none = action("Name == \"x\"").await.expect(404);
    assert_eq!(none.error(), "No instances were found matching your query");
    action("").await.expect(400);
}
