//! How machines join and talk.

use protocol::MessageType;
use serde_json::{Value, json};

use crate::store::Status;
use crate::testing::{Answer, Bench, envelope, secret};

#[tokio::test]
async fn the_first_secret_wins_and_may_come_again() {
    let bench = Bench::started().await;
    let first = bench.join("head", &secret('a')).await.expect(200).json();
    let again = bench.join("head", &secret('a')).await.expect(200).json();
    assert_eq!(first, again);
    let other = bench.join("head", &secret('b')).await.expect(409);
    assert!(other.error().contains("another node"));
}

#[tokio::test]
async fn of_two_machines_at_once_one_wins() {
    let bench = Bench::started().await;
    let (one, other) = (secret('a'), secret('b'));
    let (a, b) = tokio::join!(bench.join("head", &one), bench.join("head", &other));
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn ids_that_stand_for_nothing() {
    let bench = Bench::started().await;
    bench.userdata(&"0".repeat(32), &secret('a')).await.expect(404);
    let id = bench.node("head").await.userdata_id.unwrap();
    bench.userdata(&id, "short").await.expect(400);
    bench
        .send(bench.request("GET", &format!("/clusterlink/userdata/{id}")))
        .await
        .expect(401);
    let body = json!({"names": ["head"]});
    bench
        .call("POST", "/clusters/demo/nodes/terminate", Some(body))
        .await
        .expect(202);
    bench.userdata(&id, &secret('a')).await.expect(410);
}

#[tokio::test]
async fn the_configuration_says_who_the_node_is_and_what_it_runs() {
    let bench = Bench::started().await;
    for version in ["1.9.0", "1.10.0"] {
        let path = format!("projects/tools/{version}/manifest.json");
        bench.app.lockers.own().put(&path, "{}").await.unwrap();
    }
    let head = bench.node("head").await;
    let configuration = bench.join("head", &secret('a')).await.expect(200).json();
    assert_eq!(configuration["node_id"], head.id.as_str());
    assert_eq!(configuration["node_name"], "head");
    assert_eq!(
        configuration["cluster_session_id"],
        head.session_id.clone().unwrap().as_str()
    );
    let tree = &configuration["configuration"];
    assert_eq!(tree["role"], "head");
    assert_eq!(tree["cyclecloud"]["cluster"]["name"], "demo");
    assert_eq!(tree["cyclecloud"]["cluster"]["start_count"], 1);
    assert_eq!(
        tree["cyclecloud"]["config"]["web_server"],
        bench.app.reach.url.as_str()
    );
    assert_eq!(
        configuration["cluster_init_specs"][0]["version"], "1.10.0",
        "the highest"
    );
    let execute = bench.join("execute-1", &secret('b')).await.expect(200).json();
    assert_eq!(
        execute["cluster_init_specs"][0]["version"], "1.0.0",
        "as the template says"
    );
    assert_eq!(
        execute["configuration"]["cyclecloud"]["node"]["template"],
        "execute"
    );
}

async fn post(bench: &Bench, name: &str, password: &str, messages: Value) -> Answer {
    let id = bench.node(name).await.id;
    let request = bench
        .request("POST", "/clusterlink/messages")
        .basic_auth(id, Some(password))
        .body(json!({"messages": messages}).to_string());
    bench.send(request).await
}

#[tokio::test]
async fn messages_count_once_and_belong_to_who_sent_them() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    let head = bench.node("head").await;
    let log = json!({"level": "info", "priority": "medium", "message": "hello"});
    let message = json!(envelope(&head, 1, MessageType::Log, log));
    let twice = json!([message, message]);
    let answer = post(&bench, "head", &secret('a'), twice).await.expect(202).json();
    assert_eq!(answer, json!({"new": 1, "repeated": 1}));
    let answer = post(&bench, "head", &secret('a'), json!([message]))
        .await
        .expect(202)
        .json();
    assert_eq!(answer, json!({"new": 0, "repeated": 1}));
    let events = bench.get("/cloud/api/events?cluster=demo").await.json();
    let hello: Vec<&Value> = events
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["message"] == "hello")
        .collect();
    assert_eq!(hello.len(), 1);
    assert_eq!(hello[0]["node"], "head", "not what the message says of itself");
}

#[tokio::test]
async fn a_failed_converge_is_seen_on_the_node() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    let head = bench.node("head").await;
    let report = json!({"status": "failed", "phase": "cluster-init", "attempt": 1, "ipv4": "10.1.2.3", "hostname": "h",
        "failure": {"message": "script `010-x.sh` failed", "script": "010-x.sh", "exit_code": 7, "output": "no such file"}});
    let messages = json!([envelope(&head, 1, MessageType::Installation, report)]);
    post(&bench, "head", &secret('a'), messages).await.expect(202);
    assert_eq!(bench.node("head").await.status, Status::Failed);
    let record = &bench.get("/cloud/api/nodes?cluster=demo").await.json()[2];
    assert_eq!(record["Name"], "head");
    assert_eq!(record["PrivateIp"], "10.1.2.3");
    let text = record["StatusMessage"].as_str().unwrap();
    for part in ["010-x.sh", "exit code 7", "no such file"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn messages_that_are_none_are_refused() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    post(&bench, "head", &secret('a'), json!([{"type": "log"}]))
        .await
        .expect(400);
    post(&bench, "head", &secret('a'), json!("x")).await.expect(400);
}

#[tokio::test]
async fn custom_messages_are_published_before_they_are_acknowledged() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    let head = bench.node("head").await;
    let custom = |key: &str| json!({"routing_key": key, "content_type": "text/plain", "body": "aGVsbG8="});
    let messages = json!({"messages": [
        envelope(&head, 1, MessageType::Custom, custom("a.b")),
        envelope(&head, 2, MessageType::Custom, json!({"body": "no key"})),
        envelope(&head, 3, MessageType::Custom, custom(&"k".repeat(256))),
        envelope(&head, 4, MessageType::Log, json!({"level": "info", "priority": "low", "message": "x"})),
        envelope(&head, 5, MessageType::Custom, custom("c")),
    ]});
    let post = async || {
        let request = bench
            .request("POST", "/clusterlink/messages")
            .basic_auth(&head.id, Some(secret('a')))
            .json(&messages);
        bench.send(request).await
    };
    bench.post.go_away(true);
    let away = post().await.expect(503);
    assert!(away.error().contains("the message broker is away"), "{away:?}");
    bench.post.go_away(false);
    assert_eq!(
        post().await.expect(202).json()["new"],
        5,
        "nothing was kept before"
    );
    assert_eq!(bench.post.published(), ["a.b", "c"]);
}
