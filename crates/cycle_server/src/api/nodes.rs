//! Nodes: lists, creation, start, termination.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use protocol::rest::{
    NodeCreationRequest, NodeList, NodeManagementRequest, NodeManagementResult, NodeRecord,
};
use serde::{Deserialize, Serialize};

use super::ApiError;
use super::body::JsonBody;
use super::operations::{no_request, operation_status};
use super::records::{add_documents, node_record};
use crate::app::SharedApp;
use crate::auth::Account;
use crate::lifecycle::{self, Action, Chosen, Total};
use crate::store::{Cluster, Edited, Node};
use crate::template::{Filter, FilterError};

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
    filter: Option<String>,
}

/// `GET /cloud/api/nodes?cluster=&filter=` (ours): plain records.
pub(super) async fn all(
    State(app): State<SharedApp>,
    _: Account,
    Query(of): Query<OfCluster>,
) -> Result<Json<Vec<NodeRecord>>, ApiError> {
    let filter = filter(of.filter.as_deref()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let mut records = records(&app, of.cluster.as_deref()).await?;
    records.retain(|record| filter.as_ref().is_none_or(|filter| filter.matches(record)));
    Ok(Json(records))
}

/// The records of the nodes of a cluster, or of all.
async fn records(app: &SharedApp, cluster: Option<&str>) -> Result<Vec<NodeRecord>, ApiError> {
    let machines = &app.settings.machines;
    let clusters = match cluster {
        Some(name) => {
            let found = app.store.cluster_and_nodes(name).await?;
            vec![found.ok_or_else(|| ApiError::no_cluster(name))?]
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
        .flat_map(|(cluster, nodes)| nodes.iter().map(|node| node_record(cluster, node, machines)));
    Ok(records.collect())
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

/// The query of a termination by filter.
#[derive(Debug, Deserialize)]
pub(super) struct ByFilter {
    #[serde(rename = "instance-filter")]
    instance_filter: Option<String>,
    filter: Option<String>,
}

/// `POST /cloud/actions/terminate_node/{cluster}?instance-filter=HostName in {"a","b"}`
pub(super) async fn terminate_by_filter(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    Query(query): Query<ByFilter>,
) -> Result<String, ApiError> {
    let filter = query.instance_filter.or(query.filter);
    if filter.as_ref().is_none_or(|filter| filter.trim().is_empty()) {
        return Err(ApiError::bad_request(
            "the request names no node: give an `instance-filter`",
        ));
    }
    let request = NodeManagementRequest {
        filter,
        ..NodeManagementRequest::default()
    };
    let result = manage_nodes(&app, &account, &name, Action::Terminate, request).await?;
    if result.nodes.is_empty() {
        // Clients look for this sentence.
        return Err(ApiError::not_found("No instances were found matching your query"));
    }
    let mut text = String::new();
    for node in &result.nodes {
        match &node.error {
            None => text.push_str(&format!("Terminating {}....\n", node.name)),
            Some(error) => text.push_str(&format!("{error}\n")),
        }
    }
    Ok(text)
}

/// The query of a look into the store.
#[derive(Debug, Deserialize)]
pub(super) struct Records {
    /// The attributes that are wanted, with commas; none: all.
    attr: Option<String>,
    /// Which nodes.
    f: Option<String>,
    format: Option<String>,
}

/// `GET /db/Cloud.Node?attr=NodeId&f=HostName === "x"&format=json`: a list of records.
pub(super) async fn database(
    State(app): State<SharedApp>,
    _: Account,
    Query(query): Query<Records>,
) -> Result<Json<Vec<NodeRecord>>, ApiError> {
    if let Some(format) = query.format.filter(|format| format != "json") {
        return Err(ApiError::bad_request(format!(
            "the format `{format}` is not `json`"
        )));
    }
    let filter = filter(query.f.as_deref()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let wanted: Vec<&str> = query
        .attr
        .iter()
        .flat_map(|attr| attr.split(','))
        .map(str::trim)
        .collect();
    let mut records = records(&app, None).await?;
    records.retain(|record| filter.as_ref().is_none_or(|filter| filter.matches(record)));
    if !wanted.is_empty() {
        for record in &mut records {
            record.retain(|key, _| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(key)));
        }
    }
    Ok(Json(records))
}

/// A filter of a query or a request; an empty one is none.
fn filter(text: Option<&str>) -> Result<Option<Filter>, FilterError> {
    text.filter(|text| !text.trim().is_empty())
        .map(Filter::parse)
        .transpose()
}

async fn manage(
    app: &SharedApp,
    account: &Account,
    name: &str,
    action: Action,
    request: NodeManagementRequest,
) -> Result<Response, ApiError> {
    let result = manage_nodes(app, account, name, action, request).await?;
    Ok(accepted(app, &result.operation_id, &result))
}

async fn manage_nodes(
    app: &SharedApp,
    _: &Account,
    name: &str,
    action: Action,
    request: NodeManagementRequest,
) -> Result<NodeManagementResult, ApiError> {
    let now = app.clock.now();
    let machines = app.settings.machines.clone();
    let request_id = request.request_id.clone();
    let filter = filter(request.filter.as_deref()).map_err(|error| ApiError::conflict(error.to_string()))?;
    let edited = app
        .store
        .edit_cluster(name, request_id.as_deref(), now, move |edit| {
            let all = machines.clone();
            let chosen = filter.map(|filter| {
                move |cluster: &Cluster, node: &Node| filter.matches(&node_record(cluster, node, &all))
            });
            let chosen = chosen.as_ref().map(|chosen| chosen as Chosen<'_>);
            lifecycle::manage(edit, action, &request, chosen, &machines, now)
        })
        .await?;
    let result = done(edited, name)?;
    app.wake.notify_one();
    Ok(result)
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
