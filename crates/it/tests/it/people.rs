//! Who may log in to nodes.

use testkit::{Site, wait_for};

const TEMPLATE: &str = "
[cluster demo]
    [[node head]]
";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtYXh3Rf0l5JXHmPWsMkEDbGk2v0rL8RoeUO8YQh2jD bob@laptop";

#[test]
fn running_nodes_learn_of_a_new_user_without_a_converge() {
    let site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    assert!(!head.read("run/configuration.json").contains("bob"));

    let user = format!(
        r#"{{"Name": "bob", "Password": "x", "FullName": "Bob", "NodeUser": true, "PublicKeys": ["{KEY}"]}}"#
    );
    let answer = site.request("POST", "/cloud/api/users", Some(&user));
    assert_eq!(answer.status, 201, "{answer:?}");
    let kept = || {
        let text = head.read("run/configuration.json");
        if text.contains("bob@laptop") {
            Ok(())
        } else {
            Err(text)
        }
    };
    wait_for("jetpackd to keep the new list of users", kept);
    let users = head.jetpack(&["users"]);
    assert!(
        users.success().contains("bob") && users.success().contains("admin"),
        "{users:?}"
    );

    let disabled = site.cyclecloud(&["user", "disable", "bob"]);
    assert!(
        disabled.success().contains("Roles: disabled, node-user"),
        "{disabled:?}"
    );
    let forgotten = || {
        let text = head.read("run/configuration.json");
        if text.contains("bob") { Err(text) } else { Ok(()) }
    };
    wait_for("jetpackd to forget a disabled user", forgotten);
    let events = site.events("demo");
    let ready = events.iter().filter(|event| {
        let message = event["message"].as_str().unwrap();
        event["node"] == "head" && message.starts_with("Ready")
    });
    assert_eq!(ready.count(), 1, "{events:#?}");
}
