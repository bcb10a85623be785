//! Clusters: the nodes of a start, and the state that follows from the nodes.

use protocol::{Level, Priority};

use crate::app::App;
use crate::lifecycle::{self, Refusal};
use crate::store::{Cluster, ClusterEdit, NewEvent, Node, Status, StoreError, TargetState};

/// Removes a cluster whose nodes are all off, if that is still wanted.
pub(crate) async fn remove(app: &App, name: &str) -> Result<bool, StoreError> {
    let now = app.clock.now();
    let text = format!("Cluster `{name}` removed");
    let event = NewEvent {
        time: now,
        cluster: Some(name.to_owned()),
        node: None,
        level: Level::Info,
        priority: Priority::Medium,
        category: "cluster",
        message: text,
    };
    let is_over = |cluster: &Cluster, nodes: &[Node]| {
        cluster.target_state != Some(TargetState::Started)
            && nodes.iter().all(|node| node.status == Status::Off)
    };
    app.store.remove_cluster(name, now, vec![event], is_over).await
}

/// Settles each cluster that is not settled.
pub(super) async fn reconcile(app: &App) -> Result<String, StoreError> {
    let (mut seen, mut changed) = (0, 0);
    let now = app.clock.now();
    for cluster in app.store.clusters().await? {
        let Some((cluster, nodes)) = app.store.cluster_and_nodes(&cluster.name).await? else {
            continue;
        };
        seen += 1;
        if cluster.remove_pending && remove(app, &cluster.name).await? {
            changed += 1;
            continue;
        }
        // Tried on a copy first: most of the time there is nothing to write.
        let mut trial = ClusterEdit {
            cluster: cluster.clone(),
            nodes: nodes.clone(),
            request_known: false,
            operation: None,
            events: Vec::new(),
        };
        lifecycle::settle(&mut trial, &app.settings.machines, now);
        if trial.cluster == cluster && trial.nodes == nodes && trial.events.is_empty() {
            continue;
        }
        changed += 1;
        let machines = app.settings.machines.clone();
        app.store
            .edit_cluster(&cluster.name, None, now, move |edit| {
                lifecycle::settle(edit, &machines, now);
                Ok::<_, Refusal>(())
            })
            .await?;
    }
    Ok(format!("{seen} clusters, {changed} changed"))
}
