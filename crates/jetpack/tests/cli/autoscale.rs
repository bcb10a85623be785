//! `jetpack autoscale`, form by form.

use serde_json::{Value, json};

use crate::home::{Home, NOT_RUNNING};

fn request(definitions: Value) -> Value {
    json!({"definitions": definitions, "request_set": "standard", "expiration_seconds": 300})
}

#[test]
fn a_count_is_a_target_of_one_array() {
    let home = Home::initialized();
    for line in [
        &["autoscale", "--corecount", "100"][..],
        &["autoscale", "--corecount=100"],
        &["autoscale", "-c", "100"],
        &["autoscale", "-c100", "-n", "execute"],
    ] {
        let run = home.keeps(
            line,
            "autoscale",
            &request(json!([{"Name": "execute", "TargetCoreCount": 100}])),
        );
        assert_eq!(run.stderr, NOT_RUNNING);
    }
    for line in [
        &["autoscale", "-n", "gpu", "-i", "4"][..],
        &["autoscale", "--instancecount", "4", "--name=gpu"],
    ] {
        home.keeps(
            line,
            "autoscale",
            &request(json!([{"Name": "gpu", "TargetCount": 4}])),
        );
    }
    home.keeps(
        &["autoscale", "-c", "0"],
        "autoscale",
        &request(json!([{"Name": "execute", "TargetCoreCount": 0}])),
    );
}

#[test]
fn a_request_says_how_long_it_holds_and_whose_it_is() {
    let home = Home::initialized();
    for (given, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200)] {
        home.keeps(
            &[
                "autoscale",
                "-c",
                "1",
                "--expiration",
                given,
                "--request-set",
                "mine",
            ],
            "autoscale",
            &json!({
                "definitions": [{"Name": "execute", "TargetCoreCount": 1}],
                "request_set": "mine",
                "expiration_seconds": seconds,
            }),
        );
    }
}

#[test]
fn definitions_of_a_file_are_sent_as_they_are() {
    let home = Home::initialized();
    let list = json!([
        {"Name": "execute", "TargetCoreCount": 16, "Configuration": {"slurm": {"key": "ssh-rsa é"}}},
        {"Name": "mpi", "Extends": "execute", "Dynamic": true, "TargetGroupCount": 2, "GroupCoreCount": 8},
    ]);
    home.write("arrays.json", &list.to_string());
    let file = home.path().join("arrays.json");
    let file = file.to_str().unwrap();
    for line in [
        &["autoscale", "--file", file][..],
        &["autoscale", "-f", file],
        &["autoscale", &format!("--file={file}")],
    ] {
        home.keeps(line, "autoscale", &request(list.clone()));
    }
    home.write("one.json", &list[0].to_string());
    home.write("none.json", "[]");
    let path = |name| home.path().join(name).display().to_string();
    home.keeps(
        &["autoscale", "-f", &path("one.json")],
        "autoscale",
        &request(json!([list[0]])),
    );
    home.keeps(
        &["autoscale", "-f", &path("none.json")],
        "autoscale",
        &request(json!([])),
    );
    let run = home.run_with_input(&["autoscale", "-f", "-"], list.to_string().as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (0, NOT_RUNNING), "{run:?}");
    assert_eq!(home.outbox(), [("autoscale".to_owned(), request(list))]);
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_with_it() {
    let home = Home::initialized();
    home.misused(
        &["autoscale"],
        "  <--corecount <N>|--instancecount <N>|--file <FILE>>",
    );
    home.misused(
        &["autoscale", "-n", "gpu"],
        "  <--corecount <N>|--instancecount <N>|--file <FILE>>",
    );
    let range = "is not a whole number from 0 to 4294967295";
    for (option, name, given) in [
        ("-c", "corecount", "-1"),
        ("--instancecount", "instancecount", "-5"),
        ("-c", "corecount", "many"),
        ("-c", "corecount", "1.5"),
        ("-c", "corecount", "4294967296"),
    ] {
        home.misused(
            &["autoscale", option, given],
            &format!("Error: invalid value '{given}' for '--{name} <N>': `{given}` {range}"),
        );
    }
    home.misused(
        &["autoscale", "-c", "1", "-i", "1"],
        "Error: the argument '--corecount <N>' cannot be used with '--instancecount <N>'",
    );
    home.misused(
        &["autoscale", "-c", "1", "-f", "x"],
        "Error: the argument '--corecount <N>' cannot be used with '--file <FILE>'",
    );
    home.misused(
        &["autoscale", "-c", "1", "-n", "a/b"],
        "Error: invalid value 'a/b' for '--name <ARRAY>': node array `a/b` has a character other than letters, \
         digits, blanks and `._-+`",
    );
    home.misused(
        &["autoscale", "-c", "1", "--expiration", "-5m"],
        "Error: invalid value '-5m' for '--expiration <TIME>': `-5m` is negative",
    );
    home.misused(
        &["autoscale", "-c", "1", "--expiration", "soon"],
        "Error: invalid value 'soon' for '--expiration <TIME>': `soon` is no length of time; examples are `90s`, \
         `30m`, `6h` and `2d`",
    );
}

#[test]
fn a_file_that_is_no_list_of_definitions_is_refused_by_name_and_place() {
    let home = Home::initialized();
    let file = home.path().join("a.json");
    let file = file.to_str().unwrap();
    home.fails(
        &["autoscale", "-f", file],
        "Error: cannot read `$HOME/a.json`: No such file or directory (os error 2)\n",
    );
    for (text, problem) in [
        (
            "[{\"Name\": \"a\",\n  bad}]",
            "`$HOME/a.json` is not JSON: key must be a string at line 2 column 3",
        ),
        (
            "",
            "`$HOME/a.json` is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        ("3", "`$HOME/a.json` is no list of definitions of node arrays"),
        (
            "[{\"Name\": \"a\"}, 3]",
            "definition 2 of `$HOME/a.json` is not a JSON object",
        ),
        (
            "[{}]",
            "definition 1 of `$HOME/a.json` is wrong: it has no `Name`",
        ),
        (
            "{\"Name\": 1}",
            "definition 1 of `$HOME/a.json` is wrong: its `Name` is not a text",
        ),
        (
            "[{\"Name\": \"\"}]",
            "definition 1 of `$HOME/a.json` is wrong: node array `` is empty",
        ),
        (
            "[{\"Name\": \"a\", \"TargetCount\": -2}]",
            "definition 1 of `$HOME/a.json` is wrong: its `TargetCount` is -2, not a whole number from 0 to 4294967295",
        ),
    ] {
        home.write("a.json", text);
        home.fails(&["autoscale", "-f", file], &format!("Error: {problem}\n"));
    }
    home.fails(
        &["autoscale", "-f", home.path().to_str().unwrap()],
        "Error: cannot read `$HOME`: Is a directory (os error 21)\n",
    );
    assert_eq!(home.outbox(), []);
}

#[test]
fn what_is_too_large_for_a_message_is_refused() {
    let home = Home::initialized();
    let list = json!([{"Name": "a", "Configuration": {"text": "x".repeat(2 << 20)}}]);
    let run = home.run_with_input(&["autoscale", "-f", "-"], list.to_string().as_bytes());
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("more than the limit of 1048576"), "{run:?}");
}
