//! `jetpack run_on_shutdown`, form by form.

use serde_json::{Value, json};

use crate::home::Home;

fn list(home: &Home) -> Vec<Value> {
    let run = home.run(&["run_on_shutdown", "list", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let mut list: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    for action in &mut list {
        let added = action.as_object_mut().unwrap().remove("added").unwrap();
        added.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    list
}

/// Adds, and gives what was said.
#[track_caller]
fn add(home: &Home, words: &[&str]) -> String {
    let run = home.run(&[&["run_on_shutdown", "add"], words].concat());
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    run.stderr
}

#[test]
fn actions_are_listed_in_their_order_and_replaced_by_name() {
    let home = Home::initialized();
    assert_eq!(
        add(&home, &["--", "/opt/save.sh", "a b", "it's"]),
        "`save.sh` runs before this node goes, for at most 300 s: `/opt/save.sh 'a b' 'it'\\''s'`\n"
    );
    add(
        &home,
        &["--name", "drain", "--timeout", "2m", "--", "sh", "-c", "true"],
    );
    // The same again is one action, and another command does not take its place.
    add(&home, &["--", "/opt/save.sh", "a b", "it's"]);
    add(&home, &["--", "/opt/save.sh", "--all"]);
    assert_eq!(
        add(&home, &["-n", "drain", "--timeout=30", "--", "false"]),
        "`drain` was `sh -c true` before\n`drain` runs before this node goes, for at most 30 s: `false`\n"
    );
    assert_eq!(
        list(&home),
        [
            json!({"name": "save.sh", "command": ["/opt/save.sh", "a b", "it's"], "timeout_seconds": 300}),
            json!({"name": "drain", "command": ["false"], "timeout_seconds": 30}),
            json!({"name": "save.sh-2", "command": ["/opt/save.sh", "--all"], "timeout_seconds": 300}),
        ]
    );
    home.prints(
        &["run_on_shutdown", "list"],
        "NAME       TIMEOUT  COMMAND\n\
         save.sh    300 s    /opt/save.sh 'a b' 'it'\\''s'\n\
         drain      30 s     false\n\
         save.sh-2  300 s    /opt/save.sh --all\n",
    );
    home.prints(&["run_on_shutdown", "remove", "save.sh"], "");
    let run = home.run(&["run_on_shutdown", "remove", "save.sh"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "", "no `save.sh` is registered\n")
    );
    assert_eq!(list(&home).len(), 2);
}

#[test]
fn a_program_of_the_current_folder_is_found_from_everywhere() {
    let home = Home::initialized();
    let run = home.run_in(&home.path(), &["run_on_shutdown", "add", "--", "./bin/x.sh"]);
    assert_eq!(run.code, 0, "{run:?}");
    let path = home.path().canonicalize().unwrap().join("bin/x.sh");
    assert_eq!(list(&home)[0]["command"], json!([path.to_str().unwrap()]));
}

#[test]
fn more_than_there_is_time_for_is_told() {
    let home = Home::initialized();
    add(&home, &["-n", "a", "--timeout", "10m", "--", "true"]);
    let said = add(&home, &["-n", "b", "--timeout", "10m", "--", "true"]);
    assert!(
        said.ends_with(
            "Warning: what is registered may take 1200 s, and has 900 s together; what is not begun by then does not \
             run\n"
        ),
        "{said}"
    );
}

#[test]
fn none_is_no_failure() {
    let home = Home::initialized();
    let run = home.run(&["run_on_shutdown", "list"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "", "nothing is registered to run before this node goes\n")
    );
    home.prints(&["run_on_shutdown", "list", "--json"], "[]\n");
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_with_it() {
    let home = Home::initialized();
    for (line, problem) in [
        (
            &["add", "--name", "../x", "--", "true"][..],
            "Error: invalid value '../x' for '--name <NAME>': the name `../x` has other characters than letters, digits, \
             `.`, `_` and `-`",
        ),
        (
            &["add", "--timeout", "16m", "--", "true"],
            "Error: invalid value '16m' for '--timeout <TIME>': all that runs before a shutdown has 15 minutes together",
        ),
        (
            &["add", "--timeout", "-1", "--", "true"],
            "Error: invalid value '-1' for '--timeout <TIME>': `-1` is negative",
        ),
        (&["add"], "  <CMD>..."),
        (&["add", "true"], "Error: unexpected argument 'true' found"),
        (&["remove"], "  <NAME>"),
        (
            &["remove", ""],
            "Error: invalid value '' for '<NAME>': the name `` is empty",
        ),
    ] {
        home.misused(&[&["run_on_shutdown"], line].concat(), problem);
    }
    assert_eq!(home.run(&["run_on_shutdown"]).code, 2);
    home.fails(
        &["run_on_shutdown", "add", "--", ""],
        "Error: the command of `action` is empty\n",
    );
    assert_eq!(list(&home), [] as [Value; 0]);
}
