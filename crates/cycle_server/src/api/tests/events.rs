//! The event log over HTTP.

use std::time::Duration;

use jiff::Timestamp;
use protocol::{Level, Priority};
use serde_json::Value;

use crate::store::NewEvent;
use crate::testing::{ADMIN, Bench};

async fn add(bench: &Bench, priority: Priority, message: &str) {
    let event = NewEvent {
        time: Timestamp::UNIX_EPOCH,
        cluster: Some("demo".to_owned()),
        node: None,
        level: Level::Info,
        priority,
        category: "log",
        message: message.to_owned(),
    };
    bench.app.store.add_events(vec![event]).await.unwrap();
}

#[tokio::test]
async fn lists_are_bounded_and_go_on() {
    let bench = Bench::new().await;
    for message in ["one", "two", "three"] {
        add(&bench, Priority::Medium, message).await;
    }
    add(&bench, Priority::Low, "whisper").await;
    let messages = async |query: &str| -> Vec<String> {
        let list = bench
            .get(&format!("/cloud/api/events?{query}"))
            .await
            .expect(200)
            .json();
        let list = list.as_array().unwrap().clone();
        list.iter()
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(messages("limit=2").await, ["three", "whisper"]);
    assert_eq!(messages("limit=2&priority=medium").await, ["two", "three"]);
    assert_eq!(messages("after=1&limit=1").await, ["two"]);
    assert_eq!(messages("cluster=other").await, [""; 0]);
    bench.get("/cloud/api/events?priority=loud").await.expect(400);
}

/// Reads a stream until it has brought so many events.
async fn read(request: reqwest::RequestBuilder, count: usize) -> Vec<Value> {
    let mut response = request.basic_auth(ADMIN.0, Some(ADMIN.1)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    loop {
        let events: Vec<Value> = text
            .split_inclusive("\n\n")
            .filter(|block| block.ends_with("\n\n"))
            .filter_map(|block| block.lines().find_map(|line| line.strip_prefix("data: ")))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        if events.len() >= count {
            return events;
        }
        let chunk = tokio::time::timeout(Duration::from_secs(20), response.chunk()).await;
        text.push_str(str::from_utf8(&chunk.expect("an event").unwrap().expect("no end")).unwrap());
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_its_reader_was() {
    let bench = Bench::new().await;
    for message in ["one", "two"] {
        add(&bench, Priority::Medium, message).await;
    }
    let by_query = read(bench.request("GET", "/cloud/api/events/stream?after=1"), 1).await;
    assert_eq!(by_query[0]["message"], "two");
    let resumed = bench
        .request("GET", "/cloud/api/events/stream?after=0")
        .header("Last-Event-ID", "1");
    assert_eq!(read(resumed, 1).await[0]["message"], "two");
    let live = read(
        bench.request("GET", "/cloud/api/events/stream?cluster=demo&after=2"),
        1,
    );
    let (live, ()) = tokio::join!(live, add(&bench, Priority::Low, "three"));
    assert_eq!(live[0]["message"], "three");
}

#[tokio::test]
async fn a_stream_ends_with_the_server() {
    let bench = Bench::new().await;
    let request = bench
        .request("GET", "/cloud/api/events/stream")
        .basic_auth(ADMIN.0, Some(ADMIN.1));
    let response = request.send().await.unwrap();
    bench.app.stopping.cancel();
    let rest = tokio::time::timeout(Duration::from_secs(20), response.text()).await;
    assert_eq!(rest.expect("an end").unwrap(), "");
}
