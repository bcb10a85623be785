//! The lockers over HTTP.
//!
//! Accounts read and write everything. A node reads the projects of its own specs, in the lockers that these name, and
//! nothing else. Whoever reads a blob of object storage is sent on to it with a URL that opens this one blob for a time:
//! the bytes do not go through the server, and its credential stays here.

use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use locker::{Entry, Locker, Meta};
use protocol::rest::LockerSummary;
use serde::Deserialize;

use super::ApiError;
use crate::app::{App, LOCKER, SharedApp};
use crate::auth::{Account, Identity, is_signed};
use crate::lockers::SIGNED_KEPT;

/// `GET /lockers` (ours)
pub(super) async fn all(State(app): State<SharedApp>, _: Account) -> Json<Vec<LockerSummary>> {
    let summary = |(name, locker): (&str, &Locker)| LockerSummary {
        name: name.to_owned(),
        url: app.locker_url(name),
        storage: (name != LOCKER).then(|| locker.url().to_owned()),
        is_default: name == app.lockers.default(),
    };
    Json(app.lockers.iter().map(summary).collect())
}

/// The query of a listing.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    list: Option<String>,
}

/// `GET /lockers/{locker}/?list=PREFIX`
pub(super) async fn list(
    State(app): State<SharedApp>,
    identity: Identity,
    Path(name): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<Entry>>, ApiError> {
    let prefix = listing.list.unwrap_or_default();
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() {
        locker::path::check(prefix).map_err(|error| ApiError::bad_request(error.to_string()))?;
    }
    let locker = allowed(&app, &identity, &name, prefix).await?;
    Ok(Json(locker.list(prefix).await?))
}

/// `HEAD /lockers/{locker}/{path}`
pub(super) async fn head(
    State(app): State<SharedApp>,
    identity: Identity,
    Path((name, path)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let locker = allowed_blob(&app, &identity, &name, &path).await?;
    let meta = locker.head(&path).await?;
    let mut headers = headers(&meta);
    headers.insert(CONTENT_LENGTH, meta.size.into());
    Ok((headers, Body::empty()).into_response())
}

/// The query of a signed URL.
#[derive(Debug, Deserialize)]
pub(super) struct Signed {
    expires: Option<i64>,
    signature: Option<String>,
}

/// `GET /lockers/{locker}/{path}`, whole or one range. With `expires` and `signature` nobody needs an account.
pub(super) async fn read(
    State(app): State<SharedApp>,
    identity: Result<Identity, ApiError>,
    Path((name, path)): Path<(String, String)>,
    Query(signed): Query<Signed>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let locker = match (signed.expires, &signed.signature) {
        (Some(expires), Some(signature)) => {
            locker::path::check(&path).map_err(|error| ApiError::bad_request(error.to_string()))?;
            let key = app.auth.signing_key().await;
            let key = key.map_err(|error| ApiError::internal(&error))?;
            let signed = format!("/lockers/{name}/{path}");
            let now = app.clock.now().as_second();
            if !is_signed(&key, &signed, expires, signature, now) {
                return Err(ApiError::forbidden(
                    "the signature of this URL is wrong, or its time is over",
                ));
            }
            named(&app, &name)?
        }
        _ => allowed_blob(&app, &identity?, &name, &path).await?,
    };
    if let Some(url) = app.lockers.signed_url(&name, &path).await {
        return Ok(redirect(url));
    }
    let wanted = match request.get(RANGE).and_then(|value| value.to_str().ok()) {
        Some(text) => range(text, locker.head(&path).await?.size),
        None => None,
    };
    let is_partial = wanted.is_some();
    let blob = locker.read(&path, wanted).await?;
    let mut headers = headers(&blob.meta);
    let Range { start, end } = blob.range;
    headers.insert(CONTENT_LENGTH, (end - start).into());
    let status = if is_partial {
        let text = format!("bytes {start}-{}/{}", end.saturating_sub(1), blob.meta.size);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(CONTENT_RANGE, value);
        }
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    Ok((status, headers, Body::from_stream(blob.stream)).into_response())
}

/// `PUT /lockers/{locker}/{path}`. The blob appears when the whole body has come.
pub(super) async fn write(
    State(app): State<SharedApp>,
    _: Account,
    Path((name, path)): Path<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    locker::path::check(&path).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let locker = named(&app, &name)?;
    locker.put_stream(&path, body.into_data_stream()).await?;
    Ok(StatusCode::CREATED)
}

/// `DELETE /lockers/{locker}/{path}`
pub(super) async fn delete(
    State(app): State<SharedApp>,
    _: Account,
    Path((name, path)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    named(&app, &name)?.delete(&path).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a reader on. The URL may be used again until it is nearly over, which saves asking for every range.
fn redirect(url: String) -> Response {
    let keep = format!("private, max-age={}", SIGNED_KEPT.as_secs());
    let headers = [(LOCATION, url), (CACHE_CONTROL, keep)];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

fn named<'a>(app: &'a App, name: &str) -> Result<&'a Locker, ApiError> {
    let locker = app.lockers.get(name);
    locker.ok_or_else(|| ApiError::not_found(format!("there is no locker `{name}`")))
}

async fn allowed_blob<'a>(
    app: &'a App,
    identity: &Identity,
    name: &str,
    path: &str,
) -> Result<&'a Locker, ApiError> {
    locker::path::check(path).map_err(|error| ApiError::bad_request(error.to_string()))?;
    allowed(app, identity, name, path).await
}

/// The locker, if whoever asks may read below `path`.
async fn allowed<'a>(
    app: &'a App,
    identity: &Identity,
    name: &str,
    path: &str,
) -> Result<&'a Locker, ApiError> {
    let Identity::Node(identity) = identity else {
        return named(app, name);
    };
    let node = identity.node();
    let cluster = app.store.cluster(&node.cluster).await?;
    let definition = cluster
        .as_ref()
        .and_then(|cluster| cluster.definition.node(&node.template));
    let mut steps = path.split('/');
    let (kind, project) = (steps.next().unwrap_or_default(), steps.next().unwrap_or_default());
    let is_own = matches!(kind, "projects" | "blobs")
        && definition.is_some_and(|definition| {
            definition.cluster_init.iter().any(|spec| {
                let locker = spec.locker.as_deref().unwrap_or(app.lockers.default());
                spec.project == project && locker == name
            })
        });
    if is_own {
        named(app, name)
    } else {
        Err(ApiError::forbidden(format!("this node may not read `{path}`")))
    }
}

