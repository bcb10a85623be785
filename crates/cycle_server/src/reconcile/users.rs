//! Nodes that know an old list of users are told to fetch the new one.

use std::collections::BTreeMap;

use protocol::{Command, CommandKind};
use uuid::Uuid;

use crate::app::App;
use crate::inbox::Post;
use crate::lifecycle::{digest, users_of};
use crate::store::{StoreError, TargetState};

/// Tells those that were not told yet. A broker that is away is no failure: the next run tells them.
pub(super) async fn reconcile(app: &App, post: &dyn Post) -> Result<String, StoreError> {
    let now = app.clock.now();
    let accounts = app.store.accounts().await?;
    let mut digests = BTreeMap::new();
    for cluster in app.store.clusters().await? {
        let users = users_of(&cluster, &accounts);
        digests.insert(cluster.name, digest(&users));
    }
    let (mut told, mut left) = (0, 0);
    for node in app.store.nodes(None).await? {
        let Some(digest) = digests.get(&node.cluster) else {
            continue;
        };
        let hears = node.claim.is_some() && node.target_state == TargetState::Started;
        if !hears || node.users.as_ref() == Some(digest) {
            continue;
        }
        let command = Command {
            id: Uuid::new_v4(),
            timestamp: now,
            cluster_session_id: node.session_id.clone().unwrap_or_default(),
            kind: CommandKind::Users,
        };
        if post.send(&node.id, command).await.is_err() {
            left += 1;
            continue;
        }
        told += 1;
        let digest = digest.clone();
        app.store
            .edit_node(&node.id, now, move |node, _| node.users = Some(digest))
            .await?;
    }
    Ok(format!("{told} nodes told of other users, {left} left"))
}
