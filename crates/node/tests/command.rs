//! Real child processes: output, limits, endings.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use node::command::{Command, CommandError, Ended, Process, Stop, Tee};

#[expect(clippy::unwrap_used, reason = "a test without its script is a failed test")]
fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("script.sh");
    durable::write(&path, 0o755, text.as_bytes()).unwrap();
    path
}

fn shell(text: &str) -> Command {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(text)
        .env("PATH", "/usr/bin:/bin")
}

/// Waits for a condition that another process brings about.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn output_goes_to_the_log_the_tail_and_the_tee_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.out");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let show = Arc::clone(&seen);
    let outcome = shell("echo one; echo two >&2; echo three; exit 3")
        .log(&log, 1 << 20)
        .tee(Tee::new(move |bytes| {
            show.lock().unwrap().extend_from_slice(bytes)
        }))
        .run(&Stop::new())
        .unwrap();
    assert_eq!(outcome.ended, Ended::Exited(3));
    assert_eq!(outcome.ended.to_string(), "return code: 3");
    assert_eq!(outcome.tail, "one\ntwo\nthree\n");
    assert!(!outcome.output_held);
    assert_eq!(fs::read_to_string(&log).unwrap(), outcome.tail);
    assert_eq!(seen.lock().unwrap().as_slice(), outcome.tail.as_bytes());
}

#[test]
fn the_environment_is_what_was_given() {
    let outcome = Command::new("/usr/bin/env")
        .env("A", "1")
        .run(&Stop::new())
        .unwrap();
    assert_eq!(outcome.tail, "A=1\n");
}

#[test]
fn a_chatty_program_neither_fills_the_disk_nor_waits() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.out");
    let outcome = shell("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last")
        .log(&log, 100_000)
        .run(&Stop::new())
        .unwrap();
    assert!(outcome.ended.success());
    assert_eq!(outcome.tail, "last\n");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.len() <= 100_000 && text.ends_with("x\nlast\n"));
    assert!(text.contains("bytes left out"));
}

#[test]
fn at_its_time_limit_the_whole_group_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // The child ignores SIGTERM and outlives its parent, which does not.
    let text = format!(
        "(trap '' TERM; sh -c 'echo $PPID' > {0}; while :; do sleep 1; done) & sleep 100",
        pids.display()
    );
    let outcome = shell(&text)
        .time_limit(Duration::from_millis(700))
        .grace(Duration::from_millis(300))
        .run(&Stop::new())
        .unwrap();
    assert_eq!(outcome.ended, Ended::TimedOut);
    let pid = fs::read_to_string(&pids).unwrap();
    eventually("the child is gone", || !runs(pid.trim()));
}

#[test]
fn a_program_may_clean_up_before_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, cleaned) = (folder.path().join("ready"), folder.path().join("cleaned"));
    let text = format!(
        "trap 'sleep 0.2; touch {}; exit 0' TERM; touch {}; while :; do sleep 0.05; done",
        cleaned.display(),
        ready.display()
    );
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| shell(&text).run(&stop).unwrap());
        eventually("the script runs", || ready.exists());
        stop.request();
        assert_eq!(running.join().unwrap().ended, Ended::Stopped);
    });
    assert!(cleaned.exists());
    // A later program does not even get going.
    assert_eq!(shell("sleep 100").run(&stop).unwrap().ended, Ended::Stopped);
}

#[test]
fn what_a_script_leaves_behind_goes_on_and_does_not_hold_us() {
    let started = Instant::now();
    let outcome = shell("sleep 30 & echo $!").run(&Stop::new()).unwrap();
    assert!(outcome.ended.success());
    assert!(outcome.output_held);
    assert!(started.elapsed() < Duration::from_secs(15));
    let pid = outcome.tail.trim();
    assert!(runs(pid));
    shell(&format!("kill {pid}")).run(&Stop::new()).unwrap();
}

#[test]
fn a_process_is_known_by_its_start_and_ended_later() {
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            shell("sleep 100")
                .on_start(move |process| *tell.lock().unwrap() = Some(process.clone()))
                .run(&Stop::new())
                .unwrap()
        });
        eventually("the program runs", || told.lock().unwrap().is_some());
        let process = told.lock().unwrap().clone().unwrap();
        assert!(process.is_alive());
        assert!(process.terminate(Duration::from_secs(10)));
        assert_eq!(running.join().unwrap().ended, Ended::Signaled(15));
        assert!(!process.is_alive());
    });
    // A number that was used again names another process.
    let ours = Process::of(std::process::id().cast_signed()).unwrap();
    let text = serde_json::to_string(&ours)
        .unwrap()
        .replace("\"start\":", "\"start\":9");
    let other: Process = serde_json::from_str(&text).unwrap();
    assert!(!other.is_alive() && other.terminate(Duration::ZERO));
}

#[test]
fn a_script_without_a_first_line_is_one_of_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "\n# no interpreter\necho \"in $0\" $1\n");
    let outcome = Command::new(&path).arg("arg").run(&Stop::new()).unwrap();
    assert_eq!(outcome.tail, format!("in {} arg\n", path.display()));
}

#[test]
fn what_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Command::new(folder.path().join("none")).run(&Stop::new());
    assert!(missing.unwrap_err().to_string().ends_with("none` does not exist"));

    let windows = script(folder.path(), "#!/bin/bash\r\necho hello\r\n");
    let error = Command::new(&windows).run(&Stop::new()).unwrap_err();
    assert!(matches!(error, CommandError::NoInterpreter { .. }), "{error}");
    assert!(error.to_string().contains("`/bin/bash\\r`"), "{error}");

    fs::set_permissions(&windows, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Command::new(&windows).run(&Stop::new()).unwrap_err();
    assert!(matches!(error, CommandError::Denied { .. }), "{error}");

    let error = shell("true")
        .current_dir(folder.path().join("gone"))
        .run(&Stop::new());
    assert!(matches!(error.unwrap_err(), CommandError::NoFolder { .. }));
}

#[test]
fn death_by_a_signal_is_told_by_its_name() {
    let outcome = shell("kill -SEGV $$").run(&Stop::new()).unwrap();
    assert_eq!(outcome.ended.to_string(), "killed by SIGSEGV");
}

#[tokio::test]
async fn a_program_in_the_background_is_waited_for_and_terminated() {
    let mut done = shell("echo out; exit 4").start().unwrap();
    assert_eq!(done.wait().await.unwrap(), Ended::Exited(4));

    let mut hanging = shell("trap '' TERM; while :; do sleep 0.1; done")
        .grace(Duration::from_millis(200))
        .start()
        .unwrap();
    let pid = hanging.id().to_string();
    assert!(runs(&pid));
    assert_eq!(hanging.terminate().await.unwrap(), Ended::Stopped);
    assert!(!runs(&pid));
}
