//! Input that no client sends, and clients that do not read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, connection, queue};
use amq_protocol::types::{AMQPValue, FieldTable};
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicPublishOptions, ConfirmSelectOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::clients::{declare, get, publish};
use crate::support::{DEADLINE, Running, Users, code, eventually, settings};

/// A client that sends what it is told to.
struct Raw {
    stream: TcpStream,
    input: Vec<u8>,
}

fn bytes_of(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame::<Vec<u8>>(frame)(WriteContext::from(Vec::new()))
        .unwrap()
        .into_inner()
        .0
}

impl Raw {
    async fn dial(running: &Running) -> Self {
        Self {
            stream: TcpStream::connect(running.address).await.unwrap(),
            input: Vec::new(),
        }
    }

    async fn send(&mut self, channel: u16, class: AMQPClass) {
        let bytes = bytes_of(&AMQPFrame::Method(channel, class));
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next method; none at the end of the connection.
    async fn method(&mut self) -> Option<AMQPClass> {
        loop {
            if let Ok((rest, frame)) = parse_frame(self.input.as_slice()) {
                self.input = rest.to_vec();
                if let AMQPFrame::Method(_, class) = frame {
                    return Some(class);
                }
                continue;
            }
            let read = timeout(DEADLINE, self.stream.read_buf(&mut self.input))
                .await
                .unwrap();
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// A connection with channel 1, of a client that wants to be told everything.
    async fn open(running: &Running) -> Self {
        let mut raw = Self::dial(running).await;
        raw.stream.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
        raw.method().await.unwrap();
        use connection::AMQPMethod as M;
        let ok = connection::StartOk {
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
            client_properties: capable(),
        };
        raw.send(0, AMQPClass::Connection(M::StartOk(ok))).await;
        let Some(AMQPClass::Connection(M::Tune(tune))) = raw.method().await else {
            panic!("no tune");
        };
        assert_eq!(
            (tune.channel_max, tune.frame_max, tune.heartbeat),
            (2047, 131_072, 60)
        );
        let ok = connection::TuneOk {
            channel_max: 10,
            frame_max: 8192,
            heartbeat: 0,
        };
        raw.send(0, AMQPClass::Connection(M::TuneOk(ok))).await;
        let open = connection::Open {
            virtual_host: "/".into(),
        };
        raw.send(0, AMQPClass::Connection(M::Open(open))).await;
        raw.method().await.unwrap();
        raw.send(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))
            .await;
        raw.method().await.unwrap();
        raw
    }

    /// The code with which the connection is closed.
    async fn closed(&mut self) -> u16 {
        match self.method().await {
            Some(AMQPClass::Connection(connection::AMQPMethod::Close(close))) => close.reply_code,
            other => panic!("{other:?}"),
        }
    }
}

fn capable() -> FieldTable {
    let mut capabilities = FieldTable::default();
    capabilities.insert("connection.blocked".into(), AMQPValue::Boolean(true));
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

fn nested(depth: usize) -> Vec<u8> {
    let mut table = vec![0; 4];
    for _ in 0..depth {
        let mut inner = vec![1, b'k', b'F'];
        inner.extend(&table);
        table = u32::try_from(inner.len()).unwrap().to_be_bytes().to_vec();
        table.extend(inner);
    }
    table
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes.push(206);
    bytes
}

#[tokio::test]
async fn foreign_input_gets_its_code_and_hurts_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let (_connection, other) = running.channel().await;
    declare(&other, "q").await;
    let publish_to_q = bytes_of(&AMQPFrame::Method(
        1,
        AMQPClass::Basic(basic::AMQPMethod::Publish(basic::Publish {
            routing_key: "q".into(),
            ..basic::Publish::default()
        })),
    ));
    let header = |class: u8, size: u8| frame(2, 1, &[0, class, 0, 0, 0, 0, 0, 0, 0, 0, 0, size, 0, 0]);
    let declare_with = |table: &[u8]| {
        let mut payload = vec![0, 50, 0, 10, 0, 0, 1, b'n', 0];
        payload.extend(table);
        frame(1, 1, &payload)
    };
    let joined = |parts: &[&[u8]]| parts.concat();
    let heartbeat = frame(8, 0, &[]);
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("a frame of 2 GiB", vec![1, 0, 1, 0x7f, 0xff, 0xff, 0xff], 501),
        (
            "a frame over the negotiated size",
            vec![3, 0, 1, 0, 0, 0x20, 0],
            501,
        ),
        ("an unknown frame type", frame(9, 0, &[]), 501),
        (
            "a bad frame end",
            {
                let mut bytes = heartbeat.clone();
                bytes[7] = 0;
                bytes
            },
            501,
        ),
        ("tables 1,000 deep", declare_with(&nested(1000)), 501),
        ("tables 33 deep", declare_with(&nested(33)), 501),
        (
            "a table that lies about its length",
            declare_with(&[0, 0, 0, 99, 1]),
            501,
        ),
        ("truncated arguments", frame(1, 1, &[0, 50, 0, 10, 0]), 501),
        ("an unknown class", frame(1, 1, &[0, 99, 0, 10]), 540),
        ("an unknown method", frame(1, 1, &[0, 60, 0, 99]), 540),
        (
            "a method of the server",
            frame(1, 1, &[0, 50, 0, 31, 0, 0, 0, 0]),
            503,
        ),
        (
            "a prefetch size",
            frame(1, 1, &[0, 60, 0, 10, 0, 0, 0, 1, 0, 0, 0]),
            540,
        ),
        (
            "a channel that is not open",
            frame(1, 7, &[0, 60, 0, 100, 1]),
            504,
        ),
        ("a channel opened twice", frame(1, 1, &[0, 20, 0, 10, 0]), 504),
        (
            "a channel above the maximum",
            frame(1, 11, &[0, 20, 0, 10, 0]),
            530,
        ),
        (
            "a queue method on channel 0",
            frame(1, 0, &[0, 50, 0, 30, 0, 0, 0, 0]),
            504,
        ),
        (
            "a connection method on channel 1",
            frame(1, 1, &[0, 10, 0, 51]),
            503,
        ),
        ("a heartbeat on channel 1", frame(8, 1, &[]), 505),
        ("a header without publish", header(60, 1), 505),
        ("a body without publish", frame(3, 1, b"x"), 505),
        (
            "a body without header",
            joined(&[&publish_to_q, &frame(3, 1, b"x")]),
            505,
        ),
        (
            "a header of another class",
            joined(&[&publish_to_q, &header(50, 1)]),
            505,
        ),
        (
            "a body that is too long",
            joined(&[&publish_to_q, &header(60, 1), &frame(3, 1, b"xx")]),
            505,
        ),
        (
            "a method before the content",
            joined(&[&publish_to_q, &frame(1, 1, &[0, 60, 0, 110, 1])]),
            505,
        ),
        ("immediate", frame(1, 1, &[0, 60, 0, 40, 0, 0, 0, 0, 2]), 540),
        (
            "property flags that do not exist",
            joined(&[
                &publish_to_q,
                &frame(2, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ]),
            501,
        ),
    ];
    for (what, bytes, code) in cases {
        let mut raw = Raw::open(&running).await;
        raw.stream.write_all(&bytes).await.unwrap();
        assert_eq!(raw.closed().await, code, "{what}");
        raw.send(
            0,
            AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {})),
        )
        .await;
    }
    assert!(get(&other, "q").await.is_none(), "others go on");
    eventually("all are gone", || running.broker.status().connections.len() == 1).await;
}

