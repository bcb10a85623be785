//! `execute` and scripts.

use std::fs;
use std::sync::{Arc, Mutex};

use converge::resource::{Cause, Options, Request, Runner};
use node::command::{Ended, Tee};
use serde_json::json;

use crate::law::Scratch;

fn execute(command: &str) -> Request {
    Request::new("execute", command)
}

#[test]
fn a_command_goes_through_a_shell_and_a_list_does_not() {
    let scratch = Scratch::new();
    let report = scratch
        .run(&execute("echo one | tr a-z A-Z; echo two >&2"))
        .unwrap();
    assert_eq!(report.output.unwrap(), "ONE\ntwo\n");
    assert_eq!(report.changes, ["execute echo one | tr a-z A-Z; echo two >&2"]);
    assert_eq!(report.result, json!({ "exit_status": 0 }));
    let request = execute("name").with("command", json!(["echo", "$HOME", "a  b"]));
    assert_eq!(scratch.run(&request).unwrap().output.unwrap(), "$HOME a  b\n");
}

#[test]
fn a_command_gets_its_folder_environment_umask_and_input() {
    let scratch = Scratch::new();
    let request = execute("echo $ONE; umask; cat; cat here; echo ${HOME-none}")
        .with("cwd", "/srv")
        .with("environment", json!({ "ONE": 1, "HOME": null }))
        .with("umask", "0077")
        .with("input", "in\n");
    scratch.write("/srv/here", "here\n");
    let report = scratch.run(&request).unwrap();
    assert_eq!(report.output.unwrap(), "1\n0077\nin\nhere\nnone\n");
    let error = scratch.run(&execute("true").with("cwd", "/none")).unwrap_err();
    assert_eq!(error.cause.exception(), "Errno::ENOENT");
}

#[test]
fn a_command_runs_until_what_it_creates_is_there() {
    let scratch = Scratch::new();
    let request = execute("touch made").with("creates", "made").with("cwd", "/srv");
    scratch.write("/srv/x", "");
    scratch.law(&request);
    let absolute = execute("false").with("creates", json!(["/srv/x", "/srv/made"]));
    assert!(!scratch.run(&absolute).unwrap().updated);
    assert!(
        scratch
            .run(&execute("false").with("creates", "/srv/none"))
            .is_err()
    );
}

#[test]
fn a_dry_run_runs_no_command() {
    let scratch = Scratch::new();
    let report = scratch
        .runner(true)
        .run(&execute("touch made").with("cwd", "/etc"))
        .unwrap();
    assert_eq!(report.changes, ["execute touch made"]);
    assert!(!scratch.path("/etc/made").exists());
}

#[test]
fn exit_codes_are_errors_unless_they_are_expected() {
    let scratch = Scratch::new();
    let error = scratch.run(&execute("echo why; exit 3")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "execute[echo why; exit 3] action run: `echo why; exit 3` failed: return code: 3\nwhy"
    );
    assert_eq!(error.cause.exception(), "Mixlib::ShellOut::ShellCommandFailed");
    let request = execute("exit 3").with("returns", json!([0, 3]));
    assert_eq!(scratch.run(&request).unwrap().result, json!({ "exit_status": 3 }));
    assert!(scratch.run(&execute("true").with("returns", 1)).is_err());
}

#[test]
fn a_command_that_takes_too_long_ends_with_its_children() {
    let scratch = Scratch::new();
    let error = scratch
        .run(&execute("sleep 1000 & sleep 1000").with("timeout", 0.2))
        .unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::Failed {
                ended: Ended::TimedOut,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.cause.exception(), "Mixlib::ShellOut::CommandTimeout");
}

#[test]
fn output_is_shown_as_it_comes_if_that_is_wanted() {
    let scratch = Scratch::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let show = Arc::clone(&seen);
    let options = Options {
        live: Some(Tee::new(move |bytes: &[u8]| {
            show.lock().unwrap().extend_from_slice(bytes)
        })),
        ..scratch.runner(false).options().clone()
    };
    let runner = Runner::new(converge::resource::Machine::at(scratch.root()), options);
    runner.run(&execute("echo silent")).unwrap();
    runner
        .run(&execute("echo loud").with("live_stream", true))
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), b"loud\n");
}

#[test]
fn a_sensitive_command_is_shown_nowhere() {
    let scratch = Scratch::new();
    let request = execute("echo password; exit $CODE").with("sensitive", true);
    let report = scratch.run(&request).unwrap();
    assert_eq!(report.changes, ["execute sensitive resource"]);
    assert_eq!(report.output, None);
    let request = Request::new("execute", "hidden")
        .with("command", "echo password; exit 1")
        .with("sensitive", true);
    assert_eq!(
        scratch.run(&request).unwrap_err().to_string(),
        "execute[hidden] action run: `(suppressed sensitive resource)` failed: return code: 1"
    );
}

#[test]
fn scripts_run_with_their_interpreters() {
    let scratch = Scratch::new();
    let script = |kind: &str, code: &str| {
        let report = scratch.run(&Request::new(kind, "x").with("code", code));
        report.unwrap_or_else(|error| panic!("{error}")).output.unwrap()
    };
    assert_eq!(script("bash", "x=(1 2); echo ${x[1]}"), "2\n");
    assert_eq!(script("sh", "echo $0 | grep -c chef-script"), "1\n");
    assert_eq!(script("python", "import sys\nprint(sys.version_info[0])"), "3\n");
    assert_eq!(script("perl", "print 6*7"), "42");
    let report = scratch.run(
        &Request::new("script", "x")
            .with("code", "echo $1")
            .with("interpreter", "sh"),
    );
    assert_eq!(report.unwrap().changes, ["execute \"sh\""]);
    let error = scratch
        .run(&Request::new("script", "x").with("code", ""))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "script[x] action run: property `interpreter`: it is required"
    );
}

#[test]
fn flags_go_to_the_interpreter() {
    let scratch = Scratch::new();
    let request = Request::new("bash", "x")
        .with("code", "false\ntouch made")
        .with("cwd", "/etc");
    let error = scratch.run(&request.clone().with("flags", "-e -u")).unwrap_err();
    assert!(
        error.to_string().contains("`\"bash\"` failed: return code: 1"),
        "{error}"
    );
    assert!(!scratch.path("/etc/made").exists());
    scratch.run(&request).unwrap();
    assert!(fs::exists(scratch.path("/etc/made")).unwrap());
}

#[test]
fn a_missing_interpreter_is_named() {
    let scratch = Scratch::new();
    let request = Request::new("script", "x")
        .with("code", "")
        .with("interpreter", "no-such-program")
        // Folders that one may not look into would make it another error.
        .with("environment", json!({ "PATH": "/usr/bin:/bin" }));
    let error = scratch.run(&request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "script[x] action run: `no-such-program` does not exist"
    );
}

#[test]
fn powershell_needs_powershell() {
    let scratch = Scratch::new();
    let request = Request::new("powershell_script", "x").with("code", "1");
    assert!(scratch.runner(true).run(&request).unwrap().updated);
    if let Err(error) = scratch.run(&request) {
        assert_eq!(
            error.cause.exception(),
            "Chef::Exceptions::UnsupportedPlatform",
            "{error}"
        );
    }
}

#[test]
fn a_run_that_is_stopped_ends_its_command() {
    let scratch = Scratch::new();
    let runner = scratch.runner(false);
    runner.options().stop.request();
    let error = runner.run(&execute("sleep 1000")).unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::Failed {
                ended: Ended::Stopped,
                ..
            }
        ),
        "{error}"
    );
}
