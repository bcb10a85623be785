//! What the pages show, as words.

use jiff::Timestamp;
use protocol::{ConditionStatus, Event, Level, Priority, TestReport};
use serde_json::Value;

use super::converges::ConvergeView;
use crate::lifecycle;
use crate::store::{Cluster, Document, DocumentKind, HeldCondition, Node, State, Status};

/// The order in which statuses are counted.
const STATUSES: [Status; 9] = [
    Status::Ready,
    Status::Preparing,
    Status::Acquiring,
    Status::Failed,
    Status::Terminating,
    Status::Deallocating,
    Status::Deallocated,
    Status::Terminated,
    Status::Off,
];

/// What is around every page.
pub(super) struct Frame {
    /// Which entry of the menu is current.
    pub(super) section: &'static str,
    pub(super) now: Timestamp,
    pub(super) clock: String,
}

impl Frame {
    pub(super) fn new(section: &'static str, now: Timestamp) -> Self {
        Self {
            section,
            now: whole_seconds(now),
            clock: now.strftime("%H:%M:%S").to_string(),
        }
    }
}

/// A cluster and how its nodes are.
pub(super) struct ClusterView {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) class: &'static str,
    pub(super) tally: Tally,
}

impl ClusterView {
    pub(super) fn new<'a>(cluster: &Cluster, nodes: impl Iterator<Item = &'a Node>) -> Self {
        let (state, class) = match cluster.state {
            None => ("Never started", "off"),
            Some(state @ State::Started) => (state.as_str(), "good"),
            Some(state @ (State::Starting | State::Terminating | State::Deallocating)) => {
                (state.as_str(), "busy")
            }
            Some(state @ (State::Terminated | State::Deallocated)) => (state.as_str(), "off"),
        };
        Self {
            name: cluster.name.clone(),
            state,
            class,
            tally: Tally::new(nodes),
        }
    }
}

/// Nodes by status.
pub(super) struct Tally {
    pub(super) total: usize,
    pub(super) parts: Vec<Part>,
}

/// The nodes of one status, as a piece of a bar.
pub(super) struct Part {
    pub(super) status: &'static str,
    pub(super) class: &'static str,
    pub(super) start: usize,
    pub(super) count: usize,
}

impl Tally {
    fn new<'a>(nodes: impl Iterator<Item = &'a Node>) -> Self {
        let mut counts = [0; STATUSES.len()];
        for node in nodes {
            if let Some(at) = STATUSES.iter().position(|status| *status == node.status) {
                counts[at] += 1;
            }
        }
        let mut total = 0;
        let mut parts = Vec::new();
        for (status, count) in STATUSES.into_iter().zip(counts) {
            if count > 0 {
                parts.push(Part {
                    status: status.as_str(),
                    class: class(status),
                    start: total,
                    count,
                });
                total += count;
            }
        }
        Self { total, parts }
    }
}

fn class(status: Status) -> &'static str {
    match status {
        Status::Ready => "good",
        Status::Acquiring | Status::Preparing | Status::Terminating | Status::Deallocating => "busy",
        Status::Failed => "bad",
        Status::Off | Status::Terminated | Status::Deallocated => "off",
    }
}

/// A row of the table of nodes.
pub(super) struct NodeView {
    pub(super) name: String,
    pub(super) template: String,
    pub(super) array: bool,
    pub(super) status: &'static str,
    pub(super) class: &'static str,
    pub(super) phase: String,
    pub(super) hostname: String,
    pub(super) address: String,
    /// Since when it runs, for machines; empty when it does not.
    pub(super) since: String,
    /// For how long, for people.
    pub(super) up: String,
    pub(super) trouble: Option<Trouble>,
    pub(super) conditions: Vec<ConditionView>,
    /// The page of the node.
    pub(super) href: String,
}

/// What a node says is wrong with it.
pub(super) struct ConditionView {
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) class: &'static str,
    pub(super) message: String,
    pub(super) more: Vec<String>,
    pub(super) details: String,
    pub(super) since: Timestamp,
}

