//! The event log, as a list and as a stream.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{self, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use protocol::{Event, Level, Priority};
use serde::Deserialize;
use tokio::sync::watch;

use super::ApiError;
use crate::app::SharedApp;
use crate::auth::Account;
use crate::store::EventQuery;

/// Events of a list without a limit.
const DEFAULT_LIMIT: u32 = 50;
/// Most events of a list, and of one look of a stream.
const MAX_LIMIT: u32 = 1000;

/// The query of both calls.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    cluster: Option<String>,
    after: Option<i64>,
    limit: Option<u32>,
    priority: Option<String>,
    level: Option<String>,
}

impl Wanted {
    fn query(&self) -> Result<EventQuery, ApiError> {
        let priority = match self.priority.as_deref() {
            None | Some("") => Priority::Low,
            Some(word) => word
                .to_ascii_lowercase()
                .parse()
                .map_err(|error| ApiError::bad_request(format!("the priority {error}")))?,
        };
        let level = match self.level.as_deref() {
            None | Some("") => Level::Info,
            Some(word) => word
                .to_ascii_lowercase()
                .parse()
                .map_err(|error| ApiError::bad_request(format!("the level {error}")))?,
        };
        Ok(EventQuery {
            cluster: self.cluster.clone().filter(|cluster| !cluster.is_empty()),
            after: self.after,
            level,
            priority,
            limit: self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
        })
    }
}

/// `GET /cloud/api/events?cluster=&after=&limit=&priority=&level=` (ours), the oldest first.
pub(super) async fn list(
    State(app): State<SharedApp>,
    _: Account,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Event>>, ApiError> {
    Ok(Json(app.store.events(wanted.query()?).await?))
}

struct Reader {
    app: SharedApp,
    query: EventQuery,
    revision: watch::Receiver<u64>,
    read: VecDeque<Event>,
}

/// `GET /cloud/api/events/stream?cluster=&after=` (ours): server-sent events. Goes on after `Last-Event-ID`, or
/// `after`, or with what comes from now on.
pub(super) async fn stream(
    State(app): State<SharedApp>,
    _: Account,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    let revision = app.store.revision();
    let mut query = wanted.query()?;
    query.limit = MAX_LIMIT;
    let last_seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    query.after = Some(match last_seen.or(query.after) {
        Some(after) => after,
        None => app.store.last_event().await?,
    });
    let reader = Reader {
        app,
        query,
        revision,
        read: VecDeque::new(),
    };
    Ok(Sse::new(unfold(reader, next)).keep_alive(KeepAlive::default()))
}

/// The next event, when there is one. None ends the stream: the server stops, or its store fails.
async fn next(mut reader: Reader) -> Option<(Result<sse::Event, Infallible>, Reader)> {
    loop {
        if let Some(event) = reader.read.pop_front() {
            reader.query.after = Some(event.id);
            let item = sse::Event::default()
                .id(event.id.to_string())
                .json_data(&event)
                .ok()?;
            return Some((Ok(item), reader));
        }
        // Seen before the look, so that nothing that comes during it is missed.
        reader.revision.borrow_and_update();
        reader.read = match reader.app.store.events(reader.query.clone()).await {
            Ok(events) => events.into(),
            Err(error) => {
                tracing::error!(error = terminal::chain(&error), "an event stream ended");
                return None;
            }
        };
        if reader.read.is_empty() {
            tokio::select! {
                changed = reader.revision.changed() => changed.ok()?,
                () = reader.app.stopping.cancelled() => return None,
            }
        }
    }
}
