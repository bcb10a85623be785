//! Accounts, and what they are on nodes (ours).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use protocol::rest::{NewUserKey, User, UserChange, UserKey};

use super::ApiError;
use super::body::JsonBody;
use crate::app::SharedApp;
use crate::auth::{Account, hash_password, is_node_id};
use crate::lifecycle::{Refusal, check_uid, check_user_name, fingerprint, public_key};
use crate::store::{AccountRecord, Saved};

/// Most keys of an account.
const MAX_KEYS: usize = 100;
/// Longest password, in bytes: hashing takes time.
const MAX_PASSWORD: usize = 1024;

/// `GET /cloud/api/users`
pub(super) async fn list(State(app): State<SharedApp>, _: Account) -> Result<Json<Vec<User>>, ApiError> {
    let accounts = app.store.accounts().await?;
    Ok(Json(accounts.into_iter().map(user).collect()))
}

/// `GET /cloud/api/users/{name}`
pub(super) async fn one(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
) -> Result<Json<User>, ApiError> {
    let found = app.store.account(&name).await?;
    Ok(Json(user(found.ok_or_else(|| no_user(&name))?)))
}

/// `POST /cloud/api/users`
pub(super) async fn add(
    State(app): State<SharedApp>,
    _: Account,
    JsonBody(change): JsonBody<UserChange>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let name = change.name.clone().unwrap_or_default();
    check_user_name(&name).map_err(|refusal| ApiError::bad_request(refusal.0))?;
    if is_node_id(&name) {
        return Err(ApiError::bad_request(format!(
            "the user `{name}` would look like a node"
        )));
    }
    let Some(hash) = hashed(change.password.clone()).await? else {
        return Err(ApiError::bad_request("a new user needs a password"));
    };
    let mut account = AccountRecord::new(name.clone(), hash, false);
    apply(&mut account, change, None).map_err(|refusal| ApiError::bad_request(refusal.0))?;
    let saved = app.store.add_account(account).await?;
    app.wake.notify_one();
    Ok((StatusCode::CREATED, Json(user(done(saved, &name)?))))
}

/// `PUT /cloud/api/users/{name}`: what is absent stays as it is.
pub(super) async fn change(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    JsonBody(change): JsonBody<UserChange>,
) -> Result<Json<User>, ApiError> {
    let locks_out = change.disabled == Some(true) || change.administrator == Some(false);
    if locks_out && account.name() == name {
        return Err(ApiError::conflict(format!(
            "the account `{name}` cannot lock itself out: another administrator has to do that"
        )));
    }
    let hash = hashed(change.password.clone()).await?;
    let edited = app
        .store
        .edit_account(&name, move |account| apply(account, change, hash))
        .await?;
    app.wake.notify_one();
    Ok(Json(user(done(edited, &name)?)))
}

