//! `jetpack download` as scripts call it, and what can go wrong with its target.

use std::fs;
use std::path::Path;

use testkit::{Node, Program, Project, Run, Site, program};

/// A site with a Ready node whose project has a small blob, one in a folder, and one of a megabyte.
fn site() -> (Site, Node) {
    let site = Site::new();
    let mut project = Project::new(site.folder(), "tools");
    project
        .blob("data.csv", "a,b\n")
        .blob("sub/data.csv", "below\n")
        .blob("big.bin", &"x".repeat(1 << 20))
        .script(
            "default",
            "010-fetch.sh",
            "#!/bin/sh\nset -e\ncd \"$CYCLECLOUD_HOME\"\njetpack download data.csv\njetpack download sub/data.csv below.csv\n",
        );
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default]]]\n",
    );
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    (site, head)
}

fn in_folder(node: &Node, folder: &Path, args: &[&str]) -> Run {
    Program::new("jetpack")
        .env("CYCLECLOUD_HOME", &node.home)
        .folder(folder)
        .args(["download"])
        .args(args)
        .run()
}

#[test]
fn a_blob_goes_where_scripts_expect_it() {
    let (site, head) = site();
    assert_eq!(
        head.read("data.csv"),
        "a,b\n",
        "a script need not say its project"
    );
    assert_eq!(head.read("below.csv"), "below\n");

    let folder = site.folder().join("here");
    fs::create_dir(&folder).unwrap();
    let target = site.folder().join("there");
    fs::create_dir(&target).unwrap();
    let (there, with_slash) = (target.display().to_string(), format!("{}/", target.display()));
    let file = format!("{there}/renamed.csv");
    for (args, written) in [
        (&["data.csv", "--project=tools"][..], folder.join("data.csv")),
        (
            &["--project", "tools", "sub/data.csv", "./"],
            folder.join("data.csv"),
        ),
        (&["data.csv", "--project=tools", &there], target.join("data.csv")),
        (
            &["data.csv", &with_slash, "--project", "tools"],
            target.join("data.csv"),
        ),
        (
            &["data.csv", "--project=tools", &file],
            target.join("renamed.csv"),
        ),
    ] {
        let _ = fs::remove_file(&written);
        let run = in_folder(&head, &folder, args);
        assert_eq!(run.success(), "", "{run:?}");
        assert!(written.exists(), "{args:?}");
        // Twice: what is there is replaced.
        in_folder(&head, &folder, args).success();
    }
    assert_eq!(fs::read_to_string(folder.join("data.csv")).unwrap(), "below\n");
}

#[test]
fn a_target_that_cannot_be_written_is_named_and_stays_as_it_was() {
    let (site, head) = site();
    let folder = site.folder().join("here");
    fs::create_dir(&folder).unwrap();
    for (args, named) in [
        (["data.csv", "none/"], "`none`"),
        (["data.csv", "none/data.csv"], "`none`"),
        (["../data.csv", "."], "`../data.csv`"),
        (["/etc/passwd", "."], "`/etc/passwd`"),
        (["sub/../../data.csv", "."], "`sub/../../data.csv`"),
        (["", "."], "``"),
        (["none.csv", "."], "`none.csv`"),
        (["data.csv", "/proc/data.csv"], "`/proc`"),
    ] {
        let run = in_folder(&head, &folder, &[args[0], args[1], "--project", "tools"]);
        let error = run.failure();
        assert!(error.contains(named), "{named} in {error}");
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            0,
            "{args:?}: nothing is left"
        );
    }
}

#[test]
fn a_full_disk_is_named_and_the_old_file_stays() {
    let (site, head) = site();
    let disk = site.folder().join("disk");
    fs::create_dir(&disk).unwrap();
    // A file system of its own, seen by this command alone, with room for the old file and not for the new one.
    let script = "mount -t tmpfs -o size=256k tmpfs \"$1\" && echo old >\"$1/big.bin\" || exit 9
        \"$2\" download big.bin \"$1\" --project tools
        code=$?
        ls -A \"$1\"; cat \"$1/big.bin\"
        exit $code";
    let run = Program::at(Path::new("/usr/bin/unshare"))
        .env("CYCLECLOUD_HOME", &head.home)
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([&disk, &program("jetpack")])
        .run();
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(1), "big.bin\nold\n"),
        "{run:?}"
    );
    assert!(
        run.stderr
            .contains(&format!("`{}`", disk.join("big.bin").display()))
            && run.stderr.contains("No space left"),
        "{run:?}"
    );
}
