//! Whole converges with a real locker and real scripts.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up is a failed test"
)]

mod crash;
mod machine;
mod preview;
mod site;
mod stages;
mod sync;
mod trouble;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use converge::{BeginError, ConvergeError, Ledger, Session, SkipReason, Status};
use node::clock::SystemClock;
use node::command::Stop;
use protocol::Phase;
use serde_json::json;

use site::{Said, Site, failure};

#[tokio::test]
async fn scripts_run_in_order_with_the_documented_environment() {
    let mut site = Site::new();
    site.script("demo", "two", "10-x.sh", "#!/bin/sh\necho two >> $HOME_DIR/ran\n");
    site.script(
        "demo",
        "one",
        "9-late.sh",
        "#!/bin/sh\necho 9 >> $CYCLECLOUD_HOME/ran\n",
    );
    site.script(
        "demo",
        "one",
        "10-env.sh",
        "#!/bin/sh\nenv | grep ^CYCLECLOUD | sort\necho \"cwd $PWD\"\necho \"path $PATH\"\ncat ../files/x ../../two/files/y\n\
         echo 10 >> $CYCLECLOUD_HOME/ran\n",
    );
    site.script(
        "demo",
        "two",
        "10-x.sh",
        "#!/bin/sh\necho two >> $CYCLECLOUD_HOME/ran\n",
    );
    site.file("demo", "one", "files/x", "content of x\n");
    site.file("demo", "two", "files/y", "content of y\n");
    site.upload("demo").await;
    let said = site.converge(&["demo:one", "demo:two"]).await.unwrap();

    assert_eq!(site.read("jetpack/ran"), "10\n9\ntwo\n");
    let (home, root) = (site.home.root().display(), site.root().display().to_string());
    let out = site.output("demo/one/scripts/10-env.sh");
    let expected = format!(
        "CYCLECLOUD_BOOTSTRAP={home}/system/bootstrap\nCYCLECLOUD_HOME={home}\nCYCLECLOUD_PROJECT_NAME=demo\n\
         CYCLECLOUD_PROJECT_PATH={root}/demo\nCYCLECLOUD_PROJECT_VERSION=1.0.0\nCYCLECLOUD_SPEC_NAME=one\n\
         CYCLECLOUD_SPEC_PATH={root}/demo/one\ncwd {root}/demo/one/scripts\npath {home}/bin:"
    );
    assert!(out.starts_with(&expected), "{out}\n{expected}");
    assert!(
        out.ends_with("/system/embedded/bin\ncontent of x\ncontent of y\n"),
        "{out}"
    );
    assert_eq!(
        said,
        [
            "phase sync",
            "synced demo:one (3)",
            "synced demo:two (2)",
            "phase cluster-init",
            "start demo/one/scripts/10-env.sh",
            "end demo/one/scripts/10-env.sh: return code: 0",
            "start demo/one/scripts/9-late.sh",
            "end demo/one/scripts/9-late.sh: return code: 0",
            "start demo/two/scripts/10-x.sh",
            "end demo/two/scripts/10-x.sh: return code: 0",
            "ready",
        ]
    );
    let ledger = Ledger::observe(&site.home).unwrap().unwrap();
    assert_eq!(
        (ledger.status, ledger.attempt, ledger.phase),
        (Status::Ready, 1, Phase::Ready)
    );
    assert!(ledger.timings.contains_key("sync") && ledger.timings.contains_key("cluster-init"));
}

