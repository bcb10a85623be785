use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn outbox(limits: Limits) -> (tempfile::TempDir, Outbox) {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::with_limits(folder.path().join("outbox"), limits);
    (folder, outbox)
}

fn add(outbox: &Outbox, second: i64, text: &str) -> Result<Envelope, Error> {
    outbox.enqueue(
        &Sender::default(),
        at(second),
        MessageType::Log,
        &json!({"message": text}),
    )
}

fn texts(outbox: &Outbox) -> Vec<String> {
    outbox
        .waiting()
        .unwrap()
        .iter()
        .map(|entry| match outbox.read(entry).unwrap() {
            Message::Read(envelope) => envelope.data["message"].as_str().unwrap().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn messages_come_out_in_the_order_of_their_making_even_when_the_clock_is_set_back() {
    let (_folder, outbox) = outbox(Limits::default());
    add(&outbox, 2_000, "one").unwrap();
    add(&outbox, 1_000, "two").unwrap();
    add(&outbox, 1_000, "three").unwrap();
    assert_eq!(texts(&outbox), ["one", "two", "three"]);
}

#[test]
fn numbers_rise_over_an_empty_outbox_when_the_clock_is_set_back() {
    let (_folder, outbox) = outbox(Limits::default());
    let first = add(&outbox, 2_000, "one").unwrap();
    outbox.remove(&outbox.waiting().unwrap()).unwrap();
    assert!(outbox.waiting().unwrap().is_empty());
    let second = add(&outbox, 1_000, "two").unwrap();
    assert!(second.sequence > first.sequence);
}

#[test]
fn files_have_the_documented_name_and_mode() {
    use std::os::unix::fs::MetadataExt;
    let (_folder, outbox) = outbox(Limits::default());
    let envelope = add(&outbox, 1_000, "one").unwrap();
    assert_eq!(envelope.sequence, 1_000_000_000);
    let path = outbox
        .folder()
        .join(format!("00000000001000000000-{}.json", envelope.id));
    assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_full_outbox_refuses_and_keeps_what_it_has() {
    let (_folder, outbox) = outbox(Limits {
        messages: 2,
        ..Limits::default()
    });
    add(&outbox, 1, "one").unwrap();
    add(&outbox, 2, "two").unwrap();
    let error = add(&outbox, 3, "three").unwrap_err().to_string();
    assert!(error.contains("outbox` is full: 2 messages"), "{error}");
    assert!(error.contains("limit 2 messages"), "{error}");
    assert_eq!(texts(&outbox), ["one", "two"]);
}

#[test]
fn the_size_of_all_and_of_one_message_is_bounded() {
    let (_folder, outbox) = outbox(Limits {
        messages: 100,
        bytes: 1_000,
        message_bytes: 600,
    });
    assert!(matches!(
        add(&outbox, 1, &"x".repeat(600)),
        Err(Error::TooLarge { limit: 600, .. })
    ));
    add(&outbox, 1, &"x".repeat(200)).unwrap();
    add(&outbox, 1, &"x".repeat(200)).unwrap();
    assert!(matches!(
        add(&outbox, 1, &"x".repeat(200)),
        Err(Error::Full { .. })
    ));
    assert_eq!(outbox.waiting().unwrap().len(), 2);
}

#[test]
fn a_broken_file_is_moved_aside_and_the_others_stay() {
    let (_folder, outbox) = outbox(Limits::default());
    let broken = add(&outbox, 1, "one").unwrap();
    add(&outbox, 2, "two").unwrap();
    let entry = Entry {
        sequence: broken.sequence,
        id: broken.id,
    };
    durable::write(&outbox.folder().join(entry.file_name()), 0o640, b"{\"id\": 1").unwrap();
    let Message::Broken { to, .. } = outbox.read(&entry).unwrap() else {
        panic!("the file is not a message")
    };
    assert!(to.exists());
    assert_eq!(texts(&outbox), ["two"]);
}

#[test]
fn a_leftover_of_a_killed_writer_is_cleared_and_never_listed() {
    let (_folder, outbox) = outbox(Limits::default());
    add(&outbox, 1, "one").unwrap();
    let leftover = outbox.folder().join(".new-abc");
    durable::write(&leftover, 0o600, b"{\"half").unwrap();
    assert_eq!(outbox.waiting().unwrap().len(), 1);
    add(&outbox, 2, "two").unwrap();
    assert!(!leftover.exists());
    assert_eq!(texts(&outbox), ["one", "two"]);
}

#[test]
fn writers_in_many_threads_lose_nothing_and_share_no_number() {
    let (_folder, outbox) = outbox(Limits::default());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let outbox = &outbox;
            scope.spawn(move || {
                for number in 0..25 {
                    add(outbox, 1, &format!("{writer} {number}")).unwrap();
                }
            });
        }
    });
    let waiting = outbox.waiting().unwrap();
    assert_eq!(waiting.len(), 100);
    assert!(waiting.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    let texts = texts(&outbox);
    for writer in 0..4 {
        let own: Vec<_> = texts
            .iter()
            .filter(|text| text.starts_with(&format!("{writer} ")))
            .cloned()
            .collect();
        let wanted: Vec<_> = (0..25).map(|number| format!("{writer} {number}")).collect();
        assert_eq!(own, wanted, "order of one writer");
    }
}
