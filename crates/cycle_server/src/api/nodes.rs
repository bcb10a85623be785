//! Nodes: lists, creation, start, termination.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use protocol::rest::{NodeCreationRequest, NodeList, NodeManagementRequest, NodeRecord};
use serde::{Deserialize, Serialize};

use super::ApiError;
use super::body::JsonBody;
use super::operations::{no_request, operation_status};
use super::records::{add_documents, node_record};
use crate::app::SharedApp;
use crate::auth::Account;
use crate::lifecycle::{self, Action, Total};
use crate::store::Edited;

/// The query of `GET /clusters/{cluster}/nodes`.
#[derive(Debug, Deserialize)]
pub(super) struct Selection {
    operation: Option<String>,
    request_id: Option<String>,
}

/// `GET /clusters/{cluster}/nodes?operation=&request_id=`
pub(super) async fn list(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
    Query(selection): Query<Selection>,
) -> Result<Json<NodeList>, ApiError> {
    let (cluster, nodes) = app
        .store
        .cluster_and_nodes(&name)
        .await?
        .ok_or_else(|| ApiError::no_cluster(&name))?;
    let operation = match (&selection.operation, &selection.request_id) {
        (None, None) => None,
        (Some(id), _) => {
            let found = app.store.operation(id).await?;
            let found = found.filter(|operation| operation.cluster == name);
            Some(found.ok_or_else(|| ApiError::not_found(format!("there is no operation `{id}`")))?)
        }
        (None, Some(request)) => {
            let found = app.store.operation_of_request(request).await?;
            let found = found.filter(|operation| operation.cluster == name);
            Some(found.ok_or_else(|| no_request(request))?)
        }
    };
    let is_meant = |id: &String| {
        operation
            .as_ref()
            .is_none_or(|operation| operation.nodes.contains(id))
    };
    Ok(Json(NodeList {
        nodes: nodes
            .iter()
            .filter(|node| is_meant(&node.id))
            .map(|node| node_record(&cluster, node, &app.settings.machines))
            .collect(),
        operation: operation.as_ref().map(operation_status),
    }))
}

/// The query of `GET /cloud/api/nodes`.
#[derive(Debug, Deserialize)]
pub(super) struct OfCluster {
    cluster: Option<String>,
}

/// `GET /cloud/api/nodes?cluster=` (ours): plain records.
pub(super) async fn all(
    State(app): State<SharedApp>,
    _: Account,
    Query(of): Query<OfCluster>,
) -> Result<Json<Vec<NodeRecord>>, ApiError> {
    let machines = &app.settings.machines;
    let clusters = match of.cluster {
        Some(name) => {
            let found = app.store.cluster_and_nodes(&name).await?;
            vec![found.ok_or_else(|| ApiError::no_cluster(&name))?]
        }
        None => {
            let mut all = Vec::new();
            for cluster in app.store.clusters().await? {
                all.extend(app.store.cluster_and_nodes(&cluster.name).await?);
            }
            all
        }
    };
    let records = clusters
        .iter()
        .flat_map(|(cluster, nodes)| nodes.iter().map(|node| node_record(cluster, node, machines)))
        .collect();
    Ok(Json(records))
}

/// `GET /cloud/api/nodes/{node}?cluster=` (ours): the record of one node, by name or id, with `Properties` and `Tests`.
pub(super) async fn one(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
    Query(of): Query<OfCluster>,
) -> Result<Json<NodeRecord>, ApiError> {
    let nodes = app.store.nodes(of.cluster.as_deref()).await?;
    let mut found = nodes
        .into_iter()
        .filter(|node| node.name == name || node.id == name);
    let node = found.next();
    let node = node.ok_or_else(|| ApiError::not_found(format!("there is no node `{name}`")))?;
    if found.next().is_some() {
        return Err(ApiError::bad_request(format!(
            "several clusters have a node `{name}`: name the cluster"
        )));
    }
    let cluster = app.store.cluster(&node.cluster).await?;
    let cluster = cluster.ok_or_else(|| ApiError::no_cluster(&node.cluster))?;
    let mut record = node_record(&cluster, &node, &app.settings.machines);
    add_documents(&mut record, app.store.documents(&node.id).await?);
    Ok(Json(record))
}

/// `POST /clusters/{cluster}/nodes/create`
pub(super) async fn create(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeCreationRequest>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let machines = app.settings.machines.clone();
    let request_id = request.request_id.clone();
    let edited = app
        .store
        .edit_cluster(&name, request_id.as_deref(), now, move |edit| {
            lifecycle::create_nodes(edit, &request, &machines, now)
        })
        .await?;
    let result = done(edited, &name)?;
    app.wake.notify_one();
    Ok(accepted(&app, &result.operation_id, &result))
}

