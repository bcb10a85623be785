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

/// Arguments in the shape that the operations of resources have, so that the values in them are looked at.
fn arguments() -> impl Strategy<Value = serde_json::Value> {
    let text = || prop_oneof![3 => ".{0,12}".prop_map(serde_json::Value::from), 1 => value()];
    let number = prop_oneof![
        (0_u64..9).prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
    ];
    let number = move || number.clone();
    let listed = (
        number(),
        text(),
        text(),
        prop_oneof![number(), text()],
        prop_oneof![number(), text()],
    )
        .prop_map(|(depth, resource, action, third, fourth)| {
            serde_json::json!([depth, resource, action, third, fourth])
        });
    let changes = (number(), prop::collection::vec(text(), 0..4))
        .prop_map(|(depth, lines)| serde_json::json!([depth, lines]));
    prop_oneof![value(), listed, changes]
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
            arguments(),
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

/// What a log cannot show is refused: neither the machine's memory nor the run pays for it.
#[test]
fn what_is_no_depth_or_duration_is_refused() {
    let ruby = Try::new();
    for (operation, arguments, refusal) in [
        ("change", "[2**62, ['x']]", "`4611686018427387904` is no depth"),
        ("change", "[false, ['x']]", "`false` is no depth"),
        ("begin", "[-1, 'file[x]', 'create', 'x', 'r']", "`-1` is no depth"),
        (
            "end",
            "[0, 'file[x]', 'create', false, 1e300]",
            "`1e+300` is no duration",
        ),
        (
            "end",
            "[0, 'file[x]', 'create', false, -1.5]",
            "`-1.5` is no duration",
        ),
    ] {
        let code = format!(
            "begin; Jetpack.call('{operation}', {arguments}); rescue ArgumentError => e; e.message; end"
        );
        let answer = ruby.eval(&code);
        assert!(answer.contains(refusal), "{operation} {arguments}: {answer}");
    }
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
