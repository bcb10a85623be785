//! Whole clusters: lists, start, termination, retry.

use axum::Json;
use axum::extract::{Path, Query, State};
use protocol::rest::ClusterSummary;
use serde::Deserialize;

use super::ApiError;
use super::nodes::done;
use super::records::{array_targets, node_record};
use crate::app::{App, SharedApp};
use crate::auth::Account;
use crate::lifecycle::{self, Refusal};
use crate::reconcile;
use crate::store::{Cluster, ClusterEdit, Node};

/// `GET /cloud/clusters` (ours)
pub(super) async fn list(
    State(app): State<SharedApp>,
    _: Account,
) -> Result<Json<Vec<ClusterSummary>>, ApiError> {
    let mut summaries = Vec::new();
    for cluster in app.store.clusters().await? {
        if let Some((cluster, nodes)) = app.store.cluster_and_nodes(&cluster.name).await? {
            summaries.push(summary(&app, &cluster, &nodes));
        }
    }
    Ok(Json(summaries))
}

/// `GET /cloud/clusters/{name}` (ours)
pub(super) async fn one(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
) -> Result<Json<ClusterSummary>, ApiError> {
    let found = app.store.cluster_and_nodes(&name).await?;
    let (cluster, nodes) = found.ok_or_else(|| ApiError::no_cluster(&name))?;
    Ok(Json(summary(&app, &cluster, &nodes)))
}

/// The query of a start.
#[derive(Debug, Deserialize)]
pub(super) struct Mode {
    #[serde(default)]
    test_mode: bool,
}

/// `POST /cloud/actions/startcluster/{name}?test_mode=true`
pub(super) async fn start(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    Query(mode): Query<Mode>,
) -> Result<String, ApiError> {
    let now = app.clock.now();
    change(&app, &account, &name, move |edit| {
        lifecycle::start_in_mode(edit, mode.test_mode, now);
    })
    .await?;
    Ok(format!("Starting cluster {name}....\n"))
}

/// `POST /cloud/actions/terminatecluster/{name}`
pub(super) async fn terminate(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
) -> Result<String, ApiError> {
    let now = app.clock.now();
    change(&app, &account, &name, move |edit| lifecycle::terminate(edit, now)).await?;
    Ok(format!("Terminating cluster {name}....\n"))
}

/// The query of a removal.
#[derive(Debug, Deserialize)]
pub(super) struct Force {
    #[serde(default)]
    force: bool,
}

/// `POST /cloud/actions/removecluster/{name}?force=true`
pub(super) async fn remove(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
    Query(query): Query<Force>,
) -> Result<String, ApiError> {
    let now = app.clock.now();
    let edited = app
        .store
        .edit_cluster(&name, None, now, move |edit| {
            lifecycle::remove(edit, query.force, now)
        })
        .await?;
    let at_once = done(edited, &name)?;
    if at_once && !reconcile::remove_cluster(&app, &name).await? {
        return Err(ApiError::conflict(format!(
            "the cluster `{name}` was started meanwhile"
        )));
    }
    app.wake.notify_one();
    Ok(format!("Removing cluster {name}....\n"))
}

/// `POST /cloud/actions/retry/{name}`
pub(super) async fn retry(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
) -> Result<String, ApiError> {
    let now = app.clock.now();
    let count = change(&app, &account, &name, move |edit| lifecycle::retry(edit, now)).await?;
    Ok(format!("Retrying {count} failed nodes of cluster {name}....\n"))
}

async fn change<T: Send + 'static>(
    app: &App,
    _: &Account,
    name: &str,
    work: impl FnOnce(&mut ClusterEdit) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let now = app.clock.now();
    let edited = app
        .store
        .edit_cluster(name, None, now, move |edit| Ok::<_, Refusal>(work(edit)))
        .await?;
    let result = done(edited, name)?;
    app.wake.notify_one();
    Ok(result)
}

fn summary(app: &App, cluster: &Cluster, nodes: &[Node]) -> ClusterSummary {
    ClusterSummary {
        name: cluster.name.clone(),
        state: cluster.state.map(|state| state.as_str().to_owned()),
        target_state: cluster.target_state.map(|state| state.as_str().to_owned()),
        nodes: nodes
            .iter()
            .map(|node| node_record(cluster, node, &app.settings.machines))
            .collect(),
        targets: array_targets(cluster, app.clock.now()),
    }
}
