//! Who is there, and what they may do.
//!
//! Handlers ask for [`Account`], [`NodeIdentity`] or [`Identity`] among their arguments: without one of them there
//! is nothing that they could do something with, so none forgets to check. The identity of a node is that of its
//! credential, never what a message says.

mod extract;
mod passwords;
mod secrets;
mod signed;

pub(crate) use extract::is_node_id;
pub use extract::{Account, Identity, NodeIdentity};
pub use passwords::{PasswordError, generate_password, hash_password};
pub use secrets::{hash_secret, is_secret, secret_matches};
pub use signed::{is_signed, sign};

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::store::{AccountRecord, Node, Store, StoreError};

/// How long a verified password is remembered.
const REMEMBER: Duration = Duration::from_secs(60);
/// Most verified passwords that are remembered.
const MAX_REMEMBERED: usize = 1024;
/// How long a wrong credential waits for its answer.
const REFUSAL_DELAY: Duration = Duration::from_millis(500);
/// Most passwords that are checked at a time: each takes a core and 19 MiB.
const MAX_CHECKS: usize = 2;

/// The key of signed URLs could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// It could not be made.
    #[error("cannot make the key of signed URLs")]
    Random(#[from] PasswordError),
    /// It could not be read.
    #[error("cannot read the key of signed URLs")]
    Store(#[from] StoreError),
}

/// Checks credentials.
#[derive(Debug)]
pub struct Auth {
    store: Store,
    key: [u8; 32],
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
    checks: Semaphore,
    nobody: String,
}

#[derive(Debug)]
struct Remembered {
    password_hash: String,
    until: Instant,
}

impl Auth {
    /// Checks against the accounts and nodes of a store.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(store: Store) -> Result<Self, PasswordError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(PasswordError::Random)?;
        Ok(Self {
            store,
            key,
            remembered: Mutex::default(),
            checks: Semaphore::new(MAX_CHECKS),
            nobody: hash_password(&generate_password()?)?,
        })
    }

    /// The account of this name, if the password is right. A wrong one takes as long for a name that exists as
    /// for one that does not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn account(&self, name: &str, password: &str) -> Result<Option<Account>, StoreError> {
        let found = self.store.account(name).await?;
        let found = found.filter(|account| !account.profile.disabled);
        let digest = self.digest(name, password);
        if let Some(account) = &found
            && self.remembers(&digest, account)
        {
            return Ok(Some(Account::new(account)));
        }
        let hash = found
            .as_ref()
            .map_or(&self.nobody, |account| &account.password_hash);
        let is_right = {
            // The semaphore is never closed.
            let _permit = self.checks.acquire().await;
            let (hash, password) = (hash.clone(), password.to_owned());
            tokio::task::spawn_blocking(move || passwords::verify(&password, &hash))
                .await
                .unwrap_or(false)
        };
        match found {
            Some(account) if is_right => {
                self.remember(digest, &account);
                Ok(Some(Account::new(&account)))
            }
            _ => {
                tokio::time::sleep(REFUSAL_DELAY).await;
                Ok(None)
            }
        }
    }

    /// The node of this id, if the secret is the one of the machine that runs it now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn node(&self, id: &str, secret: &str, now: Timestamp) -> Result<Option<Node>, StoreError> {
        let found = self.store.node(id).await?;
        let found = found.filter(|node| is_secret_of(node, secret, now));
        if found.is_none() {
            tokio::time::sleep(REFUSAL_DELAY).await;
        }
        Ok(found)
    }

    /// The key of signed URLs, which the store keeps: a URL outlives the server that made it.
    ///
    /// # Errors
    /// When the store fails or the system has no random numbers.
    pub async fn signing_key(&self) -> Result<Vec<u8>, SigningError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(PasswordError::Random)?;
        let candidate = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self
            .store
            .keep_secret("signing_key", candidate)
            .await?
            .into_bytes())
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.key);
        digest.update(name.len().to_le_bytes());
        digest.update(name);
        digest.update(password);
        digest.finalize().into()
    }

    fn remembers(&self, digest: &[u8; 32], account: &AccountRecord) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered
            .get(digest)
            .is_some_and(|entry| entry.until > Instant::now() && entry.password_hash == account.password_hash)
    }

    fn remember(&self, digest: [u8; 32], account: &AccountRecord) {
        let now = Instant::now();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|_, entry| entry.until > now);
        if remembered.len() < MAX_REMEMBERED {
            let entry = Remembered {
                password_hash: account.password_hash.clone(),
                until: now + REMEMBER,
            };
            remembered.insert(digest, entry);
        }
    }
}

/// Whether a node may show this secret: its own, or for a while the one before it.
pub fn is_secret_of(node: &Node, secret: &str, now: Timestamp) -> bool {
    let before = node.previous_claim.as_ref().filter(|(_, until)| now < *until);
    let claims = node.claim.iter().chain(before.map(|(claim, _)| claim));
    claims.into_iter().any(|claim| secret_matches(secret, claim))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn auth() -> (tempfile::TempDir, Auth) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let account = AccountRecord::new("admin".to_owned(), hash_password("right").unwrap(), true);
        store.save_account(account).await.unwrap();
        (folder, Auth::new(store).unwrap())
    }

    #[tokio::test]
    async fn only_the_right_password_opens() {
        let (_folder, auth) = auth().await;
        assert!(auth.account("admin", "right").await.unwrap().is_some());
        assert!(auth.account("admin", "wrong").await.unwrap().is_none());
        assert!(auth.account("nobody", "right").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_disabled_account_opens_nothing_even_if_its_password_is_remembered() {
        let (_folder, auth) = auth().await;
        auth.account("admin", "right").await.unwrap().unwrap();
        let disable = |account: &mut AccountRecord| {
            account.profile.disabled = true;
            Ok::<_, ()>(())
        };
        auth.store.edit_account("admin", disable).await.unwrap();
        assert!(auth.account("admin", "right").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_remembered_password_ends_with_the_password() {
        let (_folder, auth) = auth().await;
        auth.account("admin", "right").await.unwrap().unwrap();
        let started = Instant::now();
        for _ in 0..50 {
            auth.account("admin", "right").await.unwrap().unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(1), "remembered");
        let account = AccountRecord::new("admin".to_owned(), hash_password("new").unwrap(), true);
        auth.store.save_account(account).await.unwrap();
        assert!(auth.account("admin", "right").await.unwrap().is_none());
    }
}
