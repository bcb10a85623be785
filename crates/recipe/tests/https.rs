//! Code of recipes over HTTPS, against a server with a certificate of its own.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up is a failed test"
)]

mod harness;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use harness::Try;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Answers each connection once, with what it was asked as the body; its port and its certificate.
fn server() -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let chain = vec![certificate.der().clone()];
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // Who does not believe the certificate is gone.
            let _ = answer(&mut StreamOwned::new(connection, stream));
        }
    });
    (port, certificate.pem())
}

fn answer(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    let whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).to_lowercase();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        (body.len() >= length.map_or(0, |length| length.parse().unwrap())).then_some(())
    };
    while whole(&request).is_none() {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..count]);
    }
    let status = match request.starts_with(b"GET /missing") {
        true => "404 Not Found",
        false => "200 OK",
    };
    let body = if request.starts_with(b"HEAD") {
        &[][..]
    } else {
        &request
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nX-Test: yes\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        request.len()
    )?;
    stream.write_all(body)?;
    stream.flush()
}

#[test]
fn net_http_speaks_https() {
    let (port, pem) = server();
    let ruby = Try::new();
    let ca = ruby.file("ca.pem", &pem).display().to_string();
    let eval = |code: &str| {
        let code = code.replace("PORT", &port.to_string()).replace("CA", &ca);
        ruby.eval(&format!("require 'net/http'; require 'open-uri'; {code}"))
    };
    let session = "h = Net::HTTP.new('localhost', PORT); h.use_ssl = true; h.ca_file = 'CA';";
    let got = eval(&format!(
        "{session} h.get('/a?b=c', 'X-Mine' => 'mine').then {{ |r| [r.code, r['X-Test'], r.body] }}"
    ));
    for part in [
        "\"200\", \"yes\"",
        "GET /a?b=c HTTP/1.1",
        "x-mine: mine",
        "host: localhost:",
    ] {
        assert!(got.to_lowercase().contains(&part.to_lowercase()), "{part}: {got}");
    }
    assert_eq!(
        eval(&format!(
            "{session} [h.get('/missing').class, h.head('/x').then {{ |r| [r.code, r['content-length'].to_i > 20, r.body] }}]"
        )),
        "[Net::HTTPNotFound, [\"200\", true, nil]]"
    );
    let posted = eval(&format!(
        "{session} q = Net::HTTP::Post.new('/p'); q.basic_auth('jo', 'secret'); q.set_form_data('a' => '1 2'); h.start {{ |s| s.request(q).body }}"
    ));
    for part in [
        "POST /p",
        "authorization: Basic am86c2VjcmV0",
        "a=1+2",
        "application/x-www-form-urlencoded",
    ] {
        assert!(
            posted.to_lowercase().contains(&part.to_lowercase()),
            "{part}: {posted}"
        );
    }
    let streamed = eval(&format!(
        "{session} s = +''; h.request_get('/s') {{ |r| r.read_body {{ |piece| s << piece }} }}; s.start_with?('GET /s')"
    ));
    assert_eq!(streamed, "true");
    assert_eq!(
        eval(
            "URI.open('https://localhost:PORT/o', ssl_ca_cert: 'CA').then { |io| [io.status[0], io.read.start_with?('GET /o')] }"
        ),
        "[\"200\", true]"
    );
}

#[test]
fn a_certificate_is_believed_only_when_it_should_be() {
    let (port, _) = server();
    let ruby = Try::new();
    let eval = |code: &str| {
        ruby.eval(&format!(
            "require 'net/http'; {}",
            code.replace("PORT", &port.to_string())
        ))
    };
    let refused = eval("Net::HTTP.get(URI('https://localhost:PORT/')) rescue [$!.class, $!.message]");
    assert!(
        refused.starts_with("[OpenSSL::SSL::SSLError, \"GET https://localhost:"),
        "{refused}"
    );
    assert!(refused.contains("certificate"), "{refused}");
    let session =
        "h = Net::HTTP.new('localhost', PORT); h.use_ssl = true; h.verify_mode = OpenSSL::SSL::VERIFY_NONE;";
    assert_eq!(eval(&format!("{session} h.get('/').code")), "200");
    let missing = eval(
        "h = Net::HTTP.new('localhost', PORT); h.use_ssl = true; h.ca_file = '/none'; h.get('/') rescue $!.message",
    );
    assert!(missing.contains("No such file or directory"), "{missing}");
    let away = eval("Net::HTTP.get(URI('https://localhost:1/')) rescue $!.message");
    assert!(away.contains("refused"), "{away}");
}

/// What OpenSSL makes up must not be the same on all nodes because it was made when the image was.
#[test]
fn each_ruby_has_randomness_of_its_own() {
    let random = || Try::new().eval("OpenSSL::Random.random_bytes(16).unpack1('H*')");
    assert_ne!(random(), random());
}
