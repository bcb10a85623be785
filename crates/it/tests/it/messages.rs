//! Messages on their way: many at once, and who reads them.

use std::collections::BTreeSet;

use testkit::{Project, Site, program, wait_for};

#[test]
fn many_processes_log_at_once_and_every_message_arrives_once() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script("default", "010-nothing.sh", "#!/bin/sh\n");
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default]]]\n",
    );
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let head = &head;
            scope.spawn(move || {
                for number in 0..10 {
                    head.jetpack(&["log", &format!("writer {writer} number {number}"), "-p", "low"])
                        .success();
                }
            });
        }
    });
    wait_for("80 messages", || {
        let events = site.events("demo");
        let texts: Vec<&str> = events
            .iter()
            .filter_map(|event| event["message"].as_str())
            .collect();
        let written: Vec<&&str> = texts.iter().filter(|text| text.starts_with("writer ")).collect();
        let different: BTreeSet<&&&str> = written.iter().collect();
        assert_eq!(written.len(), different.len(), "none is stored twice");
        if written.len() == 80 {
            Ok(())
        } else {
            Err(format!("{} so far", written.len()))
        }
    });
    let waiting = std::fs::read_dir(head.home.join("run/outbox")).unwrap();
    let waiting: Vec<_> = waiting
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "json")
        })
        .collect();
    assert!(waiting.is_empty(), "the outbox is empty: {waiting:?}");
}

#[test]
fn events_are_followed_as_they_happen() {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project.script(
        "default",
        "010-say.sh",
        "#!/bin/sh\njetpack log 'said by the script' -p high\n",
    );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    let out = site.folder().join("followed");
    #[expect(clippy::disallowed_methods, reason = "the test needs the running process")]
    let mut follow = std::process::Command::new(program("cyclecloud"))
        .args(["events", "-f", "--priority", "medium"])
        .env("CYCLECLOUD_CONFIG", site.folder().join("config.ini"))
        .stdout(std::fs::File::create(&out).unwrap())
        .spawn()
        .unwrap();
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default]]]\n",
    );
    let text = wait_for("the follower to print", || {
        let text = std::fs::read_to_string(&out).unwrap();
        if text.contains("said by the script") {
            Ok(text)
        } else {
            Err(text)
        }
    });
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!(text.matches("said by the script").count(), 1, "{text}");
}