impl ConditionView {
    fn new(held: &HeldCondition) -> Self {
        let report = &held.report;
        let more = [&report.description, &report.recommendations];
        Self {
            name: report.name.clone(),
            status: report.status.as_str(),
            class: match report.status {
                ConditionStatus::Error => "bad",
                ConditionStatus::Warning => "warn",
                ConditionStatus::NA | ConditionStatus::Ok => "off",
            },
            message: report.message.clone().unwrap_or_default(),
            more: more.into_iter().flatten().cloned().collect(),
            details: report.details.clone().unwrap_or_default(),
            since: whole_seconds(held.since),
        }
    }
}

/// What a node told of itself.
pub(super) struct Told {
    /// Dotted names and values, by name.
    pub(super) properties: Vec<(String, String)>,
    pub(super) tests: Vec<TestsView>,
    /// The newest first.
    pub(super) converges: Vec<ConvergeView>,
}

/// The last result of the tests of a spec.
pub(super) struct TestsView {
    pub(super) spec: String,
    pub(super) class: &'static str,
    pub(super) summary: String,
    pub(super) time: Timestamp,
    pub(super) failures: Vec<protocol::TestFailure>,
}

impl Told {
    pub(super) fn new(documents: Vec<Document>, now: Timestamp) -> Self {
        let mut told = Self {
            properties: Vec::new(),
            tests: Vec::new(),
            converges: Vec::new(),
        };
        for document in documents {
            match document.kind {
                DocumentKind::Discoverable | DocumentKind::HealthReport => {}
                DocumentKind::Properties => flatten("", &document.body, &mut told.properties),
                DocumentKind::Tests => told.tests.extend(TestsView::new(document)),
                DocumentKind::Converge => {
                    // A later one has begun, so what was at work is not any more.
                    if let Some(last) = told.converges.first_mut() {
                        last.interrupt();
                    }
                    if let Some(converge) = ConvergeView::new(document, now) {
                        told.converges.insert(0, converge);
                    }
                }
            }
        }
        told.properties.sort();
        told
    }
}

impl TestsView {
    fn new(document: Document) -> Option<Self> {
        let report: TestReport = serde_json::from_value(document.body).ok()?;
        let is_good = report.failed == 0 && report.errors == 0;
        Some(Self {
            spec: document.name,
            class: if is_good { "good" } else { "bad" },
            summary: format!(
                "{} passed, {} failed, {} could not be run, {} skipped",
                report.passed, report.failed, report.errors, report.skipped
            ),
            time: whole_seconds(document.time),
            failures: report.failures,
        })
    }
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(tree) => {
            for (key, value) in tree {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, lines);
            }
        }
        Value::String(text) => lines.push((path.to_owned(), text.clone())),
        value => lines.push((path.to_owned(), value.to_string())),
    }
}

/// What is wrong with a node.
pub(super) struct Trouble {
    /// The first line.
    pub(super) message: String,
    /// The rest: the last output of a script.
    pub(super) output: String,
}

impl NodeView {
    /// Standalone nodes first, then arrays; `execute-2` before `execute-10`.
    pub(super) fn all(nodes: &[Node], now: Timestamp) -> Vec<Self> {
        let mut nodes: Vec<&Node> = nodes.iter().collect();
        nodes.sort_by_key(|node| (node.array, &node.template, node.name.len(), &node.name));
        nodes.into_iter().map(|node| Self::new(node, now)).collect()
    }

