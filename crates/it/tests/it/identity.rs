//! Who may join, and who may say what.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::Value;
use testkit::{Node, Program, Project, Site, kill_hard, request, wait_for};

const TWO_NODES: &str =
    "[cluster demo]\n[[node defaults]]\n[[[cluster-init tools:default]]]\n[[node one]]\n[[node two]]\n";

fn two_nodes() -> (Site, Node, Node) {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script("default", "010-nothing.sh", "#!/bin/sh\n");
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", TWO_NODES);
    site.wait_status("demo", "one", "Ready");
    site.wait_status("demo", "two", "Ready");
    let (one, two) = (site.node("demo", "one"), site.node("demo", "two"));
    (site, one, two)
}

fn secret(node: &Node) -> String {
    let connection: Value = serde_json::from_str(&node.read("config/connection.json")).unwrap();
    assert_eq!(connection["username"].as_str(), Some(node.id.as_str()));
    connection["password"].as_str().unwrap().to_owned()
}

fn userdata_id(node: &Node) -> String {
    let identity: Value = serde_json::from_str(&node.read("run/identity.json")).unwrap();
    identity["userdata"].as_str().unwrap().to_owned()
}

#[test]
fn a_userdata_id_that_is_wrong_or_taken_is_refused_and_leaves_nothing() {
    let (site, one, _) = two_nodes();
    let home = site.folder().join("stranger");
    let initialize = |id: &str| {
        Program::new("jetpack")
            .env("CYCLECLOUD_HOME", &home)
            .args(["initialize", "--url", site.url(), "--userdata", id])
            .run()
    };
    let wrong = initialize("00000000000000000000000000000000");
    assert!(
        wrong.failure().contains("00000000000000000000000000000000"),
        "{wrong:?}"
    );
    assert!(!home.exists(), "nothing is left");
    let taken = initialize(&userdata_id(&one));
    assert!(taken.failure().contains("used by another node"), "{taken:?}");
    assert!(!home.exists(), "nothing is left");
    let odd = initialize("../../etc");
    assert!(matches!(odd.code, Some(1 | 2)), "{odd:?}");
    assert!(!home.exists(), "nothing is left");
}

#[test]
fn a_node_may_do_nothing_in_the_name_of_another() {
    let (site, one, two) = two_nodes();
    let (id, password) = (one.id.clone(), secret(&one));
    let as_one = |method: &str, path: &str, body: Option<&str>| {
        request(
            method,
            &format!("{}{path}", site.url()),
            Some((&id, &password)),
            body,
        )
        .status
    };
    assert_eq!(
        as_one("GET", "/lockers/local/projects/tools/1.0.0/manifest.json", None),
        200
    );
    assert_eq!(
        as_one("GET", "/lockers/local/projects/other/1.0.0/manifest.json", None),
        403
    );
    assert_eq!(
        as_one(
            "PUT",
            "/lockers/local/projects/tools/1.0.0/manifest.json",
            Some("{}")
        ),
        403
    );
    assert_eq!(as_one("GET", "/clusters/demo/nodes", None), 403);
    assert_eq!(
        as_one(
            "POST",
            "/clusters/demo/nodes/terminate",
            Some(r#"{"names": ["two"]}"#)
        ),
        403
    );
    let anonymous = |path: &str| request("GET", &format!("{}{path}", site.url()), None, None).status;
    for path in [
        "/",
        "/c/demo",
        "/events",
        "/clusters/demo/status",
        "/cloud/clusters",
        "/lockers",
        "/cloud/api/events",
    ] {
        assert_eq!(anonymous(path), 401, "{path}");
    }

    // The sender is who the credential says, whatever the message says.
    let forged = format!(
        r#"{{"messages": [{{"id": "{}", "sequence": 1, "cluster_name": "demo", "node_id": "{}",
            "timestamp": "2026-01-01T00:00:00Z", "type": "log",
            "data": {{"level": "info", "priority": "medium", "message": "who am I"}}}}]}}"#,
        uuid::Uuid::now_v7(),
        two.id
    );
    assert_eq!(as_one("POST", "/clusterlink/messages", Some(&forged)), 202);
    assert_eq!(site.wait_event("demo", "who am I")["node"], "one");
}

