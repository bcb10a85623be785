//! What the machine and lockers do to a converge: full disks, disks that cannot be written, clocks that jump, manifests that
//! are broken, scripts that hang or say too much.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use converge::{ConvergeError, History, Ledger, Status};
use jiff::{SignedDuration, Timestamp};
use node::clock::Clock;
use node::command::{Command, Process, Stop};
use protocol::ConvergeFailure;

use crate::site::{Said, Site, failure};

const COUNT: &str = "#!/bin/sh\necho x >>$CYCLECLOUD_HOME/ran\n";

/// A file system of its own, in memory. Only root can have one: for others these tests say nothing.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(folder: &Path, options: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        Self::run("mount", &["-t", "tmpfs", "-o", options, "tmpfs"], folder);
        Some(Self {
            folder: folder.to_owned(),
        })
    }

    fn remount(&self, options: &str) {
        Self::run("mount", &["-o", &format!("remount,{options}")], &self.folder);
    }

    fn run(program: &str, args: &[&str], folder: &Path) {
        let mut command = Command::new(program).inherit_environment();
        for arg in args {
            command = command.arg(*arg);
        }
        let outcome = command.arg(folder).run(&Stop::new()).unwrap();
        assert!(outcome.ended.success(), "{}", outcome.tail);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .inherit_environment()
            .arg("--lazy")
            .arg(&self.folder)
            .run(&Stop::new());
    }
}

/// A failure, or the error of a ledger that could not be written, as text.
fn trouble<T: std::fmt::Debug>(result: Result<T, ConvergeError>) -> String {
    let error = result.unwrap_err();
    node::trace::chain(&error)
}

#[tokio::test]
async fn a_tree_on_a_full_disk_is_named_and_filled_when_there_is_room() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", COUNT);
    site.file("demo", "s", "files/large", &"x".repeat(600 << 10));
    site.upload("demo").await;
    let root = site.root().to_owned();
    let Some(disk) = Disk::mount(&root, "size=256k") else {
        return;
    };
    let full = failure(site.converge(&["demo:s"]).await);
    assert!(
        full.message.contains("/demo/.s.new/") && full.message.contains("No space left on device"),
        "{}",
        full.message
    );
    assert_eq!(full.project.as_deref(), Some("demo"));
    assert!(!root.join("demo/s").exists(), "half a spec is no spec");
    disk.remount("size=8m");
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "x\n");
}

#[tokio::test]
async fn a_marker_that_finds_no_room_fails_the_converge_and_not_silently() {
    let mut site = Site::new();
    // It fills the disk, and succeeds.
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\necho x >>$CYCLECLOUD_HOME/ran\n[ $(wc -l <$CYCLECLOUD_HOME/ran) -gt 1 ] || dd if=/dev/zero of=../files/fill bs=4k 2>/dev/null\nexit 0\n",
    );
    site.file("demo", "s", "files/x", "x");
    site.upload("demo").await;
    let root = site.root().to_owned();
    let Some(_disk) = Disk::mount(&root, "size=1m") else {
        return;
    };
    let full = failure(site.converge(&["demo:s"]).await);
    assert!(
        full.message.contains("1.sh.run") || full.message.contains(".run/demo"),
        "{}",
        full.message
    );
    assert!(
        full.message.contains("No space left on device"),
        "{}",
        full.message
    );
    fs::remove_file(root.join("demo/s/files/fill")).unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(
        site.read("jetpack/ran"),
        "x\nx\n",
        "what could not be marked runs again"
    );
}

#[tokio::test]
async fn a_full_log_disk_loses_output_and_not_the_script() {
    let mut site = Site::new();
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\nhead -c 3000000 /dev/zero\necho x >>$CYCLECLOUD_HOME/ran\n",
    );
    site.upload("demo").await;
    let logs = site.home.logs();
    let Some(_disk) = Disk::mount(&logs, "size=1m") else {
        return;
    };
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "x\n");
}

#[tokio::test]
async fn a_home_on_a_full_disk_is_named() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let run = site.home.run();
    let Some(disk) = Disk::mount(&run, "size=64k") else {
        return;
    };
    // Before the first step.
    let fill = run.join("fill");
    Command::new("dd")
        .inherit_environment()
        .arg("if=/dev/zero")
        .arg(format!("of={}", fill.display()))
        .run(&Stop::new())
        .unwrap();
    let begun = site.try_begin();
    let text = node::trace::chain(&begun.unwrap_err());
    assert!(
        text.contains("/run") && text.contains("No space left on device"),
        "{text}"
    );
    fs::remove_file(&fill).unwrap();
    // In the middle.
    let text = format!(
        "#!/bin/sh\n[ -e {0}.once ] && exit 0\ntouch {0}.once\ndd if=/dev/zero of={0} 2>/dev/null\nexit 0\n",
        fill.display()
    );
    site.script("demo", "s", "1.sh", &text);
    site.script("demo", "s", "2.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let text = trouble(site.converge(&["demo:s"]).await);
    assert!(
        text.contains("/run/") && text.contains("No space left on device"),
        "{text}"
    );
    fs::remove_file(&fill).unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    drop(disk);
}

