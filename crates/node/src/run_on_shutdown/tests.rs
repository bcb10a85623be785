use std::fs;
use std::path::Path;
use std::thread;

use super::runner::run_within;
use super::*;
use crate::clock::SystemClock;
use crate::command::{Process, Stop};

struct Bench {
    _folder: tempfile::TempDir,
    home: Home,
    machine: Machine,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        Self {
            _folder: folder,
            home,
            machine: Machine::named("a"),
        }
    }

    fn open(&self) -> Actions {
        Actions::open(&self.home, &self.machine, &SystemClock).unwrap()
    }

    /// A line for the shell, which stands in the home.
    fn add(&self, name: &str, line: &str, timeout_seconds: u64) -> Option<Action> {
        let action = Action {
            name: name.to_owned(),
            command: ["sh", "-c", line].map(str::to_owned).to_vec(),
            timeout_seconds,
            added: Timestamp::UNIX_EPOCH,
        };
        self.open().add(action).unwrap()
    }

    /// Runs to the end and gives the failures.
    fn run(&self, occasion: &str) -> Vec<(String, Option<String>)> {
        let mut ended = Vec::new();
        let done = run(
            &self.home,
            &self.machine,
            occasion,
            &Stop::new(),
            |event| match event {
                Event::Ended { name, failure } => ended.push((name, failure)),
                Event::Begun { .. } => {}
                Event::Trouble(trouble) => panic!("{trouble}"),
            },
        );
        assert!(done.unwrap());
        ended
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.home.root().join(path)).unwrap_or_default()
    }

    fn wait_for(&self, path: &str, text: &str) {
        while !self.read(path).contains(text) {
            thread::yield_now();
        }
    }
}

#[test]
fn actions_run_in_order_and_a_failure_does_not_stop_the_others() {
    let bench = Bench::new();
    bench.add("first", "echo first >>trace; echo said", 60);
    bench.add("second", "echo second >>trace; echo a; echo b; exit 3", 60);
    bench.add("third", "echo third >>trace; command -v jetpack", 60);
    bench
        .open()
        .add(Action {
            name: "none".to_owned(),
            command: vec!["/no/such/program".to_owned()],
            timeout_seconds: 60,
            added: Timestamp::UNIX_EPOCH,
        })
        .unwrap();
    // Its `PATH` begins with the programs of the node.
    durable::write(&bench.home.jetpack(), 0o755, b"#!/bin/sh\n").unwrap();
    assert_eq!(
        bench.run("s1"),
        [
            ("first".to_owned(), None),
            ("second".to_owned(), Some("return code: 3\na\nb".to_owned())),
            ("third".to_owned(), None),
            (
                "none".to_owned(),
                Some("`/no/such/program` does not exist".to_owned())
            ),
        ]
    );
    assert_eq!(bench.read("trace"), "first\nsecond\nthird\n");
    assert_eq!(bench.read("logs/run_on_shutdown/first.out"), "said\n");
    let found = bench.read("logs/run_on_shutdown/third.out");
    assert_eq!(Path::new(found.trim()), bench.home.jetpack());
}

#[test]
fn what_completed_runs_again_on_another_occasion_only() {
    let bench = Bench::new();
    bench.add("one", "echo one >>trace", 60);
    assert_eq!(bench.run("s1").len(), 1);
    assert_eq!(bench.run("s1"), []);
    bench.add("two", "echo two >>trace", 60);
    assert_eq!(bench.run("s1").len(), 1, "it was registered meanwhile");
    assert_eq!(bench.run("s2").len(), 2);
    assert_eq!(bench.read("trace"), "one\ntwo\none\ntwo\n");
}

#[test]
fn a_failure_is_an_end_too() {
    let bench = Bench::new();
    bench.add("one", "echo one >>trace; exit 1", 60);
    bench.run("s1");
    bench.run("s1");
    assert_eq!(bench.read("trace"), "one\n");
}

#[test]
fn one_that_takes_too_long_is_ended_with_what_it_started() {
    let bench = Bench::new();
    bench.add("slow", "sleep 600 & echo $! >child; wait", 1);
    bench.add("next", "echo next >>trace", 60);
    let ended = bench.run("s1");
    assert_eq!(ended[0].1.as_deref(), Some("time limit reached (1 s)"));
    assert_eq!(bench.read("trace"), "next\n");
    let child = bench.read("child").trim().parse().unwrap();
    assert_eq!(Process::of(child), None);
}

#[test]
fn when_the_time_of_all_is_over_the_rest_is_named_and_not_run() {
    let bench = Bench::new();
    bench.add("slow", "sleep 600", 600);
    bench.add("late", "echo late >>trace", 600);
    let mut ended = Vec::new();
    let total = Duration::from_secs(3);
    let tell = |event| {
        if let Event::Ended { name, failure } = event {
            ended.push((name, failure.unwrap_or_default()));
        }
    };
    assert!(run_within(total, &bench.home, &bench.machine, "s1", &Stop::new(), tell).unwrap());
    assert!(ended[0].1.starts_with("time limit reached"), "{ended:?}");
    assert_eq!(
        ended[1].1,
        "not run: the 3 s that all actions have together are over"
    );
    assert_eq!(bench.read("trace"), "");
}

