//! Whatever is asked, under dry run nothing changes and nothing crashes.

use converge::resource::{Kind, Request, Type, catalogue};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::law::Scratch;

/// Texts that mean something to one property or another, and some that mean trouble.
const TEXTS: [&str; 26] = [
    "",
    " ",
    "/",
    "/etc/x",
    "/etc/passwd",
    "/srv",
    "/srv/none/x",
    "relative",
    "../../etc/passwd",
    "/etc/../../x",
    "me",
    "mine",
    "no-one",
    "0644",
    "9999",
    "-1",
    "u+x",
    "*/5",
    "a,b",
    "a b",
    "x\ny",
    "(",
    "^root.*$",
    "file:///etc/passwd",
    "ünïcödé\u{7f}",
    "%{path}",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(TEXTS.as_slice()).prop_map(str::to_owned),
        1 => "\\PC{0,20}".prop_filter("no network is asked", |text| !text.contains("://")),
    ]
}

fn value(types: &'static [Type], one_of: &'static [&'static str]) -> BoxedStrategy<Value> {
    if !one_of.is_empty() {
        return proptest::sample::select(one_of).prop_map(Value::from).boxed();
    }
    let of = |kind: &Type| -> BoxedStrategy<Value> {
        match kind {
            Type::String => text().prop_map(Value::from).boxed(),
            Type::Integer => prop_oneof![-2..20_i64, Just(i64::MAX), Just(i64::MIN)]
                .prop_map(Value::from)
                .boxed(),
            Type::Float => (-1.0..1e18_f64).prop_map(Value::from).boxed(),
            Type::Boolean => any::<bool>().prop_map(Value::from).boxed(),
            Type::Array => proptest::collection::vec(text(), 0..3)
                .prop_map(Value::from)
                .boxed(),
            Type::Hash => proptest::collection::btree_map(text(), text(), 0..3)
                .prop_map(|map| json!(map))
                .boxed(),
            Type::Regexp => text()
                .prop_map(|source| json!({ "regexp": source, "options": "im" }))
                .boxed(),
        }
    };
    let all: &'static [Type] = if types.is_empty() {
        &[Type::String, Type::Boolean]
    } else {
        types
    };
    proptest::sample::select(all)
        .prop_flat_map(move |kind| of(&kind))
        .boxed()
}

/// A request of a kind with some of its properties, mostly of the right types.
fn request(kind: &'static Kind) -> impl Strategy<Value = Request> {
    let properties: Vec<_> = kind
        .properties
        .iter()
        .map(|property| {
            let value = value(property.types, property.one_of);
            let likely = prop_oneof![2 => value.prop_map(Some), 3 => Just(None)];
            (Just(property.name), likely)
        })
        .collect();
    let body = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    (text(), proptest::sample::select(kind.actions), properties, body).prop_map(
        move |(name, action, properties, body)| {
            let mut request = Request::new(kind.name, name).action(action);
            for (property, value) in properties {
                if let Some(value) = value {
                    request = request.with(property, value);
                }
            }
            request.body = body.filter(|_| kind.body.is_some());
            request
        },
    )
}

#[test]
fn a_dry_run_of_anything_changes_nothing() {
    let scratch = Scratch::new();
    scratch.write("/srv/below/x", "x\n");
    scratch.write("/etc/fstab", "UUID=1 / ext4 defaults 0 1\n");
    let before = scratch.state();
    let runner = scratch.runner(true);
    let mut tests = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    for kind in catalogue() {
        let result = tests.run(&request(kind), |request| {
            // What it says does not matter here, only that it says something.
            let _ = runner.run(&request).map_err(|error| error.to_string());
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{}: {error}", kind.name));
        assert_eq!(
            scratch.state(),
            before,
            "a dry run of `{}` changed something",
            kind.name
        );
    }
}

#[test]
fn a_file_takes_whatever_is_asked_by_the_law() {
    let file = catalogue().find(|kind| kind.name == "file").unwrap();
    let mut tests = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let requests = request(file).prop_filter("commands and times repeat themselves", |request| {
        request.action.as_deref() != Some("touch") && !request.properties.contains_key("verify")
    });
    let result = tests.run(&requests, |request| {
        let scratch = Scratch::new();
        if scratch.run(&request).is_ok() {
            let again = scratch.run(&request).unwrap();
            prop_assert_eq!(again.changes, Vec::<String>::new(), "{:?}", request);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