#[tokio::test]
async fn a_tree_that_cannot_be_written_is_named() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", COUNT);
    site.upload("demo").await;
    let root = site.root().to_owned();
    let Some(disk) = Disk::mount(&root, "ro") else {
        return;
    };
    let message = failure(site.converge(&["demo:s"]).await).message;
    assert!(
        message.contains(root.to_str().unwrap()) && message.contains("Read-only file system"),
        "{message}"
    );
    assert_eq!(
        Ledger::observe(&site.home).unwrap().unwrap().status,
        Status::Failed
    );
    disk.remount("rw");
    site.converge(&["demo:s"]).await.unwrap();
    disk.remount("ro");
    // What has been done needs nothing to be written there.
    site.options.sync = false;
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "x\n");
}

#[tokio::test]
async fn a_broken_manifest_is_named() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", COUNT);
    site.upload("demo").await;
    let manifest = site.locker_folder().join("projects/demo/1.0.0/manifest.json");
    for (text, part) in [
        ("{\"name\": \"demo\"", "manifest.json"),
        ("[]", "manifest.json"),
        (
            r#"{"name": "demo", "version": "1.0.0", "specs": {"s": {"files": [{"path": "cluster-init/../../x", "sha256": "00", "size": 1}]}}}"#,
            "cluster-init/../../x",
        ),
        (
            r#"{"name": "demo", "version": "1.0.0", "specs": {"s": {"files": [{"path": "cluster-init/gone", "sha256": "00", "size": 1}]}}}"#,
            "cluster-init/gone",
        ),
    ] {
        durable::write(&manifest, 0o644, text.as_bytes()).unwrap();
        let failure = failure(site.converge(&["demo:s"]).await);
        assert!(
            failure.message.contains("`demo`") && failure.message.contains(part),
            "{text}: {}",
            failure.message
        );
        assert!(!site.root().join("demo/s").exists());
    }
}

/// Its time of day jumps by a day, back and forth, each time it is asked; its monotonic time is the machine's.
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let asked = self.0.fetch_add(1, Ordering::Relaxed);
        let days = if asked % 2 == 0 { 0 } else { -24 - asked };
        Timestamp::now() + SignedDuration::from_hours(days)
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[tokio::test]
async fn a_clock_that_jumps_changes_no_duration_and_no_decision() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", COUNT);
    site.script("demo", "s", "2.sh", "#!/bin/sh\nexit 0\n");
    site.upload("demo").await;
    let clock = Jumping(AtomicI64::new(0));
    for _ in 0..3 {
        site.run_by(
            &clock,
            &site.specs(&["demo:s"]),
            &mut Said::default(),
            &Stop::new(),
        )
        .await
        .unwrap();
    }
    assert_eq!(site.read("jetpack/ran"), "x\n");
    let ledger = Ledger::observe(&site.home).unwrap().unwrap();
    assert!(
        ledger
            .timings
            .values()
            .all(|seconds| (0.0..60.0).contains(seconds)),
        "{ledger:?}"
    );
    let first = &History::observe(&site.home).converges[1];
    assert!(
        first
            .steps
            .iter()
            .all(|step| (0.0..60.0).contains(&step.seconds.unwrap())),
        "{first:?}"
    );
}

#[tokio::test]
async fn a_script_that_hangs_is_stopped_with_everything_it_started() {
    let mut site = Site::new();
    site.settings.script_timeout = Duration::from_secs(1);
    site.settings.script_grace = Duration::from_millis(100);
    // A child in the background, and one that does not hear SIGTERM.
    let text = "#!/bin/sh\nsleep 300 &\necho $! >>$CYCLECLOUD_HOME/pids\n\
                sh -c 'trap \"\" TERM; echo $$ >>$CYCLECLOUD_HOME/pids; while :; do sleep 1; done' &\nwait\n";
    site.script("demo", "s", "1.sh", text);
    site.upload("demo").await;
    let ConvergeFailure { message, .. } = failure(site.converge(&["demo:s"]).await);
    assert!(
        message.ends_with("(time limit reached after 1 seconds)"),
        "{message}"
    );
    let pids: Vec<i32> = site
        .read("jetpack/pids")
        .lines()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        assert!(Process::of(pid).is_none(), "{pid} still runs");
    }
}

/// The most memory that this process has held, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_gigabyte_of_output_fills_neither_disk_nor_memory() {
    let mut site = Site::new();
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\nhead -c 1073741824 /dev/zero\necho\necho end\n",
    );
    site.upload("demo").await;
    let before = peak();
    site.converge(&["demo:s"]).await.unwrap();
    let log = site.home.script_log("demo", "s", "scripts", "1.sh");
    let length = fs::metadata(&log).unwrap().len();
    assert!(length <= site.settings.script_log_bytes, "{length}");
    assert!(fs::read(&log).unwrap().ends_with(b"\nend\n"));
    let grown = peak() - before;
    assert!(grown < 64 << 10, "{grown} KiB");
}
