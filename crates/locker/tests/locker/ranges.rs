//! Large blobs behind a server: in ranges, cut, gone on with, and sent on to other storage by signed URLs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use locker::{Access, Checksum, Error, Locker};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

/// Large enough for ranges: five pieces, the last one smaller.
const SIZE: usize = (34 << 20) + 5;

/// How the server behaves, and what it did.
struct Script {
    content: Bytes,
    e_tag: &'static str,
    /// It breaks off where this byte of the blob would come.
    cut: Option<usize>,
    knows_ranges: bool,
    sent: usize,
}

type Shared = Arc<Mutex<Script>>;

fn script() -> Shared {
    let content = (0..SIZE).map(|at| (at / 7 % 251) as u8).collect::<Vec<_>>();
    Arc::new(Mutex::new(Script {
        content: content.into(),
        e_tag: "\"one\"",
        cut: None,
        knows_ranges: true,
        sent: 0,
    }))
}

async fn serve(script: &Shared) -> Locker {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lockers/local", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(script));
    tokio::spawn(async { axum::serve(listener, router).await });
    Locker::open(&url, &Access::default()).unwrap()
}

async fn answer(State(script): State<Shared>, headers: HeaderMap) -> Response {
    let (content, e_tag, knows_ranges) = {
        let script = script.lock().unwrap();
        (script.content.clone(), script.e_tag, script.knows_ranges)
    };
    let size = content.len();
    let range = headers.get(header::RANGE).filter(|_| knows_ranges).map(|range| {
        let (start, last) = range.to_str().unwrap()[6..].split_once('-').unwrap();
        let last = last.parse().unwrap_or(size - 1);
        (start.parse::<usize>().unwrap(), last.min(size - 1))
    });
    let (status, start, last) = match range {
        Some((start, last)) => (StatusCode::PARTIAL_CONTENT, start, last),
        None => (StatusCode::OK, 0, size - 1),
    };
    let body = stream::iter((start..=last).step_by(64 << 10)).map(move |at| {
        let mut script = script.lock().unwrap();
        let end = (at + (64 << 10)).min(last + 1);
        if script.cut.is_some_and(|cut| end > cut) {
            return Err(std::io::Error::other("cut"));
        }
        // Counted when it is sent: what nobody took does not count.
        script.sent += end - at;
        Ok(content.slice(at..end))
    });
    let headers = [
        (header::ETAG, e_tag.to_owned()),
        (header::CONTENT_LENGTH, (last - start + 1).to_string()),
        (header::CONTENT_RANGE, format!("bytes {start}-{last}/{size}")),
    ];
    (status, headers, Body::from_stream(body)).into_response()
}

fn expected(script: &Shared) -> Checksum {
    let sum = Sha256::digest(&script.lock().unwrap().content);
    Checksum {
        size: Some(SIZE as u64),
        sha256: Some(sum.iter().map(|byte| format!("{byte:02x}")).collect()),
        md5: None,
    }
}

