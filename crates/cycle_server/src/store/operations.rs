//! Calls that were accepted, for `GET /operations`.

use rusqlite::{OptionalExtension, Transaction};

use super::{Operation, Store, StoreError};

impl Store {
    /// The operation with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn operation(&self, id: &str) -> Result<Option<Operation>, StoreError> {
        self.find_operation("SELECT record FROM operations WHERE id = ?1", id)
            .await
    }

    /// The operation that a caller named so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn operation_of_request(&self, request: &str) -> Result<Option<Operation>, StoreError> {
        self.find_operation("SELECT record FROM operations WHERE request_id = ?1", request)
            .await
    }

    /// All operations, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn operations(&self, limit: u32) -> Result<Vec<Operation>, StoreError> {
        self.read(move |t| {
            let sql = "SELECT record FROM operations ORDER BY start_time DESC LIMIT ?1";
            let mut statement = t.prepare_cached(sql)?;
            let rows = statement.query_map([limit], |row| row.get::<_, String>(0))?;
            let mut operations = Vec::new();
            for row in rows {
                operations.push(serde_json::from_str(&row?)?);
            }
            operations.reverse();
            Ok(operations)
        })
        .await
    }

    async fn find_operation(&self, sql: &'static str, key: &str) -> Result<Option<Operation>, StoreError> {
        let key = key.to_owned();
        self.read(move |t| {
            let text: Option<String> = t
                .prepare_cached(sql)?
                .query_row([key], |row| row.get(0))
                .optional()?;
            Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
        })
        .await
    }
}

/// Whether some operation has this name already.
pub(super) fn known(transaction: &Transaction<'_>, request: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM operations WHERE request_id = ?1";
    let found = transaction.prepare_cached(sql)?.exists([request])?;
    Ok(found)
}

/// Adds an operation within a transaction.
pub(super) fn add(transaction: &Transaction<'_>, operation: &Operation) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO operations (id, request_id, start_time, record) VALUES (?1, ?2, ?3, ?4)",
        (
            &operation.id,
            &operation.request_id,
            operation.start_time.as_microsecond(),
            serde_json::to_string(operation)?,
        ),
    )?;
    Ok(())
}
