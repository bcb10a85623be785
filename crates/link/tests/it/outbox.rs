//! Many processes write to one outbox, and are killed while they do.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use link::outbox::{Message, Outbox, Sender};
use protocol::MessageType;
use serde_json::json;

const FOLDER: &str = "LINK_TEST_OUTBOX";
const WRITER: &str = "LINK_TEST_WRITER";

/// Not a test of its own: the program that the tests below start. It writes until it is killed, or 30 messages.
#[test]
fn writer() {
    let (Some(folder), Ok(writer)) = (std::env::var_os(FOLDER), std::env::var(WRITER)) else {
        return;
    };
    let outbox = Outbox::new(PathBuf::from(folder));
    let count = if writer.starts_with("endless") {
        usize::MAX
    } else {
        30
    };
    for number in 0..count {
        let data = json!({"writer": writer, "number": number, "ballast": "x".repeat(2000)});
        outbox
            .enqueue(&Sender::default(), Timestamp::now(), MessageType::Log, &data)
            .unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test starts itself")]
fn start(outbox: &Outbox, writer: &str) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outbox::writer"])
        .env(FOLDER, outbox.folder())
        .env(WRITER, writer)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What waits, as (writer, number), in order.
fn waiting(outbox: &Outbox) -> Vec<(String, u64)> {
    let entries = outbox.waiting().unwrap();
    assert!(
        entries.windows(2).all(|pair| pair[0].sequence < pair[1].sequence),
        "no number twice"
    );
    entries
        .iter()
        .map(|entry| match outbox.read(entry).unwrap() {
            Message::Read(envelope) => (
                envelope.data["writer"].as_str().unwrap().to_owned(),
                envelope.data["number"].as_u64().unwrap(),
            ),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn processes_that_write_at_the_same_time_lose_nothing_and_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(folder.path().join("outbox"));
    let writers: Vec<_> = (0..4).map(|number| format!("w{number}")).collect();
    let children: Vec<_> = writers.iter().map(|writer| start(&outbox, writer)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let waiting = waiting(&outbox);
    for writer in &writers {
        let own: Vec<_> = waiting
            .iter()
            .filter(|(name, _)| name == writer)
            .map(|(_, number)| *number)
            .collect();
        assert_eq!(own, (0..30).collect::<Vec<_>>());
    }
}

#[test]
fn a_writer_that_is_killed_leaves_whole_messages_only_and_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(folder.path().join("outbox"));
    for round in 0..8 {
        let writer = format!("endless{round}");
        let mut child = start(&outbox, &writer);
        let deadline = Instant::now() + Duration::from_secs(20);
        // At another place in its work each time.
        let enough = 3 + round;
        while waiting(&outbox)
            .iter()
            .filter(|(name, _)| *name == writer)
            .count()
            < enough
        {
            assert!(Instant::now() < deadline, "the writer does not write");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let own: Vec<_> = waiting(&outbox)
            .into_iter()
            .filter(|(name, _)| *name == writer)
            .map(|(_, number)| number)
            .collect();
        assert_eq!(own, (0..own.len() as u64).collect::<Vec<_>>(), "no gap");
    }
    outbox
        .enqueue(
            &Sender::default(),
            Timestamp::now(),
            MessageType::Log,
            &json!({"writer": "last", "number": 0}),
        )
        .unwrap();
    let leftovers = std::fs::read_dir(outbox.folder())
        .unwrap()
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with(".new-")
        })
        .count();
    assert_eq!(leftovers, 0);
}
