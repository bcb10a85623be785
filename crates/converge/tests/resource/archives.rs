//! `archive_file`, `ark` and `git`, with the programs of this machine.

use std::fs;

use converge::resource::{Cause, Request};
use node::command::{Command, Stop};
use serde_json::json;

use crate::law::Scratch;

/// Runs a line of the shell in the root of the scratch machine.
fn sh(scratch: &Scratch, line: &str) -> String {
    let command = Command::new("sh").inherit_environment().arg("-ec").arg(line);
    let command = command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "x")
        .env("GIT_AUTHOR_EMAIL", "x@example.com")
        .env("GIT_COMMITTER_NAME", "x")
        .env("GIT_COMMITTER_EMAIL", "x@example.com")
        .current_dir(scratch.root());
    let outcome = command.run(&Stop::new()).unwrap();
    assert!(outcome.ended.success(), "{line}: {}", outcome.tail);
    outcome.tail.trim().to_owned()
}

/// `app-1.0/{bin/run,README,link}`.
fn tree(scratch: &Scratch) {
    scratch.write("/src/app-1.0/bin/run", "#!/bin/sh\n");
    scratch.write("/src/app-1.0/README", "one\n");
    sh(
        scratch,
        "chmod 755 src/app-1.0/bin/run; ln -s README src/app-1.0/link",
    );
}

#[test]
fn archives_of_all_kinds_are_unpacked() {
    for (ending, flag) in [("tar", ""), ("tar.gz", "z"), ("tar.bz2", "j"), ("tar.xz", "J")] {
        let scratch = Scratch::new();
        tree(&scratch);
        sh(&scratch, &format!("cd src; tar c{flag}f ../app.{ending} app-1.0"));
        let request = Request::new("archive_file", "app")
            .with("path", format!("/app.{ending}"))
            .with("destination", "/opt/deep/app")
            .with("strip_components", 1)
            .with("owner", "me")
            .with("mode", "0750");
        let report = scratch.law(&request);
        assert_eq!(
            report.changes.last().unwrap(),
            &format!("extract /app.{ending} to /opt/deep/app")
        );
        assert_eq!(scratch.read("/opt/deep/app/link"), "one\n");
        assert_eq!(
            (
                scratch.mode("/opt/deep/app/bin/run"),
                scratch.mode("/opt/deep/app")
            ),
            (0o755, 0o750)
        );
    }
}

#[test]
fn an_archive_is_unpacked_again_only_over_what_differs() {
    let scratch = Scratch::new();
    tree(&scratch);
    sh(&scratch, "cd src; tar cf ../app.tar app-1.0");
    let request = Request::new("archive_file", "/app.tar").with("destination", "/opt");
    scratch.law(&request);
    scratch.write("/opt/app-1.0/README", "mine\n");
    assert!(!scratch.run(&request).unwrap().updated);
    scratch.law(&request.clone().with("overwrite", true));
    assert_eq!(scratch.read("/opt/app-1.0/README"), "one\n");
    fs::remove_file(scratch.path("/opt/app-1.0/link")).unwrap();
    scratch.law(&request.with("overwrite", "auto"));
}

#[test]
fn zips_are_unpacked() {
    let scratch = Scratch::new();
    tree(&scratch);
    sh(&scratch, "cd src; python3 -m zipfile -c ../app.zip app-1.0/");
    scratch.law(&Request::new("archive_file", "/app.zip").with("destination", "/opt"));
    assert_eq!(scratch.read("/opt/app-1.0/README"), "one\n");
    assert_eq!(scratch.mode("/opt/app-1.0/bin/run"), 0o755);
}

#[test]
fn no_entry_leaves_its_folder() {
    let scratch = Scratch::new();
    scratch.write("/src/x", "evil");
    let said = |line: &str| {
        sh(&scratch, line);
        let request = Request::new("archive_file", "/bad.tar").with("destination", "/opt/bad");
        let error = scratch.run(&request).unwrap_err();
        assert!(!scratch.path("/opt/bad").exists(), "half of it is left");
        error.to_string()
    };
    let text = said("cd src; tar cPf ../bad.tar --transform 's|x|../../etc/evil|' x");
    assert!(text.contains("leads out of the archive"), "{text}");
    let text = said(
        "cd src; rm -f d; ln -s /etc d; tar cf ../bad.tar d; rm d; mkdir d; cp x d/evil; tar rf ../bad.tar d/evil",
    );
    assert!(text.contains("goes through the link"), "{text}");
    assert!(!scratch.path("/etc/evil").exists());
    scratch.write("/not.tar", "this is no archive");
    let error = scratch
        .run(&Request::new("archive_file", "/not.tar").with("destination", "/opt/x"))
        .unwrap_err();
    assert!(matches!(error.cause, Cause::Invalid(_)), "{error}");
    let error = scratch
        .run(&Request::new("archive_file", "/none").with("destination", "/x"))
        .unwrap_err();
    assert_eq!(error.cause.exception(), "Errno::ENOENT");
}

