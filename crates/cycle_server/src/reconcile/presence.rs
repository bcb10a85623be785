//! Nodes that fell silent.

use jiff::{SignedDuration, Timestamp};
use protocol::{Level, Priority};

use crate::app::App;
use crate::lifecycle::news;
use crate::store::{Node, Status, StoreError, TargetState};

/// Heartbeats that may be missed.
const MISSED: u32 = 3;

/// Marks nodes of which nothing was heard for three heartbeats. A message takes the mark away.
pub(super) async fn reconcile(app: &App) -> Result<String, StoreError> {
    let now = app.clock.now();
    let patience = SignedDuration::try_from(app.settings.heartbeat * MISSED).unwrap_or(SignedDuration::MAX);
    let (mut seen, mut silent) = (0, 0);
    for node in app.store.nodes(None).await? {
        seen += 1;
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
    Ok(format!("{seen} nodes, {silent} fell silent"))
}

/// Whether a node that should speak does not. While the server was away nobody could be heard.
fn is_silent(node: &Node, now: Timestamp, server_started: Timestamp, patience: SignedDuration) -> bool {
    let speaks = node.target_state == TargetState::Started
        && node.claim.is_some()
        && matches!(node.status, Status::Preparing | Status::Ready | Status::Failed);
    let since = node.last_message.or(node.started).unwrap_or(node.created);
    speaks && !node.unreachable && now.duration_since(since.max(server_started)) > patience
}
