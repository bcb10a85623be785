//! Programs of the site that listen to nodes: with an account of their own, over AMQP, and people who look on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use testkit::{PATIENCE, Site, program};

/// A program whose lines of output are read as they come; killed when dropped.
struct Reader {
    child: Child,
    lines: Receiver<String>,
}

impl Reader {
    fn start(mut command: std::process::Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    /// Sends again and again until the first line comes: nobody tells when a listener has begun to listen.
    fn first(&self, mut send: impl FnMut()) -> String {
        loop {
            send();
            if let Ok(line) = self.lines.recv_timeout(Duration::from_millis(500)) {
                return line;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn site() -> Site {
    let site = Site::new();
    site.start_cluster("demo", "[cluster demo]\n[[node head]]\n");
    site.wait_status("demo", "head", "Ready");
    site
}

/// A command with nothing of the person who runs the tests.
fn command(path: &Path) -> std::process::Command {
    #[expect(clippy::disallowed_methods, reason = "the test needs the running process")]
    let mut command = std::process::Command::new(path);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn tail(site: &Site, args: &[&str]) -> Reader {
    tail_as(&site.folder().join("config.ini"), args)
}

/// Whoever that configuration is for looks on.
fn tail_as(config: &Path, args: &[&str]) -> Reader {
    let mut command = command(&program("cyclecloud"));
    command
        .args(["messages", "tail"])
        .args(args)
        .env("CYCLECLOUD_CONFIG", config);
    Reader::start(command)
}

fn add_plugin(site: &Site, name: &str, more: &[&str]) {
    let run = testkit::Program::new("cyclecloud")
        .args(["user", "add", name, "--password-stdin"])
        .args(more)
        .env("CYCLECLOUD_CONFIG", site.folder().join("config.ini"))
        .input("s3cret\n")
        .run();
    run.success();
}

#[test]
fn messages_are_seen_as_they_pass() {
    let site = site();
    let head = site.node("demo", "head");
    let text = tail(&site, &["--key", "site.*.b", "--key", "demo.*.log"]);
    let json = tail(&site, &["--json", "--key", "site.#"]);
    let send = |key: &str, body: &str| {
        head.jetpack(&["send", body, "-k", key, "--header", "a=b"])
            .success();
    };
    let line = text.first(|| send("site.x.b", "begin"));
    assert!(line.ends_with("  cyclecloud.custom  site.x.b  begin"), "{line}");
    let first = json.first(|| send("site.x.b", "begin"));
    assert!(first.contains("\"body\":\"begin\""), "{first}");
    // One that is not wanted, then one that is.
    send("site.x.c", "{\"n\": 1}");
    head.jetpack(&["log", "seen by people"]).success();
    loop {
        let line = text.next();
        assert!(!line.contains("site.x.c"), "{line}");
        if line.contains("seen by people") {
            assert!(line.contains("  cyclecloud.node    demo."), "{line}");
            break;
        }
    }
    loop {
        let message: serde_json::Value = serde_json::from_str(&json.next()).unwrap();
        if message["routing_key"] == "site.x.c" {
            assert_eq!(message["body"]["n"], 1);
            assert_eq!(message["headers"]["a"], "b");
            break;
        }
    }
}

#[test]
fn plugins_look_on_and_others_do_not() {
    let site = site();
    let head = site.node("demo", "head");
    add_plugin(&site, "licences", &["--plugin"]);
    add_plugin(&site, "alice", &[]);
    let initialize = |name: &str| {
        let config = site.folder().join(format!("{name}.ini"));
        let run = testkit::Program::new("cyclecloud")
            .args([
                "initialize",
                "--batch",
                "--url",
                site.url(),
                "--username",
                name,
                "--password-stdin",
            ])
            .env("CYCLECLOUD_CONFIG", &config)
            .input("s3cret\n")
            .run();
        run.success();
        assert!(run.stderr.contains("is not an administrator"), "{run:?}");
        config
    };
    let plugin = tail_as(&initialize("licences"), &["--key", "site.#"]);
    let line = plugin.first(|| {
        head.jetpack(&["send", "hello", "-k", "site.x"]).success();
    });
    assert!(line.ends_with("  hello"), "{line}");
    let run = testkit::Program::new("cyclecloud")
        .args(["messages", "tail"])
        .env("CYCLECLOUD_CONFIG", initialize("alice"))
        .run();
    assert_eq!(
        run.failure(),
        "Error: the account `alice` is neither an administrator nor a plug-in\n"
    );
}

#[test]
fn whoever_looks_on_does_so_again_after_a_restart_of_the_server() {
    let mut site = site();
    let head = site.node("demo", "head");
    let text = tail(&site, &["--key", "site.#"]);
    let send = |body: &str| {
        head.jetpack(&["send", body, "-k", "site.x"]);
    };
    text.first(|| send("before"));
    site.kill();
    site.start();
    loop {
        let line = text.first(|| send("after"));
        if line.ends_with("after") {
            break;
        }
    }
}

#[test]
fn the_plugin_of_the_guide_gets_what_is_sent_to_it() {
    let site = site();
    let head = site.node("demo", "head");
    add_plugin(&site, "licences", &["--plugin"]);
    let guide = include_str!("../../../../docs/messaging.md");
    let (_, rest) = guide.split_once("```python\n").unwrap();
    let (script, _) = rest.split_once("```\n").unwrap();
    assert!(script.lines().count() <= 16, "it is short");
    let python = std::env::var_os("JETPACK_TEST_PYTHON").expect("`make test` sets JETPACK_TEST_PYTHON");
    let mut command = command(Path::new(&python));
    let url = site.amqp().replace("amqp://", "amqp://licences:s3cret@");
    command.args(["-c", script]).env("AMQP_URL", format!("{url}/%2f"));
    let plugin = Reader::start(command);
    let line = plugin.first(|| {
        head.jetpack(&["send", "5 of 7", "-k", "site.licences"]).success();
    });
    assert_eq!(line, "site.licences 5 of 7");
}

#[test]
fn a_plugin_hears_everything_and_speaks_for_nobody_else() {
    let site = site();
    add_plugin(&site, "licences", &["--plugin"]);
    add_plugin(&site, "alice", &[]);
    let url = site.amqp().replace("amqp://", "amqp://licences:s3cret@") + "/%2f";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let id = site.records("demo")[0]["NodeId"].as_str().unwrap().to_owned();
    runtime.block_on(async {
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap();
        let none = FieldTable::default;
        let fresh = async || connection.create_channel().await.unwrap();
        let channel = fresh().await;
        let own = || "plugin.licences.x".into();
        channel
            .queue_declare(own(), QueueDeclareOptions::default(), none())
            .await
            .unwrap();
        for exchange in ["cyclecloud.node", "cyclecloud.custom"] {
            channel
                .queue_bind(
                    own(),
                    exchange.into(),
                    "#".into(),
                    QueueBindOptions::default(),
                    none(),
                )
                .await
                .unwrap();
        }
        let publish = async |exchange: &'static str| {
            let channel = fresh().await;
            channel.confirm_select(Default::default()).await.unwrap();
            let sent = channel.basic_publish(
                exchange.into(),
                "k".into(),
                BasicPublishOptions::default(),
                b"x",
                BasicProperties::default(),
            );
            sent.await.unwrap().await.map(drop)
        };
        publish("cyclecloud.custom").await.unwrap();
        for exchange in ["cyclecloud.node", "cyclecloud.command", ""] {
            let error = publish(exchange).await.unwrap_err().to_string();
            assert!(error.contains("ACCESS"), "{exchange}: {error}");
        }
        let commands = fresh()
            .await
            .basic_consume(
                format!("node.{id}").into(),
                "t".into(),
                BasicConsumeOptions::default(),
                none(),
            )
            .await;
        assert!(commands.unwrap_err().to_string().contains("ACCESS"));
        let foreign = fresh()
            .await
            .queue_declare("elsewhere".into(), QueueDeclareOptions::default(), none())
            .await;
        assert!(foreign.unwrap_err().to_string().contains("ACCESS"));
        // An account without the role does not even get in.
        let url = url.replace("licences", "alice");
        let refused = Connection::connect(&url, ConnectionProperties::default()).await;
        assert!(refused.unwrap_err().to_string().contains("ACCESS"));
    });
    let refused = site.cyclecloud(&["user", "show", "licences"]);
    assert!(refused.success().contains("Roles: plug-in"), "{refused:?}");
}