/// A folder with the destination, and a download that was cut.
async fn cut() -> (tempfile::TempDir, PathBuf, Shared, Locker) {
    let script = script();
    // Within the last of five pieces, which starts when one of the first four is here.
    script.lock().unwrap().cut = Some(32 << 20);
    let locker = serve(&script).await;
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("big.tgz");
    let error = locker
        .fetch("big.tgz", &dest, 0o644, &expected(&script))
        .await
        .unwrap_err();
    assert!(error.is_away(), "{error:?}");
    assert!(!dest.exists());
    assert_eq!(names(folder.path()), [".big.tgz.part", ".big.tgz.part.json"]);
    let mut state = script.lock().unwrap();
    (state.cut, state.sent) = (None, 0);
    drop(state);
    (folder, dest, script, locker)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn is_whole(folder: &Path, dest: &Path, script: &Shared) {
    assert!(std::fs::read(dest).unwrap() == script.lock().unwrap().content);
    assert_eq!(names(folder), ["big.tgz"], "nothing is left behind");
}

#[tokio::test]
async fn a_download_that_was_cut_goes_on_where_it_was() {
    let (folder, dest, script, locker) = cut().await;
    let told = Mutex::new(Vec::new());
    locker
        .fetch_watched("big.tgz", &dest, 0o600, &expected(&script), &|transfer| {
            told.lock().unwrap().push(transfer.done);
        })
        .await
        .unwrap();
    is_whole(folder.path(), &dest, &script);
    let first = told.into_inner().unwrap()[0];
    assert!(first >= 8 << 20, "at least one piece was there: {first}");
    // The call that looks at the blob is broken off, and may have sent what fits into buffers.
    let sent = script.lock().unwrap().sent;
    let missing = SIZE - usize::try_from(first).unwrap();
    assert!(
        sent <= missing + (8 << 20),
        "{sent} bytes for {missing} that were missing"
    );
}

#[tokio::test]
async fn another_blob_of_the_same_name_starts_again() {
    let (folder, dest, script, locker) = cut().await;
    {
        let mut script = script.lock().unwrap();
        script.content = script.content.iter().rev().copied().collect();
        script.e_tag = "\"two\"";
    }
    locker
        .fetch("big.tgz", &dest, 0o644, &expected(&script))
        .await
        .unwrap();
    is_whole(folder.path(), &dest, &script);
}

#[tokio::test]
async fn what_was_damaged_meanwhile_starts_again() {
    let (folder, dest, script, locker) = cut().await;
    let part = folder.path().join(".big.tgz.part");
    let zeros = vec![0; SIZE];
    let file = std::fs::OpenOptions::new().write(true).open(&part).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &zeros, 0).unwrap();
    drop(file);
    locker
        .fetch("big.tgz", &dest, 0o644, &expected(&script))
        .await
        .unwrap();
    is_whole(folder.path(), &dest, &script);

    let (folder, dest, script, locker) = cut().await;
    durable::write(&folder.path().join(".big.tgz.part.json"), 0o600, b"{\"half").unwrap();
    locker
        .fetch("big.tgz", &dest, 0o644, &expected(&script))
        .await
        .unwrap();
    is_whole(folder.path(), &dest, &script);
}

#[tokio::test]
async fn a_wrong_sum_leaves_nothing() {
    let script = script();
    let locker = serve(&script).await;
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("big.tgz");
    let mut expected = expected(&script);
    expected.sha256 = Some("00".repeat(32));
    let error = locker
        .fetch("big.tgz", &dest, 0o644, &expected)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Mismatch { what: "sha256", .. }),
        "{error:?}"
    );
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn a_server_without_ranges_sends_all_of_it() {
    let script = script();
    script.lock().unwrap().knows_ranges = false;
    let locker = serve(&script).await;
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("big.tgz");
    locker
        .fetch("big.tgz", &dest, 0o644, &expected(&script))
        .await
        .unwrap();
    is_whole(folder.path(), &dest, &script);
}

#[tokio::test]
async fn a_partial_file_of_somebody_else_is_left_alone() {
    let script = script();
    let locker = serve(&script).await;
    let folder = tempfile::tempdir().unwrap();
    let (dest, part) = (folder.path().join("big.tgz"), folder.path().join(".big.tgz.part"));

    // Another process is at it.
    let held = std::fs::File::create(&part).unwrap();
    held.lock().unwrap();
    locker
        .fetch("big.tgz", &dest, 0o644, &expected(&script))
        .await
        .unwrap();
    assert!(std::fs::read(&dest).unwrap() == script.lock().unwrap().content);
    assert_eq!(held.metadata().unwrap().len(), 0);
    drop(held);

    // A link to a file that must not change.
    let precious = folder.path().join("precious");
    durable::write(&precious, 0o600, b"precious").unwrap();
    std::fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink(&precious, &part).unwrap();
    locker
        .fetch("big.tgz", &dest, 0o644, &expected(&script))
        .await
        .unwrap();
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    assert!(std::fs::read(&dest).unwrap() == script.lock().unwrap().content);
}

