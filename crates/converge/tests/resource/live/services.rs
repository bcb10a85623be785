//! Services and units.

use std::fs;
use std::path::Path;

use converge::resource::{Cause, Request};
use serde_json::json;
use testkit::in_booted_machine;

use super::{Live, holds, request, said};

#[test]
fn services_of_systemd() {
    if !in_booted_machine("live::services::services_of_systemd") {
        return;
    }
    let live = Live::new();
    let unit = request("systemd_unit", "demo", "create").with(
        "content",
        json!({
            "Unit": { "Description": "A demonstration" },
            "Service": { "ExecStart": "/bin/sleep infinity", "Environment": ["A=1", "B=2"] },
            "Install": { "WantedBy": "multi-user.target" },
        }),
    );
    let report = live.law(&unit);
    assert!(report.diff.unwrap().contains("+Environment = B=2\n"));
    assert_eq!(
        said("systemctl show --value -p Description demo"),
        "A demonstration"
    );

    let service = |action: &str| request("service", "demo", action);
    let report = live.law(&service("enable"));
    assert_eq!(report.changes, ["enable service service[demo]"]);
    assert!(holds("systemctl is-enabled -q demo"));
    live.law(&service("start"));
    assert!(holds("systemctl is-active -q demo"));
    let pid = said("systemctl show --value -p MainPID demo");
    assert!(live.run(&service("restart")).unwrap().updated);
    assert_ne!(said("systemctl show --value -p MainPID demo"), pid);
    assert!(live.runner(true).run(&service("restart")).unwrap().updated);
    live.law(&service("stop"));
    assert!(!holds("systemctl is-active -q demo"));
    live.law(&service("disable"));
    live.law(&request("service", "cron", "stop"));
    live.law(&request("service", "cron", "mask"));
    assert!(matches!(
        live.fails(&request("service", "cron", "start")),
        Cause::Failed { .. }
    ));
    live.law(&request("service", "cron", "unmask"));

    live.law(&request("systemd_unit", "demo.service", "enable"));
    live.law(&request("systemd_unit", "demo.service", "start"));
    assert!(holds("systemctl is-active -q demo"));
    live.law(&request("systemd_unit", "demo.service", "stop"));
    let bad = unit.clone().with("content", "[Service]\nExecStart=relative\n");
    assert!(matches!(live.fails(&bad), Cause::Verification { .. }));
    assert!(
        fs::read_to_string("/etc/systemd/system/demo.service")
            .unwrap()
            .contains("infinity")
    );
    live.law(&request("systemd_unit", "demo.service", "disable"));
    live.law(&request("systemd_unit", "demo.service", "delete"));

    // One that is not there: nothing to stop or to disable, but it cannot be started.
    live.nothing(&request("service", "no-such-thing", "stop"));
    live.nothing(&request("service", "no-such-thing", "disable"));
    let cause = live.fails(&request("service", "no-such-thing", "start"));
    assert!(cause.to_string().contains("no-such-thing"), "{cause}");
    let report = live
        .run(&request("service", "systemd-journald", "enable"))
        .unwrap();
    assert!(!report.updated && report.warnings.len() == 1, "{report:?}");
    live.nothing(&Request::new("service", "demo"));
}

#[test]
fn services_with_commands_of_their_own() {
    if !in_booted_machine("live::services::services_with_commands_of_their_own") {
        return;
    }
    let live = Live::new();
    let service = |action: &str| {
        request("service", "own", action)
            .with("start_command", "touch /srv/runs")
            .with("stop_command", "rm /srv/runs")
            .with("status_command", "test -e /srv/runs")
    };
    live.law(&service("start"));
    assert!(Path::new("/srv/runs").exists());
    live.law(&service("stop"));
    assert!(!Path::new("/srv/runs").exists());
}

#[test]
fn services_of_system_v() {
    if !in_booted_machine("live::services::services_of_system_v") {
        return;
    }
    let live = Live::new();
    // As on a machine whose first process is not systemd.
    said("mount -t tmpfs tmpfs /run/systemd/system 2>/dev/null || true");
    let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: demo\n# Required-Start:\n# Required-Stop:\n\
                  # Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n\
                  case $1 in start) touch /srv/runs;; stop) rm -f /srv/runs;; status) test -e /srv/runs;; \
                  restart) touch /srv/restarted;; esac\n";
    durable::write(Path::new("/etc/init.d/demo"), 0o755, script.as_bytes()).unwrap();
    said(
        "umount /run/systemd/system; mkdir -p /srv/hidden; mount --bind /srv/hidden /run/systemd; ! test -e /run/systemd/system",
    );
    let service = |action: &str| request("service", "demo", action);
    live.law(&service("enable"));
    assert!(holds("ls /etc/rc3.d/S*demo"));
    live.law(&service("start"));
    assert!(live.run(&service("restart")).unwrap().updated);
    assert!(Path::new("/srv/restarted").exists());
    live.law(&service("stop"));
    live.law(&service("disable"));
    assert!(matches!(live.fails(&service("mask")), Cause::Service(_)));
    said("umount /run/systemd");
}
