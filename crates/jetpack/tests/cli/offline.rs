//! Commands on a machine without daemon or server.

use std::fs;

use crate::home::Home;

#[test]
fn a_message_is_kept_while_there_is_no_daemon() {
    let home = Home::initialized();
    let run = home.run(&["log", "hello", "-p", "low", "--level=warn"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    assert_eq!(
        run.stderr,
        "jetpackd is not running; the message is kept and will be delivered to the server\n"
    );
    home.run(&["log", "second", "--level", "error"]);
    let mut names: Vec<_> = fs::read_dir(home.path().join("run/outbox"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    names.sort();
    let messages: Vec<serde_json::Value> = names
        .iter()
        .map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        .collect();
    let data: Vec<_> = messages.iter().map(|message| message["data"].clone()).collect();
    assert_eq!(
        data,
        [
            serde_json::json!({"level": "warn", "priority": "low", "message": "hello"}),
            serde_json::json!({"level": "error", "priority": "high", "message": "second"}),
        ]
    );
    let status = home.run(&["status"]);
    assert!(
        status
            .stdout
            .contains("outbox    2 messages wait for the server\n"),
        "{status:?}"
    );
}

#[test]
fn a_machine_that_is_no_node_says_so_with_a_hint() {
    let home = Home::new();
    for line in [
        &["log", "x"][..],
        &["send", "x", "-k", "y"],
        &["autoscale", "-c", "1"],
        &["shutdown"],
        &["keepalive"],
        &["condition", "set", "-n", "x", "-s", "OK"],
        &["condition", "list"],
        &["props", "get", "os.id", "x"],
        &["props", "set", "a", "1"],
        &["run_on_shutdown", "list"],
        &["run_on_shutdown", "add", "--", "true"],
        &["report_issue"],
        &["report_issue", "--no-upload"],
        &["users"],
        &["status"],
        &["converge"],
        &["download", "x", "--project", "p"],
    ] {
        home.fails(
            line,
            "Error: this machine is no node: `$HOME/run` does not exist\n\
             Hint: `jetpack initialize` makes it one; CYCLECLOUD_HOME names another home\n",
        );
        assert!(!home.path().exists(), "nothing is made");
    }
}

#[test]
fn status_before_the_first_start_tells_what_is_missing() {
    let home = Home::initialized();
    let run = home.run(&["status"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(
        run.stdout.starts_with("node      has not joined a cluster yet\n"),
        "{run:?}"
    );
    assert!(run.stdout.contains("converge  none yet\n"), "{run:?}");
    let json: serde_json::Value = serde_json::from_str(&home.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["daemon"], serde_json::Value::Null);
}

#[test]
fn a_server_that_is_away_does_not_fail_initialize() {
    let home = Home::new();
    // Nobody listens at a port below 1024 that has no service; it is refused at once.
    let line = [
        "initialize",
        "--url",
        "http://127.0.0.1:9",
        "--userdata",
        "0123456789abcdef0123456789abcdef",
    ];
    let run = home.run(&line);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    assert!(
        run.stderr.contains("http://127.0.0.1:9") && run.stderr.contains("jetpackd will join"),
        "{run:?}"
    );
    let identity = fs::read(home.path().join("run/identity.json")).unwrap();
    assert_eq!(home.run(&line).code, 0, "twice is harmless");
    assert_eq!(
        fs::read(home.path().join("run/identity.json")).unwrap(),
        identity,
        "the secret stays"
    );
    assert!(home.path().join("bin/jetpack").exists());
}

#[test]
fn addresses_that_are_no_server_are_refused_and_leave_nothing() {
    let home = Home::new();
    for url in ["ftp://127.0.0.1/", "nonsense", "http://192.0.2.1/"] {
        let run = home.run(&[
            "initialize",
            "--url",
            url,
            "--userdata",
            "0123456789abcdef0123456789abcdef",
        ]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
        assert!(run.stderr.contains(url.trim_end_matches('/')), "{run:?}");
        assert!(!home.path().exists(), "nothing is left: {run:?}");
    }
}

#[test]
fn a_blob_without_a_project_says_how_to_name_it() {
    let run = Home::initialized().run(&["download", "x.tgz"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            1,
            "Error: the project of `x.tgz` is not known here\n\
             Hint: say it with --project; only scripts of a project need not\n"
        )
    );
}

#[test]
fn a_wrong_setting_names_file_line_and_key() {
    let home = Home::initialized();
    home.write("config/jetpack.ini", "[converge]\nretry_max = soon\n");
    let run = home.run(&["status"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stderr.contains("jetpack.ini:2") && run.stderr.contains("retry_max"),
        "{run:?}"
    );
}