#[test]
fn one_that_was_stopped_runs_again_and_those_before_it_do_not() {
    let bench = Bench::new();
    bench.add("first", "echo first >>trace", 60);
    bench.add(
        "wait",
        "echo begin >>trace; [ -e go ] || sleep 600; echo end >>trace",
        60,
    );
    let stop = Stop::new();
    thread::scope(|scope| {
        let running = scope.spawn(|| run(&bench.home, &bench.machine, "s1", &stop, |_| {}).unwrap());
        bench.wait_for("trace", "begin");
        stop.request();
        assert!(!running.join().unwrap());
    });
    fs::File::create(bench.home.root().join("go")).unwrap();
    assert_eq!(bench.run("s1").len(), 1);
    assert_eq!(bench.read("trace"), "first\nbegin\nbegin\nend\n");
}

#[test]
fn one_whose_runner_was_killed_is_ended_before_it_runs_again() {
    let bench = Bench::new();
    bench.add("wait", "echo $$ >>pids; [ -e go ] || sleep 600", 600);
    let stop = Stop::new();
    thread::scope(|scope| {
        let running = scope.spawn(|| run(&bench.home, &bench.machine, "s1", &stop, |_| {}).unwrap());
        let progress = bench.home.run_on_shutdown_progress();
        bench.wait_for("pids", "\n");
        let first = bench.read("pids").trim().parse().unwrap();
        let noted = format!("\"pid\": {first}");
        bench.wait_for("run/run_on_shutdown.progress.json", &noted);
        // What the next runner finds after a kill, while this one goes on.
        let left = fs::read(&progress).unwrap();
        fs::File::create(bench.home.root().join("go")).unwrap();
        durable::write(&progress, 0o640, &left).unwrap();
        assert_eq!(bench.run("s1").len(), 1);
        assert_eq!(Process::of(first), None, "the first is gone");
        assert_eq!(bench.read("pids").lines().count(), 2);
        running.join().unwrap();
    });
}

#[test]
fn the_same_name_replaces_in_place_and_a_command_without_name_gets_one() {
    let bench = Bench::new();
    assert_eq!(bench.add("a", "true", 60), None);
    bench.add("b", "true", 60);
    let replaced = bench.add("a", "false", 61).unwrap();
    assert_eq!(replaced.timeout_seconds, 60);
    let names = |actions: &Actions| -> Vec<String> {
        actions.list().iter().map(|action| action.name.clone()).collect()
    };
    let mut actions = bench.open();
    assert_eq!(names(&actions), ["a", "b"]);
    let words = |line: &[&str]| -> Vec<String> { line.iter().map(|word| (*word).to_owned()).collect() };
    assert_eq!(
        actions.name_for(&words(&["sh", "-c", "false"])),
        "a",
        "it is known"
    );
    assert_eq!(actions.name_for(&words(&["/opt/x/b", "1"])), "b-2");
    assert_eq!(actions.name_for(&words(&["/opt/save state.sh"])), "save-state.sh");
    assert_eq!(actions.name_for(&words(&["/opt/..."])), "action");
    for name in [&*"x".repeat(300), "é", ".hidden"] {
        check_name(&actions.name_for(&words(&[name]))).unwrap();
    }
    assert!(actions.remove("a").unwrap());
    assert!(!actions.remove("a").unwrap());
    assert_eq!(names(&actions), ["b"]);
}

#[test]
fn what_cannot_be_registered_is_named() {
    let bench = Bench::new();
    let mut actions = bench.open();
    let mut add = |name: &str, command: &[&str]| {
        let action = Action {
            name: name.to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout_seconds: 1,
            added: Timestamp::UNIX_EPOCH,
        };
        actions.add(action).map_err(|error| error.to_string())
    };
    assert_eq!(add("x", &[]).unwrap_err(), "the command of `x` is empty");
    assert_eq!(add("x", &[""]).unwrap_err(), "the command of `x` is empty");
    let long = "x".repeat(MAX_COMMAND);
    assert_eq!(
        add("x", &["a", &long]).unwrap_err(),
        "the command of `x` is longer than 32 KiB"
    );
    for number in 0..MAX {
        add(&number.to_string(), &["true"]).unwrap();
    }
    assert!(add("new", &["true"]).unwrap_err().contains("`new`"));
    add("7", &["false"]).unwrap();
    for name in [
        "",
        ".",
        "..",
        "../x",
        "-x",
        ".x",
        "a/b",
        "a b",
        "ä",
        &"x".repeat(65),
    ] {
        check_name(name).unwrap_err();
    }
}

#[test]
fn a_clone_does_not_run_what_was_registered_in_its_image() {
    let bench = Bench::new();
    bench.add("one", "true", 60);
    let loaded = load(&bench.home, &Machine::named("b")).unwrap();
    assert_eq!(loaded.actions, []);
}

#[test]
fn a_damaged_file_is_told_and_does_not_stop_the_shutdown() {
    let bench = Bench::new();
    durable::write(&bench.home.run_on_shutdown(), 0o640, b"{").unwrap();
    let mut trouble = Vec::new();
    let tell = |event| {
        if let Event::Trouble(text) = event {
            trouble.push(text);
        }
    };
    assert!(run(&bench.home, &bench.machine, "s1", &Stop::new(), tell).unwrap());
    assert!(trouble[0].contains("run_on_shutdown.json.broken"), "{trouble:?}");
}

#[test]
fn the_time_that_is_needed_has_an_end() {
    let action = |timeout_seconds| Action {
        name: "x".to_owned(),
        command: Vec::new(),
        timeout_seconds,
        added: Timestamp::UNIX_EPOCH,
    };
    assert_eq!(time_needed(&[]), Duration::ZERO);
    assert_eq!(time_needed(&[action(60), action(30)]), Duration::from_secs(110));
    assert_eq!(time_needed(&[action(600), action(u64::MAX)]), TOTAL);
}