/// `DELETE /cloud/api/users/{name}`
pub(super) async fn delete(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    if account.name() == name {
        return Err(ApiError::conflict(format!(
            "the account `{name}` cannot delete itself: another administrator has to do that"
        )));
    }
    if !app.store.remove_account(&name).await? {
        return Err(no_user(&name));
    }
    app.wake.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /cloud/api/users/{name}/keys`. A key that is there already is no error.
pub(super) async fn add_key(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
    JsonBody(new): JsonBody<NewUserKey>,
) -> Result<Json<User>, ApiError> {
    let key = public_key(&new.public_key).map_err(|refusal| ApiError::bad_request(refusal.0))?;
    let edited = app
        .store
        .edit_account(&name, move |account| {
            let keys = &mut account.profile.public_keys;
            keys.retain(|old| fingerprint(old) != fingerprint(&key));
            keys.push(key);
            check_count(keys)
        })
        .await?;
    app.wake.notify_one();
    Ok(Json(user(done(edited, &name)?)))
}

/// `DELETE /cloud/api/users/{name}/keys/{fingerprint}`
pub(super) async fn remove_key(
    State(app): State<SharedApp>,
    _: Account,
    Path((name, wanted)): Path<(String, String)>,
) -> Result<Json<User>, ApiError> {
    let edited = app
        .store
        .edit_account(&name, move |account| {
            let keys = &mut account.profile.public_keys;
            let before = keys.len();
            keys.retain(|key| fingerprint(key) != wanted);
            if keys.len() == before {
                return Err(Refusal(format!("the user has no key `{wanted}`")));
            }
            Ok(())
        })
        .await?;
    app.wake.notify_one();
    Ok(Json(user(done(edited, &name)?)))
}

fn apply(account: &mut AccountRecord, change: UserChange, hash: Option<String>) -> Result<(), Refusal> {
    if change.name.as_ref().is_some_and(|name| *name != account.name) {
        return Err(Refusal("the name of a user cannot be changed".to_owned()));
    }
    if let Some(hash) = hash {
        account.password_hash = hash;
    }
    if let Some(uid) = change.uid {
        check_uid(uid)?;
        account.uid = uid;
    }
    if let Some(administrator) = change.administrator {
        account.administrator = administrator;
    }
    let profile = &mut account.profile;
    if let Some(full_name) = change.full_name {
        // It becomes a field of passwd(5).
        if full_name.chars().any(|c| c.is_control() || c == ':') || full_name.len() > 256 {
            return Err(Refusal(
                "the full name has a colon or a control character, or is longer than 256 bytes".to_owned(),
            ));
        }
        profile.full_name = full_name.trim().to_owned();
    }
    if let Some(keys) = change.public_keys {
        profile.public_keys = keys.iter().map(|key| public_key(key)).collect::<Result<_, _>>()?;
        check_count(&profile.public_keys)?;
    }
    profile.disabled = change.disabled.unwrap_or(profile.disabled);
    profile.node_access = change.node_access.unwrap_or(profile.node_access);
    profile.node_user = change.node_user.unwrap_or(profile.node_user);
    profile.node_admin = change.node_admin.unwrap_or(profile.node_admin);
    profile.plugin = change.plugin.unwrap_or(profile.plugin);
    Ok(())
}

fn check_count(keys: &[String]) -> Result<(), Refusal> {
    if keys.len() > MAX_KEYS {
        return Err(Refusal(format!("a user has at most {MAX_KEYS} keys")));
    }
    Ok(())
}

/// The hash of a new password. Hashing takes long: it is done beside.
async fn hashed(password: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(password) = password else {
        return Ok(None);
    };
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(ApiError::bad_request(format!(
            "the password is empty or longer than {MAX_PASSWORD} bytes"
        )));
    }
    let hashed = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    match hashed {
        Ok(Ok(hash)) => Ok(Some(hash)),
        Ok(Err(error)) => Err(ApiError::internal(&error)),
        Err(error) => Err(ApiError::internal(&error)),
    }
}

fn done(saved: Saved<Refusal>, name: &str) -> Result<AccountRecord, ApiError> {
    match saved {
        Saved::Done(account) => Ok(*account),
        Saved::Refused(refusal) => Err(ApiError::bad_request(refusal.0)),
        Saved::NoAccount => Err(no_user(name)),
        Saved::Exists => Err(ApiError::conflict(format!("there is a user `{name}` already"))),
        Saved::UidTaken { uid, name } => Err(ApiError::conflict(format!(
            "the uid {uid} belongs to the user `{name}`"
        ))),
    }
}

fn no_user(name: &str) -> ApiError {
    ApiError::not_found(format!("there is no user `{name}`"))
}

fn user(account: AccountRecord) -> User {
    let profile = account.profile;
    User {
        name: account.name,
        full_name: profile.full_name,
        uid: account.uid,
        administrator: account.administrator,
        plugin: profile.plugin,
        disabled: profile.disabled,
        node_access: profile.node_access,
        node_user: profile.node_user,
        node_admin: profile.node_admin,
        keys: profile
            .public_keys
            .into_iter()
            .map(|key| UserKey {
                fingerprint: fingerprint(&key),
                public_key: key,
            })
            .collect(),
    }
}
