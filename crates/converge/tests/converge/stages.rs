//! Stages, scripts of other systems, and specs that are named twice.

use converge::{Ledger, SkipReason};
use node::command::Stop;
use protocol::{Phase, StepState};

use crate::site::{Said, Site, failure};

fn note(name: &str) -> String {
    format!("#!/bin/sh\necho {name} >>$CYCLECLOUD_HOME/ran\npwd\n")
}

#[tokio::test]
async fn stages_install_before_the_scripts_of_their_spec_and_activate_at_the_very_end() {
    let mut site = Site::new();
    for spec in ["one", "two"] {
        site.file(
            "demo",
            spec,
            "stages/install.sh",
            &note(&format!("{spec} install")),
        );
        site.file(
            "demo",
            spec,
            "stages/activate.sh",
            &note(&format!("{spec} activate")),
        );
        site.file("demo", spec, "stages/other.sh", "#!/bin/sh\nexit 1\n");
        site.script("demo", spec, "1.sh", &note(&format!("{spec} script")));
    }
    site.upload("demo").await;
    let said = site.converge(&["demo:one", "demo:two"]).await.unwrap();
    assert_eq!(
        site.read("jetpack/ran"),
        "one install\none script\ntwo install\ntwo script\none activate\ntwo activate\n"
    );
    let root = site.root().display().to_string();
    assert_eq!(
        site.output("demo/two/stages/activate.sh"),
        format!("{root}/demo/two/stages\n")
    );
    let deferred = said.iter().position(|line| line == "phase deferred").unwrap();
    assert_eq!(said[deferred + 1], "start demo/one/stages/activate.sh");
    assert!(site.root().join(".run/demo/one/stages/install.sh.run").exists());

    let ledger = Ledger::observe(&site.home).unwrap().unwrap();
    assert_eq!(ledger.phase, Phase::Ready);
    assert!(ledger.timings.contains_key("deferred"), "{ledger:?}");
    assert!(
        ledger
            .steps
            .iter()
            .all(|step| step.state == StepState::Succeeded && step.seconds.is_some())
    );

    site.converge(&["demo:one", "demo:two"]).await.unwrap();
    assert_eq!(
        site.read("jetpack/ran").lines().count(),
        6,
        "each stage runs once"
    );
    let ledger = Ledger::observe(&site.home).unwrap().unwrap();
    assert!(ledger.steps.iter().all(|step| step.state == StepState::Skipped));
}

#[tokio::test]
async fn a_link_from_scripts_to_a_stage_runs_the_stage_once() {
    let mut site = Site::new();
    site.file("demo", "s", "stages/install.sh", &note("install"));
    site.script("demo", "s", "1.sh", &note("script"));
    let scripts = site.top().join("projects/demo/specs/s/cluster-init/scripts");
    std::os::unix::fs::symlink("../stages/install.sh", scripts.join("2.sh")).unwrap();
    site.upload("demo").await;
    let said = site.converge(&["demo:s"]).await.unwrap();
    assert_eq!(site.read("jetpack/ran"), "script\ninstall\n");
    assert!(
        said.contains(&format!(
            "skip demo/s/stages/install.sh: {:?}",
            SkipReason::IsScript
        )),
        "{said:?}"
    );
}

#[tokio::test]
async fn scripts_of_windows_are_named_and_not_run() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", &note("script"));
    site.script("demo", "s", "2.bat", "exit 1\r\n");
    site.script("demo", "w", "1.cmd", "exit 1\r\n");
    site.file("demo", "w", "scripts/README.txt", "x");
    site.upload("demo").await;
    let said = site.converge(&["demo:s"]).await.unwrap();
    assert!(
        said.contains(&"skip demo/s/scripts/2.bat: Windows".to_owned()),
        "{said:?}"
    );
    assert!(!site.root().join(".run/demo/s/scripts/2.bat.run").exists());
    let failure = failure(site.converge(&["demo:s", "demo:w"]).await);
    assert_eq!(
        failure.message,
        "project `demo`, spec `w` has nothing but scripts for Windows (`1.cmd`), which this node cannot run"
    );
}

#[tokio::test]
async fn a_spec_of_two_versions_is_refused_before_anything_changes() {
    let mut site = Site::new();
    site.script("demo", "s", "1.sh", &note("script"));
    site.upload("demo").await;
    let mut specs = site.specs(&["demo:s", "demo:s"]);
    site.run(&specs, &mut Said::default(), &Stop::new())
        .await
        .unwrap();
    assert_eq!(site.read("jetpack/ran"), "script\n", "the same twice runs once");
    specs[1].version = Some("2.0.0".to_owned());
    let failure = failure(site.run(&specs, &mut Said::default(), &Stop::new()).await);
    assert_eq!(
        failure.message,
        "spec `s` of project `demo` is listed twice: as version `1.0.0` of locker `local` and as version `2.0.0` of \
         locker `local`"
    );
}

#[tokio::test]
async fn files_of_one_name_in_two_specs_stay_apart() {
    let mut site = Site::new();
    for spec in ["one", "two"] {
        site.script("demo", spec, "1.sh", "#!/bin/sh\ncat ../files/x\n");
        site.file("demo", spec, "files/x", &format!("x of {spec}\n"));
    }
    site.upload("demo").await;
    site.converge(&["demo:one", "demo:two"]).await.unwrap();
    for spec in ["one", "two"] {
        assert_eq!(
            site.output(&format!("demo/{spec}/scripts/1.sh")),
            format!("x of {spec}\n")
        );
    }
}
