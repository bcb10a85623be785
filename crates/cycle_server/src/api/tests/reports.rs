//! What nodes tell of themselves, and what they upload.

use protocol::MessageType;
use serde_json::{Value, json};

use crate::store::Incoming;
use crate::testing::{Answer, Bench, envelope, secret};

async fn say(bench: &Bench, sequence: u64, kind: MessageType, data: Value) {
    let node = bench.node("head").await;
    let message = Incoming {
        node_id: node.id.clone(),
        envelope: envelope(&node, sequence, kind, data),
    };
    bench.app.receive(vec![message]).await.unwrap();
}

#[tokio::test]
async fn conditions_properties_and_tests_are_shown_until_the_machine_is_gone() {
    let bench = Bench::started().await;
    let condition =
        json!({"name": "gpu", "status": "Error", "message": "no <gpu>", "ghr_category": "Resource.Hpc.X"});
    say(&bench, 1, MessageType::Condition, condition).await;
    let properties = json!({"properties": {"os": {"id": "debian"}, "site.a": 1}});
    say(&bench, 2, MessageType::Props, properties).await;
    let test = json!({"project": "demo", "spec": "execute", "passed": 4, "failed": 1, "errors": 0, "skipped": 0,
        "seconds": 1.5, "failures": [{"test": "t.py::a", "message": "1 != 2"}]});
    say(&bench, 3, MessageType::Test, test).await;

    let record = bench
        .get("/cloud/api/nodes/head?cluster=demo")
        .await
        .expect(200)
        .json();
    assert_eq!(record["Conditions"][0]["GhrCategory"], "Resource.Hpc.X");
    assert_eq!(record["Properties"]["os"]["id"], "debian");
    assert_eq!(record["Tests"]["demo:execute"]["failed"], 1);
    let list = bench.get("/clusters/demo/nodes").await.json();
    let head = list["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["Name"] == "head");
    assert_eq!(head.unwrap()["Conditions"][0]["Status"], "Error");
    bench.get("/cloud/api/nodes/nope").await.expect(404);
    let page = bench.get("/c/demo/n/head").await.expect(200).text;
    for part in [
        "no &#60;gpu&#62;",
        "os.id",
        "debian",
        "4 passed, 1 failed",
        "t.py::a",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(bench.get("/c/demo").await.text.contains("no &#60;gpu&#62;"));
    bench.get("/c/demo/n/nope").await.expect(404);

    let errors = bench
        .get("/cloud/api/events?cluster=demo&level=error")
        .await
        .json();
    let texts: Vec<&str> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            "Condition `gpu` is Error: no <gpu>",
            "tests of demo:execute: 4 passed, 1 failed\nt.py::a: 1 != 2"
        ]
    );
    bench.get("/cloud/api/events?level=loud").await.expect(400);

    let node = bench.node("head").await;
    let now = bench.app.clock.now();
    let restart = |node: &mut crate::store::Node, _: &mut Vec<crate::store::NewEvent>| {
        crate::lifecycle::begin_start(node, jiff::Timestamp::UNIX_EPOCH);
    };
    bench.app.store.edit_node(&node.id, now, restart).await.unwrap();
    let record = bench.get("/cloud/api/nodes/head?cluster=demo").await.json();
    assert_eq!(
        (&record["Conditions"], &record["Properties"]),
        (&json!([]), &json!({}))
    );
}

async fn upload(bench: &Bench, file: &str, query: &str, body: &[u8]) -> Answer {
    let id = bench.node("head").await.id;
    let request = bench
        .request("PUT", &format!("/clusterlink/issues/{file}{query}"))
        .basic_auth(id, Some(secret('a')))
        .body(body.to_vec());
    bench.send(request).await
}

const FILE: &str = "demo-head-0190c2a0-0000-7000-8000-000000000001.zip";

#[tokio::test]
async fn a_report_is_kept_and_its_signed_url_needs_no_account() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    let answer = upload(&bench, FILE, "?sign=true", b"zip")
        .await
        .expect(201)
        .json();
    let url = format!("{}/issues/{FILE}", bench.app.locker_url(crate::app::LOCKER));
    assert_eq!(answer["url"], url.as_str());
    assert_eq!(answer["expires"], "2026-12-23T12:00:00Z");
    let signed = answer["signed_url"].as_str().unwrap().to_owned();
    let path = signed
        .strip_prefix(bench.app.reach.url.as_str())
        .unwrap()
        .to_owned();
    let read = |path: String| bench.send(bench.request("GET", &path));
    assert_eq!(read(path.clone()).await.expect(200).text, "zip");
    read(path.replace("signature=", "signature=0")).await.expect(403);
    read(path.replace(FILE, "other.zip")).await.expect(403);
    read(path.replace("expires=", "expires=9")).await.expect(403);
    read(path.split('?').next().unwrap().to_owned()).await.expect(401);
    bench.get(path.split('?').next().unwrap()).await.expect(200);
    bench.clock.forward(30 * 24 * 3600);
    read(path).await.expect(403);

    let answer = upload(&bench, FILE, "", b"zip").await.expect(201).json();
    assert_eq!(answer.get("signed_url"), None);
    let events = bench.get("/cloud/api/events?cluster=demo").await.text;
    assert!(events.contains(&url) && !events.contains("signature"), "{events}");
}

#[tokio::test]
async fn a_node_uploads_under_its_own_name_only() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    for file in [
        FILE.replace("head", "execute-1"),
        FILE.replace("demo", "other"),
        FILE.replace(".zip", ".txt"),
        "demo-head-x.zip".to_owned(),
        "demo-head-..%2f0190c2a0-0000-7000-8000-000000000001.zip".to_owned(),
    ] {
        upload(&bench, &file, "", b"x").await.expect(403);
    }
    bench
        .call("PUT", &format!("/clusterlink/issues/{FILE}"), Some(json!(1)))
        .await
        .expect(403);
}
