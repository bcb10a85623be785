//! What nodes call: their configuration, and their messages when AMQP is not to be had.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use jiff::SignedDuration;
use protocol::{Envelope, Messages, NewSecret, NodeConfiguration};
use serde_json::{Value, json};

use super::ApiError;
use super::body::JsonBody;
use super::configuration::{ConfigurationError, node_configuration};
use crate::app::{App, SharedApp};
use crate::auth::{NodeIdentity, hash_secret, is_secret, is_secret_of};
use crate::inbox::{Post, Publication};
use crate::lifecycle::{digest, users_of};
use crate::store::{Incoming, Node, StoreError, TargetState, Userdata};

/// How long a secret holds that was replaced.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// Most messages of one call.
const MAX_MESSAGES: usize = 10_000;

/// `GET /clusterlink/userdata/{id}`: the first secret that comes is the node's; later only that one is answered.
pub(super) async fn userdata(
    State(app): State<SharedApp>,
    Extension(courier): Extension<Arc<dyn Post>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<NodeConfiguration>, ApiError> {
    let secret = bearer(&headers).ok_or_else(ApiError::no_credential)?;
    if !is_secret(secret) {
        return Err(ApiError::bad_request("the secret is not 64 hexadecimal digits"));
    }
    let gone = || {
        ApiError::new(
            StatusCode::GONE,
            format!("the node of userdata id `{id}` was terminated"),
        )
    };
    let node = match app.store.userdata(&id).await? {
        Userdata::Unknown => {
            return Err(ApiError::not_found(format!("there is no userdata id `{id}`")));
        }
        Userdata::Ended => return Err(gone()),
        Userdata::Of(node) if node.target_state == TargetState::Terminated => return Err(gone()),
        // A refresh costs no write.
        Userdata::Of(node) if node.claim.is_some() => node,
        Userdata::Of(node) => match claim(&app, &id, secret, &node).await? {
            Userdata::Of(node) => {
                tracing::info!(cluster = node.cluster, node = node.name, "a machine joined");
                node
            }
            Userdata::Unknown | Userdata::Ended => return Err(gone()),
        },
    };
    if !is_secret_of(&node, secret, app.clock.now()) {
        return Err(ApiError::conflict(format!(
            "the userdata id `{id}` is used by another node"
        )));
    }
    courier.admit(&node, secret).await.map_err(|error| {
        let reason = format!(
            "the message broker does not let the node in: {}",
            terminal::chain(&error)
        );
        tracing::warn!(node = node.name, "{reason}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    })?;
    Ok(Json(node_configuration(&app, &node).await?))
}

/// `POST /clusterlink/secret` (ours): the secret by which the node is to be known. The old one holds for another hour: whoever has
/// read it from the node's files still works.
pub(super) async fn secret(
    State(app): State<SharedApp>,
    Extension(courier): Extension<Arc<dyn Post>>,
    identity: NodeIdentity,
    JsonBody(body): JsonBody<NewSecret>,
) -> Result<StatusCode, ApiError> {
    if !is_secret(&body.secret) {
        return Err(ApiError::bad_request("the secret is not 64 hexadecimal digits"));
    }
    let hash = hash_secret(&body.secret);
    let now = app.clock.now();
    let until = now.checked_add(OVERLAP).unwrap_or(now);
    let edited = app
        .store
        .edit_node(&identity.node().id, now, move |node, _| {
            if node.claim.as_ref() != Some(&hash) {
                node.previous_claim = node.claim.replace(hash).map(|old| (old, until));
            }
            node.clone()
        })
        .await?;
    let node = edited.ok_or_else(|| ApiError::not_found("the node is gone"))?;
    courier.admit(&node, &body.secret).await.map_err(|error| {
        let reason = format!(
            "the message broker does not take the secret: {}",
            terminal::chain(&error)
        );
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    })?;
    tracing::info!(
        cluster = node.cluster,
        node = node.name,
        "the secret of a node was replaced"
    );
    Ok(StatusCode::NO_CONTENT)
}

/// Binds the secret. The users are looked up before: those that the answer names are the same or newer ones.
async fn claim(app: &App, id: &str, secret: &str, node: &Node) -> Result<Userdata, StoreError> {
    let accounts = app.store.accounts().await?;
    let cluster = app.store.cluster(&node.cluster).await?;
    let users = cluster.map(|cluster| digest(&users_of(&cluster, &accounts)));
    app.store.claim(id, &hash_secret(secret), users).await
}

/// `POST /clusterlink/messages`: 202 when they are stored, and custom ones published.
pub(super) async fn messages(
    State(app): State<SharedApp>,
    Extension(courier): Extension<Arc<dyn Post>>,
    identity: NodeIdentity,
    JsonBody(mut body): JsonBody<Messages>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    if body.messages.len() > MAX_MESSAGES {
        return Err(ApiError::bad_request(format!(
            "more than {MAX_MESSAGES} messages at a time"
        )));
    }
    let node_id = &identity.node().id;
    for envelope in &mut body.messages {
        publish(courier.as_ref(), node_id, envelope).await?;
    }
    courier.catch_up().await.map_err(|error| {
        let reason = format!(
            "what the node said before is not stored yet: {}",
            terminal::chain(&error)
        );
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    })?;
    let batch = body.messages.into_iter().map(|envelope| Incoming {
        node_id: node_id.clone(),
        envelope,
    });
    let received = app.receive(batch.collect()).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(json!({"new": received.new, "repeated": received.repeated})),
    ))
}

/// Publishes what a custom message holds, as the node itself would over AMQP. If the answer is lost the node sends it
/// again and it is published again, under the same message id.
async fn publish(courier: &dyn Post, node_id: &str, envelope: &mut Envelope) -> Result<(), ApiError> {
    match Publication::of(envelope) {
        Ok(Some(publication)) => courier.publish(publication).await.map_err(|error| {
            let reason = format!(
                "message {} cannot be published: {}",
                envelope.id,
                terminal::chain(&error)
            );
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, reason)
        })?,
        Ok(None) => return Ok(()),
        // An error would make the node send it for ever, and nothing else.
        Err(reason) => {
            tracing::warn!(node = node_id, message = %envelope.id, reason, "a custom message was dropped");
        }
    }
    // The broker has it: the store need only know its id.
    envelope.data = Value::Null;
    Ok(())
}

impl From<ConfigurationError> for ApiError {
    fn from(error: ConfigurationError) -> Self {
        match error {
            ConfigurationError::Store(error) => Self::internal(&error),
            error => Self::new(StatusCode::SERVICE_UNAVAILABLE, terminal::chain(&error)),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
