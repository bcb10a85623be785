//! What a reboot, a lost disk, a reimage and scripts that remove things do.

use std::fs;

use converge::{History, Ledger, Status};

use crate::site::{Site, failure};

const COUNT: &str = "#!/bin/sh\necho x >>$CYCLECLOUD_HOME/ran\n";

async fn converged() -> Site {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", COUNT);
    site.file("demo", "s", "files/x", "x");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    site
}

fn runs(site: &Site) -> usize {
    site.read("jetpack/ran").lines().count()
}

#[tokio::test]
async fn a_lost_disk_is_filled_again_and_nothing_runs() {
    let site = converged().await;
    fs::remove_dir_all(site.root()).unwrap();
    fs::create_dir(site.root()).unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(runs(&site), 1);
    assert_eq!(site.read("cluster-init/demo/s/files/x"), "x");
    assert!(site.root().join(".run/demo/s/scripts/1.sh.run").exists());
}

#[tokio::test]
async fn after_a_reimage_everything_runs_again_although_the_disk_is_still_there() {
    let mut site = converged().await;
    // The system's disk is new, with another machine id, and the home is made anew.
    for folder in ["run", "config", "logs"] {
        fs::remove_dir_all(site.home.root().join(folder)).unwrap();
    }
    site.home.create().unwrap();
    site.machine = node::identity::Machine::named("m2");
    assert!(site.root().join(".run/demo/s/scripts/1.sh.run").exists());
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(runs(&site), 2);
}

#[tokio::test]
async fn a_script_that_removes_its_own_spec_succeeds_and_the_rest_is_fetched_again() {
    let mut site = Site::new();
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\necho 1 >>$CYCLECLOUD_HOME/ran\nrm -rf \"$CYCLECLOUD_SPEC_PATH\"\n",
    );
    site.script("demo", "s", "2.sh", "#!/bin/sh\necho 2 >>$CYCLECLOUD_HOME/ran\n");
    site.upload("demo").await;
    let failure = failure(site.converge(&["demo:s"]).await);
    assert!(
        failure
            .message
            .ends_with("2.sh` in project `demo` (it was removed during this converge)"),
        "{}",
        failure.message
    );
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "1\n2\n");
}

#[tokio::test]
async fn a_script_that_removes_the_whole_tree_does_not_hide_the_scripts_of_other_specs() {
    let mut site = Site::new();
    let text = format!(
        "#!/bin/sh\necho 1 >>$CYCLECLOUD_HOME/ran\nrm -rf '{}'\n",
        site.root().display()
    );
    site.script("demo", "one", "1.sh", &text);
    site.script(
        "demo",
        "two",
        "1.sh",
        "#!/bin/sh\necho 2 >>$CYCLECLOUD_HOME/ran\n",
    );
    site.upload("demo").await;
    let failure = failure(site.converge(&["demo:one", "demo:two"]).await);
    assert_eq!(
        (failure.spec.as_deref(), failure.script.as_deref()),
        (Some("two"), Some("1.sh"))
    );
    site.converge(&["demo:one", "demo:two"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "1\n2\n");
}

#[tokio::test]
async fn converges_leave_a_history_with_the_time_of_each_script() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", COUNT);
    site.script("demo", "s", "2.sh", "#!/bin/sh\nexit 3\n");
    site.upload("demo").await;
    failure(site.converge(&["demo:s"]).await);
    site.script("demo", "s", "2.sh", "#!/bin/sh\n");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    let last = Ledger::observe(&site.home).unwrap().unwrap();
    assert_eq!((last.status, last.mode.as_str()), (Status::Ready, "manual"));
    let history = History::observe(&site.home);
    assert_eq!(history.converges.len(), 1);
    let failed = &history.converges[0];
    assert_eq!(failed.status, Status::Failed);
    let steps: Vec<_> = failed
        .steps
        .iter()
        .map(|step| (step.name.as_str(), step.state.as_str(), step.seconds.is_some()))
        .collect();
    assert_eq!(
        steps,
        [
            ("demo/s/scripts/1.sh", "succeeded", true),
            ("demo/s/scripts/2.sh", "failed", true)
        ]
    );
}

#[tokio::test]
async fn a_marker_that_a_power_cut_has_emptied_does_not_count_and_one_made_by_hand_does() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\necho 1 >>$CYCLECLOUD_HOME/ran\n");
    site.script("demo", "s", "2.sh", "#!/bin/sh\necho 2 >>$CYCLECLOUD_HOME/ran\n");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    let marker = |name: &str| site.root().join(format!(".run/demo/s/scripts/{name}.run"));
    durable::write(&marker("1.sh"), 0o644, b"").unwrap();

    // Power is cut in a later converge, whose markers had not reached the disk.
    let path = site.home.converge_ledger();
    let mut ledger: serde_json::Value = durable::read_json(&path).unwrap().unwrap();
    ledger["status"] = "running".into();
    ledger["boot"] = "an earlier boot".into();
    ledger["started"] = jiff::Timestamp::now().to_string().into();
    durable::write_json(&path, 0o640, &ledger).unwrap();
    for marker in [
        marker("2.sh"),
        site.home.markers().join("demo/s/scripts/2.sh.run"),
    ] {
        durable::write(&marker, 0o644, b"").unwrap();
        // The clock of the file system is coarse.
        let later = u64::try_from(jiff::Timestamp::now().as_second()).unwrap() + 2;
        let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(later);
        fs::File::options()
            .write(true)
            .open(&marker)
            .unwrap()
            .set_modified(later)
            .unwrap();
    }
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "1\n2\n2\n");
}
