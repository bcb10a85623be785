//! Lockers in a folder, and the projects in them.

use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use locker::project::{self, Build, FileEntry, Manifest, Progress, SpecEntry, UploadReport};
use locker::{Access, Checksum, Error, Locker};

fn locker() -> (tempfile::TempDir, Locker) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let locker = Locker::open(&url, &Access::default()).unwrap();
    (folder, locker)
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    durable::write(path, 0o644, text.as_ref()).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_put_is_listed_and_read() {
    let (_folder, locker) = locker();
    locker.put("projects/a b/ü~#x%20.sh", "hello").await.unwrap();
    locker.put("projects/empty", "").await.unwrap();
    locker.put("blobs/x", "y").await.unwrap();
    let entries = locker.list("projects").await.unwrap();
    let listed: Vec<_> = entries
        .iter()
        .map(|entry| (entry.path.as_str(), entry.size))
        .collect();
    assert_eq!(listed, [("projects/a b/ü~#x%20.sh", 5), ("projects/empty", 0)]);
    assert_eq!(locker.list("").await.unwrap().len(), 3);
    assert!(
        locker.list("project").await.unwrap().is_empty(),
        "a prefix is a folder"
    );
    assert_eq!(
        locker.get_bytes("projects/a b/ü~#x%20.sh", 5).await.unwrap(),
        b"hello"
    );
    assert_eq!(locker.get_bytes("projects/empty", 0).await.unwrap(), b"");
    assert_eq!(locker.head("projects/a b/ü~#x%20.sh").await.unwrap().size, 5);
}

#[tokio::test]
async fn a_range_is_read_and_one_behind_the_end_is_an_error() {
    let (_folder, locker) = locker();
    locker.put("x", "0123456789").await.unwrap();
    for (range, text) in [(2..5, "234"), (8..100, "89"), (0..10, "0123456789")] {
        let blob = locker.read("x", Some(range)).await.unwrap();
        assert_eq!(blob.meta.size, 10);
        assert_eq!(blob.range.end - blob.range.start, text.len() as u64);
        let chunks: Vec<Bytes> = blob.stream.try_collect().await.unwrap();
        assert_eq!(chunks.concat(), text.as_bytes());
    }
    for range in [10..11, 5..5] {
        let error = locker.read("x", Some(range)).await.unwrap_err();
        assert!(matches!(error, Error::Range { size: 10, .. }), "{error}");
    }
}

#[tokio::test]
async fn errors_name_locker_and_path() {
    let (_folder, locker) = locker();
    locker.put("a/b", "12345").await.unwrap();
    for path in ["none", "a", "a/b/c"] {
        let error = locker.get_bytes(path, 9).await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("`{path}` is not in the locker `{}`", locker.url())
        );
    }
    let error = locker.get_bytes("a/b", 4).await.unwrap_err();
    assert!(error.to_string().ends_with("is larger than 4 bytes"), "{error}");
}

#[tokio::test]
async fn names_that_leave_the_folder_are_refused_everywhere() {
    let (folder, locker) = locker();
    let secret = folder.path().parent().unwrap().join("outside");
    for path in ["../outside", "a/../../outside", "/etc/passwd", "", "a//b", "a\0b"] {
        assert!(matches!(locker.head(path).await, Err(Error::Path(_))), "{path}");
        assert!(
            matches!(locker.read(path, None).await, Err(Error::Path(_))),
            "{path}"
        );
        assert!(
            matches!(locker.put(path, "x").await, Err(Error::Path(_))),
            "{path}"
        );
        if !path.is_empty() {
            assert!(matches!(locker.list(path).await, Err(Error::Path(_))), "{path}");
        }
        for name in ["a", path] {
            assert!(
                matches!(locker.manifest(path, name).await, Err(Error::Path(_))),
                "{path}"
            );
        }
        let blob = locker.fetch_blob("p", path, None, &secret, &|_| {}).await;
        assert!(matches!(blob, Err(Error::Path(_))), "{path}");
    }
    assert!(!secret.exists());
}

