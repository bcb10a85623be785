//! Tells pages that something changed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;

use super::Pages;

/// Changes that come closer together are told as one.
const GATHER: Duration = Duration::from_millis(200);

/// `GET /changes`: one event for each change of the store, until the server stops. The event carries no news:
/// the page fetches itself again.
pub(super) async fn changes(
    State(pages): State<Pages>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let revision = pages.store.revision();
    let stream = unfold(
        (revision, pages.stopping),
        |(mut revision, stopping)| async move {
            tokio::select! {
                changed = revision.changed() => changed.ok()?,
                () = stopping.cancelled() => return None,
            }
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = stopping.cancelled() => return None,
            }
            let number = *revision.borrow_and_update();
            Some((
                Ok(Event::default().data(number.to_string())),
                (revision, stopping),
            ))
        },
    );
    Sse::new(stream).keep_alive(KeepAlive::default())
}
