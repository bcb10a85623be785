//! A site whose messages a RabbitMQ carries, by one setting.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use testkit::{Node, RabbitMq, Site, wait_for};

const TEMPLATE: &str = "[cluster demo]\n[[node head]]\n[[nodearray execute]]\nMaxCount = 1\n";

/// A site with a node that speaks through it.
fn start(rabbit: &RabbitMq) -> (Site, Node) {
    let mut site = Site::initialised();
    let settings = format!(
        "heartbeat_seconds = 1\n[messages]\nurl = \"{}\"\nmanagement_url = \"{}\"\n",
        rabbit.url(),
        rabbit.management_url()
    );
    site.write_settings("cycle_server.toml", &settings);
    site.start();
    site.configure();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    wait_link(&head, "connected over AMQP");
    (site, head)
}

fn link(head: &Node) -> String {
    let status = head.jetpack(&["status"]).stdout;
    status
        .lines()
        .find(|line| line.contains("connected"))
        .unwrap_or(&status)
        .to_owned()
}

fn wait_link(head: &Node, words: &str) {
    wait_for(words, || {
        let link = link(head);
        if link.contains(words) { Ok(()) } else { Err(link) }
    });
}

#[test]
fn a_rabbitmq_carries_the_messages_of_a_site() {
    let rabbit = RabbitMq::start();
    let (site, head) = start(&rabbit);
    let log = head.read("logs/jetpackd.log");
    let address = format!("over AMQP at `127.0.0.1:{}`", rabbit.port());
    assert!(log.contains(&address), "{log}");
    head.jetpack(&["log", "through RabbitMQ"]).success();
    site.wait_event("demo", "through RabbitMQ");
    // The inbox must survive the loss of a member of a RabbitMQ cluster.
    let inbox = rabbit
        .ask("GET", "/api/queues/%2F/cycle_server.inbox", None)
        .json();
    assert_eq!(inbox["type"], "quorum", "{inbox:#}");

    // A node has an account with its own prefix, and nothing else.
    let id = site.records("demo")[0]["NodeId"].as_str().unwrap().to_owned();
    let identity: serde_json::Value = serde_json::from_str(&head.read("run/identity.json")).unwrap();
    let secret = identity["secret"].as_str().unwrap().to_owned();
    let port = rabbit.port();
    let (own, other) = {
        let id = id.clone();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let uri = format!("amqp://{id}:{secret}@127.0.0.1:{port}/%2f");
            let connection = Connection::connect(&uri, ConnectionProperties::default())
                .await
                .unwrap();
            let publish = async |key: String| {
                let channel = connection.create_channel().await.unwrap();
                channel
                    .confirm_select(ConfirmSelectOptions::default())
                    .await
                    .unwrap();
                let sent = channel.basic_publish(
                    "cyclecloud.node".into(),
                    key.into(),
                    BasicPublishOptions::default(),
                    b"{}",
                    BasicProperties::default(),
                );
                sent.await.unwrap().await.map(drop)
            };
            (
                publish(format!("demo.{id}.log")).await,
                publish("demo.ffff.log".to_owned()).await,
            )
        })
    };
    own.unwrap();
    let refused = other.unwrap_err().to_string();
    assert!(
        refused.contains("ACCESS") && refused.contains("demo.ffff.log"),
        "{refused}"
    );

    // Commands come through it, too: the node is told to go, and its account goes with it.
    site.cyclecloud(&["terminate_cluster", "demo"]).success();
    wait_for("the account of the node to go", || {
        match rabbit.ask("GET", &format!("/api/users/{id}"), None).status {
            404 => Ok(()),
            status => Err(status.to_string()),
        }
    });
    let queue = rabbit.ask("GET", &format!("/api/queues/%2F/node.{id}"), None);
    assert_eq!(queue.status, 404, "and its queue: {queue:?}");
}

#[test]
fn while_the_rabbitmq_is_away_nodes_speak_over_https_and_the_server_says_what_is_wrong() {
    let rabbit = RabbitMq::start();
    let (site, head) = start(&rabbit);
    drop(rabbit);
    wait_link(&head, "connected over HTTPS");
    head.jetpack(&["log", "around the broken one"]).success();
    site.wait_event("demo", "around the broken one");
    wait_for("the server to say what is wrong", || {
        let log = site.log();
        match log.contains("the session with the message broker ended") {
            true => Ok(()),
            false => Err(log),
        }
    });
}
