//! Calls that were accepted.

use axum::Json;
use axum::extract::{Path, Query, State};
use protocol::rest::OperationStatus;
use serde::Deserialize;

use super::ApiError;
use crate::app::SharedApp;
use crate::auth::Account;
use crate::store::Operation;

/// Most operations in a list.
const MAX_LIST: u32 = 1000;

/// The query of `GET /operations/`.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    request_id: Option<String>,
}

/// `GET /operations/?request_id=`
pub(super) async fn list(
    State(app): State<SharedApp>,
    _: Account,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<OperationStatus>>, ApiError> {
    let operations = match wanted.request_id {
        Some(request) => {
            let found = app.store.operation_of_request(&request).await?;
            vec![found.ok_or_else(|| no_request(&request))?]
        }
        None => app.store.operations(MAX_LIST).await?,
    };
    Ok(Json(operations.iter().map(operation_status).collect()))
}

/// `GET /operations/{id}`
pub(super) async fn one(
    State(app): State<SharedApp>,
    _: Account,
    Path(id): Path<String>,
) -> Result<Json<OperationStatus>, ApiError> {
    let found = app.store.operation(&id).await?;
    let found = found.ok_or_else(|| ApiError::not_found(format!("there is no operation `{id}`")))?;
    Ok(Json(operation_status(&found)))
}

/// An operation as clients see it.
pub(super) fn operation_status(operation: &Operation) -> OperationStatus {
    OperationStatus {
        action: operation.action.clone(),
        start_time: operation.start_time.to_string(),
    }
}

/// 404 with the text by which clients know that they may make the request.
pub(super) fn no_request(request: &str) -> ApiError {
    ApiError::not_found(format!("No operation found for request id {request}"))
}
