//! What nodes of a cluster let each other know.

use serde_json::{Value, json};

use crate::testing::{Answer, Bench, TEMPLATE, secret};

const PATH: &str = "/clusterlink/discoverable";

async fn call(
    bench: &Bench,
    name: &str,
    digit: char,
    method: &str,
    query: &str,
    body: Option<Value>,
) -> Answer {
    let id = bench.node(name).await.id;
    let mut request = bench
        .request(method, &format!("{PATH}{query}"))
        .basic_auth(id, Some(secret(digit)));
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    bench.send(request).await
}

/// The names of the nodes that `name` sees.
async fn seen(bench: &Bench, name: &str, digit: char, query: &str) -> Vec<String> {
    let nodes = call(bench, name, digit, "GET", query, None)
        .await
        .expect(200)
        .json();
    let nodes = nodes.as_array().unwrap().iter();
    nodes
        .map(|node| node["cyclecloud"]["node"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Head and execute-1 of the cluster `demo` have joined; there is another cluster.
async fn joined() -> Bench {
    let bench = Bench::started().await;
    bench
        .start_cluster(
            "other",
            &TEMPLATE
                .replace("demo", "other")
                .replace("node head", "node login"),
        )
        .await;
    bench.join("head", &secret('a')).await.expect(200);
    bench.join("execute-1", &secret('b')).await.expect(200);
    bench
}

#[tokio::test]
async fn nodes_find_those_that_let_them_know() {
    let bench = joined().await;
    assert!(seen(&bench, "head", 'a', "").await.is_empty());
    let attributes =
        json!({"ipaddress": "10.0.0.4", "roles": ["scheduler"], "recipes": ["slurm::default", "slurm"]});
    call(&bench, "head", 'a', "PUT", "", Some(attributes))
        .await
        .expect(204);
    let attributes = json!({"roles": "execute", "recipes": ["slurm::execute"]});
    call(&bench, "execute-1", 'b', "PUT", "", Some(attributes))
        .await
        .expect(204);
    for (query, expected) in [
        ("", &["execute-1", "head"][..]),
        ("?role=scheduler", &["head"]),
        ("?role=execute", &["execute-1"]),
        ("?role=none", &[]),
        ("?recipe=slurm", &["head"]),
        ("?recipe=slurm::default", &["head"]),
        ("?recipe=slurm::execute", &["execute-1"]),
        ("?recipe=slurm&role=execute", &[]),
    ] {
        assert_eq!(seen(&bench, "execute-1", 'b', query).await, expected, "{query}");
    }
    let found = call(&bench, "execute-1", 'b', "GET", "?role=scheduler", None)
        .await
        .json();
    assert_eq!(found[0]["ipaddress"], "10.0.0.4");

    // A new one replaces the old one.
    call(&bench, "head", 'a', "PUT", "", Some(json!({})))
        .await
        .expect(204);
    assert_eq!(seen(&bench, "head", 'a', "?role=scheduler").await, [""; 0]);
    assert_eq!(seen(&bench, "head", 'a', "").await.len(), 2);
}

#[tokio::test]
async fn who_a_node_is_is_not_for_itself_to_say() {
    let bench = joined().await;
    let attributes = json!({"cyclecloud": {
        "cluster": {"name": "other"}, "node": {"name": "execute-1", "id": "x"}, "instance": {"ipv4": "10.0.0.4"},
        "config": {"password": "of this node", "username": "x", "web_server": "https://s"},
    }});
    call(&bench, "head", 'a', "PUT", "", Some(attributes))
        .await
        .expect(204);
    let found = call(&bench, "execute-1", 'b', "GET", "", None)
        .await
        .expect(200)
        .json();
    let cyclecloud = &found[0]["cyclecloud"];
    assert_eq!(cyclecloud["cluster"]["name"], "demo");
    assert_eq!(cyclecloud["node"]["name"], "head");
    assert_eq!(cyclecloud["node"]["id"], bench.node("head").await.id.as_str());
    assert_eq!(cyclecloud["instance"]["ipv4"], "10.0.0.4");
    assert_eq!(
        cyclecloud["config"],
        json!({"username": "x", "web_server": "https://s"}),
        "a secret of a node is for nobody else"
    );
}

#[tokio::test]
async fn nodes_of_other_clusters_and_those_that_end_are_not_found() {
    let bench = joined().await;
    for (name, digit) in [("head", 'a'), ("execute-1", 'b')] {
        call(&bench, name, digit, "PUT", "", Some(json!({"x": 1})))
            .await
            .expect(204);
    }
    bench.join("login", &secret('c')).await.expect(200);
    call(&bench, "login", 'c', "PUT", "", Some(json!({"x": 1})))
        .await
        .expect(204);
    assert_eq!(seen(&bench, "login", 'c', "").await, ["login"]);
    assert_eq!(seen(&bench, "head", 'a', "").await, ["execute-1", "head"]);

    let body = json!({"names": ["execute-1"]});
    bench
        .call("POST", "/clusters/demo/nodes/terminate", Some(body))
        .await
        .expect(202);
    assert_eq!(seen(&bench, "head", 'a', "").await, ["head"]);
}

#[tokio::test]
async fn what_are_no_attributes_is_refused() {
    let bench = joined().await;
    for body in [json!([]), json!("x"), json!(null)] {
        call(&bench, "head", 'a', "PUT", "", Some(body)).await.expect(400);
    }
    let large = json!({"x": "y".repeat(2 << 20)});
    let answer = call(&bench, "head", 'a', "PUT", "", Some(large))
        .await
        .expect(413);
    assert_eq!(
        answer.error(),
        "the attributes have 2097160 bytes, more than 2097152"
    );
    assert!(seen(&bench, "head", 'a', "").await.is_empty());
}
