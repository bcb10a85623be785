//! Values that the nodes of a cluster keep for each other.

use rusqlite::{OptionalExtension, Transaction};
use serde::Serialize;

use super::{Store, StoreError};

/// Most keys of a cluster.
pub const MAX_KEYS: u32 = 1000;

/// A key without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyVersion {
    /// Its name.
    pub key: String,
    /// The cluster's count of changes when this value was written: it grows, also when a key is deleted and comes back.
    pub version: i64,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyValue {
    /// Its name.
    pub key: String,
    /// As in [`KeyVersion`].
    pub version: i64,
    /// The text.
    pub value: String,
}

/// Why a value was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The key has this version, 0 if it does not exist, and not the one that the caller knows.
    Version(i64),
    /// The cluster has [`MAX_KEYS`].
    Full,
}

impl Store {
    /// The keys of a cluster by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sync_keys(&self, cluster: &str) -> Result<Vec<KeyVersion>, StoreError> {
        let cluster = cluster.to_owned();
        self.read(move |t| {
            let sql = "SELECT key, version FROM sync_values WHERE cluster = ?1 ORDER BY key";
            let mut statement = t.prepare_cached(sql)?;
            let rows = statement.query_map([&cluster], |row| {
                Ok(KeyVersion {
                    key: row.get(0)?,
                    version: row.get(1)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sync_value(&self, cluster: &str, key: &str) -> Result<Option<KeyValue>, StoreError> {
        let (cluster, key) = (cluster.to_owned(), key.to_owned());
        self.read(move |t| {
            let sql = "SELECT version, value FROM sync_values WHERE cluster = ?1 AND key = ?2";
            let found = t.prepare_cached(sql)?.query_row((&cluster, &key), |row| {
                Ok(KeyValue {
                    key: key.clone(),
                    version: row.get(0)?,
                    value: row.get(1)?,
                })
            });
            Ok(found.optional()?)
        })
        .await
    }

    /// Writes a value and answers its version. With `known` only if that is the key's version; 0 is a key that does not
    /// exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_sync_value(
        &self,
        cluster: &str,
        key: &str,
        value: String,
        known: Option<i64>,
    ) -> Result<Result<i64, Refused>, StoreError> {
        let (cluster, key) = (cluster.to_owned(), key.to_owned());
        self.write(move |t| {
            let found = version(t, &cluster, &key)?;
            if known.is_some_and(|known| known != found) {
                return Ok(Err(Refused::Version(found)));
            }
            if found == 0 {
                let sql = "SELECT count(*) FROM sync_values WHERE cluster = ?1";
                let count: u32 = t.prepare_cached(sql)?.query_row([&cluster], |row| row.get(0))?;
                if count >= MAX_KEYS {
                    return Ok(Err(Refused::Full));
                }
            }
            let sql = "INSERT INTO sync_versions (cluster, version) VALUES (?1, 1)
                       ON CONFLICT (cluster) DO UPDATE SET version = version + 1 RETURNING version";
            let next: i64 = t.prepare_cached(sql)?.query_row([&cluster], |row| row.get(0))?;
            let sql = "INSERT INTO sync_values (cluster, key, version, value) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (cluster, key) DO UPDATE SET version = excluded.version, value = excluded.value";
            t.prepare_cached(sql)?.execute((&cluster, &key, next, &value))?;
            Ok(Ok(next))
        })
        .await
    }

    /// Removes a key; none is fine. With `known` only if that is its version.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_sync_value(
        &self,
        cluster: &str,
        key: &str,
        known: Option<i64>,
    ) -> Result<Result<(), Refused>, StoreError> {
        let (cluster, key) = (cluster.to_owned(), key.to_owned());
        self.write(move |t| {
            let found = version(t, &cluster, &key)?;
            if known.is_some_and(|known| known != found) {
                return Ok(Err(Refused::Version(found)));
            }
            let sql = "DELETE FROM sync_values WHERE cluster = ?1 AND key = ?2";
            t.prepare_cached(sql)?.execute((&cluster, &key))?;
            Ok(Ok(()))
        })
        .await
    }
}

/// The version of a key, 0 if there is none.
fn version(transaction: &Transaction<'_>, cluster: &str, key: &str) -> Result<i64, StoreError> {
    let sql = "SELECT version FROM sync_values WHERE cluster = ?1 AND key = ?2";
    let found = transaction
        .prepare_cached(sql)?
        .query_row((cluster, key), |row| row.get(0));
    Ok(found.optional()?.unwrap_or(0))
}
