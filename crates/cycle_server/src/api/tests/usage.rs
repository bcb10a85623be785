//! Hours of cores.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::store::Running;
use crate::testing::{Bench, TEMPLATE};

fn running(node: &str, nodearray: Option<&str>, cores: u32) -> Running {
    Running {
        cluster: "demo".to_owned(),
        node_id: node.to_owned(),
        node: node.to_owned(),
        nodearray: nodearray.map(str::to_owned),
        machine_type: format!("size{cores}"),
        cores,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// From noon of the first: head with 2 cores for two days, execute-1 with 8 for an hour over midnight of the second.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.import(TEMPLATE, false).await.expect(200);
    let head = running("head", None, 2);
    let execute = running("execute-1", Some("execute"), 8);
    for (time, now) in [
        ("2026-03-01T12:00:00Z", vec![head.clone()]),
        ("2026-03-01T12:30:00Z", vec![head.clone()]),
        ("2026-03-02T23:30:00Z", vec![head.clone(), execute]),
        ("2026-03-03T00:30:00Z", vec![head]),
        ("2026-03-03T12:00:00Z", vec![]),
    ] {
        bench.app.store.note_usage(now, at(time)).await.unwrap();
    }
    bench
}

async fn usage(bench: &Bench, query: &str) -> Vec<Value> {
    let answer = bench
        .get(&format!("/clusters/demo/usage?timeframe=custom&{query}"))
        .await
        .expect(200)
        .json();
    answer["usage"].as_array().unwrap().clone()
}

#[tokio::test]
async fn hours_are_of_cores_and_belong_to_their_day() {
    let bench = bench().await;
    let days = usage(&bench, "from=2026-03-01T05:00:00Z&to=2026-03-03T01:00:00Z").await;
    let hours: Vec<f64> = days
        .iter()
        .map(|day| day["total"]["hours"].as_f64().unwrap())
        .collect();
    assert_eq!(hours, [24.0, 52.0, 28.0]);
    assert_eq!(days[0]["start"], "2026-03-01T00:00:00Z");
    assert_eq!(days[2]["end"], "2026-03-04T00:00:00Z");
    assert_eq!(
        days[1]["breakdown"],
        json!([
            {"category": "node", "hours": 48.0, "node": "head"},
            {"category": "nodearray", "hours": 4.0, "node": "execute"},
        ])
    );
    let total = usage(
        &bench,
        "granularity=total&expand=details&from=2026-03-01&to=2026-03-04",
    )
    .await;
    assert_eq!(total.len(), 1);
    assert_eq!(total[0]["total"]["hours"], 104.0);
    let detail = |size: &str, cores: u32, hours: f64| json!({"vm_size": size, "region": "", "priority": "Regular", "os": "Linux", "core_count": cores, "hours": hours});
    assert_eq!(
        total[0]["total"]["details"],
        json!([detail("size2", 2, 96.0), detail("size8", 8, 8.0)])
    );
    let hourly = usage(
        &bench,
        "granularity=hourly&from=2026-03-02T23:10:00Z&to=2026-03-03T00:10:00Z",
    )
    .await;
    let hours: Vec<f64> = hourly
        .iter()
        .map(|hour| hour["total"]["hours"].as_f64().unwrap())
        .collect();
    assert_eq!(hours, [6.0, 6.0]);
}

#[tokio::test]
async fn time_frames_are_those_that_clients_know() {
    let bench = bench().await;
    let frame = async |query: &str| {
        let answer = bench
            .get(&format!("/clusters/demo/usage{query}"))
            .await
            .expect(200)
            .json();
        let days = answer["usage"].as_array().unwrap().clone();
        let day = |day: Option<&Value>, key: &str| day.unwrap()[key].as_str().unwrap()[..10].to_owned();
        (day(days.first(), "start"), day(days.last(), "end"))
    };
    let now = bench.app.clock.now();
    let day = |timestamp: Timestamp| timestamp.to_string()[..10].to_owned();
    let tomorrow = day(now + jiff::SignedDuration::from_hours(24));
    let month = format!("{}-01", &day(now)[..7]);
    assert_eq!(frame("").await, (month.clone(), tomorrow.clone()));
    assert_eq!(
        frame("?timeframe=monthToDate&granularity=total").await,
        (month.clone(), tomorrow.clone())
    );
    assert_eq!(frame("?timeframe=lastMonth").await.1, month);
    let (sunday, end) = frame("?timeframe=weekToDate").await;
    assert_eq!(end, tomorrow);
    assert_eq!(
        sunday.parse::<jiff::civil::Date>().unwrap().weekday(),
        jiff::civil::Weekday::Sunday
    );
    for (query, error) in [
        ("?timeframe=yesterday", "`yesterday` is not one of"),
        ("?granularity=yearly", "`yearly` is not one of"),
        ("?timeframe=custom&to=2026-01-01", "needs `from`"),
        ("?timeframe=custom&from=soon&to=2026-01-01", "`from` is `soon`"),
        ("?timeframe=custom&from=2026-01-02&to=2026-01-01", "not after"),
        (
            "?timeframe=custom&granularity=hourly&from=2000-01-01&to=2026-01-01",
            "more than 9000",
        ),
    ] {
        let answer = bench
            .get(&format!("/clusters/demo/usage{query}"))
            .await
            .expect(400);
        assert!(answer.error().contains(error), "{query}: {}", answer.error());
    }
    bench.get("/clusters/nope/usage").await.expect(404);
}
