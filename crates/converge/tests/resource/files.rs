//! `file` and its kin.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use converge::resource::{Cause, Request};

use crate::law::Scratch;

fn file(path: &str) -> Request {
    Request::new("file", path)
}

#[test]
fn a_file_is_made_with_content_mode_and_owner() {
    let scratch = Scratch::new();
    let report = scratch.law(
        &file("/etc/motd")
            .with("mode", "0640")
            .with("owner", "me")
            .with("group", "mine")
            .body("hello\n"),
    );
    assert_eq!(
        report.changes,
        [
            "create new file /etc/motd",
            "change mode from '' to '0640'",
            "change owner from '' to 'me'",
            "change group from '' to 'mine'"
        ]
    );
    assert_eq!(
        report.diff.unwrap(),
        "--- /etc/motd\n+++ /etc/motd\n@@ -0,0 +1 @@\n+hello\n"
    );
    assert_eq!(
        (scratch.read("/etc/motd").as_str(), scratch.mode("/etc/motd")),
        ("hello\n", 0o640)
    );
}

#[test]
fn what_differs_alone_changes_and_the_old_content_is_kept() {
    let scratch = Scratch::new();
    scratch.write("/etc/motd", "one\n");
    let report = scratch.law(&file("/etc/motd").with("content", "two\n"));
    assert_eq!(
        report.changes,
        ["update content in file /etc/motd from 2c8b08 to 27dd8e"]
    );
    let backup = scratch.backups().join("etc/motd.chef-20260504030201.000000");
    assert_eq!(fs::read_to_string(backup).unwrap(), "one\n");
    let inode = fs::metadata(scratch.path("/etc/motd")).unwrap().ino();
    let report = scratch.law(&file("/etc/motd").with("mode", 0o600).with("content", "two\n"));
    assert_eq!(report.changes, ["change mode from '0644' to '0600'"]);
    assert_eq!(report.diff, None);
    assert_eq!(fs::metadata(scratch.path("/etc/motd")).unwrap().ino(), inode);
}

