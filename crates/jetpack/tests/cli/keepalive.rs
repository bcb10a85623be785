//! `jetpack keepalive`, form by form.

use jiff::Timestamp;

use crate::home::{Home, Run};

/// Seconds from now until what was printed.
#[track_caller]
fn seconds(run: &Run) -> i64 {
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let until = run.stdout.strip_suffix("+00:00\n").unwrap();
    assert_eq!(until.len(), "2026-11-24T02:14:53".len(), "{run:?}");
    let until: Timestamp = format!("{until}Z").parse().unwrap();
    until.as_second() - Timestamp::now().as_second()
}

#[test]
fn the_node_is_kept_alive_from_now_on_for_as_long_as_given() {
    let home = Home::initialized();
    home.prints(&["keepalive", "--show"], "none\n");
    for (line, length) in [
        (&["keepalive"][..], 3600),
        (&["keepalive", "6h"], 6 * 3600),
        (&["keepalive", "2d"], 2 * 86400),
        (&["keepalive", "30m"], 1800),
        (&["keepalive", "3"], 3 * 3600),
        (&["keepalive", "90s"], 90),
    ] {
        let run = home.run(line);
        let seconds = seconds(&run);
        assert!((length - 60..=length).contains(&seconds), "{line:?}: {seconds}");
        home.prints(&["keepalive", "--show"], &run.stdout);
    }
}

#[test]
fn forever_holds_until_somebody_says_otherwise() {
    let home = Home::initialized();
    home.prints(&["keepalive", "forever"], "forever\n");
    home.prints(&["keepalive", "--show"], "forever\n");
    assert!(
        seconds(&home.run(&["keepalive", "1h"])) <= 3600,
        "a shorter time replaces it"
    );
    for _ in 0..2 {
        let run = home.run(&["keepalive", "cancel"]);
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (0, "", "the node is not kept alive any more\n")
        );
        home.prints(&["keepalive", "--show"], "none\n");
    }
}

#[test]
fn lengths_that_make_no_sense_are_refused_and_change_nothing() {
    let home = Home::initialized();
    home.prints(&["keepalive", "forever"], "forever\n");
    for (given, problem) in [
        ("-1h", "is negative"),
        ("-1", "is negative"),
        ("0", "is no time at all"),
        ("0m", "is no time at all"),
        ("99999999999999999999d", "is more than a hundred years"),
        (
            "1w",
            "is no length of time; examples are `90s`, `30m`, `6h` and `2d`",
        ),
        (
            "",
            "is no length of time; examples are `90s`, `30m`, `6h` and `2d`",
        ),
        (
            "Forever",
            "is no length of time; examples are `90s`, `30m`, `6h` and `2d`",
        ),
        (
            "--shw",
            "is no length of time; examples are `90s`, `30m`, `6h` and `2d`",
        ),
    ] {
        home.misused(
            &["keepalive", given],
            &format!("Error: invalid value '{given}' for '[DURATION]': `{given}` {problem}"),
        );
    }
    home.misused(
        &["keepalive", "--show", "1h"],
        "Error: the argument '--show' cannot be used with '[DURATION]'",
    );
    home.prints(&["keepalive", "--show"], "forever\n");
}

#[test]
fn a_damaged_file_is_moved_aside_and_told() {
    let home = Home::initialized();
    home.write("run/keepalive.json", "{\"until\": 3}");
    let run = home.run(&["keepalive", "--show"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "none\n"), "{run:?}");
    assert!(
        run.stderr.starts_with("Warning: `") && run.stderr.contains("keepalive.json.broken"),
        "{run:?}"
    );
    home.prints(&["keepalive", "--show"], "none\n");
}
