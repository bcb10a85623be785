//! Object storage of Azure and S3, for real: emulators that check every signature.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use locker::{Access, Checksum, Credential, Error, Locker, Transfer, project};
use testkit::{AZURE_ACCOUNT, AZURE_KEY, AZURE_SAS, Azure, Gcs, S3, S3_KEY_ID, S3_SECRET};

const MINUTE: Duration = Duration::from_secs(60);

fn open(url: &str, endpoint: &str, credential: Credential) -> Locker {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let access = Access {
        endpoint: Some(endpoint.to_owned()),
        ..Access::with(credential)
    };
    Locker::open_any(url, &access).unwrap()
}

fn azure(azure: &Azure, folder: &str, credential: Credential) -> Locker {
    let url = format!("az://{AZURE_ACCOUNT}/cyclecloud{folder}");
    open(&url, &azure.endpoint(), credential)
}

fn account_key() -> Credential {
    Credential::AccountKey(AZURE_KEY.into())
}

fn s3(s3: &S3, folder: &str, secret: &str) -> Locker {
    let credential = Credential::AccessKey {
        id: S3_KEY_ID.to_owned(),
        secret: secret.into(),
        session_token: None,
    };
    open(&format!("s3://cyclecloud{folder}"), &s3.endpoint(), credential)
}

/// Bytes that are nowhere the same.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next()[..4]);
    }
    bytes.truncate(length);
    bytes
}

/// What every locker does, in one that is empty.
async fn everything(locker: &Locker) {
    assert!(locker.list("").await.unwrap().is_empty());
    locker.put("blobs/a b/ü~#x%20+.sh", "hello").await.unwrap();
    locker.put("blobs/empty", "").await.unwrap();
    locker.put("blobsy", "other").await.unwrap();
    let entries = locker.list("blobs").await.unwrap();
    let listed: Vec<_> = entries
        .iter()
        .map(|entry| (entry.path.as_str(), entry.size))
        .collect();
    assert_eq!(listed, [("blobs/a b/ü~#x%20+.sh", 5), ("blobs/empty", 0)]);
    assert_eq!(locker.list("").await.unwrap().len(), 3);
    assert_eq!(
        locker.get_bytes("blobs/a b/ü~#x%20+.sh", 5).await.unwrap(),
        b"hello"
    );
    assert_eq!(locker.get_bytes("blobs/empty", 0).await.unwrap(), b"");
    let error = locker.get_bytes("blobs/none", 1).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    let error = locker.head("blobs/none").await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");

    locker.delete("blobsy").await.unwrap();
    let error = locker.delete("blobsy").await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");

    large(locker).await;
    a_project(locker).await;
}

/// A blob that goes up in several parts and comes down in several ranges.
async fn large(locker: &Locker) {
    let folder = tempfile::tempdir().unwrap();
    let (source, dest) = (folder.path().join("source"), folder.path().join("dest"));
    let content = bytes(36 << 20);
    durable::write(&source, 0o600, &content).unwrap();
    locker
        .put_file("blobs/large", &source, &Checksum::default())
        .await
        .unwrap();
    let told = Mutex::new(Vec::new());
    let digests = locker
        .fetch_watched("blobs/large", &dest, 0o640, &Checksum::default(), &|transfer| {
            told.lock().unwrap().push(transfer);
        })
        .await
        .unwrap();
    assert_eq!(digests.size, 36 << 20);
    assert!(std::fs::read(&dest).unwrap() == content);
    assert_eq!(names(folder.path()), ["dest", "source"], "nothing is left behind");
    let told = told.into_inner().unwrap();
    let total = digests.size;
    assert_eq!(told[0], Transfer { done: 0, total });
    assert_eq!(
        *told.iter().max_by_key(|transfer| transfer.done).unwrap(),
        Transfer { done: total, total }
    );
    let one = locker.read("blobs/large", Some(100..104)).await.unwrap();
    assert_eq!((one.range.clone(), one.meta.size), (100..104, total));
}

