//! Whatever Ruby sends through its door gets an answer, and Ruby lives on.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up is a failed test"
)]

mod harness;

use harness::Try;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Operations that cannot hurt the machine that tests run on, whatever they are given.
const HARMLESS: [&str; 22] = [
    "stat", "lstat", "access", "boot", "config", "file", "log", "phase", "begin", "end", "change", "skipped",
    "retry", "ignored", "ids", "user", "group", "users", "zone", "wait", "getpgid", "nonsense",
];

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map("[a-z]{0,6}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn every_request_gets_an_answer() {
    let ruby = Try::new();
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let requests = prop::collection::vec(
        (
            prop::sample::select(&HARMLESS[..]),
            value(),
            any::<Option<Vec<u8>>>(),
        ),
        20,
    );
    TestRunner::new(config)
        .run(&requests, |requests| {
            let lines: Vec<String> = requests
                .iter()
                .map(|(operation, arguments, bytes)| {
                    let json = serde_json::json!([operation, arguments]).to_string();
                    let hex: String = bytes.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
                    let json: String = json.bytes().map(|byte| format!("{byte:02x}")).collect();
                    format!(
                        "JS.eval([{json:?}].pack('H*') + {}[{hex:?}].pack('H*'))",
                        if bytes.is_some() { "\"\\0\" + " } else { "\"\" + " }
                    )
                })
                .collect();
            let code = format!(
                "[{}].all? {{ |answer| answer.to_s.start_with?('{{\"r\":', '{{\"e\":') }}",
                lines.join(",\n")
            );
            prop_assert_eq!(ruby.eval(&code), "true");
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_is_no_request_gets_an_answer() {
    let ruby = Try::new();
    let mut runner = TestRunner::new(Config {
        cases: 16,
        failure_persistence: None,
        ..Config::default()
    });
    let requests = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 30);
    runner
        .run(&requests, |requests| {
            let texts: Vec<String> = requests
                .iter()
                .map(|bytes| {
                    format!(
                        "{:?}",
                        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                    )
                })
                .collect();
            let code = format!(
                "[{}].all? {{ |hex| JS.eval([hex].pack('H*')).to_s.start_with?('{{\"e\"') }}",
                texts.join(",")
            );
            prop_assert_eq!(ruby.eval(&code), "true");
            Ok(())
        })
        .unwrap();
}
