//! What the commands print and how they end: read by scripts, so frozen here.

#![expect(clippy::unwrap_used, reason = "a failure is a failed test, also in helpers")]

mod autoscale;
mod completions;
mod condition;
mod config;
mod facts;
mod full_disk;
mod home;
mod keepalive;
mod killed;
mod local;
mod offline;
mod props;
mod python;
mod recipes;
mod report_issue;
mod run_on_shutdown;
mod send;
mod shutdown;
mod testing;
mod users;

use home::Home;

#[test]
fn the_version_is_one_that_scripts_can_cut() {
    for option in ["--version", "-V", "-v"] {
        let run = Home::new().run(&[option]);
        assert_eq!(run.code, 0);
        let (numbers, build) = run.stdout.trim_end().split_once('-').unwrap();
        assert_eq!(numbers.split('.').count(), 3, "{run:?}");
        build.parse::<u64>().unwrap();
    }
}

#[test]
fn every_command_shows_an_example() {
    let home = Home::new();
    for command in [
        "initialize",
        "config",
        "log",
        "send",
        "autoscale",
        "shutdown",
        "keepalive",
        "condition",
        "run_on_shutdown",
        "props",
        "report_issue",
        "users",
        "test",
        "download",
        "converge",
        "status",
        "facts",
    ] {
        let run = home.run(&[command, "--help"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.contains(&format!("  jetpack {command}")), "{run:?}");
        assert_eq!(home.run(&[command, "-h"]).code, 0);
    }
    assert_eq!(home.run(&["-h"]).code, 0);
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_writes_nothing_to_stdout() {
    for line in [
        &["nonsense"][..],
        &["config", "a", "b", "c"],
        &["config", "--jsn"],
        &["log"],
        &["log", "text", "--level", "loud"],
        &["log", "text", "-p", "urgent"],
        &["download"],
        &["initialize"],
        &["facts", "--nonsense"],
        &["facts", "--list", "os"],
        &["converge", "--mode", "sideways"],
        &[],
    ] {
        let run = Home::new().run(line);
        assert_eq!(run.code, 2, "{run:?}");
        assert_eq!(
            run.stdout.lines().filter(|line| !line.is_empty()).count() > 0,
            line.is_empty(),
            "{run:?}"
        );
    }
}
