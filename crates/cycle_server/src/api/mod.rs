//! The REST API: one file for each resource.
//!
//! Handlers translate between HTTP and the rooms that do the work; rules live in `lifecycle`. Every handler but
//! those of `site` takes an identity from `auth` among its arguments.

mod body;
mod clusterlink;
mod clusters;
mod configuration;
mod discoverable;
mod error;
mod events;
mod health_reports;
mod import;
mod issues;
mod lockers;
mod messages;
mod nodes;
mod operations;
mod records;
mod site;
mod status;
mod sync;
mod usage;
mod users;

pub use configuration::{ConfigurationError, node_configuration};
pub use error::ApiError;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use tower_http::trace::TraceLayer;

use crate::app::SharedApp;
use crate::auth::Account;
use crate::inbox::Post;
use crate::web::{self, Pages};

/// Most bytes of a body, save that of a blob.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// All that the server serves over HTTP.
///
/// What nodes want published goes to `courier`.
pub fn router(app: SharedApp, courier: Arc<dyn Post>) -> Router {
    let pages = Pages {
        store: app.store.clone(),
        clock: app.clock.clone(),
        stopping: app.stopping.clone(),
    };
    let pages = web::pages(pages).layer(axum::middleware::from_fn_with_state(app.clone(), only_accounts));
    let userdata = get(clusterlink::userdata).layer(Extension(courier.clone()));
    let secret = post(clusterlink::secret).layer(Extension(courier.clone()));
    let passing = get(messages::stream).layer(Extension(courier.clone()));
    let messages = post(clusterlink::messages).layer(Extension(courier));
    Router::new()
        .route("/healthz", get(site::health))
        .route("/ca.pem", get(site::ca))
        .route("/clusters/{cluster}/status", get(status::status))
        .route("/clusters/{cluster}/nodes", get(nodes::list))
        .route("/clusters/{cluster}/nodes/create", post(nodes::create))
        .route("/clusters/{cluster}/nodes/start", post(nodes::start))
        .route("/clusters/{cluster}/nodes/terminate", post(nodes::terminate))
        .route("/clusters/{cluster}/nodes/deallocate", post(nodes::deallocate))
        .route("/clusters/{cluster}/nodes/shutdown", post(nodes::shutdown))
        .route("/clusters/{cluster}/nodes/remove", post(nodes::remove))
        .route("/clusters/{cluster}/nodes/restart", post(nodes::restart))
        .route("/clusters/{cluster}/nodes/reimage", post(nodes::reimage))
        .route(
            "/clusters/{cluster}/nodes/{node}/ghr",
            get(health_reports::one).post(health_reports::file),
        )
        .route("/clusters/{cluster}/scale/{nodearray}", post(nodes::scale))
        .route("/clusters/{cluster}/usage", get(usage::usage))
        .route("/operations/", get(operations::list))
        .route("/operations/{id}", get(operations::one))
        .route("/cloud/api/import_cluster/{name}", post(import::import))
        .route("/cloud/api/nodes", get(nodes::all))
        .route("/cloud/api/nodes/{node}", get(nodes::one))
        .route("/cloud/api/users", get(users::list).post(users::add))
        .route(
            "/cloud/api/users/{name}",
            get(users::one).put(users::change).delete(users::delete),
        )
        .route("/cloud/api/users/{name}/keys", post(users::add_key))
        .route(
            "/cloud/api/users/{name}/keys/{fingerprint}",
            axum::routing::delete(users::remove_key),
        )
        .route("/cloud/api/events", get(events::list))
        .route("/cloud/api/events/stream", get(events::stream))
        .route("/cloud/api/messages/stream", passing)
        .route("/cloud/api/reconcilers", get(site::reconcilers))
        .route("/cloud/clusters", get(clusters::list))
        .route("/cloud/clusters/{name}", get(clusters::one))
        .route("/cloud/actions/startcluster/{name}", post(clusters::start))
        .route(
            "/cloud/actions/terminatecluster/{name}",
            post(clusters::terminate),
        )
        .route("/cloud/actions/removecluster/{name}", post(clusters::remove))
        .route(
            "/cloud/actions/terminate_node/{cluster}",
            post(nodes::terminate_by_filter),
        )
        .route("/db/Cloud.Node", get(nodes::database))
        .route("/cloud/actions/retry/{name}", post(clusters::retry))
        .route("/clusterlink/userdata/{id}", userdata)
        .route("/clusterlink/messages", messages)
        .route("/clusterlink/secret", secret)
        .route(
            "/clusterlink/discoverable",
            get(discoverable::search).put(discoverable::store),
        )
        .route("/clusterlink/sync/kv", get(sync::list))
        .route(
            "/clusterlink/sync/kv/{key}",
            get(sync::value).put(sync::put).delete(sync::delete),
        )
        .route("/lockers", get(lockers::all))
        .route("/lockers/{locker}/", get(lockers::list))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .merge(
            Router::new()
                .route(
                    "/lockers/{locker}/{*path}",
                    get(lockers::read)
                        .head(lockers::head)
                        .put(lockers::write)
                        .delete(lockers::delete),
                )
                .route("/clusterlink/issues/{file}", axum::routing::put(issues::upload))
                .layer(DefaultBodyLimit::disable()),
        )
        .merge(pages)
        .merge(web::files())
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(TraceLayer::new_for_http())
        .with_state(app)
}

/// The check in front of the pages.
async fn only_accounts(
    State(app): State<SharedApp>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    Account::from_request_parts(&mut parts, &app).await?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn nothing(request: Request) -> ApiError {
    ApiError::not_found(format!("there is nothing at `{}`", request.uri().path()))
}

async fn wrong_method(request: Request) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "`{}` cannot be used with {}",
            request.uri().path(),
            request.method()
        ),
    )
}

#[cfg(test)]
mod tests;
