//! `directory`, `link` and `remote_directory`.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use converge::resource::{Cause, Request};

use crate::law::Scratch;

fn directory(path: &str) -> Request {
    Request::new("directory", path)
}

fn link(path: &str, to: &str) -> Request {
    Request::new("link", path).with("to", to)
}

#[test]
fn a_folder_is_made_with_its_mode() {
    let scratch = Scratch::new();
    let report = scratch.law(
        &directory("/srv")
            .with("mode", "2770")
            .with("user", "me")
            .with("group", "mine"),
    );
    assert_eq!(
        report.changes,
        [
            "create new directory /srv",
            "change mode from '' to '2770'",
            "change owner from '' to 'me'",
            "change group from '' to 'mine'"
        ]
    );
    assert_eq!(scratch.mode("/srv"), 0o2770);
    let report = scratch.law(&directory("/srv").with("mode", "0700"));
    assert_eq!(report.changes, ["change mode from '2770' to '0700'"]);
}

#[test]
fn folders_above_are_made_only_when_wanted() {
    let scratch = Scratch::new();
    let error = scratch.run(&directory("/a/b/c")).unwrap_err();
    assert!(matches!(error.cause, Cause::NoFolder(_)), "{error}");
    assert!(scratch.runner(true).run(&directory("/a/b/c")).unwrap().updated);
    scratch.law(&directory("/a/b/c").with("recursive", true).with("mode", "0700"));
    assert_eq!(scratch.mode("/a/b/c"), 0o700);
    assert_ne!(scratch.mode("/a/b"), 0o700, "only the last one gets the mode");
}

#[test]
fn a_folder_behind_a_link_is_one_and_a_file_is_none() {
    let scratch = Scratch::new();
    scratch.law(&directory("/real"));
    symlink("/real", scratch.path("/link")).unwrap();
    assert!(!scratch.run(&directory("/link")).unwrap().updated);
    scratch.law(&directory("/link").with("mode", "0711"));
    assert_eq!(scratch.mode("/real"), 0o711);
    let error = scratch.run(&directory("/etc/passwd")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "directory[/etc/passwd] action create: `/etc/passwd` is a file, not a directory"
    );
}

#[test]
fn a_full_folder_is_removed_only_when_wanted() {
    let scratch = Scratch::new();
    scratch.write("/full/below/x", "");
    assert!(scratch.run(&directory("/full").action("delete")).is_err());
    assert!(scratch.path("/full/below/x").exists());
    let report = scratch.law(&directory("/full").action("delete").with("recursive", true));
    assert_eq!(report.changes, ["delete existing directory /full"]);
    assert!(!scratch.run(&directory("/none").action("delete")).unwrap().updated);
    let error = scratch
        .run(&directory("/etc/passwd").action("delete"))
        .unwrap_err();
    assert!(matches!(error.cause, Cause::Type { .. }), "{error}");
}

#[test]
fn a_link_is_made_changed_and_removed() {
    let scratch = Scratch::new();
    let report = scratch.law(
        &link("/etc/current", "/opt/app-1")
            .with("owner", "me")
            .with("mode", "0777"),
    );
    assert_eq!(report.changes[0], "create symlink at /etc/current to /opt/app-1");
    let report = scratch.law(&link("/etc/current", "/opt/app-2"));
    assert_eq!(
        report.changes,
        [
            "unlink existing symlink to file at /etc/current",
            "create symlink at /etc/current to /opt/app-2"
        ]
    );
    let to = fs::read_link(scratch.path("/etc/current")).unwrap();
    assert_eq!(to.to_str(), Some("/opt/app-2"));
    assert!(!scratch.run(&link("/etc/current", "/opt/app-2/")).unwrap().updated);
    scratch.law(&Request::new("link", "/etc/current").action("delete"));
    assert!(!scratch.path("/etc/current").is_symlink());
}

#[test]
fn a_link_replaces_a_file_but_no_folder() {
    let scratch = Scratch::new();
    scratch.write("/etc/x", "");
    scratch.law(&link("/etc/x", "passwd"));
    fs::create_dir(scratch.path("/etc/y")).unwrap();
    let error = scratch.run(&link("/etc/y", "passwd")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "link[/etc/y] action create: `/etc/y` is a directory, not a link"
    );
    let error = scratch
        .run(&Request::new("link", "/etc/passwd").action("delete"))
        .unwrap_err();
    assert!(matches!(error.cause, Cause::Type { .. }), "{error}");
    let error = scratch.run(&Request::new("link", "/etc/z")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "link[/etc/z] action create: property `to`: it is required"
    );
}

#[test]
fn a_hard_link_is_another_name_of_the_file() {
    let scratch = Scratch::new();
    scratch.law(&link("/etc/x", "/etc/passwd").with("link_type", "hard"));
    let inode = |path| fs::metadata(scratch.path(path)).unwrap().ino();
    assert_eq!(inode("/etc/x"), inode("/etc/passwd"));
    let request = Request::new("link", "/etc/x")
        .action("delete")
        .with("link_type", "hard");
    scratch.law(&request);
    assert!(scratch.path("/etc/passwd").exists());
    let error = scratch
        .run(&link("/etc/y", "/etc/none").with("link_type", "hard"))
        .unwrap_err();
    assert_eq!(error.cause.exception(), "Errno::ENOENT");
}

#[test]
fn a_whole_folder_comes_with_modes_and_what_is_no_part_of_it_goes() {
    let scratch = Scratch::new();
    scratch.write("/cookbook/a.conf", "a\n");
    scratch.write("/cookbook/sub/b.conf", "b\n");
    let request = Request::new("remote_directory", "/srv/conf")
        .with("source_path", scratch.path("/cookbook").display().to_string())
        .with("mode", "0750")
        .with("files_mode", "0640");
    let report = scratch.law(&request);
    assert!(
        report
            .changes
            .contains(&"create new file /srv/conf/sub/b.conf".to_owned())
    );
    assert_eq!(
        (scratch.mode("/srv/conf/sub"), scratch.mode("/srv/conf/a.conf")),
        (0o750, 0o640)
    );
    scratch.write("/srv/conf/mine", "");
    scratch.write("/srv/conf/old/mine", "");
    assert!(!scratch.run(&request).unwrap().updated);
    let report = scratch.law(&request.clone().with("purge", true));
    assert_eq!(
        report.changes,
        [
            "delete file /srv/conf/mine",
            "delete existing directory /srv/conf/old"
        ]
    );
    scratch.write("/srv/conf/a.conf", "changed\n");
    let missing = request.clone().action("create_if_missing");
    let changes = scratch.run(&missing).unwrap().changes;
    assert!(
        !changes.iter().any(|change| change.contains("content")),
        "{changes:?}"
    );
    let changes = scratch.law(&request).changes;
    assert!(
        changes[0].starts_with("update content in file /srv/conf/a.conf"),
        "{changes:?}"
    );
    scratch.law(&Request::new("remote_directory", "/srv/conf").action("delete"));
}
