//! What the nodes of a cluster keep for each other: `jetpack sync kv`. The cluster is always that of the caller's credential.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::check_name;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiError;
use super::body::JsonBody;
use crate::app::SharedApp;
use crate::auth::NodeIdentity;
use crate::store::{KeyVersion, MAX_KEYS, Refused};

/// Most bytes of a value.
const MAX_VALUE: usize = 64 << 10;
/// The longest that a caller is kept waiting; less than clients and proxies wait for an answer.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// How often a waiting caller looks without being told: another server on the same store may have written.
const FALLBACK: Duration = Duration::from_secs(2);

/// How a value is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// The version that the caller knows: it wants the next one. 0 is a key that does not exist.
    not_version: Option<i64>,
}

/// For which version a change is meant.
#[derive(Debug, Deserialize)]
pub(super) struct Condition {
    if_version: Option<i64>,
}

/// A new value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewValue {
    value: String,
}

/// `GET /clusterlink/sync/kv` (ours): the keys and their versions.
pub(super) async fn list(
    State(app): State<SharedApp>,
    identity: NodeIdentity,
) -> Result<Json<Vec<KeyVersion>>, ApiError> {
    Ok(Json(app.store.sync_keys(&identity.node().cluster).await?))
}

/// `GET /clusterlink/sync/kv/{key}` (ours): the value and its version. With `not_version` when it has another one than that; 204
/// when that takes longer than a caller can be kept waiting.
pub(super) async fn value(
    State(app): State<SharedApp>,
    Path(key): Path<String>,
    Query(wanted): Query<Wanted>,
    identity: NodeIdentity,
) -> Result<Response, ApiError> {
    check_key(&key)?;
    let cluster = &identity.node().cluster;
    let mut changes = app.store.revision();
    let deadline = tokio::time::Instant::now() + MAX_WAIT;
    loop {
        // A change from here on is not missed.
        changes.borrow_and_update();
        match (app.store.sync_value(cluster, &key).await?, wanted.not_version) {
            (Some(found), known) if known != Some(found.version) => return Ok(Json(found).into_response()),
            (None, None) => return Err(ApiError::not_found(format!("there is no key `{key}`"))),
            _ => {}
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(FALLBACK) => {}
            () = tokio::time::sleep_until(deadline) => break,
            () = app.stopping.cancelled() => break,
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `PUT /clusterlink/sync/kv/{key}` (ours): writes a value, with `if_version` only in the place of that version.
pub(super) async fn put(
    State(app): State<SharedApp>,
    Path(key): Path<String>,
    Query(condition): Query<Condition>,
    identity: NodeIdentity,
    JsonBody(new): JsonBody<NewValue>,
) -> Result<Json<Value>, ApiError> {
    check_key(&key)?;
    let bytes = new.value.len();
    if bytes > MAX_VALUE {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the value of `{key}` has {bytes} bytes, more than {MAX_VALUE}"),
        ));
    }
    let cluster = &identity.node().cluster;
    let put = app
        .store
        .put_sync_value(cluster, &key, new.value, condition.if_version)
        .await?;
    let version = put.map_err(|refused| refusal(&key, condition.if_version, refused))?;
    Ok(Json(json!({ "key": key, "version": version })))
}

/// `DELETE /clusterlink/sync/kv/{key}` (ours): removes a key, with `if_version` only that version of it. None is fine.
pub(super) async fn delete(
    State(app): State<SharedApp>,
    Path(key): Path<String>,
    Query(condition): Query<Condition>,
    identity: NodeIdentity,
) -> Result<StatusCode, ApiError> {
    check_key(&key)?;
    let cluster = &identity.node().cluster;
    app.store
        .delete_sync_value(cluster, &key, condition.if_version)
        .await?
        .map_err(|refused| refusal(&key, condition.if_version, refused))?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_key(key: &str) -> Result<(), ApiError> {
    check_name("key", key).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn refusal(key: &str, known: Option<i64>, refused: Refused) -> ApiError {
    ApiError::conflict(match (refused, known) {
        (Refused::Version(0), _) => format!("there is no key `{key}`"),
        (Refused::Version(found), Some(0)) => format!("the key `{key}` exists, with version {found}"),
        (Refused::Version(found), known) => format!(
            "the key `{key}` has version {found}, not {}",
            known.unwrap_or_default()
        ),
        (Refused::Full, _) => format!("the cluster has {MAX_KEYS} keys, no more can be added"),
    })
}
