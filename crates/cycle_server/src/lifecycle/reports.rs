//! What nodes tell of themselves: conditions, properties, results of tests.

use jiff::Timestamp;
use protocol::{Condition, ConditionStatus, Installation, Level, Priority, Properties, TestReport};
use serde_json::Value;

use super::message::cut;
use super::news::news;
use crate::store::{Document, DocumentKind, HeldCondition, NewEvent, Node};

/// Most conditions of a node. More are the work of a script that makes up names.
const MAX_CONDITIONS: usize = 200;
/// Most failed tests that are kept of a report.
const MAX_FAILURES: usize = 200;
/// Most scripts that are kept of a converge.
const MAX_STEPS: usize = 1000;
/// Most resources that are kept of a converge, the slowest.
const MAX_SLOWEST: usize = 50;
/// Longest name of a condition, in bytes.
const MAX_NAME: usize = 256;

/// Keeps a condition until the node says that all is well. Says when it begins, becomes another one, and ends.
pub(super) fn condition(node: &mut Node, mut report: Condition, time: Timestamp, events: &mut Vec<NewEvent>) {
    if report.name.is_empty() || report.name.len() > MAX_NAME {
        let text = "A condition without a name, or with one that is too long, was ignored";
        events.push(news(node, time, Level::Warn, Priority::Low, text));
        return;
    }
    for text in [
        &mut report.message,
        &mut report.description,
        &mut report.recommendations,
        &mut report.details,
    ] {
        *text = text.take().map(|text| cut(&text));
    }
    let name = report.name.clone();
    let old = node.conditions.get(&name);
    if report.status == ConditionStatus::Ok {
        if node.conditions.remove(&name).is_some() {
            let text = format!("Condition `{name}` ended");
            events.push(news(node, time, Level::Info, Priority::Medium, text));
        }
        return;
    }
    if old.is_none() && node.conditions.len() >= MAX_CONDITIONS {
        let text = format!("Condition `{name}` was ignored: the node has {MAX_CONDITIONS} already");
        events.push(news(node, time, Level::Warn, Priority::Low, text));
        return;
    }
    let since = old
        .filter(|old| old.report.status == report.status)
        .map(|old| old.since);
    if since.is_none() {
        let (level, priority) = match report.status {
            ConditionStatus::Error => (Level::Error, Priority::High),
            ConditionStatus::Warning => (Level::Warn, Priority::Medium),
            ConditionStatus::NA | ConditionStatus::Ok => (Level::Info, Priority::Low),
        };
        let what = report.message.as_ref().or(report.description.as_ref());
        let what = what.map(|what| format!(": {what}")).unwrap_or_default();
        let text = format!("Condition `{name}` is {}{what}", report.status.as_str());
        events.push(news(node, time, level, priority, cut(&text)));
    }
    let held = HeldCondition {
        since: since.unwrap_or(time),
        report,
    };
    node.conditions.insert(name, held);
}

/// The properties of a node, as it has them now.
pub(super) fn properties(properties: Properties, time: Timestamp) -> Document {
    Document {
        kind: DocumentKind::Properties,
        name: String::new(),
        time,
        body: Value::Object(properties.properties),
    }
}

/// What became of the tests of a spec, for the event log.
pub(super) fn test_event(node: &Node, report: &TestReport, time: Timestamp) -> NewEvent {
    let mut text = format!(
        "tests of {}:{}: {} passed, {} failed",
        report.project, report.spec, report.passed, report.failed
    );
    for (count, word) in [(report.errors, "could not be run"), (report.skipped, "skipped")] {
        if count > 0 {
            text.push_str(&format!(", {count} {word}"));
        }
    }
    let is_good = report.failed == 0 && report.errors == 0;
    let (level, priority) = match is_good {
        true => (Level::Info, Priority::Medium),
        false => (Level::Error, Priority::High),
    };
    for failure in report.failures.iter().take(20) {
        let message = failure.message.trim().lines().last().unwrap_or_default();
        text.push_str(&format!("\n{}: {message}", failure.test));
    }
    news(node, time, level, priority, cut(&text))
}

