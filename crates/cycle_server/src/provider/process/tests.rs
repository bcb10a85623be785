//! The provider with real processes: shell scripts in the places of `jetpack` and `jetpackd`.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::procfs::Process;
use super::*;

/// Joins, or fails as the userdata id says.
const JETPACK: &str = r#"#!/bin/sh
[ "$1 $2 $4" = "initialize --url --userdata" ] || { echo "bad arguments: $*"; exit 2; }
mkdir -p "$CYCLECLOUD_HOME/config"
case "$5" in
  refused*) echo "Error: the userdata id is not known"; (setsid sleep 300 &) ; exit 1 ;;
  slow*) sleep 300 ;;
esac
echo "$5" > "$CYCLECLOUD_HOME/config/userdata"
"#;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// `daemon` is the body of `jetpackd`.
    fn new(daemon: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("jetpack", JETPACK),
            ("jetpackd", &format!("#!/bin/sh\n{daemon}\n")),
        ] {
            let path = folder.path().join(name);
            durable::write(&path, 0o755, text.as_bytes()).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        }
        Self { folder }
    }

    fn settings(&self) -> ProcessSettings {
        ProcessSettings {
            grace: Duration::from_secs(5),
            restart_initial: Duration::from_millis(50),
            restart_max: Duration::from_millis(150),
            output_limit: 4096,
            check_interval: Duration::from_millis(10),
            ..ProcessSettings::new(self.folder.path().join("nodes"), self.folder.path())
        }
    }

    async fn open(&self) -> ProcessProvider {
        ProcessProvider::open(self.settings()).await.unwrap()
    }

    fn node(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap().join("nodes/n1")
    }

    fn home(&self) -> PathBuf {
        self.node().join("jetpack")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for process in procfs::all_of(&self.home()) {
            process.kill_group();
        }
    }
}

fn request(userdata: &str) -> MachineRequest {
    MachineRequest {
        node_id: "n1".to_owned(),
        userdata: userdata.to_owned(),
        url: "http://127.0.0.1:1".to_owned(),
        ca: None,
    }
}

/// Waits, with a deadline, until `check` finds something.
async fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn running(provider: &ProcessProvider) -> i32 {
    until("the daemon runs", || match provider.status("n1") {
        MachineStatus::Running { pid } => pid,
        _ => None,
    })
    .await
}

const SLEEPER: &str = "while :; do sleep 0.05; done";