#[test]
fn as_many_backups_are_kept_as_the_recipe_says() {
    let scratch = Scratch::new();
    scratch.write("/etc/motd", "0");
    for number in 1..5 {
        scratch.clock.advance(std::time::Duration::from_secs(1));
        let request = file("/etc/motd")
            .with("content", number.to_string())
            .with("backup", 2);
        scratch.run(&request).unwrap();
    }
    let contents = || {
        let mut names: Vec<_> = fs::read_dir(scratch.backups().join("etc"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        let texts = names.iter().map(|name| fs::read_to_string(name).unwrap());
        texts.collect::<Vec<_>>()
    };
    assert_eq!(contents(), ["2", "3"]);
    let request = file("/etc/motd").with("content", "x").with("backup", false);
    scratch.run(&request).unwrap();
    assert_eq!(contents(), ["2", "3"]);
}

#[test]
fn without_content_a_file_is_made_empty_and_never_emptied() {
    let scratch = Scratch::new();
    scratch.law(&file("/etc/flag"));
    assert_eq!(scratch.read("/etc/flag"), "");
    scratch.write("/etc/flag", "full");
    assert!(!scratch.run(&file("/etc/flag")).unwrap().updated);
    assert_eq!(scratch.read("/etc/flag"), "full");
}

#[test]
fn create_if_missing_leaves_what_is_there() {
    let scratch = Scratch::new();
    let request = file("/etc/x")
        .action("create_if_missing")
        .with("content", "ours")
        .with("mode", "600");
    scratch.law(&request);
    scratch.write("/etc/x", "theirs");
    assert!(!scratch.run(&request).unwrap().updated);
    assert_eq!(
        (scratch.read("/etc/x").as_str(), scratch.mode("/etc/x")),
        ("theirs", 0o644)
    );
}

#[test]
fn delete_removes_a_file_and_keeps_a_backup() {
    let scratch = Scratch::new();
    scratch.write("/etc/x", "old");
    let report = scratch.law(&file("/etc/x").action("delete"));
    assert_eq!(report.changes, ["delete file /etc/x"]);
    assert!(
        scratch
            .backups()
            .join("etc/x.chef-20260504030201.000000")
            .exists()
    );
    fs::create_dir(scratch.path("/etc/folder")).unwrap();
    let error = scratch.run(&file("/etc/folder").action("delete")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "file[/etc/folder] action delete: `/etc/folder` is a directory, not a file"
    );
}

#[test]
fn touch_makes_a_file_newer_and_nothing_else() {
    let scratch = Scratch::new();
    scratch.write("/etc/x", "old");
    let report = scratch.run(&file("/etc/x").action("touch")).unwrap();
    assert_eq!(report.changes, ["update utime on file /etc/x"]);
    let time = fs::metadata(scratch.path("/etc/x")).unwrap().mtime();
    assert_eq!((time, scratch.read("/etc/x").as_str()), (1_777_863_721, "old"));
}

#[test]
fn a_link_is_followed_unless_it_is_managed_itself() {
    let scratch = Scratch::new();
    scratch.write("/srv/real", "old");
    symlink("/srv/real", scratch.path("/etc/link")).unwrap();
    scratch.law(&file("/etc/link").with("content", "new"));
    assert_eq!(scratch.read("/srv/real"), "new");
    assert!(scratch.path("/etc/link").is_symlink());
    let request = file("/etc/link")
        .with("content", "own")
        .with("manage_symlink_source", true);
    scratch.law(&request);
    assert_eq!(
        (
            scratch.read("/srv/real").as_str(),
            scratch.read("/etc/link").as_str()
        ),
        ("new", "own")
    );
    assert!(!scratch.path("/etc/link").is_symlink());
}

#[test]
fn a_folder_in_the_way_is_an_error_unless_it_may_go() {
    let scratch = Scratch::new();
    scratch.write("/etc/x/below", "");
    let request = file("/etc/x").with("content", "y");
    let error = scratch.run(&request).unwrap_err();
    assert!(matches!(error.cause, Cause::Type { .. }), "{error}");
    assert_eq!(error.cause.exception(), "Chef::Exceptions::FileTypeMismatch");
    scratch.law(&request.with("force_unlink", true));
    assert_eq!(scratch.read("/etc/x"), "y");
}

#[test]
fn a_missing_folder_fails_and_a_dry_run_assumes_it() {
    let scratch = Scratch::new();
    let request = file("/etc/none/x").with("content", "y");
    let error = scratch.run(&request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "file[/etc/none/x] action create: the folder `/etc/none` does not exist"
    );
    let report = scratch.runner(true).run(&request).unwrap();
    assert_eq!(report.changes, ["create new file /etc/none/x"]);
    assert_eq!(report.warnings.len(), 1);
}

#[test]
fn content_that_fails_its_verification_does_not_take_its_place() {
    let scratch = Scratch::new();
    scratch.write("/etc/x", "good\n");
    let request = |text: &str| {
        file("/etc/x")
            .with("content", text)
            .with("verify", "grep good %{path}")
    };
    let error = scratch.run(&request("bad\n")).unwrap_err();
    assert!(matches!(error.cause, Cause::Verification { .. }), "{error}");
    assert_eq!(scratch.read("/etc/x"), "good\n");
    assert_eq!(
        fs::read_dir(scratch.path("/etc")).unwrap().count(),
        3,
        "a temporary file is left"
    );
    scratch.law(&request("good again\n"));
}

#[test]
fn content_can_be_checked_by_what_it_is() {
    let scratch = Scratch::new();
    let request = |text: &str| file("/etc/x.json").with("content", text).with("verify", "json");
    let error = scratch.run(&request("{\"a\": ")).unwrap_err();
    assert!(error.to_string().contains("verification `json`"), "{error}");
    assert!(error.to_string().contains("EOF"), "{error}");
    scratch.law(&request("{\"a\": 1}"));
}

#[test]
fn a_run_is_flushed_at_its_end() {
    let scratch = Scratch::new();
    let runner = scratch.runner(false);
    runner.run(&file("/etc/one")).unwrap();
    runner.run(&Request::new("directory", "/gone")).unwrap();
    runner.run(&file("/gone/two")).unwrap();
    let gone = Request::new("directory", "/gone")
        .action("delete")
        .with("recursive", true);
    runner.run(&gone).unwrap();
    runner.flush().unwrap();
    runner.flush().unwrap();
}

#[test]
fn what_is_sensitive_is_not_shown() {
    let scratch = Scratch::new();
    let report = scratch.law(&file("/etc/x").with("sensitive", true).body("secret"));
    assert_eq!(report.diff.unwrap(), "(suppressed sensitive resource)");
}

#[test]
fn a_file_may_be_written_in_place() {
    let scratch = Scratch::new();
    scratch.write("/etc/x", "a long old text");
    let inode = fs::metadata(scratch.path("/etc/x")).unwrap().ino();
    scratch.law(&file("/etc/x").with("content", "new").with("atomic_update", false));
    assert_eq!(scratch.read("/etc/x"), "new");
    assert_eq!(fs::metadata(scratch.path("/etc/x")).unwrap().ino(), inode);
}

#[test]
fn binary_content_comes_through_and_is_not_shown() {
    let scratch = Scratch::new();
    let bytes = [0_u8, 159, 146, 150];
    let report = scratch.law(&file("/etc/x").body(bytes));
    assert_eq!(fs::read(scratch.path("/etc/x")).unwrap(), bytes);
    assert_eq!(
        report.diff.unwrap(),
        "(new content is binary, diff output suppressed)"
    );
}

#[test]
fn the_path_may_be_another_than_the_name() {
    let scratch = Scratch::new();
    for kind in ["template", "cookbook_file"] {
        let path = format!("/etc/{kind}");
        scratch.law(
            &Request::new(kind, "anything")
                .with("path", path.as_str())
                .body("x"),
        );
        assert_eq!(scratch.read(&path), "x");
    }
}

#[test]
fn what_is_wrong_is_named_with_what_was_meant() {
    let scratch = Scratch::new();
    let said = |request: Request| scratch.run(&request).unwrap_err().to_string();
    assert_eq!(
        said(Request::new("fiel", "/x")),
        "fiel[/x]: there is no such resource; did you mean `file`?"
    );
    assert_eq!(
        said(file("/x").action("craete")),
        "file[/x] action craete: there is no such action; did you mean `create`?"
    );
    assert_eq!(
        said(file("/x").with("contents", "")),
        "file[/x] action create: property `contents`: there is no such property; did you mean `content`?"
    );
    assert_eq!(
        said(file("/x").with("force_unlink", 3)),
        "file[/x] action create: property `force_unlink`: it must be true or false, not 3"
    );
    assert_eq!(
        said(file("x")),
        "file[x] action create: property `path`: `x` is not an absolute path"
    );
    assert_eq!(
        said(file("/etc/x").with("mode", "u+x")),
        "file[/etc/x] action create: property `mode`: \"u+x\" is no file mode from 0 to 7777"
    );
    assert_eq!(
        said(file("/etc/x").with("owner", "nobody-here")),
        "file[/etc/x] action create: there is no user `nobody-here`"
    );
    assert_eq!(
        said(Request::new("log", "x").with("level", "loud")),
        "log[x] action write: property `level`: it must be one of trace, debug, info, warn, error, fatal, not \"loud\""
    );
}

#[test]
fn a_log_line_is_no_change() {
    let scratch = Scratch::new();
    let report = scratch
        .run(&Request::new("log", "hello").with("level", "warn"))
        .unwrap();
    assert!(!report.updated);
    assert_eq!(report.result["message"], "hello");
}
