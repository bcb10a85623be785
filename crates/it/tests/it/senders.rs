//! What commands of a node send: to whom it comes, and what happens while the server is away.

use std::time::Duration;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use testkit::{Node, Run, Site, kill_hard, request, wait_for};
use tokio::runtime::Runtime;

const TEMPLATE: &str = "[cluster demo]\n[[node head]]\n[[node other]]\n[[nodearray execute]]\nMaxCount = 1\n";

/// A plug-in of the site: a durable queue that gets every custom message.
struct Consumer {
    runtime: Runtime,
}

const QUEUE: &str = "site.plugin";

impl Consumer {
    fn new(site: &Site) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let consumer = Self { runtime };
        consumer.runtime.block_on(async {
            let channel = connect(site).await;
            let durable = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            channel
                .queue_declare(QUEUE.into(), durable, FieldTable::default())
                .await
                .unwrap();
            channel
                .queue_bind(
                    QUEUE.into(),
                    "cyclecloud.custom".into(),
                    "#".into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
                .unwrap();
        });
        consumer
    }

    /// The next message, as soon as there is one.
    fn next(&self, site: &Site) -> BasicGetMessage {
        self.runtime.block_on(async {
            let channel = connect(site).await;
            let deadline = tokio::time::Instant::now() + testkit::PATIENCE;
            loop {
                if let Some(message) = self.get(&channel).await {
                    return message;
                }
                assert!(tokio::time::Instant::now() < deadline, "no message came");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    }

    async fn get(&self, channel: &Channel) -> Option<BasicGetMessage> {
        let got = channel.basic_get(QUEUE.into(), BasicGetOptions::default());
        let message = got.await.unwrap()?;
        message.delivery.ack(BasicAckOptions::default()).await.unwrap();
        Some(message)
    }

    fn is_empty(&self, site: &Site) -> bool {
        self.runtime
            .block_on(async { self.get(&connect(site).await).await.is_none() })
    }
}

async fn connect(site: &Site) -> Channel {
    let (user, password) = site.admin();
    let password = password.replace(' ', "%20").replace('\'', "%27");
    let url = site
        .amqp()
        .replace("amqp://", &format!("amqp://{user}:{password}@"));
    let connection = Connection::connect(&url, ConnectionProperties::default());
    connection.await.unwrap().create_channel().await.unwrap()
}

fn ready() -> Site {
    let site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    site.wait_status("demo", "other", "Ready");
    site
}

fn record(site: &Site, node: &str) -> Value {
    let answer = site.request("GET", &format!("/cloud/api/nodes/{node}?cluster=demo"), None);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn what_is_sent_reaches_the_plugin_over_both_transports_as_it_was_given() {
    let site = ready();
    let head = site.node("demo", "head");
    let consumer = Consumer::new(&site);
    let send = |text: &str| {
        let run = head.jetpack(&[
            "send",
            text,
            "-k",
            "site.licences",
            "--content-type",
            "text/x-count",
            "--header",
            "format=v2",
        ]);
        assert_eq!((run.success(), run.stderr.as_str()), ("", ""));
        let message = consumer.next(&site);
        assert_eq!(message.delivery.routing_key.as_str(), "site.licences");
        assert_eq!(message.delivery.data, text.as_bytes());
        let properties = &message.delivery.properties;
        assert_eq!(
            properties.content_type().as_ref().map(|text| text.as_str()),
            Some("text/x-count")
        );
        let headers = properties.headers().as_ref().unwrap();
        assert_eq!(
            headers.inner().get("format"),
            Some(&AMQPValue::LongString("v2".into()))
        );
    };
    send("over AMQP");

    let settings = head.home.join("config/jetpack.ini");
    let text = head.read("config/jetpack.ini");
    let changed = text.replacen("[cycle_server]\n", "[cycle_server]\ntransport = https\n", 1);
    assert_ne!(text, changed);
    #[expect(
        clippy::disallowed_methods,
        reason = "a scratch file of a test need not survive a power cut"
    )]
    std::fs::write(settings, changed).unwrap();
    kill_hard(head.daemon());
    wait_for("the node to be connected over HTTPS", || {
        let status = head.jetpack(&["status"]).stdout;
        if status.contains("connected over HTTPS") {
            Ok(())
        } else {
            Err(status)
        }
    });
    send("over HTTPS");
    assert!(consumer.is_empty(&site), "each came once");
}

/// Demands success, and that the user is told where the message is.
#[track_caller]
fn kept(run: &Run) {
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stdout, "", "{run:?}");
    assert!(
        run.stderr.contains("the message is kept and will be delivered"),
        "{run:?}"
    );
}

#[test]
fn while_the_server_is_away_every_command_says_so_and_its_message_comes_later_once() {
    let mut site = ready();
    let (head, other) = (site.node("demo", "head"), site.node("demo", "other"));
    let consumer = Consumer::new(&site);
    let daemons = (head.daemon(), other.daemon());
    site.kill();
    kept(&head.jetpack(&["log", "first of the test"]));
    kept(&head.jetpack(&["send", "while away", "-k", "site.key"]));
    kept(&head.jetpack(&["autoscale", "--instancecount", "1"]));
    kept(&head.jetpack(&["condition", "set", "-n", "gpu", "-s", "Error", "-m", "no answer"]));
    kept(&head.jetpack(&["props", "set", "site.rack", "r12"]));
    kept(&head.jetpack(&["log", "last of the test"]));
    kept(&other.jetpack(&["shutdown", "--message", "lunch"]));
    let report = head.jetpack(&["report_issue"]);
    let said = report.failure();
    assert!(
        said.contains("is away") && said.contains("Hint: it is kept at `"),
        "{report:?}"
    );
    assert_eq!(report.stdout, "");
    assert_eq!((head.daemon(), other.daemon()), daemons, "they run");

    site.start();
    site.wait_event("demo", "last of the test");
    let message = consumer.next(&site);
    assert_eq!(
        (message.delivery.routing_key.as_str(), &*message.delivery.data),
        ("site.key", &b"while away"[..])
    );
    site.wait_status("demo", "other", "Off");
    site.wait_status("demo", "execute-1", "Ready");
    let events = site.events("demo");
    let texts: Vec<&str> = events
        .iter()
        .filter(|event| event["node"] == "head")
        .filter_map(|event| event["message"].as_str())
        .collect();
    let places = [
        "first of the test",
        "Request set `standard` wants 1 node",
        "Condition `gpu` is Error: no answer",
        "last of the test",
    ]
    .map(|text| {
        let mut found = texts.iter().enumerate().filter(|(_, said)| said.contains(text));
        let place = found.next().unwrap_or_else(|| panic!("`{text}` in {texts:#?}")).0;
        assert_eq!(found.next(), None, "once");
        place
    });
    assert!(places.is_sorted(), "{texts:#?}");
    let record = record(&site, "head");
    assert_eq!(record["Properties"]["site"], json!({"rack": "r12"}));
    assert_eq!(record["Conditions"][0]["Name"], "gpu");
    assert!(consumer.is_empty(&site), "once");
}

#[test]
fn a_report_can_be_read_by_whom_the_url_is_given_to() {
    let site = ready();
    let head = site.node("demo", "head");
    let lines = |run: &Run| -> Vec<String> { run.success().lines().map(str::to_owned).collect() };
    let signed = lines(&head.jetpack(&["report_issue"]));
    let url = signed[0].strip_prefix("Logs can be found at: ").unwrap();
    let expires = signed[1].strip_prefix("Signed URL will expire on: ").unwrap();
    assert!(
        expires.ends_with('Z') && expires.len() == "2026-12-23T12:00:00Z".len(),
        "{signed:?}"
    );
    assert_eq!(signed.len(), 2, "{signed:?}");
    let answer = request("GET", url, None, None);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.starts_with("PK"));
    site.wait_event("demo", "Node has sent a report");