#[tokio::test]
async fn a_machine_is_made_once_and_taken_away_with_its_folder() {
    let bench = Bench::new(SLEEPER);
    let provider = bench.open().await;
    assert_eq!(provider.status("n1"), MachineStatus::Gone);
    provider.create(request("abc")).await.unwrap();
    running(&provider).await;
    assert_eq!(
        fs::read_to_string(bench.home().join("config/userdata")).unwrap(),
        "abc\n"
    );
    assert!(matches!(
        provider.create(request("def")).await,
        Err(ProviderError::Exists(id)) if id == "n1"
    ));
    assert_eq!(provider.machines().len(), 1);
    provider.delete("n1").await.unwrap();
    assert!(!bench.node().exists());
    assert_eq!(procfs::all_of(&bench.home()), []);
    assert_eq!(provider.status("n1"), MachineStatus::Gone);
    provider.delete("n1").await.unwrap();
    provider.create(request("def")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_was_killed_leaves_nodes_that_the_next_one_adopts() {
    let bench = Bench::new(SLEEPER);
    let first = bench.open().await;
    first.create(request("abc")).await.unwrap();
    let pid = running(&first).await;
    drop(first);
    let second = bench.open().await;
    assert_eq!(running(&second).await, pid, "the same process goes on");
    drop(second);

    // Killed before the pid was written down, or with a record that power took half of.
    durable::remove(&bench.node().join("machine.json")).unwrap();
    durable::write(&bench.node().join("machine.json"), 0o600, b"{\"versi").unwrap();
    let third = bench.open().await;
    assert_eq!(running(&third).await, pid);
    assert!(bench.node().join("machine.json.broken").exists());

    // An adopted daemon that dies is started again, although it is nobody's child here.
    Process::now(pid).unwrap().kill_group();
    let next = until("a new daemon", || match third.status("n1") {
        MachineStatus::Running { pid: Some(new) } if new != pid => Some(new),
        _ => None,
    })
    .await;
    assert_eq!(
        procfs::all_of(&bench.home())
            .iter()
            .filter(|p| p.pid == next)
            .count(),
        1
    );
    third.delete("n1").await.unwrap();
    assert_eq!(procfs::all_of(&bench.home()), []);
}

#[tokio::test]
async fn a_clean_stop_ends_everything_and_the_next_start_begins_anew() {
    let bench = Bench::new(&format!("trap 'echo bye; exit 0' TERM\n{SLEEPER}"));
    let provider = bench.open().await;
    provider.create(request("abc")).await.unwrap();
    let pid = running(&provider).await;
    // The trap is set by the time it sleeps.
    until("the daemon sleeps", || {
        (procfs::all_of(&bench.home()).len() > 1).then_some(())
    })
    .await;
    provider.stop().await;
    assert_eq!(procfs::all_of(&bench.home()), []);
    assert_eq!(
        fs::read_to_string(bench.node().join("jetpackd.out")).unwrap(),
        "bye\n"
    );
    assert!(matches!(
        provider
            .create(MachineRequest {
                node_id: "n2".into(),
                ..request("x")
            })
            .await,
        Err(ProviderError::Stopping)
    ));
    drop(provider);
    let next = bench.open().await;
    assert_ne!(running(&next).await, pid);
    next.delete("n1").await.unwrap();
}

#[tokio::test]
async fn no_orphan_is_left_after_a_delete() {
    // Deaf to TERM, with a grandchild in a session of its own whose parent is gone.
    let bench = Bench::new(&format!(
        "trap '' TERM\n(setsid sh -c 'while :; do sleep 0.05; done' &)\n{SLEEPER}"
    ));
    let provider = ProcessProvider::open(ProcessSettings {
        grace: Duration::from_millis(50),
        ..bench.settings()
    })
    .await
    .unwrap();
    provider.create(request("abc")).await.unwrap();
    let pid = running(&provider).await;
    until("the grandchild", || {
        (procfs::all_of(&bench.home()).len() >= 3).then_some(())
    })
    .await;
    provider.delete("n1").await.unwrap();
    assert_eq!(procfs::all_of(&bench.home()), []);
    assert_eq!(Process::now(pid), None);
    assert!(!bench.node().exists());
}

#[tokio::test]
async fn a_daemon_that_dies_is_started_again_with_growing_pauses() {
    let bench = Bench::new("date +%s%N >> $CYCLECLOUD_HOME/starts; exit 3");
    let provider = bench.open().await;
    provider.create(request("abc")).await.unwrap();
    let starts = bench.home().join("starts");
    let times: Vec<u64> = until("five starts", || {
        let text = fs::read_to_string(&starts).ok()?;
        let times: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (times.len() >= 5).then_some(times)
    })
    .await;
    let pauses: Vec<u64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / 1_000_000)
        .collect();
    for (pause, least) in pauses.iter().zip([50, 100, 150, 150]) {
        assert!(*pause >= least - 5, "{pauses:?}");
    }
    let reason = until("a dead daemon", || match provider.status("n1") {
        MachineStatus::Dead { reason, restart_in } => {
            assert!(restart_in <= Duration::from_millis(150));
            Some(reason)
        }
        _ => None,
    })
    .await;
    assert_eq!(reason, "jetpackd ended with exit code 3");
    provider.delete("n1").await.unwrap();
}

#[tokio::test]
async fn output_is_kept_within_bounds() {
    let bench = Bench::new(
        "i=0; while :; do i=$((i+1)); echo \"line $i of the daemon's output\"; [ $((i % 50)) = 0 ] && sleep 0.01; done",
    );
    let provider = bench.open().await;
    provider.create(request("abc")).await.unwrap();
    let output = bench.node().join("jetpackd.out");
    until("the output was capped", || {
        output::older(&output).exists().then_some(())
    })
    .await;
    let old = fs::read_to_string(output::older(&output)).unwrap();
    assert!(
        old.len() <= 4096 && old.starts_with("line ") && old.ends_with("output\n"),
        "{old}"
    );
    provider.delete("n1").await.unwrap();
}

#[tokio::test]
async fn a_machine_that_cannot_be_made_leaves_nothing() {
    let bench = Bench::new(SLEEPER);
    let provider = bench.open().await;
    let error = provider.create(request("refused")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`jetpack initialize` ended with exit code 1: Error: the userdata id is not known"
    );
    assert!(!bench.node().exists());
    assert_eq!(procfs::all_of(&bench.home()), []);
    assert_eq!(provider.status("n1"), MachineStatus::Gone);

    let missing = ProcessProvider::open(ProcessSettings {
        jetpack: "/no/such/jetpack".into(),
        ..bench.settings()
    })
    .await
    .unwrap();
    let error = missing.create(request("abc")).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/no/such/jetpack`");
    let bad = MachineRequest {
        node_id: "../x".into(),
        ..request("abc")
    };
    assert!(matches!(missing.create(bad).await, Err(ProviderError::Name(_))));
}

#[tokio::test]
async fn a_creation_ends_when_its_machine_is_deleted() {
    let bench = Bench::new(SLEEPER);
    let provider = bench.open().await;
    let (created, deleted) = tokio::join!(provider.create(request("slow")), async {
        until("the creation is at work", || {
            bench.home().join("config").exists().then_some(())
        })
        .await;
        assert_eq!(provider.status("n1"), MachineStatus::Starting);
        provider.delete("n1").await
    });
    assert!(matches!(created, Err(ProviderError::Stopping)));
    deleted.unwrap();
    assert_eq!(procfs::all_of(&bench.home()), []);
    assert!(!bench.node().exists());
}

#[tokio::test]
async fn half_made_and_half_deleted_machines_are_removed_by_the_next_start() {
    for stage in [Some(Stage::Making), Some(Stage::Deleting), None] {
        let bench = Bench::new(SLEEPER);
        let first = bench.open().await;
        first.create(request("abc")).await.unwrap();
        running(&first).await;
        drop(first);
        match stage {
            Some(stage) => Record::new(stage).save(&bench.node()).unwrap(),
            None => durable::remove(&bench.node().join("machine.json")).unwrap(),
        }
        let second = bench.open().await;
        assert_eq!(second.status("n1"), MachineStatus::Gone, "{stage:?}");
        assert!(!bench.node().exists());
        assert_eq!(procfs::all_of(&bench.home()), []);
    }
}

#[tokio::test]
async fn a_machine_that_was_deallocated_keeps_its_home_and_starts_only_when_told() {
    let bench = Bench::new(SLEEPER);
    let provider = bench.open().await;
    assert!(matches!(provider.start("n1").await, Err(ProviderError::Missing(id)) if id == "n1"));
    provider.deallocate("n1").await.unwrap();
    provider.create(request("abc")).await.unwrap();
    let pid = running(&provider).await;
    provider.deallocate("n1").await.unwrap();
    assert_eq!(provider.status("n1"), MachineStatus::Stopped);
    assert_eq!(procfs::all_of(&bench.home()), []);
    assert!(bench.home().join("config/userdata").exists());
    provider.stop().await;
    drop(provider);

    let next = bench.open().await;
    assert_eq!(
        next.status("n1"),
        MachineStatus::Stopped,
        "another server leaves it so"
    );
    next.start("n1").await.unwrap();
    next.start("n1").await.unwrap();
    assert_ne!(running(&next).await, pid);
    next.deallocate("n1").await.unwrap();
    next.delete("n1").await.unwrap();
    assert!(!bench.node().exists());
}
