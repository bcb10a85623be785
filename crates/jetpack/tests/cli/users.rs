//! `jetpack users`, form by form. The server is away here: what it said last is printed.

use crate::home::Home;

const TWO: &str = r#"[
    {"fullName": "Ada L.", "isAdmin": false, "isOwner": false, "name": "ada", "publicKeys": [], "uid": 10202},
    {"fullName": "Zoë", "isAdmin": true, "isOwner": true, "name": "zoe", "uid": 10201,
     "publicKeys": ["ssh-ed25519 AAAA zoe@site\n"]}
]"#;
const AWAY: &str = "the server at `http://127.0.0.1:9/` is away (Connection refused (os error 111)); these are the users \
                    as last known\n";

#[track_caller]
fn prints(home: &Home, args: &[&str], stdout: &str) {
    let run = home.run(args);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, stdout, AWAY),
        "{args:?}"
    );
}

#[test]
fn users_are_blocks_and_the_owner_comes_first() {
    let home = Home::joined(TWO);
    let zoe = "Username: zoe\nFull Name: Zoë\nUID: 10201\nIs Admin: True\nIs Owner: True\n";
    let ada = "Username: ada\nFull Name: Ada L.\nUID: 10202\nIs Admin: False\nIs Owner: False\n";
    prints(&home, &["users"], &format!("{zoe}\n{ada}"));
    prints(&home, &["users", "--owner"], zoe);
    let first = home.run(&["users"]).stdout;
    assert_eq!(first.lines().next().unwrap().split(' ').nth(1), Some("zoe"));
}

#[test]
fn json_is_a_list_or_the_owner_alone() {
    let home = Home::joined(TWO);
    prints(
        &home,
        &["users", "--json"],
        "[\n    {\n        \"fullName\": \"Zoë\",\n        \"isAdmin\": true,\n        \"isOwner\": true,\n        \
         \"name\": \"zoe\",\n        \"publicKeys\": [\n            \"ssh-ed25519 AAAA zoe@site\\n\"\n        ],\n        \
         \"uid\": 10201\n    },\n    {\n        \"fullName\": \"Ada L.\",\n        \"isAdmin\": false,\n        \
         \"isOwner\": false,\n        \"name\": \"ada\",\n        \"publicKeys\": [],\n        \"uid\": 10202\n    }\n]\n",
    );
    for line in [["users", "--owner", "--json"], ["users", "--json", "--owner"]] {
        prints(
            &home,
            &line,
            "{\n    \"fullName\": \"Zoë\",\n    \"isAdmin\": true,\n    \"isOwner\": true,\n    \"name\": \"zoe\",\n    \
             \"publicKeys\": [\n        \"ssh-ed25519 AAAA zoe@site\\n\"\n    ],\n    \"uid\": 10201\n}\n",
        );
    }
}

#[test]
fn without_users_nothing_is_printed_and_without_an_owner_that_is_an_error() {
    let home = Home::joined("[]");
    prints(&home, &["users"], "");
    prints(&home, &["users", "--json"], "[]\n");
    for line in [&["users", "--owner"][..], &["users", "--owner", "--json"]] {
        home.fails(
            line,
            &format!("{AWAY}Error: the cluster `my.demo` has no owner who may log in to this node\n"),
        );
    }
}

#[test]
fn a_node_that_never_heard_of_its_users_says_so() {
    let home = Home::joined("[]");
    std::fs::remove_file(home.path().join("run/configuration.json")).unwrap();
    home.fails(
        &["users"],
        "Error: the server at `http://127.0.0.1:9/` is away (Connection refused (os error 111))\n\
         Hint: this node has never fetched its configuration, so its users are not known\n",
    );
    Home::initialized().fails(
        &["users"],
        "Error: this node was not initialized: no `webserver` in `$HOME/config/jetpack.ini`\n\
         Hint: `jetpack initialize` joins a cluster\n",
    );
    home.misused(&["users", "ada"], "Error: unexpected argument 'ada' found");
}
