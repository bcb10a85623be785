//! What clusters use: which nodes have machines.

use crate::app::App;
use crate::store::{Cluster, Node, Running, Status, StoreError, TargetState};

/// Takes down which nodes have machines now. A machine counts from when it is there to when it is gone, whatever runs on it.
pub(super) async fn reconcile(app: &App) -> Result<String, StoreError> {
    let clusters = app.store.clusters().await?;
    let nodes = app.store.nodes(None).await?;
    let running: Vec<Running> = nodes
        .iter()
        .filter(|node| has_machine(node))
        .map(|node| {
            let cluster = clusters.iter().find(|cluster| cluster.name == node.cluster);
            running(app, cluster, node)
        })
        .collect();
    let count = running.len();
    let changes = app.store.note_usage(running, app.clock.now()).await?;
    Ok(format!("{count} machines, {changes} changes"))
}

fn has_machine(node: &Node) -> bool {
    match node.status {
        Status::Off | Status::Acquiring | Status::Terminated | Status::Deallocated => false,
        Status::Preparing | Status::Ready | Status::Terminating | Status::Deallocating => true,
        // It failed because there was none, or with one.
        Status::Failed => node.machine_failure.is_none() || node.target_state != TargetState::Started,
    }
}

fn running(app: &App, cluster: Option<&Cluster>, node: &Node) -> Running {
    let defined = cluster.and_then(|cluster| cluster.definition.node(&node.template));
    let none = serde_json::Map::new();
    let attributes = defined.map_or(&none, |defined| &defined.attributes);
    Running {
        cluster: node.cluster.clone(),
        node_id: node.id.clone(),
        node: node.name.clone(),
        nodearray: node.array.then(|| node.template.clone()),
        machine_type: node.machine_type.clone(),
        cores: app
            .settings
            .machines
            .machine(&node.machine_type, attributes)
            .cores,
    }
}
