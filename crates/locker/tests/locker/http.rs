//! Lockers behind a server: a small one of axum over a real folder, and sockets that break off.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use futures_util::TryStreamExt;
use locker::{Access, Checksum, Error, Locker, project};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// `admin:secret`
const CREDENTIAL: &str = "Basic YWRtaW46c2VjcmV0";

/// What the server stands on and what it saw.
struct Site {
    _folder: tempfile::TempDir,
    locker: Locker,
    seen: Mutex<Vec<String>>,
}

fn site() -> Arc<Site> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let locker = Locker::open(&url, &Access::default()).unwrap();
    Arc::new(Site {
        _folder: folder,
        locker,
        seen: Mutex::default(),
    })
}

fn refuse(status: StatusCode, sentence: &str) -> Response {
    (status, serde_json::json!({ "error": sentence }).to_string()).into_response()
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/lockers/local/", get(list))
        .route("/lockers/local/{*path}", get(read).head(read))
        .route("/lockers/local/{*path}", put(write))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "there is no such locker"))
        .layer(axum::middleware::from_fn(
            async |request: axum::extract::Request, next: axum::middleware::Next| match request
                .headers()
                .get(header::AUTHORIZATION)
            {
                Some(given) if given == CREDENTIAL => next.run(request).await,
                _ => refuse(StatusCode::UNAUTHORIZED, "user or password is wrong"),
            },
        ))
        .with_state(site)
}

async fn list(State(site): State<Arc<Site>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let entries = site.locker.list(&query["list"]).await.unwrap();
    serde_json::to_string(&entries).unwrap().into_response()
}

async fn read(State(site): State<Arc<Site>>, method: Method, Path(path): Path<String>) -> Response {
    site.seen.lock().unwrap().push(format!("{method} {path}"));
    match site.locker.read(&path, None).await {
        Ok(blob) => {
            let headers = [
                (header::CONTENT_LENGTH, blob.meta.size.to_string()),
                (header::ETAG, blob.meta.e_tag.unwrap()),
            ];
            (headers, Body::from_stream(blob.stream)).into_response()
        }
        Err(error @ Error::Path(_)) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => refuse(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

async fn write(
    State(site): State<Arc<Site>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .map(|length| length.to_str().unwrap());
    site.seen.lock().unwrap().push(format!("PUT {path} {length:?}"));
    if path.contains("full") {
        return refuse(StatusCode::INSUFFICIENT_STORAGE, "the disk is full");
    }
    match site.locker.put_stream(&path, body.into_data_stream()).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn serve(site: Arc<Site>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router(site)).await });
    address
}

async fn client(site: Arc<Site>) -> Locker {
    let address = serve(site).await;
    let access = Access::basic("admin", "secret".to_owned());
    Locker::open(&format!("http://{address}/lockers/local"), &access).unwrap()
}

#[tokio::test]
async fn a_project_goes_to_the_server_and_comes_back() {
    let site = site();
    let locker = client(Arc::clone(&site)).await;
    let source = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let path = source.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, 0o644, bytes).unwrap();
    };
    write(
        "project.ini",
        b"[project]\nname = de mo\n[blobs]\nFiles = big, empty\n",
    );
    write("specs/s/cluster-init/files/a b#c%20d", "ü".as_bytes());
    write("blobs/big", &vec![7; 20 << 20]);
    write("blobs/empty", b"");
    let build = project::build(source.path(), None, None).unwrap();
    let report = project::upload(&locker, &build, false, &|_| {}).await.unwrap();
    assert_eq!(report.sent, 3);
    let puts: Vec<String> = site
        .seen
        .lock()
        .unwrap()
        .drain(..)
        .filter(|line| line.starts_with("PUT"))
        .collect();
    assert!(
        puts.contains(&"PUT projects/de mo/blobs/big Some(\"20971520\")".to_owned()),
        "{puts:?}"
    );
    assert!(
        puts.last()
            .unwrap()
            .starts_with("PUT projects/de mo/1.0.0/manifest.json"),
        "{puts:?}"
    );
    assert_eq!(
        project::upload(&locker, &build, false, &|_| {})
            .await
            .unwrap()
            .sent,
        0
    );

    assert_eq!(locker.versions("de mo").await.unwrap(), ["1.0.0"]);
    let manifest = locker.manifest("de mo", "1.0.0").await.unwrap();
    assert_eq!(manifest, build.manifest);
    let dest = tempfile::tempdir().unwrap();
    locker.fetch_spec(&manifest, "s", dest.path()).await.unwrap();
    let file = dest.path().join("cluster-init/files/a b#c%20d");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "ü");
    let big = dest.path().join("big");
    let digests = locker
        .fetch_blob("de mo", "big", Some(&manifest), &big, &|_| {})
        .await
        .unwrap();
    assert_eq!(digests.size, 20 << 20);
    assert_eq!(
        locker.head("projects/de mo/blobs/big").await.unwrap().size,
        20 << 20
    );
}