#[tokio::test]
async fn what_is_not_amqp_is_told_the_version() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"AMQP\x00\x01\x00\x00", b"AMQX"] {
        let mut raw = Raw::dial(&running).await;
        raw.stream.write_all(hello).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(DEADLINE, raw.stream.read_to_end(&mut answer))
            .await
            .unwrap();
        assert_eq!(answer, b"AMQP\x00\x00\x09\x01");
    }
}

#[tokio::test]
async fn silent_strangers_and_crowds_are_sent_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.handshake_timeout = Duration::from_millis(300);
    settings.max_connections = 3;
    let running = Running::with(settings, Users::guest()).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(Raw::dial(&running).await);
    }
    eventually("three are there", || {
        running.broker.status().connections.len() == 3
    })
    .await;
    let started = Instant::now();
    let mut fourth = Raw::dial(&running).await;
    assert!(fourth.method().await.is_none(), "closed at once");
    assert!(started.elapsed() < Duration::from_millis(250));
    for raw in &mut silent {
        assert!(raw.method().await.is_none(), "closed after the time to log in");
    }
    eventually("there is room again", || {
        running.broker.status().connections.is_empty()
    })
    .await;
    running.connect().await;
}

#[tokio::test]
async fn a_dead_peer_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let mut raw = Raw::dial(&running).await;
    raw.stream.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    raw.method().await.unwrap();
    use connection::AMQPMethod as M;
    let ok = connection::StartOk {
        mechanism: "PLAIN".into(),
        response: "\0guest\0guest".into(),
        locale: "en_US".into(),
        ..connection::StartOk::default()
    };
    raw.send(0, AMQPClass::Connection(M::StartOk(ok))).await;
    raw.method().await.unwrap();
    let ok = connection::TuneOk {
        channel_max: 0,
        frame_max: 0,
        heartbeat: 1,
    };
    raw.send(0, AMQPClass::Connection(M::TuneOk(ok))).await;
    let open = connection::Open {
        virtual_host: "/".into(),
    };
    raw.send(0, AMQPClass::Connection(M::Open(open))).await;
    raw.method().await.unwrap();
    let started = Instant::now();
    assert!(raw.method().await.is_none(), "only heartbeats come, then the end");
    let took = started.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(5)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_little() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let (_connection, channel) = running.channel().await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    declare(&channel, "q").await;
    let mut raw = Raw::open(&running).await;
    let consume = basic::Consume {
        queue: "q".into(),
        no_ack: true,
        ..basic::Consume::default()
    };
    raw.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume)))
        .await;
    raw.method().await.unwrap();
    let body = vec![7; 100_000];
    for _ in 0..300 {
        publish(&channel, "", "q", &body).await;
    }
    // 30 MB were published; what was handed out is what fits the sockets and the bounds.
    let status = running.broker.status();
    assert!(status.queues[0].ready > 150, "{status:?}");
    // Once it reads, everything comes.
    let mut count = 0;
    while count < 300 {
        match raw.method().await {
            Some(AMQPClass::Basic(basic::AMQPMethod::Deliver(_))) => count += 1,
            other => panic!("{other:?}"),
        }
    }
    // Requests whose answers it does not read stop being read.
    let declare = bytes_of(&AMQPFrame::Method(
        1,
        AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
            queue: "q".into(),
            passive: true,
            ..queue::Declare::default()
        })),
    ))
    .repeat(1000);
    let flood = async {
        loop {
            raw.stream.write_all(&declare).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(5), flood).await.is_err());
    assert!(publish(&channel, "", "q", b"others go on").await.is_ack());
}

