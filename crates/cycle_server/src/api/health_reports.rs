//! Reports of guest health: what an administrator says is wrong with the machine of a node.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use protocol::{Level, Priority};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiError;
use crate::app::SharedApp;
use crate::auth::Account;
use crate::lifecycle::news;
use crate::store::{Document, DocumentKind, Node};

/// Longest category, in bytes: `Resource.Hpc.Unhealthy.HpcMissingGpu`.
const MAX_CATEGORY: usize = 256;
/// Longest description, in bytes.
const MAX_DESCRIPTION: usize = 4096;

/// The query of both calls.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    category: Option<String>,
    description: Option<String>,
}

/// `POST /clusters/{cluster}/nodes/{node}/ghr?category=&description=`: keeps the report, and says so in the event log.
pub(super) async fn file(
    State(app): State<SharedApp>,
    account: Account,
    Path((cluster, name)): Path<(String, String)>,
    Query(report): Query<Report>,
) -> Result<StatusCode, ApiError> {
    let category = report.category.unwrap_or_default();
    let description = report.description.unwrap_or_default();
    if category.is_empty() || category.len() > MAX_CATEGORY || !category.starts_with("Resource.") {
        return Err(ApiError::bad_request(format!(
            "the category `{category}` is none: it is for instance `Resource.Hpc.Unhealthy.HpcMissingGpu`"
        )));
    }
    if description.len() > MAX_DESCRIPTION {
        return Err(ApiError::bad_request(format!(
            "the description is longer than {MAX_DESCRIPTION} bytes"
        )));
    }
    let node = node(&app, &cluster, &name).await?;
    let Some(instance) = node.instance_id.clone() else {
        return Err(ApiError::bad_request(format!(
            "the node `{name}` has no machine to report"
        )));
    };
    let now = app.clock.now();
    let document = Document {
        kind: DocumentKind::HealthReport,
        name: String::new(),
        time: now,
        body: json!({
            "category": category,
            "description": description,
            "instanceId": instance,
            "filedBy": account.name(),
            "time": now,
        }),
    };
    let text = format!(
        "Health report `{category}` filed by `{}`: {description}",
        account.name()
    );
    let event = news(&node, now, Level::Error, Priority::High, text);
    match app.store.add_document(&node.id, document, vec![event]).await? {
        true => Ok(StatusCode::ACCEPTED),
        false => Err(ApiError::conflict(format!(
            "a report was already filed for the node `{name}`"
        ))),
    }
}

/// `GET /clusters/{cluster}/nodes/{node}/ghr`: the report that was filed for its machine.
pub(super) async fn one(
    State(app): State<SharedApp>,
    _: Account,
    Path((cluster, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let node = node(&app, &cluster, &name).await?;
    let documents = app.store.documents(&node.id).await?;
    let found = documents
        .into_iter()
        .find(|document| document.kind == DocumentKind::HealthReport);
    let report =
        found.ok_or_else(|| ApiError::not_found(format!("no report was filed for the node `{name}`")))?;
    Ok(Json(report.body))
}

async fn node(app: &SharedApp, cluster: &str, name: &str) -> Result<Node, ApiError> {
    let found = app.store.cluster_and_nodes(cluster).await?;
    let (_, nodes) = found.ok_or_else(|| ApiError::no_cluster(cluster))?;
    let node = nodes
        .into_iter()
        .find(|node| node.name == name || node.id == name);
    node.ok_or_else(|| ApiError::not_found(format!("there is no node `{name}` in cluster `{cluster}`")))
}
