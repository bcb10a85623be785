//! Projects and blobs of others: `cyclecloud project fetch` and `download`.

use std::io::Write;
use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::site::Site;

/// A `.tar.gz` of files with these texts.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn project() -> Vec<u8> {
    archive(&[
        (
            "demo-1.0/project.ini",
            "[project]\nname = demo\nversion = 1.0\n[blobs]\nFiles = a.tgz, sub/b.tgz, c.tgz, all-*\n",
        ),
        ("demo-1.0/blobs/c.tgz", "from the source"),
    ])
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

/// A service for source code with one release; its archives are on another path, as it is with large ones.
fn forge(site: &Site) -> String {
    async fn answer(request: Request) -> Response {
        match request.uri().path() {
            "/org/repo/archive/refs/tags/1.0.tar.gz" => {
                (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response()
            }
            "/elsewhere" => project().into_response(),
            "/org/repo/releases/download/1.0/a.tgz" => "a".into_response(),
            "/org/repo/releases/download/1.0/b.tgz" => "b".into_response(),
            "/org/bad/archive/HEAD.tar.gz" => "<html>".into_response(),
            "/org/late/archive/HEAD.tar.gz" => (StatusCode::BAD_GATEWAY, "sorry").into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
    site.serve(Router::new().fallback(answer))
}

#[test]
fn a_release_is_fetched_with_its_blobs() {
    let site = Site::new();
    let forge = forge(&site);
    let run = site.run(&[
        "project",
        "fetch",
        &format!("{forge}/org/repo/releases/1.0"),
        "demo",
    ]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (Some(0), "Project 'demo' version 1.0 fetched to demo\n", "")
    );
    assert_eq!(site.read("demo/blobs/a.tgz"), "a");
    assert_eq!(site.read("demo/blobs/sub/b.tgz"), "b");
    assert_eq!(site.read("demo/blobs/c.tgz"), "from the source");
    let again = site.run(&[
        "project",
        "fetch",
        &format!("{forge}/org/repo/releases/1.0"),
        "demo",
    ]);
    assert_eq!(again.failure(), "Error: `demo` is there already and not empty\n");
}

#[test]
fn what_cannot_be_fetched_leaves_nothing() {
    let site = Site::new();
    let forge = forge(&site);
    write(&site.path("plain.tar.gz"), &archive(&[("readme", "x")]));
    write(&site.path("broken.tar.gz"), b"no archive");
    write(
        &site.path("bad.tgz"),
        &archive(&[("project.ini", "[project]\nname = ../x\n"), ("x", "")]),
    );
    for (url, words) in [
        (format!("{forge}/org/none"), "there is nothing at"),
        (format!("{forge}/org/bad"), "is no archive that can be read"),
        (format!("{forge}/org/late"), "the server answered 502"),
        ("plain.tar.gz".to_owned(), "it has no `project.ini`"),
        ("broken.tar.gz".to_owned(), "`broken.tar.gz` is no archive"),
        ("bad.tgz".to_owned(), "project `../x`"),
        ("none.tgz".to_owned(), "cannot read `none.tgz`"),
        ("http://127.0.0.1:1/a/b".to_owned(), "cannot download"),
    ] {
        let run = site.run(&["project", "fetch", &url, "new/demo"]);
        assert!(run.failure().contains(words), "{}", run.stderr);
        assert_eq!(std::fs::read_dir(site.path("new")).unwrap().count(), 0, "{url}");
    }
}

#[test]
fn blobs_that_others_uploaded_are_downloaded_once() {
    let site = Site::new();
    site.run(&["project", "init", "demo"]).success();
    let folder = site.path("demo");
    let ini = |blobs: &str| {
        let text = format!("[project]\nname = demo\nversion = 1.0\n[blobs]\nFiles = {blobs}\n");
        site.write("demo/project.ini", &text);
    };
    ini("a.tgz, sub, *.rpm");
    for (path, text) in [("a.tgz", "a"), ("sub/b", "b"), ("c.rpm", "c")] {
        site.write(&format!("demo/blobs/{path}"), text);
    }
    let run = |args: &[&str]| {
        site.expect_lockers();
        site.run_in(&folder, args, "")
    };
    let missing = run(&["project", "download"]);
    assert!(
        missing
            .failure()
            .contains("failed to find project `demo` version `1.0`"),
        "{}",
        missing.stderr
    );
    run(&["project", "upload"]).success();
    std::fs::remove_file(folder.join("blobs/a.tgz")).unwrap();
    std::fs::remove_dir_all(folder.join("blobs/sub")).unwrap();
    assert_eq!(
        run(&["project", "download", "local"]).success(),
        "blobs/a.tgz (1 bytes)\nblobs/sub/b (1 bytes)\nblobs/c.rpm is unchanged\nDownload complete!\n"
    );
    assert_eq!(site.read("demo/blobs/sub/b"), "b");
    site.write("demo/blobs/a.tgz", "x");
    let run_again = run(&["project", "download"]);
    assert!(run_again.success().starts_with("blobs/a.tgz (1 bytes)\n"));
    assert_eq!(site.read("demo/blobs/a.tgz"), "a", "what differs is replaced");

    // What the locker holds is not what its manifest says.
    site.write("locker/projects/demo/blobs/a.tgz", "y");
    std::fs::remove_file(folder.join("blobs/a.tgz")).unwrap();
    let damaged = run(&["project", "download"]);
    assert!(damaged.failure().contains("has the sha256"), "{}", damaged.stderr);
    assert!(!folder.join("blobs/a.tgz").exists());

    ini("a.tgz, new.tgz");
    let unknown = run(&["project", "download"]);
    assert!(
        unknown.failure().contains("has no blobs `new.tgz`"),
        "{}",
        unknown.stderr
    );
    site.write("locker/projects/demo/1.0/manifest.json", "{\"name\": \"demo\",");
    let broken = run(&["project", "download"]);
    assert!(
        broken
            .failure()
            .contains("`projects/demo/1.0/manifest.json` in the locker"),
        "{}",
        broken.stderr
    );
    assert!(broken.stderr.contains("is not valid: EOF"), "{}", broken.stderr);
}