#[tokio::test]
async fn the_listener_keeps_nodes_apart() {
    let (site, one, two) = tokio::task::spawn_blocking(two_nodes).await.unwrap();
    let url = site
        .amqp()
        .replace("amqp://", &format!("amqp://{}:{}@", one.id, secret(&one)));
    let connect = || Connection::connect(&url, ConnectionProperties::default());
    let publish = async |key: &str, user: &str| -> Result<(), lapin::Error> {
        let channel = connect().await?.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let properties = BasicProperties::default().with_user_id(user.into());
        channel
            .basic_publish(
                "cyclecloud.node".into(),
                key.into(),
                BasicPublishOptions::default(),
                b"{}",
                properties,
            )
            .await?
            .await?;
        Ok(())
    };
    publish(&format!("demo.{}.heartbeat", one.id), &one.id)
        .await
        .unwrap();
    let error = publish(&format!("demo.{}.heartbeat", two.id), &one.id)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("ACCESS_REFUSED") || error.to_string().contains("access"),
        "{error}"
    );
    let error = publish(&format!("demo.{}.heartbeat", one.id), &two.id)
        .await
        .unwrap_err();
    assert!(error.to_string().to_lowercase().contains("user"), "{error}");
    let channel = connect().await.unwrap().create_channel().await.unwrap();
    let queue = format!("node.{}", two.id);
    channel
        .basic_get(queue.as_str().into(), lapin::options::BasicGetOptions::default())
        .await
        .map(|_| ())
        .expect_err("another node's commands");
    let channel = connect().await.unwrap().create_channel().await.unwrap();
    channel
        .queue_declare(
            "mine".into(),
            QueueDeclareOptions::default(),
            FieldTable::default(),
        )
        .await
        .map(|_| ())
        .expect_err("a node configures nothing");
    tokio::task::spawn_blocking(move || drop(site)).await.unwrap();
}

#[test]
fn a_secret_is_replaced_again_and_again_and_no_message_is_lost() {
    const ROTATIONS: usize = 3;
    let site = Site::new();
    site.start_cluster("demo", "[cluster demo]\n[[node head]]\n");
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    let secret = || secret(&head);
    let id = site.records("demo")[0]["NodeId"].as_str().unwrap().to_owned();
    let first = secret();
    let settings = head.read("config/jetpack.ini");
    let changed = settings.replacen("[identity]\n", "[identity]\nsecret_lifetime = 1s\n", 1);
    assert_ne!(settings, changed);
    #[expect(
        clippy::disallowed_methods,
        reason = "a scratch file of a test need not survive a power cut"
    )]
    std::fs::write(head.home.join("config/jetpack.ini"), changed).unwrap();
    kill_hard(head.daemon());
    let (mut seen, mut said) = (vec![first.clone()], 0);
    wait_for("the secret to be replaced", || {
        // In between the daemon is killed, too: what it has begun the next one ends.
        if said == 5 {
            kill_hard(head.daemon());
        }
        head.jetpack(&["log", &format!("number {said}"), "-p", "low"])
            .success();
        said += 1;
        let now = secret();
        if !seen.contains(&now) {
            seen.push(now);
        }
        if seen.len() > ROTATIONS {
            Ok(())
        } else {
            Err(seen.len().to_string())
        }
    });
    site.wait_event("demo", &format!("number {}", said - 1));
    let events = site.events("demo");
    let arrived: Vec<&str> = events
        .iter()
        .filter_map(|event| event["message"].as_str()?.strip_prefix("number "))
        .collect();
    let expected: Vec<String> = (0..said).map(|number| number.to_string()).collect();
    assert_eq!(arrived, expected, "each once, in order");
    let status = |secret: &str| {
        let url = format!("{}/lockers/local/?list=projects/x", site.url());
        testkit::get(&url, &id, secret).status
    };
    assert_eq!(status(&first), 401, "the first one was replaced twice since");
    assert_ne!(status(&secret()), 401);
}