#[tokio::test]
async fn a_wrong_credential_is_told_in_the_servers_words() {
    let address = serve(site()).await;
    let url = format!("http://{address}/lockers/local");
    for access in [Access::default(), Access::basic("admin", "guessed".to_owned())] {
        let locker = Locker::open(&url, &access).unwrap();
        let expected =
            format!("the locker `{url}` refused access to `projects/x`: user or password is wrong");
        let read = locker.get_bytes("projects/x", 9).await.unwrap_err();
        assert_eq!(read.to_string(), expected);
        let put = locker.put("projects/x", "y").await.unwrap_err();
        assert_eq!(put.to_string(), expected);
        let list = locker.list("projects/x").await.unwrap_err();
        assert_eq!(list.to_string(), expected);
        assert!(!format!("{access:?}{list:?}").contains("guessed"));
    }
}

#[tokio::test]
async fn a_missing_blob_is_asked_for_once_and_a_missing_locker_is_loud() {
    let site = site();
    let address = serve(Arc::clone(&site)).await;
    let access = Access::basic("admin", "secret".to_owned());
    let locker = Locker::open(&format!("http://{address}/lockers/local"), &access).unwrap();
    assert!(locker.get_bytes("none", 9).await.unwrap_err().is_not_found());
    assert!(locker.head("none").await.unwrap_err().is_not_found());
    assert_eq!(*site.seen.lock().unwrap(), ["GET none", "HEAD none"]);

    let locker = Locker::open(&format!("http://{address}/lockers/other"), &access).unwrap();
    let (_source, build) = tiny();
    let error = project::upload(&locker, &build, false, &|_| {})
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
}

fn tiny() -> (tempfile::TempDir, project::Build) {
    let source = tempfile::tempdir().unwrap();
    durable::write(
        &source.path().join("project.ini"),
        0o644,
        b"[project]\nname = x\n",
    )
    .unwrap();
    let build = project::build(source.path(), None, None).unwrap();
    (source, build)
}

#[tokio::test]
async fn a_refused_upload_is_told_in_the_servers_words() {
    let locker = client(site()).await;
    let error = locker.put("full/x", "y").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the locker `{}` answered 507 for `full/x`: the disk is full",
            locker.url()
        )
    );
    assert!(error.is_away(), "later there may be room");
}

#[tokio::test]
async fn an_upload_that_breaks_off_changes_nothing_on_the_server() {
    let site = site();
    let locker = client(Arc::clone(&site)).await;
    locker.put("x", "old").await.unwrap();
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("f");
    durable::write(&file, 0o644, &vec![1; 3 << 20]).unwrap();
    let wrong = Checksum {
        sha256: Some("00".into()),
        ..Checksum::default()
    };
    let error = locker.put_file("x", &file, &wrong).await.unwrap_err();
    assert!(matches!(error, Error::Upload { .. }), "{error:?}");
    assert_eq!(site.locker.get_bytes("x", 9).await.unwrap(), b"old");
    assert_eq!(site.locker.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away() {
    let _site = site();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lockers/x", listener.local_addr().unwrap());
    drop(listener);
    let locker = Locker::open(&url, &Access::default()).unwrap();
    for error in [
        locker.get_bytes("a", 9).await.unwrap_err(),
        locker.put("a", "b").await.unwrap_err(),
        locker.list("a").await.unwrap_err(),
    ] {
        assert!(error.is_away(), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("the locker `{url}` cannot be reached for `a`")
        );
    }
}

/// A server that answers each connection with the next of `answers` and closes it. Returns the heads of
/// the requests.
async fn socket(answers: Vec<String>) -> (Locker, tokio::task::JoinHandle<Vec<String>>) {
    let _site = site();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lockers/x", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(head(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        requests
    });
    (Locker::open(&url, &Access::default()).unwrap(), server)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.unwrap()));
    }
    head.to_ascii_lowercase()
}

