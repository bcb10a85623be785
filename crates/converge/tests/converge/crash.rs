//! A converge that is killed at any of its steps: the next one reaches the same end.
//!
//! This test program runs itself as the converge that dies, so that nothing is cleaned up in between.

use std::path::PathBuf;

use converge::{Event, Ledger, Progress, Reporter, Status};
use node::command::{Command, Ended, Process, Stop};

use crate::site::{Said, Site};

const SITE: &str = "CONVERGE_CRASH_SITE";
const STEP: &str = "CONVERGE_CRASH_STEP";
const SPECS: [&str; 2] = ["demo:one", "demo:two"];

/// Dies without a word at the step of this number.
struct Mortal {
    left: usize,
}

impl Reporter for Mortal {
    fn report(&mut self, _: &Event<'_>, _: &Progress) {
        if self.left == 0 {
            std::process::abort();
        }
        self.left -= 1;
    }
}

/// Does nothing unless it is the program that the next test starts.
#[tokio::test]
async fn the_converge_that_dies() {
    let (Ok(top), Ok(step)) = (std::env::var(SITE), std::env::var(STEP)) else {
        return;
    };
    let site = Site::at(&PathBuf::from(top));
    let mut mortal = Mortal {
        left: step.parse().unwrap(),
    };
    site.run(&site.specs(&SPECS), &mut mortal, &Stop::new())
        .await
        .unwrap();
}

async fn prepared() -> Site {
    let mut site = Site::new();
    for (spec, name) in [("one", "1.sh"), ("one", "2.sh"), ("two", "1.sh")] {
        let text = format!("#!/bin/sh\necho {spec}/{name} >> $CYCLECLOUD_HOME/ran\n");
        site.script("demo", spec, name, &text);
    }
    site.file("demo", "two", "files/x", "x");
    site.upload("demo").await;
    site
}

#[tokio::test]
async fn wherever_it_dies_the_next_converge_reaches_the_same_end() {
    for step in 0.. {
        let site = prepared().await;
        let died = Command::new(std::env::current_exe().unwrap())
            .inherit_environment()
            .arg("--exact")
            .arg("crash::the_converge_that_dies")
            .env(SITE, site.top())
            .env(STEP, step.to_string())
            .run(&Stop::new())
            .unwrap();
        if died.ended == Ended::Exited(0) {
            // It lived longer than it has steps: all were tried.
            assert!(step >= 10, "{step}: {}", died.tail);
            return;
        }
        assert!(matches!(died.ended, Ended::Signaled(_)), "{}", died.tail);

        let mut said = Said::default();
        site.run(&site.specs(&SPECS), &mut said, &Stop::new())
            .await
            .unwrap();
        assert_eq!(said.0.last().unwrap(), "ready", "step {step}");
        assert_eq!(
            site.read("jetpack/ran"),
            "one/1.sh\none/2.sh\ntwo/1.sh\n",
            "step {step}"
        );
        let ledger = Ledger::observe(&site.home).unwrap().unwrap();
        assert_eq!((ledger.status, ledger.attempt), (Status::Ready, 2), "step {step}");
    }
}

#[tokio::test]
async fn a_script_whose_converge_was_killed_does_not_run_beside_itself() {
    let mut site = Site::new();
    let text = "#!/bin/sh\necho $$ >> $CYCLECLOUD_HOME/ran\n\
                [ $(wc -l < $CYCLECLOUD_HOME/ran) -gt 1 ] && exit 0\nkill -KILL $PPID\nsleep 300\n";
    site.script("demo", "one", "1.sh", text);
    site.script("demo", "two", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let died = Command::new(std::env::current_exe().unwrap())
        .inherit_environment()
        .arg("--exact")
        .arg("crash::the_converge_that_dies")
        .env(SITE, site.top())
        .env(STEP, "1000")
        .run(&Stop::new())
        .unwrap();
    assert_eq!(died.ended, Ended::Signaled(9), "{}", died.tail);
    let orphan: i32 = site.read("jetpack/ran").trim().parse().unwrap();
    assert!(Process::of(orphan).is_some());
    site.converge(&SPECS).await.unwrap();
    assert!(Process::of(orphan).is_none());
    assert!(!site.home.running_script().exists());
    assert_eq!(site.read("jetpack/ran").lines().count(), 2);
}

#[tokio::test]
async fn a_script_that_is_killed_half_way_is_run_again() {
    let mut site = Site::new();
    // It kills the converge that runs it, the first time.
    let text = "#!/bin/sh\necho x >> $CYCLECLOUD_HOME/ran\n\
                [ $(wc -l < $CYCLECLOUD_HOME/ran) -gt 1 ] || kill -KILL $PPID\n";
    site.script("demo", "one", "1.sh", text);
    site.script("demo", "two", "1.sh", "#!/bin/sh\ntrue\n");
    site.upload("demo").await;
    let died = Command::new(std::env::current_exe().unwrap())
        .inherit_environment()
        .arg("--exact")
        .arg("crash::the_converge_that_dies")
        .env(SITE, site.top())
        .env(STEP, "1000")
        .run(&Stop::new())
        .unwrap();
    assert_eq!(died.ended, Ended::Signaled(9), "{}", died.tail);
    assert_eq!(
        Ledger::observe(&site.home).unwrap().unwrap().status,
        Status::Interrupted
    );
    site.converge(&SPECS).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "x\nx\n");
}
