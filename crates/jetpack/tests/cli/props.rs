//! `jetpack props`, form by form.

use serde_json::{Value, json};

use crate::home::{Home, NOT_RUNNING};

fn home() -> Home {
    let home = Home::joined("[]");
    home.write(
        "config/properties.json",
        r#"{"os": {"id": "debian", "version": "12"}, "site": {"ready": true, "slots": [0, "a"], "none": null}, "a.b": 4}"#,
    );
    home
}

fn tree(home: &Home) -> Value {
    serde_json::from_slice(&std::fs::read(home.path().join("config/properties.json")).unwrap()).unwrap()
}

#[test]
fn values_are_printed_as_config_prints_them() {
    let home = home();
    for (line, text) in [
        (&["os.id"][..], "debian"),
        (&["os.id", "x"], "debian"),
        (&["site.ready"], "True"),
        (&["site.none"], "None"),
        (&["site.slots"], "[0, 'a']"),
        (&["a.b"], "4"),
        (&["no.such", "-1"], "-1"),
        (&["no.such", ""], ""),
        (&["os"], "os.id = debian\nos.version = 12"),
        (&["os.id", "--json"], "{\n    \"os.id\": \"debian\"\n}"),
        (
            &["--json", "os"],
            "{\n    \"id\": \"debian\",\n    \"version\": \"12\"\n}",
        ),
    ] {
        home.prints(&[&["props", "get"], line].concat(), &format!("{text}\n"));
    }
    home.fails(
        &["props", "get", "os.x"],
        "Error: the key `os.x` was not found in the properties of this node\n",
    );
}

#[test]
fn all_are_listed_with_dotted_keys_or_nested() {
    let home = home();
    let lines = "a.b = 4\nos.id = debian\nos.version = 12\nsite.none = None\nsite.ready = True\nsite.slots = [0, 'a']\n";
    home.prints(&["props", "list"], lines);
    home.prints(&["props", "get"], lines);
    for line in [["props", "get", "--json"], ["props", "list", "--json"]] {
        let run = home.run(&line);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert_eq!(serde_json::from_str::<Value>(&run.stdout).unwrap(), tree(&home));
    }
    let none = Home::joined("[]");
    let run = none.run(&["props", "list"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "", "this node has no properties\n")
    );
    none.prints(&["props", "get", "--json"], "{}\n");
    none.prints(&["props", "get", "os.id", "x"], "x\n");
}

#[test]
fn what_is_set_is_kept_and_the_server_gets_the_whole_tree() {
    let home = Home::joined("[]");
    let mut expected = json!({});
    for (line, key, value) in [
        (&["set", "rack", "r12"][..], "rack", json!("r12")),
        (&["set", "rack", "a=b"], "rack", json!("a=b")),
        (&["set", "slots", "4"], "slots", json!("4")),
        (&["set", "slots", "-4", "--json"], "slots", json!(-4)),
        (
            &["set", "--json", "slots", "[0, null]"],
            "slots",
            json!([0, null]),
        ),
        (&["set", "flag=true"], "flag", json!("true")),
        (&["set", "--", "dash", "--x"], "dash", json!("--x")),
        (&["set", "empty="], "empty", json!("")),
        (&["--set", "old", "1"], "old", json!("1")),
        (&["--set", "old", "1", "--json"], "old", json!(1)),
        (&["--set", "old=list"], "old", json!("list")),
    ] {
        expected[key] = value;
        let run = home.keeps(
            &[&["props"], line].concat(),
            "props",
            &json!({"properties": expected}),
        );
        assert_eq!(run.stderr, NOT_RUNNING);
        assert_eq!(tree(&home), expected);
    }
    expected["x"] = json!({"y": "1", "z": "2"});
    home.keeps(
        &["props", "set", "x.y=1", "x.z=2"],
        "props",
        &json!({"properties": expected}),
    );
    home.keeps(
        &["props", "set", "x.y=1"],
        "props",
        &json!({"properties": expected}),
    );
}

#[test]
fn what_cannot_be_set_is_named_and_changes_nothing() {
    let home = home();
    let before = tree(&home);
    for (line, stderr) in [
        (
            &["os.id.x", "1"][..],
            "Error: cannot set `os.id.x`: `os.id` is a value and no section\n",
        ),
        (&["new=1", "a..b=2"], "Error: the key `a..b` has an empty step\n"),
        (&["", "1"], "Error: the key `` is empty\n"),
        (
            &["a", "yes", "--json"],
            "Error: the value `yes` of `a` is not JSON: expected value at line 1 column 1\n\
             Hint: without --json a value is a text\n",
        ),
    ] {
        home.fails(&[&["props", "set"], line].concat(), stderr);
        assert_eq!((tree(&home), home.outbox()), (before.clone(), vec![]));
    }
    for line in [&["a"][..], &["a", "b", "c"], &["a=1", "b"]] {
        let word = line.iter().find(|word| !word.contains('=')).unwrap();
        home.misused(
            &[&["props", "set"], line].concat(),
            &format!("Error: `{word}` is not KEY=VALUE"),
        );
    }
    home.misused(
        &["props", "set"],
        "Error: the following required arguments were not provided:",
    );
    assert_eq!(home.run(&["props"]).code, 2);
    assert_eq!(home.run(&["props", "--json"]).code, 2);
    assert_eq!(home.run(&["props", "--set", "a", "1", "list"]).code, 2);
    assert_eq!(tree(&home), before);
}

#[test]
fn a_node_that_has_not_joined_keeps_what_is_set() {
    let home = Home::initialized();
    let run = home.run(&["props", "set", "a", "1"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            0,
            "this node has not joined its cluster yet; the server is told when it has\n"
        )
    );
    assert_eq!((tree(&home), home.outbox()), (json!({"a": "1"}), vec![]));
}

#[test]
fn a_damaged_file_is_named_when_read_and_moved_aside_when_set() {
    let home = Home::joined("[]");
    home.write("config/properties.json", "{\"half");
    let run = home.run(&["props", "get", "a", "x"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(
        run.stderr.contains("config/properties.json` is not valid: EOF"),
        "{run:?}"
    );
    let run = home.run(&["props", "set", "a", "1"]);
    assert_eq!(run.code, 0);
    assert!(run.stderr.starts_with("Warning: `"), "{run:?}");
    assert!(run.stderr.contains("properties.json.broken`\n"), "{run:?}");
    assert_eq!(tree(&home), json!({"a": "1"}));
}