/// A server that sends readers on to a storage, and that storage: it takes the newest signature only.
#[derive(Default)]
struct Signing {
    storage: String,
    /// `Cache-Control` of the redirect.
    keep: &'static str,
    /// Number of the signature that is good.
    signature: usize,
    /// How often the server was asked.
    asked: usize,
}

async fn signing(keep: &'static str) -> (Arc<Mutex<Signing>>, Locker) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let state = Arc::new(Mutex::new(Signing {
        keep,
        ..Signing::default()
    }));
    let storage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    state.lock().unwrap().storage = format!("http://{}", storage.local_addr().unwrap());
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lockers/cloud", server.local_addr().unwrap());
    let (of_storage, of_server) = (Arc::clone(&state), Arc::clone(&state));
    let storage_router = Router::new().fallback(move |request: Request| {
        let state = Arc::clone(&of_storage);
        async move {
            let good = format!("signature={}", state.lock().unwrap().signature);
            let headers = request.headers();
            if headers.contains_key(header::AUTHORIZATION) {
                return (StatusCode::BAD_REQUEST, "a credential came along").into_response();
            }
            if request.uri().query() != Some(&good) {
                let body = "<Error><Code>AuthenticationFailed</Code><Message>expired</Message></Error>";
                return (StatusCode::FORBIDDEN, body).into_response();
            }
            match request.uri().path() {
                "/box/blobs/x" => ([(header::ETAG, "\"x\"")], "content").into_response(),
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        }
    });
    let server_router = Router::new().fallback(move |request: Request| {
        let state = Arc::clone(&of_server);
        async move {
            assert!(request.headers().contains_key(header::AUTHORIZATION));
            let mut state = state.lock().unwrap();
            state.asked += 1;
            let path = request.uri().path().replace("/lockers/cloud", "/box");
            let target = format!("{}{path}?signature={}", state.storage, state.signature);
            let headers = [
                (header::LOCATION, target),
                (header::CACHE_CONTROL, state.keep.to_owned()),
            ];
            (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
        }
    });
    tokio::spawn(async { axum::serve(storage, storage_router).await });
    tokio::spawn(async { axum::serve(server, server_router).await });
    let locker = Locker::open(&url, &Access::basic("node", "secret")).unwrap();
    (state, locker)
}

#[tokio::test]
async fn a_signed_url_is_used_while_it_is_good_and_renewed_when_it_is_not() {
    let (state, locker) = signing("private, max-age=600").await;
    for _ in 0..3 {
        assert_eq!(locker.get_bytes("blobs/x", 9).await.unwrap(), b"content");
    }
    assert_eq!(state.lock().unwrap().asked, 1, "one URL for all");
    // The storage says that it is over before its time.
    state.lock().unwrap().signature += 1;
    assert_eq!(locker.get_bytes("blobs/x", 9).await.unwrap(), b"content");
    assert_eq!(state.lock().unwrap().asked, 2);
    let error = locker.get_bytes("blobs/none", 9).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_signed_url_whose_time_is_over_is_not_used_again() {
    let (state, locker) = signing("private, max-age=0").await;
    for _ in 0..2 {
        assert_eq!(locker.get_bytes("blobs/x", 9).await.unwrap(), b"content");
    }
    assert_eq!(state.lock().unwrap().asked, 2);
}

#[tokio::test]
async fn nobody_is_sent_to_storage_without_tls() {
    let (state, locker) = signing("no-store").await;
    state.lock().unwrap().storage = "http://storage.example".to_owned();
    let error = locker.get_bytes("blobs/x", 9).await.unwrap_err().to_string();
    assert!(error.contains("does not speak https"), "{error}");
}
