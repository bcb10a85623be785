//! `cyclecloud initialize`, and what the other commands say without it.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::site::Site;

fn batch<'a>(url: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["initialize", "--batch", "--url", url, "--username", "admin"];
    args.extend(rest);
    args
}

#[test]
fn it_checks_the_connection_and_writes_a_private_file() {
    let site = Site::without_configuration();
    let url = site.url();
    site.expect("GET /lockers", 200, json!([]));
    let run = site.run_in(
        site.path("").as_path(),
        &batch(&url, &["--password-stdin", "--name", "mine"]),
        "secret\nmore\n",
    );
    let file = site.path("config.ini");
    assert_eq!(
        run.success(),
        format!("CycleCloud is configured for {url} in {}\n", file.display())
    );
    assert_eq!(
        site.read("config.ini"),
        format!(
            "[cyclecloud]\nname = mine\nurl = {url}\nusername = admin\npassword = secret\nverify_certificates = true\n"
        )
    );
    assert_eq!(
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_configuration_that_works_stays() {
    let site = Site::new();
    let url = site.url();
    for args in [vec!["initialize"], batch(&url, &["--password", "secret"])] {
        site.expect("GET /lockers", 200, json!([]));
        assert_eq!(site.run(&args).success(), "CycleCloud is configured properly\n");
    }
    let before = site.read("config.ini");
    site.expect("GET /lockers", 200, json!([]));
    let run = site.run(&batch(&url, &["--password", "other"]));
    assert_eq!(
        run.failure(),
        format!(
            "Error: `{}` is for `{url}` already, with another password\n\
             Hint: write a new one with `cyclecloud initialize --force`\n",
            site.path("config.ini").display()
        )
    );
    assert_eq!(site.read("config.ini"), before);
}

#[test]
fn force_keeps_what_other_tools_wrote() {
    let site = Site::new();
    site.write(
        "config.ini",
        "[pogo x]\ntype = az\n[cyclecloud]\nurl = nonsense\nusername = a\npassword = b\n",
    );
    let url = site.url();
    let failed = site.run(&["show_cluster"]);
    assert!(
        failed.failure().contains("config.ini` is not valid"),
        "{}",
        failed.stderr
    );
    site.expect("GET /lockers", 200, json!([]));
    site.run(&batch(&url, &["--password", "secret", "--force"]))
        .success();
    let text = site.read("config.ini");
    assert!(text.starts_with("[pogo x]\ntype = az\n[cyclecloud]\n"), "{text}");
    assert!(text.contains("password = secret"), "{text}");
}

#[test]
fn a_wrong_password_writes_nothing() {
    let site = Site::without_configuration();
    let run = site.run(&batch(&site.url(), &["--password", "wrong"]));
    assert_eq!(
        run.failure(),
        "Error: user or password is wrong\nHint: run `cyclecloud initialize --force` with the right user and password\n"
    );
    assert!(!site.path("config.ini").exists());
}

#[test]
fn what_is_missing_is_named() {
    let site = Site::without_configuration();
    let run = site.run(&["initialize", "--batch"]);
    assert!(
        run.failure().starts_with("Error: `--url` is missing\nHint: "),
        "{}",
        run.stderr
    );
    let run = site.run(&batch(&site.url(), &[]));
    assert!(
        run.failure()
            .starts_with("Error: `--password` is missing\nHint: "),
        "{}",
        run.stderr
    );
    let run = site.run(&batch("http://example.com", &["--password", "x"]));
    assert!(
        run.failure()
            .contains("`http://example.com` is not on this machine"),
        "{}",
        run.stderr
    );
    let run = site.run(&batch(&site.url(), &["--password", "x", "--ca", "none.pem"]));
    assert!(run.failure().contains("cannot read `none.pem`"), "{}", run.stderr);
}

#[test]
fn without_a_configuration_every_command_says_what_to_do() {
    let site = Site::without_configuration();
    let run = site.run(&["show_cluster"]);
    assert_eq!(
        run.failure(),
        format!(
            "Error: `{}` names no server\nHint: run `cyclecloud initialize`\n",
            site.path("config.ini").display()
        )
    );
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let site = Site::new();
    site.write(
        "config.ini",
        "[cyclecloud]\nurl = http://127.0.0.1:1\nusername = admin\npassword = secret\n",
    );
    let run = site.run(&["show_nodes"]);
    let expected = "Error: cannot reach the server `http://127.0.0.1:1`: ";
    assert!(run.failure().starts_with(expected), "{}", run.stderr);
    assert!(run.stderr.contains("Connection refused"), "{}", run.stderr);
    assert!(
        run.stderr.contains("\nHint: is the server running"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("secret"));
}

#[test]
fn a_server_of_another_kind_is_told() {
    let site = Site::new();
    site.expect_text("GET /cloud/clusters", 200, "<html>welcome</html>");
    let run = site.run(&["show_cluster"]);
    assert!(
        run.failure().contains("/cloud/clusters` is not as expected"),
        "{}",
        run.stderr
    );
    site.expect_text("GET /cloud/clusters", 502, "<html>bad gateway</html>");
    assert_eq!(
        site.run(&["show_cluster"]).failure(),
        "Error: the server answered 502 Bad Gateway\n"
    );
}
