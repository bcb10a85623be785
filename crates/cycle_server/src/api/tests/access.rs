//! Every route against everybody who may come along.

use crate::testing::{ADMIN, Bench, secret};

/// What is answered to: nobody, a wrong password, a node, the administrator. 0: anything but 401 and 403.
type Expected = [u16; 4];
const PUBLIC: Expected = [0, 0, 0, 0];
const ACCOUNTS: Expected = [401, 401, 403, 0];
const NODES: Expected = [401, 401, 0, 403];
const BOTH: Expected = [401, 401, 0, 0];

const ROUTES: &[(&str, &str, Expected)] = &[
    ("GET", "/healthz", PUBLIC),
    ("GET", "/ca.pem", PUBLIC),
    ("GET", "/clusters/demo/status", ACCOUNTS),
    ("GET", "/clusters/demo/nodes", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/create", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/start", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/terminate", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/shutdown", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/deallocate", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/remove", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/restart", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/reimage", ACCOUNTS),
    ("GET", "/clusters/demo/nodes/head/ghr", ACCOUNTS),
    ("POST", "/clusters/demo/nodes/head/ghr", ACCOUNTS),
    ("POST", "/clusters/demo/scale/execute", ACCOUNTS),
    ("GET", "/clusters/demo/usage", ACCOUNTS),
    ("GET", "/operations/", ACCOUNTS),
    ("GET", "/operations/x", ACCOUNTS),
    ("POST", "/cloud/api/import_cluster/demo", ACCOUNTS),
    ("GET", "/cloud/api/nodes", ACCOUNTS),
    ("GET", "/cloud/api/events", ACCOUNTS),
    ("GET", "/cloud/api/messages/stream", ACCOUNTS),
    ("GET", "/cloud/api/reconcilers", ACCOUNTS),
    ("GET", "/cloud/clusters", ACCOUNTS),
    ("GET", "/cloud/clusters/demo", ACCOUNTS),
    ("POST", "/cloud/actions/retry/demo", ACCOUNTS),
    ("POST", "/cloud/actions/terminate_node/demo", ACCOUNTS),
    ("GET", "/db/Cloud.Node", ACCOUNTS),
    ("POST", "/clusterlink/messages", NODES),
    ("POST", "/clusterlink/secret", NODES),
    ("GET", "/clusterlink/discoverable", NODES),
    ("PUT", "/clusterlink/discoverable", NODES),
    ("GET", "/clusterlink/sync/kv", NODES),
    ("GET", "/clusterlink/sync/kv/x", NODES),
    ("PUT", "/clusterlink/sync/kv/x", NODES),
    ("DELETE", "/clusterlink/sync/kv/x", NODES),
    ("GET", "/lockers", ACCOUNTS),
    ("GET", "/lockers/local/?list=projects/tools", BOTH),
    ("GET", "/lockers/local/projects/tools/x", BOTH),
    ("HEAD", "/lockers/local/projects/tools/x", BOTH),
    ("PUT", "/lockers/local/projects/tools/x", ACCOUNTS),
    // Of another node's project.
    ("GET", "/lockers/local/?list=projects/jobs", [401, 401, 403, 0]),
    ("GET", "/lockers/local/?list=", [401, 401, 403, 0]),
    ("GET", "/lockers/local/projects/jobs/x", [401, 401, 403, 0]),
    ("HEAD", "/lockers/local/projects/jobs/x", [401, 401, 403, 0]),
    ("GET", "/", ACCOUNTS),
    ("GET", "/c/demo", ACCOUNTS),
    ("GET", "/events", ACCOUNTS),
    // Last: they change what the others need.
    ("POST", "/cloud/actions/startcluster/demo", ACCOUNTS),
    ("POST", "/cloud/actions/terminatecluster/demo", ACCOUNTS),
    ("POST", "/cloud/actions/removecluster/demo?force=true", ACCOUNTS),
];

#[tokio::test]
async fn every_route_knows_who_may_come() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    let head = bench.node("head").await.id;
    for (method, path, expected) in ROUTES {
        let whom = [
            None,
            Some((ADMIN.0, "wrong".to_owned())),
            Some((head.as_str(), secret('a'))),
            Some((ADMIN.0, ADMIN.1.to_owned())),
        ];
        for (credential, expected) in whom.iter().zip(expected) {
            let mut request = bench.request(method, path);
            if let Some((user, password)) = credential {
                request = request.basic_auth(user, Some(password));
            }
            let status = bench.send(request).await.status.as_u16();
            let who = credential.as_ref().map(|(user, _)| *user);
            match expected {
                0 => assert!(
                    status != 401 && status != 403,
                    "{method} {path} as {who:?}: {status}"
                ),
                expected => assert_eq!(status, *expected, "{method} {path} as {who:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_node_has_no_credential_but_its_own() {
    let bench = Bench::started().await;
    bench.join("head", &secret('a')).await.expect(200);
    bench.join("execute-1", &secret('b')).await.expect(200);
    let say = |id: String, password: String| {
        let request = bench
            .request("POST", "/clusterlink/messages")
            .basic_auth(id, Some(password))
            .body(r#"{"messages": []}"#);
        bench.send(request)
    };
    let (head, execute) = (bench.node("head").await.id, bench.node("execute-1").await.id);
    say(head.clone(), secret('a')).await.expect(202);
    say(head.clone(), secret('b')).await.expect(401);
    say(execute, secret('a')).await.expect(401);
    say(head, String::new()).await.expect(401);
    let unclaimed = bench.node("execute-2").await.id;
    say(unclaimed, String::new()).await.expect(401);
}

#[tokio::test]
async fn who_is_refused_learns_how_to_come_in() {
    let bench = Bench::new().await;
    let answer = bench
        .send(bench.request("GET", "/cloud/clusters"))
        .await
        .expect(401);
    assert!(
        answer.headers["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic")
    );
    assert!(!answer.error().is_empty());
}