fn headers(meta: &Meta) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fixed: [(HeaderName, &'static str); 2] = [
        (CONTENT_TYPE, "application/octet-stream"),
        (ACCEPT_RANGES, "bytes"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(e_tag) = meta
        .e_tag
        .as_deref()
        .and_then(|e_tag| HeaderValue::from_str(e_tag).ok())
    {
        headers.insert(ETAG, e_tag);
    }
    headers
}

/// The one range of a `Range` header. What is no such thing is ignored, as HTTP demands.
fn range(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let length: u64 = last.trim().parse().ok()?;
        return Some(size.saturating_sub(length)..size);
    }
    let first: u64 = first.trim().parse().ok()?;
    let end = match last.trim() {
        "" => u64::MAX,
        last => last.parse::<u64>().ok()?.checked_add(1)?,
    };
    (first < end).then_some(first..end.min(size.max(first + 1)))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges() {
        assert_eq!(range("bytes=2-5", 10), Some(2..6));
        assert_eq!(range("bytes=2-", 10), Some(2..10));
        assert_eq!(range("bytes=-3", 10), Some(7..10));
        assert_eq!(range("bytes=8-99", 10), Some(8..10));
        assert_eq!(
            range("bytes=20-", 10),
            Some(20..21),
            "refused where the blob is read"
        );
        for text in ["bytes=1-2,4-5", "bytes=5-2", "lines=1-2", "bytes=", "x"] {
            assert_eq!(range(text, 10), None, "{text}");
        }
    }
}
