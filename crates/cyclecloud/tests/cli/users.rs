//! `cyclecloud user`

use serde_json::{Value, json};

use crate::site::Site;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtYXh3Rf0l5JXHmPWsMkEDbGk2v0rL8RoeUO8YQh2jD alice@laptop";

fn alice() -> Value {
    json!({"Name": "alice", "FullName": "Alice Liddell", "Uid": 20001, "Administrator": false, "Disabled": false,
        "NodeAccess": true, "NodeUser": true, "NodeAdmin": false,
        "Keys": [{"Fingerprint": "SHA256:a/b", "PublicKey": KEY}]})
}

const SHOWN: &str = "\
Name: alice
Full name: Alice Liddell
UID: 20001
Roles: node-user
Keys: 1
    SHA256:a/b ssh-ed25519 alice@laptop
";

#[test]
fn a_user_is_added_with_a_password_from_stdin_and_a_key_from_a_file() {
    let site = Site::new();
    site.write("id.pub", &format!("{KEY}\n"));
    site.expect("POST /cloud/api/users", 201, alice());
    let args = [
        "user",
        "add",
        "alice",
        "--password-stdin",
        "--full-name",
        "Alice Liddell",
        "--key",
        "id.pub",
        "--node-user",
    ];
    let run = site.run_in(&site.path(""), &args, "secret\n");
    assert_eq!(run.success(), SHOWN);
    let body: Value = serde_json::from_str(&site.bodies()[0]).unwrap();
    assert_eq!(
        body,
        json!({"Name": "alice", "Password": "secret", "FullName": "Alice Liddell", "Administrator": false,
            "NodeUser": true, "NodeAdmin": false, "PublicKeys": [format!("{KEY}\n")]})
    );
}

#[test]
fn users_are_shown_changed_and_deleted() {
    let site = Site::new();
    site.expect("GET /cloud/api/users", 200, json!([alice()]));
    assert_eq!(
        site.run(&["user", "list"]).success(),
        "NAME   UID    FULL NAME      ROLES      KEYS\nalice  20001  Alice Liddell  node-user  1\n"
    );
    site.expect("GET /cloud/api/users/alice", 200, alice());
    assert_eq!(site.run(&["user", "show", "alice"]).success(), SHOWN);
    site.expect("PUT /cloud/api/users/alice", 200, alice());
    site.run(&["user", "change", "alice", "--node-admin", "true", "--uid", "3000"])
        .success();
    site.expect("PUT /cloud/api/users/alice", 200, alice());
    site.run(&["user", "disable", "alice"]).success();
    site.expect("DELETE /cloud/api/users/alice/keys/SHA256:a%2Fb", 200, alice());
    site.run(&["user", "key", "remove", "alice", "SHA256:a/b"])
        .success();
    site.expect_text("DELETE /cloud/api/users/alice", 204, "");
    assert_eq!(
        site.run(&["user", "delete", "alice"]).success(),
        "Deleted user alice\n"
    );
    let bodies = site.bodies();
    assert!(
        bodies.contains(&r#"{"Uid":3000,"NodeAdmin":true}"#.to_owned()),
        "{bodies:?}"
    );
    assert!(bodies.contains(&r#"{"Disabled":true}"#.to_owned()), "{bodies:?}");
}

#[test]
fn what_makes_no_sense_is_not_sent() {
    let site = Site::new();
    assert!(
        site.run(&["user", "change", "alice"])
            .failure()
            .contains("nothing to change")
    );
    let run = site.run_in(&site.path(""), &["user", "add", "alice"], "");
    assert!(run.failure().contains("--password-stdin"));
    site.write("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nxyz\n");
    let run = site.run_in(&site.path(""), &["user", "key", "add", "alice", "id"], "");
    assert!(run.failure().contains("private key"));
}

#[test]
fn targets_of_autoscalers_are_shown_below_the_nodes() {
    let site = Site::new();
    let cluster = json!({"Name": "demo", "State": "Started", "Nodes": [], "Targets": [
        {"nodearray": "execute", "requestSet": "standard", "targetCount": 3, "targetCoreCount": 8,
         "expires": "2026-11-24T10:00:00Z"}]});
    site.expect("GET /cloud/clusters/demo", 200, cluster);
    assert!(site.run(&["show_cluster", "demo"]).success().ends_with(
        "Total nodes: 0\nTargets of autoscalers:\n    execute: 3 nodes, 8 cores until 2026-11-24T10:00:00Z (request set standard)\n"
    ));
}
