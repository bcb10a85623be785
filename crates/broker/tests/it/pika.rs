//! The behaviour that Python's `pika` sees, written in Python: `tests/pika`. The same with our broker and with RabbitMQ.

use std::path::Path;
use std::process::Stdio;

use testkit::RabbitMq;

use crate::support::Running;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pika_is_content() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    behave(running.address.port(), "jetpack").await;
}

/// What the script demands is what RabbitMQ does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pika_is_content_with_rabbitmq() {
    let rabbit = RabbitMq::start();
    rabbit.manage("PUT", "/api/vhosts/other", "{}");
    let all = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
    rabbit.manage("PUT", "/api/permissions/other/guest", all);
    behave(rabbit.port(), "rabbitmq").await;
}

async fn behave(port: u16, peer: &str) {
    // Single frames first: what they break would make the rest hard to read.
    run("frames.py", port, peer).await;
    run("behaviour.py", port, peer).await;
}

async fn run(script: &str, port: u16, peer: &str) {
    let python = std::env::var("JETPACK_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    #[expect(
        clippy::disallowed_methods,
        reason = "the client to be tested is written in Python"
    )]
    let output = tokio::process::Command::new(&python)
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/pika")
                .join(script),
        )
        .env("AMQP_PORT", port.to_string())
        .env("AMQP_PEER", peer)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|error| panic!("cannot run `{python}`: {error}; run `make test`"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !text.contains("No module named 'pika'"),
        "`{python}` has no pika: run `make test`, which makes an environment with it and sets JETPACK_TEST_PYTHON"
    );
    assert!(output.status.success(), "{text}");
}
