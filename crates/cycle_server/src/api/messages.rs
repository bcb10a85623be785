//! What passes through the broker, as it passes (ours).

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use protocol::PassingMessage;
use tokio::sync::mpsc;

use super::ApiError;
use crate::app::SharedApp;
use crate::auth::Identity;
use crate::inbox::Post;

/// Most patterns of one call, and bytes of one pattern: what AMQP allows.
const MAX_KEYS: usize = 100;
const MAX_KEY: usize = 255;

/// `GET /cloud/api/messages/stream?key=PATTERN&key=…` (ours): server-sent events, for administrators and plug-ins.
pub(super) async fn stream(
    State(app): State<SharedApp>,
    Extension(post): Extension<Arc<dyn Post>>,
    identity: Identity,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    match identity {
        Identity::Account(account) if account.hears_messages() => {}
        Identity::Account(account) => {
            return Err(ApiError::forbidden(format!(
                "the account `{}` is neither an administrator nor a plug-in",
                account.name()
            )));
        }
        Identity::Node(_) => return Err(ApiError::forbidden("nodes may not do this")),
    }
    let url = format!("http://_/?{}", query.unwrap_or_default());
    let url = reqwest::Url::parse(&url).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let mut keys = Vec::new();
    for (name, value) in url.query_pairs() {
        if name != "key" || value.is_empty() || value.len() > MAX_KEY || keys.len() == MAX_KEYS {
            return Err(ApiError::bad_request(format!(
                "`{name}={value}` is not a key of at most {MAX_KEY} bytes, or there are more than {MAX_KEYS}"
            )));
        }
        keys.push(value.into_owned());
    }
    if keys.is_empty() {
        keys.push("#".to_owned());
    }
    let messages = post.follow(keys).await.map_err(|error| {
        let reason = format!("messages cannot be followed: {}", terminal::chain(&error));
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    })?;
    Ok(Sse::new(unfold((app, messages), next)).keep_alive(KeepAlive::default()))
}

type Messages = (SharedApp, mpsc::Receiver<PassingMessage>);

/// The next message. None ends the stream: the server stops, or its connection to the broker is lost.
async fn next((app, mut messages): Messages) -> Option<(Result<sse::Event, Infallible>, Messages)> {
    let message = tokio::select! {
        message = messages.recv() => message?,
        () = app.stopping.cancelled() => return None,
    };
    let item = sse::Event::default().json_data(&message).ok()?;
    Some((Ok(item), (app, messages)))
}
