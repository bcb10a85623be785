//! What nodes of a cluster keep for each other.

use serde_json::{Value, json};

use crate::testing::{Answer, Bench, TEMPLATE, secret};

const PATH: &str = "/clusterlink/sync/kv";

async fn call(
    bench: &Bench,
    (name, digit): (&str, char),
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let id = bench.node(name).await.id;
    let mut request = bench
        .request(method, &format!("{PATH}{path}"))
        .basic_auth(id, Some(secret(digit)));
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    bench.send(request).await
}

const HEAD: (&str, char) = ("head", 'a');
const EXECUTE: (&str, char) = ("execute-1", 'b');

/// Head and execute-1 of the cluster `demo` have joined; there is another cluster.
async fn joined() -> Bench {
    let bench = Bench::started().await;
    let other = TEMPLATE
        .replace("demo", "other")
        .replace("node head", "node login");
    bench.start_cluster("other", &other).await;
    bench.join("head", &secret('a')).await.expect(200);
    bench.join("execute-1", &secret('b')).await.expect(200);
    bench
}

#[tokio::test]
async fn a_value_is_read_by_the_other_node_and_its_version_grows_beyond_its_deletion() {
    let bench = joined().await;
    let missing = call(&bench, EXECUTE, "GET", "/leader", None).await.expect(404);
    assert_eq!(missing.error(), "there is no key `leader`");
    let put = call(&bench, HEAD, "PUT", "/leader", Some(json!({"value": "head"}))).await;
    assert_eq!(put.expect(200).json()["version"], 1);
    let got = call(&bench, EXECUTE, "GET", "/leader", None).await.expect(200);
    assert_eq!(
        got.json(),
        json!({"key": "leader", "value": "head", "version": 1})
    );
    for _ in 0..2 {
        call(&bench, EXECUTE, "DELETE", "/leader", None).await.expect(204);
    }
    let put = call(&bench, HEAD, "PUT", "/leader", Some(json!({"value": ""}))).await;
    assert_eq!(
        put.expect(200).json()["version"],
        2,
        "a watcher must see that it is another one"
    );
    let keys = call(&bench, EXECUTE, "GET", "", None).await.expect(200);
    assert_eq!(keys.json(), json!([{"key": "leader", "version": 2}]));
}

#[tokio::test]
async fn of_those_who_know_a_version_one_writes() {
    let bench = joined().await;
    let body = || Some(json!({"value": "x"}));
    call(&bench, HEAD, "PUT", "/k?if_version=0", body())
        .await
        .expect(200);
    for (method, query, problem) in [
        ("PUT", "/k?if_version=0", "the key `k` exists, with version 1"),
        ("PUT", "/k?if_version=7", "the key `k` has version 1, not 7"),
        ("DELETE", "/k?if_version=7", "the key `k` has version 1, not 7"),
        ("PUT", "/none?if_version=7", "there is no key `none`"),
    ] {
        let answer = call(&bench, EXECUTE, method, query, body()).await.expect(409);
        assert_eq!(answer.error(), problem, "{method} {query}");
    }
    call(&bench, EXECUTE, "PUT", "/k?if_version=1", body())
        .await
        .expect(200);
    call(&bench, EXECUTE, "DELETE", "/k?if_version=2", None)
        .await
        .expect(204);
}

#[tokio::test]
async fn who_waits_is_told_of_the_next_version() {
    let bench = joined().await;
    let put = |value: &str| call(&bench, HEAD, "PUT", "/k", Some(json!({ "value": value })));
    for (known, value) in [(0, "first"), (1, "second")] {
        let path = format!("/k?not_version={known}");
        let waiting = call(&bench, EXECUTE, "GET", &path, None);
        let (told, wrote) = tokio::join!(waiting, put(value));
        wrote.expect(200);
        assert_eq!(told.expect(200).json()["value"], value);
    }
}

#[tokio::test]
async fn another_cluster_has_other_values() {
    let bench = joined().await;
    bench.join("login", &secret('c')).await.expect(200);
    call(&bench, HEAD, "PUT", "/k", Some(json!({"value": "x"})))
        .await
        .expect(200);
    let login = ("login", 'c');
    call(&bench, login, "GET", "/k", None).await.expect(404);
    call(&bench, login, "DELETE", "/k", None).await.expect(204);
    assert_eq!(
        call(&bench, login, "GET", "", None).await.expect(200).json(),
        json!([])
    );
    call(&bench, HEAD, "GET", "/k", None).await.expect(200);
}

#[tokio::test]
async fn bad_names_and_values_are_refused_and_keys_are_bounded() {
    let bench = joined().await;
    let long = format!("/{}", "k".repeat(129));
    for path in ["/-k", "/..%2Fx", "/a%0Ab", long.as_str()] {
        let answer = call(&bench, HEAD, "PUT", path, Some(json!({"value": "x"}))).await;
        assert!(answer.expect(400).error().starts_with("key `"), "{path}");
    }
    for body in [
        json!({}),
        json!({"value": 1}),
        json!([]),
        json!({"value": "x", "y": 1}),
    ] {
        call(&bench, HEAD, "PUT", "/k", Some(body)).await.expect(400);
    }
    for index in 0..1000 {
        let put = app_put(&bench, &format!("k{index}")).await;
        assert!(put.is_ok(), "{index}: {put:?}");
    }
    let full = call(&bench, HEAD, "PUT", "/one-more", Some(json!({"value": "x"}))).await;
    assert_eq!(
        full.expect(409).error(),
        "the cluster has 1000 keys, no more can be added"
    );
    call(&bench, HEAD, "DELETE", "/k7", None).await.expect(204);
    let value = |bytes: usize| Some(json!({"value": "x".repeat(bytes)}));
    call(&bench, HEAD, "PUT", "/k", value(64 << 10)).await.expect(200);
    let answer = call(&bench, HEAD, "PUT", "/k", value((64 << 10) + 1))
        .await
        .expect(413);
    assert_eq!(
        answer.error(),
        "the value of `k` has 65537 bytes, more than 65536"
    );
}

/// Writes a value without the cost of a request.
async fn app_put(bench: &Bench, key: &str) -> Result<i64, crate::store::Refused> {
    let put = bench.app.store.put_sync_value("demo", key, "x".to_owned(), None);
    put.await.unwrap()
}