#[test]
fn software_is_installed_with_links() {
    let scratch = Scratch::new();
    tree(&scratch);
    sh(&scratch, "cd src; tar czf ../app.tgz app-1.0");
    let ark = |action: &str| {
        Request::new("ark", "app")
            .action(action)
            .with("url", "file:///app.tgz")
            .with("owner", "me")
    };
    let request = ark("install")
        .with("version", "1.0")
        .with("has_binaries", json!(["bin/run"]));
    scratch.law(&request.with("append_env_path", false));
    assert_eq!(scratch.read("/usr/local/app-1.0/README"), "one\n");
    let to = fs::read_link(scratch.path("/usr/local/bin/run")).unwrap();
    assert_eq!(to.to_str(), Some("/usr/local/app/bin/run"));
    scratch.law(&ark("put").with("path", "/opt"));
    assert_eq!(scratch.read("/opt/app/README"), "one\n");
    scratch.law(
        &ark("dump")
            .with("path", "/srv/dump")
            .with("creates", "app-1.0/README"),
    );
    scratch.law(&ark("cherry_pick").with("path", "/srv").with("creates", "README"));
    assert_eq!(scratch.read("/srv/README"), "one\n");
    let wrong = ark("put").with("path", "/other").with("checksum", "00");
    assert!(matches!(
        scratch.run(&wrong).unwrap_err().cause,
        Cause::Checksum { .. }
    ));
    assert!(!scratch.path("/other/app/README").exists());
}

#[test]
fn a_repository_is_cloned_and_followed() {
    let scratch = Scratch::new();
    sh(
        &scratch,
        "git init -q -b main repo; cd repo; echo 1 >f; git add f; git commit -qm one; git tag v1; \
         git tag -am note v1.1; echo 2 >f; git commit -qam two; git branch side; echo 3 >f; git commit -qam three",
    );
    let git = |revision: &str| {
        Request::new("git", "/opt/app")
            .with("repository", "/repo")
            .with("revision", revision)
    };
    fs::create_dir_all(scratch.path("/opt")).unwrap();
    let report = scratch.law(&git("main"));
    assert_eq!(report.changes[0], "clone from /repo into /opt/app");
    assert_eq!(scratch.read("/opt/app/f"), "3\n");
    for (revision, content) in [("v1", "1\n"), ("side", "2\n"), ("HEAD", "3\n"), ("v1.1", "1\n")] {
        scratch.law(&git(revision));
        assert_eq!(scratch.read("/opt/app/f"), content, "{revision}");
    }
    sh(&scratch, "cd repo; echo 4 >f; git commit -qam four");
    let hash = sh(&scratch, "git -C repo rev-parse HEAD");
    scratch.law(&git(&hash));
    assert_eq!(scratch.read("/opt/app/f"), "4\n");
    let error = scratch.run(&git("no-such-branch")).unwrap_err();
    assert_eq!(
        (
            error.property.as_deref(),
            error.to_string().contains("there is no `no-such-branch` in `")
        ),
        (Some("revision"), true),
        "{error}"
    );
    assert!(
        !scratch.run(&git("v1").action("checkout")).unwrap().updated,
        "it is there"
    );
    let export = Request::new("git", "/opt/bare")
        .action("export")
        .with("repository", "/repo");
    scratch.law(&export);
    assert!(!scratch.path("/opt/bare/.git").exists() && scratch.path("/opt/bare/f").exists());
    let shallow = Request::new("git", "/opt/shallow")
        .with("repository", format!("file://{}/repo", scratch.root().display()));
    scratch.law(
        &shallow
            .with("depth", 1)
            .with("additional_remotes", json!({ "other": "/elsewhere" })),
    );
    assert_eq!(sh(&scratch, "git -C opt/shallow rev-list --count HEAD"), "1");
    assert_eq!(
        sh(&scratch, "git -C opt/shallow config remote.other.url"),
        "/elsewhere"
    );
    scratch.write("/opt/full/x", "");
    let error = scratch
        .run(&Request::new("git", "/opt/full").with("repository", "/repo"))
        .unwrap_err();
    assert!(error.to_string().contains("no repository"), "{error}");
}