async fn a_project(locker: &Locker) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        (
            "project.ini",
            "[project]\nname = demo\nversion = 1.2.0\n[blobs]\nFiles = x.tgz\n",
        ),
        ("blobs/x.tgz", "not really"),
        ("specs/default/cluster-init/scripts/010-x.sh", "#!/bin/sh\n"),
    ] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, 0o755, text.as_bytes()).unwrap();
    }
    let build = project::build(folder.path(), None, None).unwrap();
    let sent = project::upload(locker, &build, false, &|_| {}).await.unwrap();
    assert_eq!((sent.sent, sent.unchanged), (2, 0));
    let sent = project::upload(locker, &build, false, &|_| {}).await.unwrap();
    assert_eq!((sent.sent, sent.unchanged), (0, 2), "only what changed");
    assert_eq!(locker.newest_version("demo").await.unwrap(), "1.2.0");
    let manifest = locker.manifest("demo", "1.2.0").await.unwrap();
    let dest = folder.path().join("dest");
    locker.fetch_spec(&manifest, "default", &dest).await.unwrap();
    let script = dest.join("cluster-init/scripts/010-x.sh");
    assert_eq!(std::fs::read_to_string(script).unwrap(), "#!/bin/sh\n");
    let error = locker.manifest("demo", "9.9").await.unwrap_err();
    assert!(matches!(error, Error::NoProject { .. }), "{error:?}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What a URL gives to somebody without any credential.
async fn get(url: reqwest::Url) -> (u16, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn azure_blob() {
    let emulator = Azure::start();
    everything(&azure(&emulator, "", account_key())).await;

    // A folder of the container is a locker of its own.
    let inner = azure(&emulator, "/team/a/", account_key());
    assert!(inner.list("").await.unwrap().is_empty());
    inner.put("blobs/x", "inner").await.unwrap();
    assert_eq!(inner.list("blobs").await.unwrap()[0].path, "blobs/x");
    let outer = azure(&emulator, "", Credential::Sas(format!("?{AZURE_SAS}").into()));
    assert_eq!(outer.get_bytes("team/a/blobs/x", 9).await.unwrap(), b"inner");

    // A URL for one blob, made with the key; a SAS makes none.
    let url = inner.signed_url("blobs/x", MINUTE).await.unwrap().unwrap();
    let url: reqwest::Url = url.parse().unwrap();
    assert_eq!(get(url.clone()).await, (200, "inner".to_owned()));
    let mut other = url;
    other.set_path(&other.path().replace("team/a/blobs/x", "blobs/large"));
    assert_eq!(get(other).await.0, 403, "it is for one blob");
    assert_eq!(outer.signed_url("blobs/x", MINUTE).await.unwrap(), None);
    assert_eq!(inner.signed_url("blobs/a b", MINUTE).await.unwrap(), None);

    // Who may not is told so, with the storage's own words and without our secret.
    for credential in [
        Credential::AccountKey("d3Jvbmcga2V5".into()),
        Credential::Sas(AZURE_SAS.replace("sig=G", "sig=H").into()),
        Credential::Anonymous,
    ] {
        let locker = azure(&emulator, "", credential);
        for error in [
            locker.get_bytes("blobs/empty", 0).await.unwrap_err(),
            locker.put("blobs/empty", "x").await.unwrap_err(),
            locker.list("").await.unwrap_err(),
        ] {
            let text = format!("{error:?}");
            assert!(
                matches!(error, Error::Unauthorised { .. } | Error::NotFound { .. }),
                "{text}"
            );
            assert!(!text.contains("sig=") && !text.contains("d3Jvbmcga2V5"), "{text}");
        }
    }
    let missing = open(
        &format!("az://{AZURE_ACCOUNT}/nothere"),
        &emulator.endpoint(),
        account_key(),
    );
    for error in [
        missing.put("x", "y").await.unwrap_err(),
        missing.list("").await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NoLocker { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn s3_bucket() {
    let server = S3::start();
    everything(&s3(&server, "", S3_SECRET)).await;

    let inner = s3(&server, "/team/a", S3_SECRET);
    assert!(inner.list("").await.unwrap().is_empty());
    inner.put("blobs/x", "inner").await.unwrap();
    assert_eq!(inner.list("").await.unwrap()[0].path, "blobs/x");
    let url = inner.signed_url("blobs/x", MINUTE).await.unwrap().unwrap();
    let url: reqwest::Url = url.parse().unwrap();
    assert_eq!(get(url.clone()).await, (200, "inner".to_owned()));
    let mut other = url;
    other.set_path("/cyclecloud/blobs/large");
    assert_eq!(get(other).await.0, 403, "it is for one blob");
    let outer = s3(&server, "", S3_SECRET);
    let url = outer
        .signed_url("blobs/a b/ü~#x%20+.sh", MINUTE)
        .await
        .unwrap()
        .unwrap();
    let url: reqwest::Url = url.parse().unwrap();
    assert_eq!(get(url).await, (200, "hello".to_owned()));

    let wrong = s3(&server, "", "wrong secret");
    let error = wrong.get_bytes("blobs/empty", 0).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorised { .. }), "{error:?}");
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
    let error = wrong.list("").await.unwrap_err().to_string();
    assert!(
        error.starts_with("the locker `s3://cyclecloud` refused access: "),
        "{error}"
    );
    let away = open("s3://cyclecloud", "http://127.0.0.1:1", Credential::Anonymous);
    let error = away.head("x").await.unwrap_err();
    assert!(error.is_away(), "{error:?}");
}

/// A key that asks nobody for tokens. It opens nothing but emulators of tests.
const GCS_KEY: &str =
    r#"{"private_key": "-", "private_key_id": "-", "client_email": "-", "disable_oauth": true}"#;

/// Stands before an S3 server and takes the bearer tokens of GCS away, which S3 does not know.
async fn without_bearers(upstream: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let pass = move |request: axum::extract::Request| {
        let (client, upstream) = (client.clone(), upstream.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            parts.headers.remove("authorization");
            parts.headers.remove("host");
            let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
            let answer = client
                .request(parts.method, format!("{upstream}{}", parts.uri))
                .headers(parts.headers)
                .body(body)
                .send()
                .await
                .unwrap();
            let mut passed = axum::http::Response::builder().status(answer.status());
            *passed.headers_mut().unwrap() = answer.headers().clone();
            passed
                .body(axum::body::Body::from_stream(answer.bytes_stream()))
                .unwrap()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, axum::Router::new().fallback(pass)).await });
    url
}

#[tokio::test]
async fn gcs_bucket() {
    let server = Gcs::start();
    let endpoint = without_bearers(server.endpoint()).await;
    let locker = |folder: &str| {
        let key = Credential::ServiceAccount(GCS_KEY.into());
        open(&format!("gs://cyclecloud{folder}"), &endpoint, key)
    };
    everything(&locker("")).await;
    let inner = locker("/team/a");
    inner.put("blobs/x", "inner").await.unwrap();
    assert_eq!(inner.list("").await.unwrap()[0].path, "blobs/x");
    let public = open("gs://cyclecloud", &endpoint, Credential::Anonymous);
    assert_eq!(public.get_bytes("team/a/blobs/x", 9).await.unwrap(), b"inner");
}
