//! Accounts of people and autoscalers, and facts about the site.

use rusqlite::OptionalExtension;

use super::{AccountRecord, Store, StoreError};

impl Store {
    /// The account of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError> {
        let name = name.to_owned();
        self.read(move |t| {
            let sql = "SELECT name, password_hash, administrator FROM accounts WHERE name = ?1";
            let account = t.prepare_cached(sql)?.query_row([name], |row| {
                Ok(AccountRecord {
                    name: row.get(0)?,
                    password_hash: row.get(1)?,
                    administrator: row.get(2)?,
                })
            });
            Ok(account.optional()?)
        })
        .await
    }

    /// Makes an account or replaces the one of the same name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_account(&self, account: AccountRecord) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute(
                "INSERT INTO accounts (name, password_hash, administrator) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE
                 SET password_hash = excluded.password_hash, administrator = excluded.administrator",
                (account.name, account.password_hash, account.administrator),
            )?;
            Ok(())
        })
        .await
    }

    /// A fact about the site.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn meta(&self, key: &'static str) -> Result<Option<String>, StoreError> {
        self.read(move |t| {
            let value = t.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0));
            Ok(value.optional()?)
        })
        .await
    }

    /// Keeps a fact about the site.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_meta(&self, key: &'static str, value: String) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )?;
            Ok(())
        })
        .await
    }
}
