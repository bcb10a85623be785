//! Errors as clients see them: a status and `{"error": "<sentence>"}`.

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::lifecycle::Refusal;
use crate::store::StoreError;

/// Why a request was not carried out.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    /// A status and a sentence for people.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// 400
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: nobody said who they are.
    pub(crate) fn no_credential() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "name and password are needed")
    }

    /// 401: nobody is that.
    pub(crate) fn wrong_credential() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong name or password")
    }

    /// 403
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 404 for a cluster.
    pub(super) fn no_cluster(name: &str) -> Self {
        Self::not_found(format!("there is no cluster `{name}`"))
    }

    /// 409
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 500. The cause goes into the log, not to the client.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = terminal::chain(error), "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed to do this; the cause is in its log",
        )
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict(refusal.0)
    }
}

impl From<locker::Error> for ApiError {
    fn from(error: locker::Error) -> Self {
        use locker::Error;
        let status = match &error {
            error if error.is_not_found() => StatusCode::NOT_FOUND,
            Error::Path(_) => StatusCode::BAD_REQUEST,
            Error::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            error if error.is_away() => StatusCode::SERVICE_UNAVAILABLE,
            _ => return Self::internal(&error),
        };
        Self::new(status, terminal::chain(&error))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.message }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"cycle_server\", charset=\"UTF-8\""),
            );
        }
        response
    }
}
