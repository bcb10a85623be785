use link::https::{Credential, Error, ServerApi};
use link::session::Over;
use protocol::Transport;
use serde_json::json;

use crate::support::{DEADLINE, Http, Node, nobody, until};

fn api(url: &str, credential: Credential) -> ServerApi {
    let _ = rustls::crypto::ring::default_provider().install_default();
    ServerApi::new(url, None, credential).unwrap()
}

fn bearer() -> Credential {
    Credential::Bearer("s3cret".to_owned().into())
}

#[tokio::test]
async fn the_configuration_is_fetched_with_the_secret() {
    let answer = json!({
        "cluster_name": "demo", "node_id": "n1", "node_name": "execute-1", "cluster_session_id": "life",
        "instance_id": "i1", "heartbeat_seconds": 30,
    });
    let http = Http::start(200, &answer.to_string()).await;
    let configuration = api(&http.url, bearer()).fetch_configuration("abc").await.unwrap();
    assert_eq!(configuration.node_name, "execute-1");
    let request = http.requests.lock().unwrap()[0].clone();
    assert_eq!(request.line, "GET /clusterlink/userdata/abc HTTP/1.1");
    assert_eq!(request.authorization, "Bearer s3cret");
}

#[tokio::test]
async fn each_answer_of_the_server_is_an_error_of_its_kind() {
    let http = Http::start(200, "").await;
    let api = api(&http.url, bearer());
    let body = json!({"error": "the id `abc` is used by another node"}).to_string();
    for (status, kind) in [
        (404, "refused"),
        (409, "refused"),
        (410, "refused"),
        (401, "unauthorised"),
        (403, "unauthorised"),
        (500, "away"),
        (503, "away"),
        (429, "away"),
        (400, "unexpected"),
        (302, "unexpected"),
    ] {
        http.set(status, &body);
        let error = api.fetch_configuration("abc").await.unwrap_err();
        let found = match &error {
            Error::Refused { .. } => "refused",
            Error::Unauthorised { .. } => "unauthorised",
            Error::Away { .. } => "away",
            Error::Unexpected { .. } => "unexpected",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, kind, "{status}");
        let text = error.to_string();
        assert!(text.contains("the id `abc` is used by another node"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away() {
    let url = format!("http://{}", nobody().await);
    let error = api(&url, bearer()).fetch_configuration("abc").await.unwrap_err();
    assert!(error.is_away(), "{error:?}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn what_is_no_configuration_is_said_so() {
    let http = Http::start(200, "<html>a proxy's page</html>").await;
    let error = api(&http.url, bearer())
        .fetch_configuration("abc")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unexpected { .. }), "{error:?}");
}

#[tokio::test]
async fn messages_stay_until_the_server_has_stored_them() {
    let http = Http::start(503, "{\"error\": \"starting\"}").await;
    let node = Node::new();
    node.log("one");
    node.log("two");
    let session = node.start(Transport::Https, nobody().await, &http.url);
    let state = until(&session, "the failure is noticed", |state| {
        state.last_error.is_some()
    })
    .await;
    assert!(state.last_error.unwrap().contains("starting"));
    assert_eq!(node.outbox.waiting().unwrap().len(), 2);
    http.requests.lock().unwrap().clear();
    http.set(202, "");
    session.handle.deliver(DEADLINE).await;
    until(&session, "both are delivered", |state| state.delivered == 2).await;
    assert_eq!(session.handle.state().over, Some(Over::Https));
    let logs = http.logs();
    assert_eq!(logs[logs.len() - 2..], ["one", "two"]);
    assert!(node.outbox.waiting().unwrap().is_empty());
}
