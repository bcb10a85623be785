//! Nodes that fell silent.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use protocol::{Level, Priority};
use serde_json::Value;

use crate::app::App;
use crate::lifecycle::news;
use crate::store::{Cluster, NewEvent, Node, State, Status, StoreError, TargetState};

/// Heartbeats that may be missed.
const MISSED: u32 = 3;

/// Marks nodes of which nothing was heard for three heartbeats; a message takes the mark away. Gives up those that never join, and
/// calls those ready that are not awaited.
pub(super) async fn reconcile(app: &App) -> Result<String, StoreError> {
    let now = app.clock.now();
    let patience = SignedDuration::try_from(app.settings.heartbeat * MISSED).unwrap_or(SignedDuration::MAX);
    let clusters = app.store.clusters().await?;
    let (mut seen, mut silent, mut overdue) = (0, 0, 0);
    for node in app.store.nodes(None).await? {
        seen += 1;
        let cluster = clusters.iter().find(|cluster| cluster.name == node.cluster);
        let awaited = Awaited::of(cluster, &node, app.settings.boot_limit);
        match awaited.verdict(&node, now, app.started) {
            Verdict::Waits => {}
            Verdict::Ready => {
                app.store
                    .edit_node(&node.id, now, ready_without_jetpack(now))
                    .await?;
                continue;
            }
            Verdict::Overdue(limit) => {
                overdue += 1;
                app.store.edit_node(&node.id, now, give_up(limit, now)).await?;
                continue;
            }
        }
        if !is_silent(&node, now, app.started, patience) {
            continue;
        }
        silent += 1;
        app.store
            .edit_node(&node.id, now, move |node, events| {
                node.unreachable = true;
                let text = "Node is unreachable: no message for three heartbeats";
                events.push(news(node, now, Level::Warn, Priority::Medium, text));
            })
            .await?;
    }
    Ok(format!(
        "{seen} nodes, {silent} fell silent, {overdue} did not join"
    ))
}

/// Whether a node is waited for, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// Its template says `AwaitInstallation = false`: nothing on it will ever speak.
    Never,
    /// As long as this.
    For(Duration),
}

/// What becomes of a node that has not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Waits,
    Ready,
    Overdue(Duration),
}

impl Awaited {
    /// As the node's own attributes say, or its template, or the settings. `AwaitInstallationTimeout` is in minutes.
    fn of(cluster: Option<&Cluster>, node: &Node, standard: Duration) -> Self {
        let defined = cluster.and_then(|cluster| cluster.definition.node(&node.template));
        let attribute = |name: &str| {
            let own = node.attributes.get(name);
            own.or_else(|| defined?.attributes.get(name)).cloned()
        };
        let word = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if attribute("AwaitInstallation").is_some_and(|value| word(value).eq_ignore_ascii_case("false")) {
            return Self::Never;
        }
        let minutes = attribute("AwaitInstallationTimeout").and_then(|value| word(value).parse::<u64>().ok());
        Self::For(minutes.map_or(standard, |minutes| {
            Duration::from_secs(minutes.saturating_mul(60))
        }))
    }

    /// A machine that joined while the server was away could tell nobody: the time counts from when the server was there.
    fn verdict(self, node: &Node, now: Timestamp, server_started: Timestamp) -> Verdict {
        let has_machine = node.target_state == TargetState::Started && node.status == Status::Preparing;
        match self {
            Self::Never if has_machine => Verdict::Ready,
            Self::For(limit) if has_machine && node.claim.is_none() => {
                let since = node.started.unwrap_or(node.created).max(server_started);
                let waited = now.duration_since(since);
                match SignedDuration::try_from(limit) {
                    Ok(most) if waited > most => Verdict::Overdue(limit),
                    _ => Verdict::Waits,
                }
            }
            Self::Never | Self::For(_) => Verdict::Waits,
        }
    }
}

type Edit = Box<dyn FnOnce(&mut Node, &mut Vec<NewEvent>) + Send>;

fn ready_without_jetpack(now: Timestamp) -> Edit {
    Box::new(move |node, events| {
        if node.status == Status::Preparing {
            node.status = Status::Ready;
            node.state = State::Started;
            let text = "Ready: its template says `AwaitInstallation = false`";
            events.push(news(node, now, Level::Info, Priority::Medium, text));
        }
    })
}

/// The node may still join; a success makes it Ready.
fn give_up(limit: Duration, now: Timestamp) -> Edit {
    Box::new(move |node, events| {
        if node.status == Status::Preparing && node.claim.is_none() {
            let text = format!(
                "Awaiting system boot-up: the machine has not joined within {} minutes; look at its console and at the network \
                 between it and this server",
                limit.as_secs().div_ceil(60)
            );
            node.status = Status::Failed;
            node.status_message = Some(text.clone());
            events.push(news(node, now, Level::Error, Priority::High, text));
        }
    })
}

/// Whether a node that should speak does not. While the server was away nobody could be heard.
fn is_silent(node: &Node, now: Timestamp, server_started: Timestamp, patience: SignedDuration) -> bool {
    let speaks = node.target_state == TargetState::Started
        && node.claim.is_some()
        && matches!(node.status, Status::Preparing | Status::Ready | Status::Failed);
    let since = node.last_message.or(node.started).unwrap_or(node.created);
    speaks && !node.unreachable && now.duration_since(since.max(server_started)) > patience
}
