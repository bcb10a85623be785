//! Nodes whose configuration changed are told to converge.

use protocol::{Command, CommandKind};
use uuid::Uuid;

use crate::app::App;
use crate::inbox::Post;
use crate::store::{StoreError, TargetState};

/// Tells those that were not told yet. A broker that is away is no failure: the next run tells them.
pub(super) async fn reconcile(app: &App, post: &dyn Post) -> Result<String, StoreError> {
    let now = app.clock.now();
    let (mut told, mut left) = (0, 0);
    for node in app.store.nodes(None).await? {
        let is_due =
            node.converge_pending && node.claim.is_some() && node.target_state == TargetState::Started;
        if !is_due {
            continue;
        }
        let command = Command {
            id: Uuid::new_v4(),
            timestamp: now,
            cluster_session_id: node.session_id.clone().unwrap_or_default(),
            kind: CommandKind::Converge,
        };
        if post.send(&node.id, command).await.is_err() {
            left += 1;
            continue;
        }
        told += 1;
        app.store
            .edit_node(&node.id, now, |node, _| node.converge_pending = false)
            .await?;
    }
    Ok(format!("{told} nodes told to converge, {left} left"))
}