/// `POST /clusters/{cluster}/nodes/start`
pub(super) async fn start(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeManagementRequest>,
) -> Result<Response, ApiError> {
    manage(&app, &account, &name, Action::Start, request).await
}

/// `POST /clusters/{cluster}/nodes/terminate`
pub(super) async fn terminate(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeManagementRequest>,
) -> Result<Response, ApiError> {
    manage(&app, &account, &name, Action::Terminate, request).await
}

/// `POST /clusters/{cluster}/nodes/deallocate`
pub(super) async fn deallocate(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeManagementRequest>,
) -> Result<Response, ApiError> {
    manage(&app, &account, &name, Action::Deallocate, request).await
}

/// `POST /clusters/{cluster}/nodes/shutdown`
pub(super) async fn shutdown(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeManagementRequest>,
) -> Result<Response, ApiError> {
    manage(&app, &account, &name, Action::Shutdown, request).await
}

/// `POST /clusters/{cluster}/nodes/remove`
pub(super) async fn remove(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeManagementRequest>,
) -> Result<Response, ApiError> {
    manage(&app, &account, &name, Action::Remove, request).await
}

/// `POST /clusters/{cluster}/nodes/restart`
pub(super) async fn restart(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeManagementRequest>,
) -> Result<Response, ApiError> {
    manage(&app, &account, &name, Action::Restart, request).await
}

/// `POST /clusters/{cluster}/nodes/reimage`
pub(super) async fn reimage(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<NodeManagementRequest>,
) -> Result<Response, ApiError> {
    manage(&app, &account, &name, Action::Reimage, request).await
}

/// The query of a scale. Numbers are read here, so that an error names them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scale {
    total_core_count: Option<String>,
    total_node_count: Option<String>,
}

impl Scale {
    fn total(&self) -> Result<Total, ApiError> {
        let number = |name: &str, text: &str| {
            text.parse::<u32>()
                .map_err(|_| ApiError::conflict(format!("`{name}` is `{text}`, which is no count")))
        };
        match (&self.total_core_count, &self.total_node_count) {
            (Some(cores), None) => Ok(Total::Cores(number("totalCoreCount", cores)?)),
            (None, Some(nodes)) => Ok(Total::Nodes(number("totalNodeCount", nodes)?)),
            (None, None) => Err(ApiError::conflict(
                "how large? give `totalCoreCount` or `totalNodeCount`",
            )),
            (Some(_), Some(_)) => Err(ApiError::conflict(
                "`totalCoreCount` and `totalNodeCount` exclude each other",
            )),
        }
    }
}

/// `POST /clusters/{cluster}/scale/{nodearray}?totalCoreCount=|totalNodeCount=`
pub(super) async fn scale(
    State(app): State<SharedApp>,
    _: Account,
    Path((name, nodearray)): Path<(String, String)>,
    Query(wanted): Query<Scale>,
) -> Result<Response, ApiError> {
    let total = wanted.total()?;
    let now = app.clock.now();
    let machines = app.settings.machines.clone();
    let edited = app
        .store
        .edit_cluster(&name, None, now, move |edit| {
            lifecycle::scale(edit, &nodearray, total, &machines, now)
        })
        .await?;
    let result = done(edited, &name)?;
    app.wake.notify_one();
    Ok(accepted(&app, &result.operation_id, &result))
}

async fn manage(
    app: &SharedApp,
    _: &Account,
    name: &str,
    action: Action,
    request: NodeManagementRequest,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let machines = app.settings.machines.clone();
    let request_id = request.request_id.clone();
    let edited = app
        .store
        .edit_cluster(name, request_id.as_deref(), now, move |edit| {
            lifecycle::manage(edit, action, &request, &machines, now)
        })
        .await?;
    let result = done(edited, name)?;
    app.wake.notify_one();
    Ok(accepted(app, &result.operation_id, &result))
}

/// What an edit came to, as HTTP sees it.
pub(super) fn done<T, E: Into<ApiError>>(edited: Edited<T, E>, cluster: &str) -> Result<T, ApiError> {
    match edited {
        Edited::Done(result) => Ok(result),
        Edited::Refused(refusal) => Err(refusal.into()),
        Edited::NoCluster => Err(ApiError::no_cluster(cluster)),
    }
}

fn accepted(app: &SharedApp, operation: &str, body: &impl Serialize) -> Response {
    let location = format!("{}/operations/{operation}", app.reach.url);
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(body)).into_response()
}
