//! `cyclecloud events`

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::site::Site;

fn event(id: i64, priority: &str, message: &str) -> Value {
    json!({"id": id, "time": format!("2026-11-23T21:30:{id:02}Z"), "cluster": "demo", "node": "execute-1",
           "level": "info", "priority": priority, "category": "log", "message": message})
}

fn stream(events: &[Value]) -> String {
    let mut text = ": welcome\n\n".to_owned();
    for event in events {
        text.push_str(&format!("id: {}\ndata: {event}\n\n", event["id"]));
    }
    text
}

#[test]
fn the_last_events_are_shown_oldest_first() {
    let site = Site::new();
    site.expect(
        "GET /cloud/api/events?limit=8&priority=medium&cluster=demo",
        200,
        json!([event(1, "medium", "one\ntwo"), event(2, "high", "three")]),
    );
    assert_eq!(
        site.run(&["events", "demo", "-n", "8"]).success(),
        "2026-11-23 21:30:01  info   execute-1     one\n                                          two\n\
         2026-11-23 21:30:02  info   execute-1     three\n"
    );
    site.expect(
        "GET /cloud/api/events?limit=50&priority=low",
        200,
        json!([event(1, "low", "x")]),
    );
    assert_eq!(
        site.run(&["events", "--priority", "low"]).success(),
        "2026-11-23 21:30:01  info   demo/execute-1  x\n"
    );
    assert_eq!(site.run(&["events", "--priority", "urgent"]).code, Some(2));
    site.expect(
        "GET /cloud/api/events?limit=50&priority=medium&level=error",
        200,
        json!([]),
    );
    site.run(&["events", "--level", "error"]).success();
    assert_eq!(site.run(&["events", "--level", "loud"]).code, Some(2));
}

#[test]
fn following_shows_each_event_once_over_lost_connections() {
    let site = Site::new();
    let newest = "GET /cloud/api/events?limit=1&priority=low&cluster=demo";
    let last = "GET /cloud/api/events?limit=2&priority=medium&cluster=demo";
    let from = |id: i64| format!("GET /cloud/api/events/stream?after={id}&cluster=demo");
    let half = &stream(&[event(5, "medium", "lost")])[..40];
    site.expect(newest, 200, json!([event(3, "low", "quiet")]))
        .expect(
            last,
            200,
            json!([event(1, "medium", "one"), event(2, "medium", "two")]),
        )
        // The third is too unimportant; the fourth arrives; the fifth is cut in its middle.
        .expect_text(
            &from(3),
            200,
            &format!("{}{half}", stream(&[event(4, "high", "four")])),
        )
        .expect_text(&from(4), 503, "")
        // One more than asked for.
        .expect_text(
            &from(4),
            200,
            &stream(&[event(4, "high", "four"), event(5, "medium", "five")]),
        )
        .expect_text(
            &from(5),
            200,
            &stream(&[event(6, "low", "six"), event(7, "medium", "seven")]),
        )
        .expect(&from(7), 404, json!({"error": "there is no cluster `demo`"}));
    let run = site.run(&["events", "demo", "-f", "-n", "2"]);
    let shown: Vec<&str> = run
        .stdout
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(shown, ["one", "two", "four", "five", "seven"]);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(
        lines,
        [
            format!(
                "Warning: lost `{}`, trying again: the server answered 503 Service Unavailable",
                site.url()
            )
            .as_str(),
            "Connected again",
            "Error: there is no cluster `demo`"
        ]
    );
    assert_eq!(run.code, Some(1));
}

#[test]
fn a_closed_pipe_is_success() {
    let site = Site::new();
    let many: Vec<Value> = (1..3000)
        .map(|id| event(id % 60, "high", &"x".repeat(100)))
        .collect();
    site.expect(
        "GET /cloud/api/events?limit=3000&priority=medium&cluster=demo",
        200,
        many.into(),
    );
    let mut child = site
        .command(&site.path(""), &["events", "demo", "-n", "3000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), b"".as_slice())
    );
    site.check("");
}