    let plain = lines(&head.jetpack(&["report_issue", "--no-sign"]));
    let url = plain[0].strip_prefix("Logs can be found at: ").unwrap();
    assert_eq!(plain.len(), 1, "{plain:?}");
    assert_eq!(request("GET", url, None, None).status, 401);
    assert_eq!(request("GET", url, Some(site.admin()), None).status, 200);
    let local = lines(&head.jetpack(&["report_issue", "--no-upload"]));
    let path = local[0].strip_prefix("Logs can be found at: ").unwrap();
    assert!(std::fs::read(path).unwrap().starts_with(b"PK"));
    std::fs::remove_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
}

#[test]
fn what_a_node_sets_is_shown_with_it() {
    let site = ready();
    let head: Node = site.node("demo", "head");
    head.jetpack(&["props", "set", "site.slots", "[0, 1]", "--json"])
        .success();
    head.jetpack(&["condition", "set", "-n", "disk", "-s", "Warning"])
        .success();
    wait_for("the server to have both", || {
        let record = record(&site, "head");
        let properties = &record["Properties"]["site"]["slots"];
        if *properties == json!([0, 1]) && record["Conditions"][0]["Status"] == "Warning" {
            Ok(())
        } else {
            Err(format!("{record:#}"))
        }
    });
}
