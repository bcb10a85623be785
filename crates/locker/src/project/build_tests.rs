//! Building from real folders.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// A project with one spec, a script, a hidden file and two blobs.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    file(
        &folder,
        "project.ini",
        "[project]\nname = demo\nversion = 1.2.0\n[spec execute]\nrun_list = recipe[x]\n[blobs]\nFiles = big.tgz, dir/*.rpm\n",
    );
    file(
        &folder,
        "specs/execute/cluster-init/scripts/010-x.sh",
        "#!/bin/sh\n",
    );
    let script = folder.path().join("specs/execute/cluster-init/scripts/010-x.sh");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    file(&folder, "specs/execute/cluster-init/files/.profile", "x");
    file(&folder, "specs/execute/.git/config", "x");
    file(&folder, "specs/default/cluster-init/files/a", "");
    file(&folder, "blobs/big.tgz", "abc");
    file(&folder, "blobs/dir/b.rpm", "b");
    file(&folder, "blobs/dir/a.rpm", "a");
    file(&folder, "blobs/unlisted", "x");
    folder
}

fn file(folder: &tempfile::TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    durable::write(&path, 0o644, text.as_bytes()).unwrap();
}

fn problem(folder: &tempfile::TempDir) -> String {
    build(folder.path(), None, None).unwrap_err().to_string()
}

#[test]
fn the_tree_and_the_manifest_say_the_same() {
    let folder = project();
    let built = build(folder.path(), None, None).unwrap();
    assert_eq!(built.folder, folder.path().join("build/demo/1.2.0"));
    let manifest: Manifest = durable::read_json(&built.folder.join("manifest.json"))
        .unwrap()
        .unwrap();
    assert_eq!(manifest, built.manifest);
    assert_eq!(
        (manifest.kind.as_str(), manifest.version.as_str()),
        ("application", "1.2.0")
    );

    let blobs: Vec<_> = manifest.blobs.iter().map(|blob| blob.path.as_str()).collect();
    assert_eq!(blobs, ["big.tgz", "dir/a.rpm", "dir/b.rpm"]);
    assert_eq!(
        manifest.blobs[0].checksum.as_deref(),
        Some("900150983cd24fb0d6963f7d28e17f72")
    );
    assert_eq!(manifest.blobs[0].size, Some(3));

    let execute = &manifest.specs["execute"];
    assert_eq!(execute.run_list, ["recipe[x]"]);
    let files = execute.files.as_ref().unwrap();
    let named: Vec<_> = files
        .iter()
        .map(|file| (file.path.as_str(), file.executable))
        .collect();
    assert_eq!(
        named,
        [
            ("cluster-init/files/.profile", false),
            ("cluster-init/scripts/010-x.sh", true)
        ]
    );
    for file in files {
        let copy = built.folder.join("execute").join(&file.path);
        assert_eq!(fs::metadata(copy).unwrap().len(), file.size);
    }
    assert_eq!(manifest.specs["default"].files.as_ref().unwrap()[0].size, 0);
}

#[test]
fn a_second_build_takes_the_place_of_the_first_and_leaves_nothing() {
    let folder = project();
    build(folder.path(), None, None).unwrap();
    fs::remove_dir_all(folder.path().join("specs/default")).unwrap();
    let built = build(folder.path(), None, None).unwrap();
    assert!(!built.folder.join("default").exists());
    let names: Vec<_> = fs::read_dir(folder.path().join("build/demo"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["1.2.0"]);
}

#[test]
fn version_and_folder_can_be_given() {
    let folder = project();
    let elsewhere = tempfile::tempdir().unwrap();
    let built = build(folder.path(), Some("9.9"), Some(elsewhere.path())).unwrap();
    assert_eq!(built.folder, elsewhere.path().join("demo/9.9"));
    assert_eq!(built.manifest.version, "9.9");
    build(folder.path(), Some("../x"), None).unwrap_err();
}

#[test]
fn all_missing_blobs_are_named_and_nothing_is_built() {
    let folder = project();
    fs::remove_dir_all(folder.path().join("blobs")).unwrap();
    let problem = problem(&folder);
    assert!(
        problem.starts_with("the project `demo` lists blobs that are not in `"),
        "{problem}"
    );
    assert!(problem.ends_with("blobs`: `big.tgz`, `dir/*.rpm`"), "{problem}");
    assert!(!folder.path().join("build").exists());
}

#[test]
fn a_wildcard_does_not_match_across_folders() {
    let folder = project();
    file(
        &folder,
        "project.ini",
        "[project]\nname = demo\n[blobs]\nFiles = *.rpm\n",
    );
    assert!(problem(&folder).ends_with("`*.rpm`"));
    file(
        &folder,
        "project.ini",
        "[project]\nname = demo\n[blobs]\nFiles = dir, dir/*\n",
    );
    let built = build(folder.path(), None, None).unwrap();
    assert_eq!(
        built.blobs.len(),
        2,
        "a folder is all that it holds, each file once"
    );
}

#[test]
fn links_within_the_project_are_followed_and_others_refused() {
    let folder = project();
    let files = folder.path().join("specs/execute/cluster-init/files");
    symlink("../../../../blobs/big.tgz", files.join("link")).unwrap();
    symlink("../../../default/cluster-init", files.join("folder")).unwrap();
    let built = build(folder.path(), None, None).unwrap();
    let copied = built.folder.join("execute/cluster-init/files");
    assert_eq!(fs::read(copied.join("link")).unwrap(), b"abc");
    assert!(!copied.join("link").is_symlink());
    assert!(copied.join("folder/files/a").is_file());

    symlink("/etc/hostname", files.join("outside")).unwrap();
    assert!(problem(&folder).contains("files/outside` is outside of the project: it is `/etc/hostname`"));
    fs::remove_file(files.join("outside")).unwrap();

    symlink("..", files.join("up")).unwrap();
    assert!(problem(&folder).contains("is a link to a folder above it"));
    fs::remove_file(files.join("up")).unwrap();

    symlink("nowhere", files.join("broken")).unwrap();
    assert!(problem(&folder).contains("files/broken`"));
}

#[test]
fn names_that_no_locker_takes_are_refused() {
    let folder = project();
    file(&folder, "specs/execute/cluster-init/files/a\nb", "");
    assert!(problem(&folder).contains("a\\nb` has a control character"));
}
