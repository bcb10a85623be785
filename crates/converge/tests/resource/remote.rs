//! `remote_file` and `http_request`, from a server of the test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use converge::resource::{Cause, Request};
use serde_json::json;

use crate::law::Scratch;

/// A request as it came: its first line, headers and body.
#[derive(Debug, Clone, Default)]
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A server that knows a few paths: `/file` has an ETag, `/moved` leads to it, `/echo` answers with the body.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn start(content: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&mut stream);
                let answer = answer(&request, content);
                seen.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn read(stream: &mut TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut asked = Asked::default();
    reader.read_line(&mut asked.line).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        asked.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = asked
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    asked.body = String::from_utf8(body).unwrap();
    asked
}

fn answer(asked: &Asked, content: &str) -> String {
    let with = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    };
    let path = asked.line.split(' ').nth(1).unwrap().split('?').next().unwrap();
    match path {
        "/file"
            if asked
                .headers
                .get("if-none-match")
                .is_some_and(|tag| tag == "\"one\"") =>
        {
            with("304 Not Modified", "", "")
        }
        "/file" => with("200 OK", "ETag: \"one\"\r\n", content),
        "/moved" => with("302 Found", "Location: /file\r\n", ""),
        "/loop" => with("302 Found", "Location: /loop\r\n", ""),
        "/echo" => with("200 OK", "", &asked.body),
        _ => with("404 Not Found", "", "there is no such file"),
    }
}

fn remote(path: &str, source: impl Into<String>) -> Request {
    Request::new("remote_file", path).with("source", source.into())
}

#[test]
fn a_file_comes_once_and_is_not_sent_again() {
    let (scratch, server) = (Scratch::new(), Server::start("hello\n"));
    let request = remote("/srv.txt", format!("{}/moved?sig=secret", server.url)).with("mode", "0640");
    let report = scratch.law(&request);
    assert_eq!(
        report.changes,
        ["create new file /srv.txt", "change mode from '' to '0640'"]
    );
    assert_eq!(
        (scratch.read("/srv.txt").as_str(), scratch.mode("/srv.txt")),
        ("hello\n", 0o640)
    );
    assert_eq!(
        server.last().headers.get("if-none-match").map(String::as_str),
        Some("\"one\"")
    );
    // What was changed by hand comes again.
    scratch.write("/srv.txt", "changed\n");
    scratch.law(&request);
    assert_eq!(scratch.read("/srv.txt"), "hello\n");
    let always = request.clone().with("use_conditional_get", false);
    assert!(!scratch.run(&always).unwrap().updated);
    assert_eq!(server.last().headers.get("if-none-match"), None);
}

#[test]
fn a_checksum_is_checked_and_spares_the_download() {
    let (scratch, server) = (Scratch::new(), Server::start("hello\n"));
    let request = |sum: &str| remote("/x", format!("{}/file", server.url)).with("checksum", sum);
    let error = scratch.run(&request("00ff")).unwrap_err();
    assert_eq!(error.cause.exception(), "Chef::Exceptions::ChecksumMismatch");
    assert!(!scratch.path("/x").exists());
    let right = "5891B5B522D5DF086D0FF0B110FBD9D21BB4FC7163AF34D08286A2E846F6BE03";
    scratch.law(&request(right));
    let count = server.count();
    assert!(!scratch.run(&request(right)).unwrap().updated);
    assert_eq!(server.count(), count, "what is there was asked for");
}

#[test]
fn create_if_missing_asks_for_nothing_that_is_there() {
    let (scratch, server) = (Scratch::new(), Server::start("hello\n"));
    scratch.write("/x", "mine");
    let request = remote("/x", format!("{}/file", server.url)).action("create_if_missing");
    assert!(!scratch.run(&request).unwrap().updated);
    assert_eq!(server.count(), 0);
}

#[test]
fn the_first_source_that_answers_is_taken() {
    let (scratch, server) = (Scratch::new(), Server::start("hello\n"));
    let sources = json!([format!("{}/none", server.url), format!("{}/file", server.url)]);
    let request = Request::new("remote_file", "/x").with("source", sources);
    scratch.law(&request);
    let error = scratch
        .run(&remote("/y", format!("{}/none?sig=secret", server.url)))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "remote_file[/y] action create: cannot GET `{}/none`: 404 Not Found: there is no such file",
            server.url
        )
    );
    let error = scratch
        .run(&remote("/y", format!("{}/loop", server.url)))
        .unwrap_err();
    assert!(error.to_string().contains("more than 10"), "{error}");
    let error = scratch.run(&remote("/y", "http://127.0.0.1:1/x")).unwrap_err();
    assert!(matches!(error.cause, Cause::Http { status: None, .. }), "{error}");
    assert!(
        scratch
            .runner(true)
            .run(&remote("/y", "http://127.0.0.1:1/x"))
            .unwrap()
            .updated
    );
    let error = scratch.run(&remote("/y", "ftp://example.com/x")).unwrap_err();
    assert_eq!(error.property.as_deref(), Some("source"), "{error}");
}

#[test]
fn a_file_of_the_machine_is_a_source_too() {
    let scratch = Scratch::new();
    scratch.write("/srv/my file", "local\n");
    scratch.law(&remote("/etc/x", "file:///srv/my%20file"));
    assert_eq!(scratch.read("/etc/x"), "local\n");
    scratch.write("/srv/my file", "newer\n");
    let report = scratch.law(&remote("/etc/x", "/srv/my file"));
    assert!(report.diff.unwrap().contains("-local\n+newer\n"));
    assert!(scratch.run(&remote("/etc/y", "file:///none")).is_err());
}

#[test]
fn requests_are_sent_with_their_message() {
    let (scratch, server) = (Scratch::new(), Server::start(""));
    let request = Request::new("http_request", "tell")
        .with("url", format!("{}/echo?token=secret", server.url))
        .with("headers", json!({ "X-One": "1" }));
    let report = scratch
        .run(
            &request
                .clone()
                .action("post")
                .with("message", json!({ "a": [1] })),
        )
        .unwrap();
    assert_eq!(report.changes, [format!("POST to {}/echo", server.url)]);
    assert_eq!(report.body.unwrap(), b"{\"a\":[1]}");
    assert_eq!(report.result, json!({ "status": 200 }));
    let asked = server.last();
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["x-one"], "1");
    scratch
        .run(&request.clone().action("put").with("message", "text"))
        .unwrap();
    assert_eq!(server.last().body, "text");
    for action in ["get", "head", "delete"] {
        scratch.run(&request.clone().action(action)).unwrap();
        assert!(server.last().line.starts_with(&action.to_ascii_uppercase()));
    }
    let count = server.count();
    assert!(scratch.runner(true).run(&request).unwrap().updated);
    assert_eq!(server.count(), count, "a dry run sent something");
    let gone = Request::new("http_request", format!("{}/none", server.url));
    assert_eq!(
        scratch.run(&gone).unwrap_err().cause.exception(),
        "Net::HTTPServerException"
    );
}
