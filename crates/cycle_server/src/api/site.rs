//! What anybody may know of the server, and how its automation is.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::app::SharedApp;
use crate::auth::Account;
use crate::reconcile::Report;

/// `GET /healthz`
pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /ca.pem`
pub(super) async fn ca(State(app): State<SharedApp>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/x-pem-file")], app.reach.ca.clone())
}

/// `GET /cloud/api/reconcilers` (ours): the last run of each.
pub(super) async fn reconcilers(State(app): State<SharedApp>, _: Account) -> Json<Vec<Report>> {
    Json(app.board.reports())
}