#[tokio::test]
async fn fetch_checks_the_sum_and_keeps_the_old_file_when_it_is_wrong() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, locker) = locker();
    locker.put("x", "abc").await.unwrap();
    let dest = tempfile::tempdir().unwrap();
    let file = dest.path().join("f");
    let digests = locker
        .fetch("x", &file, 0o750, &Checksum::default())
        .await
        .unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o750
    );
    let right = Checksum {
        size: Some(3),
        sha256: Some(digests.sha256.clone()),
        md5: Some(digests.md5.clone()),
    };
    locker.fetch("x", &file, 0o644, &right).await.unwrap();

    locker.put("x", "abd").await.unwrap();
    let error = locker
        .fetch("x", &file, 0o644, &right)
        .await
        .unwrap_err()
        .to_string();
    let sum = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";
    assert_eq!(
        error,
        format!(
            "`x` in the locker `{}` has the sha256 {sum}, expected {}",
            locker.url(),
            digests.sha256
        )
    );
    locker.put("x", "abcd").await.unwrap();
    let error = locker
        .fetch("x", &file, 0o644, &right)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("has the size in bytes 4, expected 3"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"abc");
    assert_eq!(names(dest.path()), ["f"], "no temporary file is left");
}

#[tokio::test]
async fn a_large_blob_goes_through_in_pieces() {
    let (_folder, locker) = locker();
    let piece = Bytes::from(vec![7; 1 << 20]);
    let pieces = stream::iter((0..20).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    locker.put_stream("big", pieces).await.unwrap();
    assert_eq!(locker.head("big").await.unwrap().size, 20 << 20);
    let dest = tempfile::tempdir().unwrap();
    let file = dest.path().join("big");
    let digests = locker
        .fetch("big", &file, 0o644, &Checksum::default())
        .await
        .unwrap();
    let sums = Checksum {
        size: Some(20 << 20),
        sha256: Some(digests.sha256),
        md5: None,
    };
    locker.put_file("copy", &file, &sums).await.unwrap();
    assert_eq!(locker.head("copy").await.unwrap().size, 20 << 20);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_blob_as_it_was() {
    let (folder, locker) = locker();
    locker.put("x", "old").await.unwrap();
    for pieces in [1, 20] {
        let good = stream::iter((0..pieces).map(|_| Ok(Bytes::from(vec![7; 1 << 20]))));
        let bad = stream::iter([Err(std::io::Error::other("cut"))]);
        let error = locker.put_stream("x", good.chain(bad)).await.unwrap_err();
        assert!(matches!(error, Error::Upload { .. }), "{error:?}");
    }
    assert_eq!(locker.get_bytes("x", 9).await.unwrap(), b"old");
    assert_eq!(names(folder.path()), ["x"]);
}

#[tokio::test]
async fn a_file_that_changed_since_its_sum_was_made_is_not_uploaded() {
    let (_folder, locker) = locker();
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("f");
    write(&file, "new");
    let expected = |size| Checksum {
        size: Some(size),
        sha256: Some("00".into()),
        md5: None,
    };
    for size in [3, 4] {
        let error = locker.put_file("f", &file, &expected(size)).await.unwrap_err();
        assert!(matches!(error, Error::Upload { .. }), "{error:?}");
    }
    assert!(locker.head("f").await.unwrap_err().is_not_found());
}

fn author(version: &str) -> (tempfile::TempDir, Build) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[project]\nname = demo\nversion = {version}\n[blobs]\nFiles = b.tgz\n");
    write(&folder.path().join("project.ini"), text);
    write(&folder.path().join("blobs/b.tgz"), "blob");
    write(&folder.path().join("specs/s/cluster-init/scripts/1.sh"), "echo 1");
    write(&folder.path().join("specs/s/cluster-init/files/f"), "f");
    let build = project::build(folder.path(), None, None).unwrap();
    (folder, build)
}

async fn upload(locker: &Locker, build: &Build, force: bool) -> UploadReport {
    let seen = Mutex::new(Vec::new());
    let report = project::upload(locker, build, force, &|progress| {
        seen.lock().unwrap().push(progress)
    })
    .await
    .unwrap();
    let seen: Vec<Progress> = seen.into_inner().unwrap();
    assert!(
        seen.is_sorted_by_key(|progress| (progress.part, progress.done)),
        "{seen:?}"
    );
    assert!(
        seen.last().is_some_and(|last| last.done == last.total),
        "{seen:?}"
    );
    report
}

#[tokio::test]
async fn only_what_changed_is_uploaded_and_the_manifest_is_last() {
    let (folder, locker) = locker();
    let (source, build) = author("1.0.0");
    let report = upload(&locker, &build, false).await;
    assert_eq!((report.sent, report.unchanged), (3, 0));
    assert_eq!(locker.manifest("demo", "1.0.0").await.unwrap(), build.manifest);
    let report = upload(&locker, &build, false).await;
    assert_eq!((report.sent, report.unchanged, report.bytes), (0, 3, 0));

    // One file changes; one is lost in the locker; one has another size there.
    write(&source.path().join("specs/s/cluster-init/scripts/1.sh"), "echo 2");
    let build = project::build(source.path(), None, None).unwrap();
    std::fs::remove_file(folder.path().join("projects/demo/blobs/b.tgz")).unwrap();
    write(
        &folder.path().join("projects/demo/1.0.0/s/cluster-init/files/f"),
        "ff",
    );
    assert_eq!(upload(&locker, &build, false).await.sent, 3);

    // A blob with wrong content of the right size: only force helps.
    write(&folder.path().join("projects/demo/blobs/b.tgz"), "blub");
    assert_eq!(upload(&locker, &build, false).await.sent, 0);
    assert_eq!(upload(&locker, &build, true).await.sent, 3);
    assert_eq!(
        locker.get_bytes("projects/demo/blobs/b.tgz", 9).await.unwrap(),
        b"blob"
    );
}

#[tokio::test]
async fn versions_share_blobs_and_one_that_differs_is_sent_again() {
    let (_folder, locker) = locker();
    let (source, build) = author("1.9.0");
    upload(&locker, &build, false).await;
    let next = project::build(source.path(), Some("1.10.0"), None).unwrap();
    assert_eq!(
        upload(&locker, &next, false).await.unchanged,
        1,
        "the blob is there"
    );
    assert_eq!(locker.versions("demo").await.unwrap(), ["1.9.0", "1.10.0"]);
    assert_eq!(locker.newest_version("demo").await.unwrap(), "1.10.0");

    write(&source.path().join("blobs/b.tgz"), "bl0b");
    let other = project::build(source.path(), Some("1.11.0"), None).unwrap();
    assert_eq!(upload(&locker, &other, false).await.sent, 3);
    write(&source.path().join("blobs/b.tgz"), "blob");
    // 1.9.0 says that its blob is there, but 1.11.0 replaced it by one of the same size.
    assert_eq!(upload(&locker, &build, false).await.sent, 1);
    assert_eq!(
        locker.get_bytes("projects/demo/blobs/b.tgz", 9).await.unwrap(),
        b"blob"
    );
}

#[tokio::test]
async fn a_failed_upload_leaves_the_old_manifest() {
    let (folder, locker) = locker();
    let (source, build) = author("1.0.0");
    upload(&locker, &build, false).await;
    write(&source.path().join("specs/s/cluster-init/scripts/1.sh"), "echo 2");
    let next = project::build(source.path(), None, None).unwrap();
    // The folder is in the way of a file.
    let way = folder
        .path()
        .join("projects/demo/1.0.0/s/cluster-init/scripts/1.sh");
    std::fs::remove_file(&way).unwrap();
    std::fs::create_dir_all(way.join("x")).unwrap();
    let error = project::upload(&locker, &next, false, &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("scripts/1.sh"), "{error}");
    assert_eq!(locker.manifest("demo", "1.0.0").await.unwrap(), build.manifest);
}

#[tokio::test]
async fn a_spec_is_fetched_as_its_author_made_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, locker) = locker();
    let (source, _) = author("1.0.0");
    let script = source.path().join("specs/s/cluster-init/scripts/1.sh");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let build = project::build(source.path(), None, None).unwrap();
    upload(&locker, &build, false).await;

    let dest = tempfile::tempdir().unwrap();
    let manifest = locker.manifest("demo", "1.0.0").await.unwrap();
    let files = locker.fetch_spec(&manifest, "s", dest.path()).await.unwrap();
    assert_eq!(files.len(), 2);
    let script = dest.path().join("cluster-init/scripts/1.sh");
    assert_eq!(std::fs::read(&script).unwrap(), b"echo 1");
    assert_eq!(
        std::fs::metadata(&script).unwrap().permissions().mode() & 0o777,
        0o755
    );
    let error = locker.fetch_spec(&manifest, "t", dest.path()).await.unwrap_err();
    assert!(matches!(error, Error::NoSpec { .. }), "{error}");
}