/// The last result of a spec's tests.
pub(super) fn tests(mut report: TestReport, time: Timestamp) -> Option<Document> {
    report.failures.truncate(MAX_FAILURES);
    for failure in &mut report.failures {
        failure.message = cut(&failure.message);
    }
    Some(Document {
        kind: DocumentKind::Tests,
        name: cut(&format!("{}:{}", report.project, report.spec)),
        time,
        body: serde_json::to_value(report).ok()?,
    })
}

/// How a converge stands. Each message about it replaces the one before; none for nodes that do not say when it began.
pub(super) fn converge(report: &Installation, time: Timestamp) -> Option<Document> {
    let started = report.started?;
    let mut report = report.clone();
    report.steps.truncate(MAX_STEPS);
    if let Some(recipes) = &mut report.recipes {
        recipes.slowest.truncate(MAX_SLOWEST);
        for slow in &mut recipes.slowest {
            slow.resource = cut(&slow.resource);
            slow.action = cut(&slow.action);
        }
    }
    if let Some(failure) = &mut report.failure {
        failure.message = cut(&failure.message);
        failure.output = cut(&failure.output);
    }
    Some(Document {
        kind: DocumentKind::Converge,
        name: format!("{:020}", started.as_microsecond().max(0)),
        time,
        body: serde_json::to_value(report).ok()?,
    })
}

#[cfg(test)]
mod unit_tests {
    use protocol::TestFailure;

    use super::super::fixture;
    use super::*;

    fn report(status: ConditionStatus, message: &str) -> Condition {
        Condition {
            name: "gpu".to_owned(),
            status,
            message: Some(message.to_owned()),
            description: None,
            recommendations: None,
            details: None,
            action_type: None,
            ghr_category: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_condition_is_said_when_it_begins_changes_and_ends() {
        let mut node = fixture::node("head", false);
        let mut events = Vec::new();
        let mut say = |status, message, second| {
            condition(&mut node, report(status, message), at(second), &mut events);
            (node.conditions.get("gpu").cloned(), events.len())
        };
        assert_eq!(say(ConditionStatus::Ok, "", 0), (None, 0), "there was none");
        say(ConditionStatus::Warning, "one is slow", 1);
        let (held, count) = say(ConditionStatus::Warning, "two are slow", 2);
        let held = held.unwrap();
        assert_eq!((held.since, count), (at(1), 1), "no news");
        assert_eq!(held.report.message.as_deref(), Some("two are slow"));
        let (held, count) = say(ConditionStatus::Error, "none answers", 3);
        assert_eq!((held.unwrap().since, count), (at(3), 2));
        assert_eq!(say(ConditionStatus::Ok, "", 4), (None, 3));
        let levels: Vec<_> = events.iter().map(|event| (event.level, event.priority)).collect();
        assert_eq!(
            levels,
            [
                (Level::Warn, Priority::Medium),
                (Level::Error, Priority::High),
                (Level::Info, Priority::Medium)
            ]
        );
        assert_eq!(events[1].message, "Condition `gpu` is Error: none answers");
    }

    #[test]
    fn tests_that_failed_are_errors() {
        let node = fixture::node("head", false);
        let mut report = TestReport {
            project: "demo".to_owned(),
            spec: "execute".to_owned(),
            passed: 4,
            failed: 1,
            failures: vec![TestFailure {
                test: "test_x.py::test_a".to_owned(),
                message: "Traceback\nAssertionError: 1 != 2\n".to_owned(),
            }],
            ..TestReport::default()
        };
        let event = test_event(&node, &report, at(0));
        assert_eq!((event.level, event.priority), (Level::Error, Priority::High));
        assert_eq!(
            event.message,
            "tests of demo:execute: 4 passed, 1 failed\ntest_x.py::test_a: AssertionError: 1 != 2"
        );
        (report.failed, report.failures) = (0, Vec::new());
        let event = test_event(&node, &report, at(0));
        assert_eq!((event.level, event.priority), (Level::Info, Priority::Medium));
        assert_eq!(event.message, "tests of demo:execute: 4 passed, 0 failed");
    }
}