#[tokio::test]
async fn a_script_that_succeeded_runs_again_only_for_a_reason() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\necho x >> $CYCLECLOUD_HOME/ran\n");
    site.upload("demo").await;
    let runs = |site: &Site| site.read("jetpack/ran").lines().count();
    site.converge(&["demo:s"]).await.unwrap();
    let said = site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(runs(&site), 1);
    assert!(
        said.contains(&format!("skip demo/s/scripts/1.sh: {:?}", SkipReason::Succeeded)),
        "{said:?}"
    );

    fs::remove_file(site.root().join(".run/demo/s/scripts/1.sh.run")).unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(runs(&site), 2, "the marker was removed");

    site.options.rerun_scripts = true;
    site.converge(&["demo:s"]).await.unwrap();
    site.options.rerun_scripts = false;
    assert_eq!(runs(&site), 3, "it was asked for");

    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\n# new\necho x >> $CYCLECLOUD_HOME/ran\n",
    );
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(runs(&site), 4, "its content changed");

    fs::remove_dir_all(site.root()).unwrap();
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(runs(&site), 4, "only the disk with the tree was lost");

    site.machine = node::identity::Machine::named("clone");
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(runs(&site), 5, "it is another machine");
}

#[tokio::test]
async fn the_first_failing_script_ends_the_converge_and_the_next_try_goes_on_there() {
    let mut site = Site::new();
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\necho one >> $CYCLECLOUD_HOME/ran\n",
    );
    site.script(
        "demo",
        "s",
        "2.sh",
        "#!/bin/sh\nseq 1 100\necho 'no such disk' >&2\nexit 7\n",
    );
    site.script(
        "demo",
        "s",
        "3.sh",
        "#!/bin/sh\necho three >> $CYCLECLOUD_HOME/ran\n",
    );
    site.upload("demo").await;
    let failure = failure(site.converge(&["demo:s"]).await);
    let path = site.root().join("demo/s/scripts/2.sh");
    assert_eq!(
        failure.message,
        format!(
            "failed to execute cluster-init script `{}` in project `demo` (return code: 7)",
            path.display()
        )
    );
    assert_eq!(
        (
            failure.project.as_deref(),
            failure.spec.as_deref(),
            failure.script.as_deref()
        ),
        (Some("demo"), Some("s"), Some("2.sh"))
    );
    assert_eq!(failure.exit_code, Some(7));
    assert!(
        failure.output.ends_with("99\n100\nno such disk"),
        "{}",
        failure.output
    );
    assert_eq!(failure.output.lines().count(), 40);
    assert_eq!(site.read("jetpack/ran"), "one\n");
    let ledger = Ledger::observe(&site.home).unwrap().unwrap();
    assert_eq!((ledger.status, ledger.attempt), (Status::Failed, 1));
    assert_eq!(ledger.step.as_deref(), Some("demo/s/scripts/2.sh"));
    assert_eq!(ledger.failure, Some(failure));

    site.script("demo", "s", "2.sh", "#!/bin/sh\nexit 0\n");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "one\nthree\n");
    let ledger = Ledger::observe(&site.home).unwrap().unwrap();
    assert_eq!((ledger.status, ledger.attempt), (Status::Ready, 2));
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(Ledger::observe(&site.home).unwrap().unwrap().attempt, 1);
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_at_its_time_limit() {
    let mut site = Site::new();
    site.settings.script_timeout = Duration::from_secs(1);
    site.settings.script_grace = Duration::from_millis(100);
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\ntrap '' TERM\necho waiting\nwhile :; do sleep 1; done\n",
    );
    site.upload("demo").await;
    let failure = failure(site.converge(&["demo:s"]).await);
    assert!(
        failure.message.ends_with("(time limit reached after 1 seconds)"),
        "{}",
        failure.message
    );
    assert_eq!(failure.exit_code, None);
    assert_eq!(failure.output, "waiting");
    assert!(failure.recommendation.unwrap().contains("script_timeout"));
}

#[tokio::test]
async fn a_chatty_script_fills_no_disk() {
    let mut site = Site::new();
    site.settings.script_log_bytes = 64 << 10;
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' 'x'\necho\necho end\n",
    );
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    let out = site.output("demo/s/scripts/1.sh");
    assert!(out.len() <= 64 << 10 && out.contains("bytes left out") && out.ends_with("\nend\n"));
}