    pub(super) fn new(node: &Node, now: Timestamp) -> Self {
        let started = node.started.filter(|_| {
            !matches!(
                node.status,
                Status::Off | Status::Terminated | Status::Deallocated
            )
        });
        let trouble = node.trouble().map(|text| {
            let (message, output) = text.split_once('\n').unwrap_or((&text, ""));
            Trouble {
                message: message.to_owned(),
                output: output.trim_end().to_owned(),
            }
        });
        let class = match class(node.status) {
            "good" if trouble.is_some() => "warn",
            class => class,
        };
        Self {
            name: node.name.clone(),
            template: node.template.clone(),
            array: node.array,
            status: node.status.as_str(),
            class,
            phase: node.phase.clone().unwrap_or_default(),
            hostname: node.hostname.clone().unwrap_or_default(),
            address: node.private_ip.clone().unwrap_or_default(),
            since: started
                .map(|time| whole_seconds(time).to_string())
                .unwrap_or_default(),
            up: started
                .map(|time| duration(now.as_second() - time.as_second()))
                .unwrap_or_default(),
            trouble,
            conditions: node.conditions.values().map(ConditionView::new).collect(),
            href: format!("/c/{}/n/{}", quoted(&node.cluster), quoted(&node.name)),
        }
    }
}

/// What an autoscaler wants of an array.
pub(super) struct TargetView {
    pub(super) array: String,
    pub(super) wanted: String,
    pub(super) request_set: String,
    pub(super) expires: Timestamp,
    /// How long it holds yet, for people.
    pub(super) left: String,
}

impl TargetView {
    pub(super) fn all(cluster: &Cluster, now: Timestamp) -> Vec<Self> {
        let targets = lifecycle::targets(cluster, now).into_iter();
        targets
            .map(|target| {
                let parts = [
                    (target.nodes, "nodes"),
                    (target.cores, "cores"),
                    (target.groups, "groups"),
                ];
                let parts = parts
                    .iter()
                    .filter_map(|(count, what)| Some(format!("{} {what}", (*count)?)));
                Self {
                    wanted: parts.collect::<Vec<_>>().join(", "),
                    array: target.array,
                    request_set: target.request_set,
                    expires: whole_seconds(target.expires),
                    left: duration(target.expires.as_second() - now.as_second()),
                }
            })
            .collect()
    }
}

/// A list of events, the newest first.
pub(super) struct Log {
    /// Whether it is the one of all clusters.
    pub(super) site: bool,
    pub(super) events: Vec<EventView>,
    pub(super) choices: Vec<Choice>,
}

/// One event.
pub(super) struct EventView {
    pub(super) time: Timestamp,
    pub(super) clock: String,
    pub(super) level: &'static str,
    pub(super) class: &'static str,
    pub(super) cluster: Option<String>,
    pub(super) node: Option<String>,
    pub(super) message: String,
}

/// A priority to choose.
pub(super) struct Choice {
    pub(super) label: &'static str,
    pub(super) href: String,
    pub(super) current: bool,
}

impl Log {
    /// `path` is the page that the choices lead to; empty: the one they are on.
    pub(super) fn new(events: Vec<Event>, site: bool, priority: Priority, path: &str) -> Self {
        let choice = |label, of: Priority| Choice {
            label,
            href: format!("{path}?priority={}", of.as_str()),
            current: of == priority,
        };
        Self {
            site,
            events: events.into_iter().rev().map(EventView::new).collect(),
            choices: vec![
                choice("All", Priority::Low),
                choice("Medium and high", Priority::Medium),
                choice("High only", Priority::High),
            ],
        }
    }
}

impl EventView {
    fn new(event: Event) -> Self {
        Self {
            clock: event.time.strftime("%d %b %H:%M:%S").to_string(),
            time: whole_seconds(event.time),
            level: event.level.as_str(),
            class: match event.level {
                Level::Info => "off",
                Level::Warn => "warn",
                Level::Error => "bad",
            },
            cluster: event.cluster,
            node: event.node,
            message: event.message,
        }
    }
}

/// A name as a step of a path. Names hold nothing but letters, digits, blanks and `._-+`.
pub(super) fn quoted(name: &str) -> String {
    let mut quoted = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// `42 s`, `7 min`, `3 h 20 min`, `2 d 4 h`.
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (-3, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (12_000, "3 h 20 min"),
            (187_200, "2 d 4 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