#[tokio::test]
async fn bodies_that_are_on_the_disk_leave_the_memory() {
    const COUNT: u32 = 400;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.memory_limit = 1024 * 1024;
    settings.segment_size = 1024 * 1024;
    let body = |number: u32| {
        let mut body = vec![u8::try_from(number % 251).unwrap(); 20_000];
        body[..4].copy_from_slice(&number.to_be_bytes());
        body
    };
    let running = Running::with(settings.clone(), Users::guest()).await;
    let (connection, publisher) = running.channel().await;
    publisher
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    declare(&publisher, "q").await;
    declare(&publisher, "other").await;
    let mut most = 0;
    for number in 0..COUNT {
        assert!(publish(&publisher, "", "q", &body(number)).await.is_ack());
        // What goes again makes the log move what stays.
        publish(&publisher, "", "other", &body(number)).await;
        let message = get(&publisher, "other").await.unwrap();
        message.ack(BasicAckOptions::default()).await.unwrap();
        most = most.max(running.broker.status().memory);
    }
    assert!(most < 1024 * 1024, "{most} of {} bytes", COUNT * 20_000);
    let half = |from: u32, to: u32, channel: lapin::Channel| async move {
        for number in from..to {
            let message = get(&channel, "q").await.unwrap();
            assert!(message.data == body(number), "{number}");
            message.ack(BasicAckOptions::default()).await.unwrap();
        }
    };
    half(0, COUNT / 2, publisher.clone()).await;
    connection.close(200, "".into()).await.unwrap();
    running.broker.shutdown().await;
    drop(running);
    // After a restart, too, only some are in memory, and all are there.
    let running = Running::with(settings, Users::guest()).await;
    assert!(running.broker.status().memory < 1024 * 1024);
    let (_connection, channel) = running.channel().await;
    half(COUNT / 2, COUNT, channel.clone()).await;
    assert!(get(&channel, "q").await.is_none());
    eventually("memory is free", || running.broker.status().memory == 0).await;
}