#[tokio::test]
async fn a_download_that_is_cut_is_resumed() {
    let (locker, server) = socket(vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"1\"\r\n\r\n01234".into(),
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\nETag: \"1\"\r\n\r\n56789".into(),
    ])
    .await;
    let dest = tempfile::tempdir().unwrap();
    let file = dest.path().join("f");
    locker
        .fetch("f", &file, 0o644, &Checksum::default())
        .await
        .unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"0123456789");
    let requests = server.await.unwrap();
    assert!(requests[1].contains("range: bytes=5-9"), "{requests:?}");
}

#[tokio::test]
async fn a_download_that_stays_cut_is_away_and_keeps_the_old_file() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
    let (locker, _server) = socket(vec![cut.into()]).await;
    let dest = tempfile::tempdir().unwrap();
    let file = dest.path().join("f");
    durable::write(&file, 0o644, b"old").unwrap();
    let error = locker
        .fetch("f", &file, 0o644, &Checksum::default())
        .await
        .unwrap_err();
    assert!(error.is_away(), "{error:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(dest.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_failure_of_the_server_is_tried_again() {
    let (locker, server) = socket(vec![
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into(),
    ])
    .await;
    assert_eq!(locker.get_bytes("f", 9).await.unwrap(), b"ok");
    assert_eq!(server.await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_that_sends_more_or_other_than_announced_is_stopped() {
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (locker, _server) = socket(vec![answer("0123456789"), answer("0123456789"), answer("01")]).await;
    let error = locker.get_bytes("f", 5).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 5, .. }), "{error:?}");
    let dest = tempfile::tempdir().unwrap();
    let expected = Checksum {
        size: Some(2),
        sha256: Some("00".into()),
        md5: None,
    };
    let file = dest.path().join("f");
    let error = locker.fetch("f", &file, 0o644, &expected).await.unwrap_err();
    assert!(
        error.to_string().contains("has the size in bytes 10, expected 2"),
        "{error}"
    );
    let error = locker.fetch("f", &file, 0o644, &expected).await.unwrap_err();
    assert!(error.to_string().contains("expected 00"), "{error}");
    assert_eq!(std::fs::read_dir(dest.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_listing_that_leaves_its_folder_is_refused() {
    let body = r#"[{"path":"projects/x/1/s/../../../../etc/passwd","size":1}]"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (locker, _server) = socket(vec![answer]).await;
    let error = locker.list("projects/x").await.unwrap_err();
    assert!(matches!(error, Error::Path(_)), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (locker, server) = socket(vec![
        "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\n\r\n".into(),
    ])
    .await;
    let error = locker.get_bytes("f", 9).await.unwrap_err();
    assert!(matches!(error, Error::Server { status: 302, .. }), "{error:?}");
    assert_eq!(server.await.unwrap().len(), 1);
}

/// Accepts TLS connections for axum.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[tokio::test]
async fn only_the_pinned_authority_is_believed() {
    let site = site();
    site.locker.put("x", "y").await.unwrap();
    let authority = |name: &str| {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertifiedIssuer::self_signed(params, key).unwrap()
    };
    let (right, wrong) = (authority("right"), authority("wrong"));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &right)
        .unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/lockers/local",
        listener.local_addr().unwrap().port()
    );
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async { axum::serve(Tls { listener, acceptor }, router(site)).await });

    let open = |pem: String| {
        let access = Access::basic("admin", "secret".to_owned()).pinned(pem);
        Locker::open(&url, &access)
    };
    let blob = open(right.pem()).unwrap().read("x", None).await.unwrap();
    assert_eq!(blob.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"y");
    let error = open(wrong.pem()).unwrap().get_bytes("x", 9).await.unwrap_err();
    assert!(error.is_away(), "{error:?}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("certificate"), "{cause}");
    assert!(matches!(open("nonsense".to_owned()), Err(Error::Tls { .. })));
}
