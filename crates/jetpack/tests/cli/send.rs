//! `jetpack send`, form by form.

use serde_json::json;

use crate::home::{Home, NOT_RUNNING};

/// `hello` in base64.
const HELLO: &str = "aGVsbG8=";

#[test]
fn a_text_goes_under_exactly_the_key_given() {
    let home = Home::joined("[]");
    let expected = json!({"routing_key": "a.#.*é", "content_type": "text/plain", "body": HELLO});
    for line in [
        &["send", "hello", "--routing-key", "a.#.*é"][..],
        &["send", "--routing-key=a.#.*é", "hello"],
        &["send", "-k", "a.#.*é", "hello"],
        &["send", "hello", "-ka.#.*é"],
    ] {
        let run = home.keeps(line, "custom", &expected);
        assert_eq!(run.stderr, NOT_RUNNING);
    }
    home.keeps(
        &["send", "", "-k", ""],
        "custom",
        &json!({"routing_key": "", "content_type": "text/plain", "body": ""}),
    );
    home.keeps(
        &["send", "hello"],
        "custom",
        &json!({"routing_key": "my_demo.00ab.custom", "content_type": "text/plain", "body": HELLO}),
    );
}

#[test]
fn a_file_goes_byte_by_byte_with_type_and_headers() {
    let home = Home::joined("[]");
    home.write("qstat.json", "{}");
    home.write("x", "hello");
    let path = |name| home.path().join(name).display().to_string();
    home.keeps(
        &["send", "--file", &path("qstat.json"), "-k", "a"],
        "custom",
        &json!({"routing_key": "a", "content_type": "application/json", "body": "e30="}),
    );
    home.keeps(
        &[
            "send",
            "-f",
            &path("x"),
            "--header",
            "format=v2",
            "--header=b=x=y",
            "-k",
            "a",
            "--content-type",
            "application/x-mine",
        ],
        "custom",
        &json!({
            "routing_key": "a", "content_type": "application/x-mine", "headers": {"b": "x=y", "format": "v2"},
            "body": HELLO,
        }),
    );
    let run = home.run_with_input(&["send", "--file", "-", "-k", "a"], b"\xff\x00");
    assert_eq!((run.code, run.stderr.as_str()), (0, NOT_RUNNING), "{run:?}");
    let expected = json!({"routing_key": "a", "content_type": "application/octet-stream", "body": "/wA="});
    assert_eq!(home.outbox(), [("custom".to_owned(), expected)]);
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_with_it() {
    let home = Home::joined("[]");
    home.misused(&["send"], "  <TEXT|--file <FILE>>");
    home.misused(
        &["send", "x", "--file", "y"],
        "Error: the argument '[TEXT]' cannot be used with '--file <FILE>'",
    );
    home.misused(
        &["send", "x", "--header", "y"],
        "Error: invalid value 'y' for '--header <KEY=VALUE>': it is not KEY=VALUE",
    );
    home.misused(
        &["send", "x", "--header", "=y"],
        "Error: invalid value '=y' for '--header <KEY=VALUE>': it has no key",
    );
    let long = "k".repeat(256);
    for (option, name) in [
        ("-k", "--routing-key <KEY>"),
        ("--content-type", "--content-type <TYPE>"),
    ] {
        home.misused(
            &["send", "x", option, &long],
            &format!(
                "Error: invalid value '{long}' for '{name}': it has 256 bytes, more than the 255 of AMQP"
            ),
        );
    }
    home.keeps(
        &["send", "hello", "-k", &long[1..]],
        "custom",
        &json!({"routing_key": &long[1..], "content_type": "text/plain", "body": HELLO}),
    );
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let home = Home::joined("[]");
    home.fails(
        &["send", "x", "--header", "a=1", "--header", "a=2"],
        "Error: the header `a` is given twice\n",
    );
    home.fails(
        &["send", "--file", "/no/such", "-k", "a"],
        "Error: cannot read `/no/such`: No such file or directory (os error 2)\n",
    );
    let run = home.run_with_input(&["send", "--file", "-", "-k", "a"], &vec![0; (720 << 10) + 1]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            1,
            "Error: standard input has more than the limit of 737280 bytes\n"
        ),
        "{run:?}"
    );
    assert_eq!(home.outbox(), []);
    let run = home.run_with_input(&["send", "--file", "-", "-k", "a"], &vec![0; 720 << 10]);
    assert_eq!(run.code, 0, "{run:?}");
    let large = format!("a={}", "x".repeat(40_000));
    home.fails(
        &["send", "x", "--header", &large],
        "Error: the sum of the headers has 40001 bytes, more than the limit of 32768\n",
    );
}

#[test]
fn a_node_without_a_name_must_say_the_key() {
    let home = Home::initialized();
    home.fails(
        &["send", "x"],
        "Error: this node has not joined its cluster yet, so it has no routing key of its own\n\
         Hint: say the routing key with --routing-key\n",
    );
    home.keeps(
        &["send", "hello", "-k", "a"],
        "custom",
        &json!({"routing_key": "a", "content_type": "text/plain", "body": HELLO}),
    );
}
