//! What became of tests.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use protocol::{TestFailure, TestReport};
use serde::Deserialize;

/// Most failures of a spec that the server is told, and most bytes of the text of one: a message has a limit.
const TOLD_FAILURES: usize = 50;
const TOLD_BYTES: usize = 4 << 10;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// It could not be carried out.
    Error,
    Skipped,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Case {
    /// `FILE` or `FILE::CLASS::FUNCTION`.
    #[serde(rename = "test")]
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) seconds: f64,
    /// Why it did not pass, in one line.
    pub(crate) summary: String,
    /// All that is to say about it.
    pub(crate) details: String,
}

impl Case {
    /// Whether it counts against the node.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.outcome, Outcome::Failed | Outcome::Error)
    }
}

/// The tests of one spec.
#[derive(Debug, Clone)]
pub(crate) struct SpecResult {
    pub(crate) project: String,
    pub(crate) spec: String,
    pub(crate) started: Timestamp,
    pub(crate) seconds: f64,
    pub(crate) cases: Vec<Case>,
}

impl SpecResult {
    /// How many tests ended so.
    pub(crate) fn count(&self, outcome: Outcome) -> u32 {
        let count = self.cases.iter().filter(|case| case.outcome == outcome).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What the server is told.
    pub(crate) fn report(&self) -> TestReport {
        let failures = self.cases.iter().filter(|case| case.is_bad()).take(TOLD_FAILURES);
        TestReport {
            project: self.project.clone(),
            spec: self.spec.clone(),
            passed: self.count(Outcome::Passed),
            failed: self.count(Outcome::Failed),
            errors: self.count(Outcome::Error),
            skipped: self.count(Outcome::Skipped),
            seconds: self.seconds,
            failures: failures
                .map(|case| TestFailure {
                    test: case.name.clone(),
                    message: end_of(&case.summary, &case.details),
                })
                .collect(),
        }
    }
}

/// The end of the details, or the summary if there are none.
fn end_of(summary: &str, details: &str) -> String {
    let text = details.trim_end();
    if text.is_empty() {
        return summary.to_owned();
    }
    let mut start = text.len().saturating_sub(TOLD_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let end = &text[start..];
    if end.contains(summary) {
        end.to_owned()
    } else {
        format!("{end}\n{summary}")
    }
}

/// What the runner of a Python file has written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) cases: Vec<Case>,
    /// The test that had begun last and has no result.
    pub(super) at_work: Option<String>,
    /// The runner that has seen the end of all tests, such as `pytest 8.3.4`.
    pub(super) done: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Start { start: String },
    Case(Case),
    Done { done: String },
}

impl Written {
    /// Reads the lines of results. A last line that was cut off is left out.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut written = Self::default();
        for line in fs::read(path)?.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Start { start }) => written.at_work = Some(start),
                Ok(Line::Case(case)) => {
                    written.at_work = None;
                    written.cases.push(case);
                }
                Ok(Line::Done { done }) => written.done = Some(done),
                Err(_) => {}
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, outcome: Outcome, details: &str) -> Case {
        Case {
            name: name.to_owned(),
            outcome,
            seconds: 0.5,
            summary: "why".to_owned(),
            details: details.to_owned(),
        }
    }

    #[test]
    fn the_server_is_told_the_counts_and_the_end_of_each_failure() {
        let result = SpecResult {
            project: "p".to_owned(),
            spec: "s".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            seconds: 1.5,
            cases: vec![
                case("a", Outcome::Passed, ""),
                case("b", Outcome::Failed, &"ü".repeat(TOLD_BYTES)),
                case("c", Outcome::Error, ""),
                case("d", Outcome::Skipped, ""),
            ],
        };
        let report = result.report();
        assert_eq!(
            (report.passed, report.failed, report.errors, report.skipped),
            (1, 1, 1, 1)
        );
        let told: Vec<_> = report.failures.iter().map(|one| one.test.as_str()).collect();
        assert_eq!(told, ["b", "c"]);
        assert!(report.failures[0].message.len() <= TOLD_BYTES + 4);
        assert!(report.failures[0].message.ends_with("ü\nwhy"));
        assert_eq!(report.failures[1].message, "why");
    }

    #[test]
    fn what_was_written_until_a_crash_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let text = "{\"start\": \"a\"}\n{\"test\": \"a\", \"outcome\": \"passed\", \"seconds\": 0.1, \"summary\": \"\", \
                    \"details\": \"\\ud800\"}\n{\"start\": \"b\"}\n{\"test\": \"b\", \"outc";
        durable::write(&path, 0o600, text.as_bytes()).unwrap();
        let written = Written::read(&path).unwrap();
        assert_eq!(written.at_work.as_deref(), Some("b"));
        assert_eq!(written.done, None);
    }
}