#[tokio::test]
async fn scripts_without_interpreter_and_python_scripts_run() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "\n# nothing here\necho \"shell $1\"\n");
    site.script("demo", "s", "2.py", "import sys\nprint('python', 1 + 1)\n");
    site.file("demo", "s", "scripts/helper.py", "raise SystemExit(1)\n");
    site.upload("demo").await;
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.output("demo/s/scripts/1.sh"), "shell \n");
    assert_eq!(site.output("demo/s/scripts/2.py"), "python 2\n");
}

#[tokio::test]
async fn a_script_that_cannot_start_says_why() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/bash\r\necho x\r\n");
    site.upload("demo").await;
    let failure = failure(site.converge(&["demo:s"]).await);
    assert!(
        failure
            .message
            .contains("names the interpreter `/bin/bash\\r`, which does not exist"),
        "{}",
        failure.message
    );
    assert!(failure.recommendation.unwrap().contains("line ends of Windows"));
}

#[tokio::test]
async fn a_script_turned_off_on_the_machine_is_skipped_and_not_marked() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", "#!/bin/sh\nexit 1\n");
    site.upload("demo").await;
    failure(site.converge(&["demo:s"]).await);
    let path = site.root().join("demo/s/scripts/1.sh");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let said = site.converge(&["demo:s"]).await.unwrap();
    assert!(
        said.contains(&"skip demo/s/scripts/1.sh: NotExecutable".to_owned()),
        "{said:?}"
    );
    assert!(!site.root().join(".run/demo/s/scripts/1.sh.run").exists());
}

#[tokio::test]
async fn a_second_converge_is_told_who_is_at_work() {
    let site = Site::new();
    let session = Session::begin(
        &site.home,
        &site.machine,
        "manual",
        "jetpack converge",
        &SystemClock,
    )
    .unwrap();
    let error = Session::begin(&site.home, &site.machine, "manual", "other", &SystemClock).unwrap_err();
    let BeginError::Busy(holder) = error else {
        panic!("{error}")
    };
    assert!(
        holder.to_string().contains("`jetpack converge` (process "),
        "{holder}"
    );
    assert_eq!(
        Ledger::observe(&site.home).unwrap().unwrap().status,
        Status::Running
    );
    drop(session);
    assert_eq!(
        Ledger::observe(&site.home).unwrap().unwrap().status,
        Status::Interrupted
    );
}

#[tokio::test]
async fn a_stop_ends_the_script_and_the_next_converge_runs_it_again() {
    let mut site = Site::new();
    site.script(
        "demo",
        "s",
        "1.sh",
        "#!/bin/sh\necho x >> $CYCLECLOUD_HOME/ran\n[ $(wc -l < $CYCLECLOUD_HOME/ran) -gt 1 ] || sleep 100\n",
    );
    site.upload("demo").await;
    let stop = Stop::new();
    let specs = site.specs(&["demo:s"]);
    let ran = site.home.root().join("ran");
    let stopping = async {
        while !ran.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.request();
    };
    let mut said = Said::default();
    let (result, ()) = tokio::join!(site.run(&specs, &mut said, &stop), stopping);
    assert!(matches!(result, Err(ConvergeError::Stopped)), "{result:?}");
    assert_eq!(said.0.last().unwrap(), "stopped");
    assert_eq!(
        Ledger::observe(&site.home).unwrap().unwrap().status,
        Status::Stopped
    );
    site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran").lines().count(), 2);
}

#[tokio::test]
async fn recipes_are_a_clear_failure_unless_they_are_turned_off() {
    let mut site = Site::new();
    site.ini("demo", "[spec s]\nrun_list = recipe[demo]\n");
    site.script("demo", "s", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let failure = failure(site.converge(&["demo:s"]).await);
    assert_eq!(
        failure.message,
        "recipes are not supported by this build; the run list is `recipe[demo]`"
    );
    assert_eq!(
        Ledger::observe(&site.home).unwrap().unwrap().phase,
        Phase::Recipes
    );
    site.node = json!({"cyclecloud": {"enable_chef": "false"}});
    site.converge(&["demo:s"]).await.unwrap();
}
