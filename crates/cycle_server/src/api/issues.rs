//! Reports of nodes about themselves, for people who help: archives that nodes upload.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use futures_util::{Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use protocol::{IssueUpload, Level, Priority};
use serde::Deserialize;
use uuid::Uuid;

use super::ApiError;
use crate::app::{LOCKER, SharedApp};
use crate::auth::{NodeIdentity, sign};
use crate::lifecycle::news;
use crate::store::Node;

/// Most bytes of an archive.
const MAX_SIZE: u64 = 512 << 20;
/// How long a signed URL holds: 30 days.
const SIGNED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The longest pause within an upload.
const PATIENCE: Duration = Duration::from_secs(60);

/// The query of an upload.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    sign: Option<String>,
}

/// `PUT /clusterlink/issues/{CLUSTER-NODE-UUID}.zip?sign=`: keeps the archive in the locker and says where it is.
pub(super) async fn upload(
    State(app): State<SharedApp>,
    identity: NodeIdentity,
    Path(file): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<IssueUpload>), ApiError> {
    let node = identity.node();
    check(node, &file)?;
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_SIZE) {
        return Err(too_large());
    }
    let path = format!("issues/{file}");
    locker::path::check(&path).map_err(|error| ApiError::bad_request(error.to_string()))?;
    if let Err(error) = app
        .lockers
        .own()
        .put_stream(&path, limited(body.into_data_stream()))
        .await
    {
        let is_too_large =
            std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source()).any(
                |error| {
                    error
                        .downcast_ref::<io::Error>()
                        .is_some_and(|error| error.kind() == io::ErrorKind::FileTooLarge)
                },
            );
        return Err(if is_too_large { too_large() } else { error.into() });
    }
    let url = format!("{}/{path}", app.locker_url(LOCKER));
    let now = app.clock.now();
    let is_signed = wanted
        .sign
        .is_some_and(|sign| sign.eq_ignore_ascii_case("true") || sign == "1");
    let signed = if is_signed {
        let expires = now.saturating_add(SIGNED).unwrap_or(Timestamp::MAX);
        let key = app
            .auth
            .signing_key()
            .await
            .map_err(|error| ApiError::internal(&error))?;
        let signature = sign(&key, &format!("/lockers/{LOCKER}/{path}"), expires.as_second());
        let signed_url = format!("{url}?expires={}&signature={signature}", expires.as_second());
        // In whole seconds, as it is signed.
        Some((
            signed_url,
            Timestamp::from_second(expires.as_second()).unwrap_or(expires),
        ))
    } else {
        None
    };
    // Without the signature: the event log has more readers than the caller has in mind.
    let text = format!("Node has sent a report: {url}");
    let event = news(node, now, Level::Info, Priority::Medium, text);
    app.store.add_events(vec![event]).await?;
    let (signed_url, expires) = signed.unzip();
    Ok((
        StatusCode::CREATED,
        Json(IssueUpload {
            url,
            signed_url,
            expires,
        }),
    ))
}

/// Whether the file has the name that this node may give it.
fn check(node: &Node, file: &str) -> Result<(), ApiError> {
    let prefix = format!("{}-{}-", node.cluster, node.name);
    let is_own = file
        .strip_suffix(".zip")
        .and_then(|name| name.strip_prefix(&prefix))
        .is_some_and(|id| Uuid::try_parse(id).is_ok());
    if is_own {
        Ok(())
    } else {
        Err(ApiError::forbidden(format!(
            "this node may not write `{file}`: expected `{prefix}UUID.zip`"
        )))
    }
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the report is larger than {} MiB", MAX_SIZE >> 20),
    )
}

/// A body that ends with an error when it is too long, or stands still.
fn limited<E>(
    body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let state = (Box::pin(body), 0_u64);
    futures_util::stream::try_unfold(state, |(mut body, mut size)| async move {
        let next = tokio::time::timeout(PATIENCE, body.next()).await;
        let next = next.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let Some(bytes) = next.transpose().map_err(io::Error::other)? else {
            return Ok(None);
        };
        size += bytes.len() as u64;
        if size > MAX_SIZE {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(Some((bytes, (body, size))))
    })
}