#[tokio::test]
async fn a_project_of_another_tool_is_fetched_by_its_listing() {
    let (_folder, locker) = locker();
    locker
        .put("projects/pbs/2.0/manifest.json", r#"{"name":"pbs","type":"scheduler","version":"2.0","blobs":[{"path":"a.rpm","checksum":"900150983cd24fb0d6963f7d28e17f72"}]}"#)
        .await
        .unwrap();
    locker
        .put("projects/pbs/2.0/default/cluster-init/scripts/1.sh", "x")
        .await
        .unwrap();
    locker.put("projects/pbs/blobs/a.rpm", "abc").await.unwrap();
    let manifest = locker.manifest("pbs", "2.0").await.unwrap();
    let files = locker.spec_files(&manifest, "default").await.unwrap();
    assert_eq!(files[0].path, "cluster-init/scripts/1.sh");
    assert!(files[0].executable);
    let error = locker.spec_files(&manifest, "none").await.unwrap_err();
    assert!(error.to_string().ends_with("has no spec `none`"), "{error}");

    let dest = tempfile::tempdir().unwrap();
    let file = dest.path().join("a.rpm");
    locker
        .fetch_blob("pbs", "a.rpm", Some(&manifest), &file, &|_| {})
        .await
        .unwrap();
    locker.put("projects/pbs/blobs/a.rpm", "abx").await.unwrap();
    let error = locker
        .fetch_blob("pbs", "a.rpm", Some(&manifest), &file, &|_| {})
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has the md5 "), "{error}");
    locker.put("blobs/pbs/a.rpm", "mine").await.unwrap();
    locker
        .fetch_blob("pbs", "a.rpm", Some(&manifest), &file, &|_| {})
        .await
        .unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"mine", "the user's blob wins");
    let error = locker
        .fetch_blob("pbs", "none", Some(&manifest), &file, &|_| {})
        .await
        .unwrap_err();
    assert!(error.is_not_found());
}

#[tokio::test]
async fn a_missing_project_and_a_broken_manifest_are_named() {
    let (_folder, locker) = locker();
    assert!(locker.versions("demo").await.unwrap().is_empty());
    let error = locker.newest_version("demo").await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "failed to find project `demo` in the locker `{}` at `projects/demo`",
            locker.url()
        )
    );
    let error = locker.manifest("demo", "1.0").await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "failed to find project `demo` version `1.0` in the locker `{}` at `projects/demo/1.0/manifest.json`",
            locker.url()
        )
    );
    let evil = Manifest {
        name: "demo".into(),
        version: "1.0".into(),
        specs: [(
            "s".to_owned(),
            SpecEntry {
                run_list: vec![],
                files: Some(vec![FileEntry {
                    path: "../../../etc/cron.d/x".into(),
                    ..FileEntry::default()
                }]),
            },
        )]
        .into(),
        ..Manifest::default()
    };
    for text in [b"{\"na".to_vec(), serde_json::to_vec(&evil).unwrap()] {
        locker.put("projects/demo/1.0/manifest.json", text).await.unwrap();
        let error = locker.manifest("demo", "1.0").await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    }
}