#[tokio::test]
async fn publishers_wait_when_the_disk_has_little_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.disk_free_limit = u64::MAX;
    let running = Running::with(settings, Users::guest()).await;
    eventually("the disk is looked at", || running.broker.status().blocked).await;
    let status = running.broker.status();
    assert!(status.trouble.unwrap().contains("bytes free"), "and why");
    let mut raw = Raw::open(&running).await;
    let declare = queue::AMQPMethod::Declare(queue::Declare {
        queue: "q".into(),
        ..queue::Declare::default()
    });
    raw.send(1, AMQPClass::Queue(declare)).await;
    assert!(
        matches!(raw.method().await, Some(AMQPClass::Queue(_))),
        "who does not publish is served"
    );
    let publish = basic::Publish {
        routing_key: "q".into(),
        ..basic::Publish::default()
    };
    raw.send(1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)))
        .await;
    let header = [&[0, 60, 0, 0][..], &0u64.to_be_bytes(), &[0, 0]].concat();
    raw.stream.write_all(&frame(2, 1, &header)).await.unwrap();
    match raw.method().await {
        Some(AMQPClass::Connection(connection::AMQPMethod::Blocked(blocked))) => {
            assert_eq!(blocked.reason.as_str(), "low on disk");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_vhost_may_be_closed_to_a_user() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let uri = running.uri("guest", "guest").replace("%2f", "closed");
    let refused = lapin::Connection::connect(&uri, lapin::ConnectionProperties::default()).await;
    assert_eq!(code(refused), 530);
}

#[tokio::test]
async fn publishers_wait_when_memory_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.memory_limit = 1024 * 1024;
    let running = Running::with(settings, Users::guest()).await;
    let (_consuming, consumer) = running.channel().await;
    declare(&consumer, "q").await;
    let (_connection, publisher) = running.channel().await;
    publisher
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let body = vec![7; 50_000];
    let publishing = tokio::spawn(async move {
        for _ in 0..60 {
            // Transient ones have no other place than memory.
            let sent = publisher.basic_publish(
                "".into(),
                "q".into(),
                BasicPublishOptions::default(),
                &body,
                BasicProperties::default(),
            );
            sent.await.unwrap().await.unwrap();
        }
    });
    eventually("publishers wait", || running.broker.status().blocked).await;
    let status = running.broker.status();
    assert!(status.memory < 1_200_000, "{status:?}");
    assert!(!publishing.is_finished());
    // Another connection takes messages away, and it goes on.
    let mut taken = 0;
    let deadline = Instant::now() + DEADLINE;
    while taken < 60 {
        assert!(Instant::now() < deadline, "only {taken} came");
        if let Some(message) = get(&consumer, "q").await {
            message.ack(BasicAckOptions::default()).await.unwrap();
            taken += 1;
        }
    }
    timeout(DEADLINE, publishing).await.unwrap().unwrap();
    eventually("memory is free", || running.broker.status().memory == 0).await;
    assert!(!running.broker.status().blocked);
}

#[tokio::test]
async fn tls_is_spoken() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::clone(&roots),
        Arc::clone(&provider),
    )
    .allow_unauthenticated()
    .build()
    .unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certified.cert.der().clone()], key.clone_key())
        .unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = running.broker.clone();
    tokio::spawn(async move { broker.listen(listener, Some(Arc::new(server))).await });
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    let mut start = [0; 11];
    timeout(DEADLINE, stream.read_exact(&mut start))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(start[7..], [0, 10, 0, 10], "connection.start");
    // Its certificate says who it is.
    let ok = connection::StartOk {
        mechanism: "EXTERNAL".into(),
        locale: "en_US".into(),
        ..connection::StartOk::default()
    };
    let class = AMQPClass::Connection(connection::AMQPMethod::StartOk(ok));
    stream
        .write_all(&bytes_of(&AMQPFrame::Method(0, class)))
        .await
        .unwrap();
    let mut said = Vec::new();
    let is_there = |said: &[u8], text: &[u8]| said.windows(text.len()).any(|part| part == text);
    while !is_there(&said, &[0, 10, 0, 30]) {
        let read = timeout(DEADLINE, stream.read_buf(&mut said)).await.unwrap();
        assert!(read.unwrap() > 0, "{said:?}");
    }
    assert!(
        is_there(&said, b"EXTERNAL PLAIN"),
        "offered to who has a certificate"
    );
    // Plain text to the same port is refused, and hurts nobody.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, plain.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.starts_with(b"AMQP"));
}
