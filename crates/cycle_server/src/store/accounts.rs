//! Accounts of people and autoscalers, and facts about the site.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::{AccountRecord, Profile, Store, StoreError};

/// The first number that an account gets by itself.
const FIRST_UID: u32 = 20_000;
/// Where the next number is kept: those of deleted accounts are not given again, since files still have them.
const NEXT_UID: &str = "next_uid";

/// What became of a change of an account.
#[derive(Debug)]
pub enum Saved<E> {
    /// It is written.
    Done(Box<AccountRecord>),
    /// The closure refused; nothing is written.
    Refused(E),
    /// There is no such account.
    NoAccount,
    /// There is one of this name.
    Exists,
    /// Another account has the number.
    UidTaken {
        /// The number.
        uid: u32,
        /// Whose it is.
        name: String,
    },
}

impl Store {
    /// The account of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError> {
        let name = name.to_owned();
        self.read(move |t| by_name(t, &name)).await
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        self.read(|t| {
            let mut statement = t.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
            let rows = statement.query_map((), columns)?;
            rows.map(|row| record(row?)).collect()
        })
        .await
    }

    /// Makes an account or replaces the one of the same name, which keeps its number when the new one has none.
    ///
    /// # Errors
    /// When the database fails, for instance because another account has the number.
    pub async fn save_account(&self, account: AccountRecord) -> Result<(), StoreError> {
        self.write(move |t| {
            let mut account = account;
            if account.uid == 0 {
                account.uid = match by_name(t, &account.name)? {
                    Some(old) => old.uid,
                    None => free_uid(t)?,
                };
            }
            save(t, &account)
        })
        .await
    }

    /// Makes an account that was not there before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_account<E>(&self, account: AccountRecord) -> Result<Saved<E>, StoreError>
    where
        E: Send + 'static,
    {
        self.write(move |t| {
            let mut account = account;
            if by_name(t, &account.name)?.is_some() {
                return Ok(Saved::Exists);
            }
            if account.uid == 0 {
                account.uid = free_uid(t)?;
            }
            finish(t, account)
        })
        .await
    }

    /// Changes an account. Its name cannot be changed.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn edit_account<E, F>(&self, name: &str, edit: F) -> Result<Saved<E>, StoreError>
    where
        E: Send + 'static,
        F: FnOnce(&mut AccountRecord) -> Result<(), E> + Send + 'static,
    {
        let name = name.to_owned();
        self.write(move |t| {
            let Some(mut account) = by_name(t, &name)? else {
                return Ok(Saved::NoAccount);
            };
            if let Err(refusal) = edit(&mut account) {
                return Ok(Saved::Refused(refusal));
            }
            account.name = name;
            finish(t, account)
        })
        .await
    }

    /// Removes an account; false when there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_account(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |t| {
            t.execute("DELETE FROM profiles WHERE name = ?1", [&name])?;
            Ok(t.execute("DELETE FROM accounts WHERE name = ?1", [&name])? > 0)
        })
        .await
    }

    /// A secret of this site that it makes for itself, 256 random bits in hex: `candidate` the first time, and what that was
    /// ever after.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_secret(&self, key: &'static str, candidate: String) -> Result<String, StoreError> {
        self.write(move |t| {
            t.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
                (key, candidate),
            )?;
            Ok(t.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))?)
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

const SELECT: &str = "SELECT name, password_hash, administrator, coalesce(uid, 0), coalesce(record, '{}')
    FROM accounts LEFT JOIN profiles USING (name)";

type Columns = (String, String, bool, u32, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn record((name, password_hash, administrator, uid, profile): Columns) -> Result<AccountRecord, StoreError> {
    Ok(AccountRecord {
        name,
        password_hash,
        administrator,
        uid,
        profile: serde_json::from_str::<Profile>(&profile)?,
    })
}

fn by_name(transaction: &Transaction<'_>, name: &str) -> Result<Option<AccountRecord>, StoreError> {
    let found = transaction
        .prepare_cached(&format!("{SELECT} WHERE name = ?1"))?
        .query_row([name], columns)
        .optional()?;
    found.map(record).transpose()
}

fn free_uid(transaction: &Transaction<'_>) -> Result<u32, StoreError> {
    let next: Option<String> = transaction
        .query_row("SELECT value FROM meta WHERE key = ?1", [NEXT_UID], |row| {
            row.get(0)
        })
        .optional()?;
    let mut uid = next.and_then(|next| next.parse().ok()).unwrap_or(FIRST_UID);
    while owner(transaction, uid)?.is_some() {
        uid += 1;
    }
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (NEXT_UID, (uid + 1).to_string()),
    )?;
    Ok(uid)
}

fn owner(transaction: &Transaction<'_>, uid: u32) -> Result<Option<String>, StoreError> {
    let sql = "SELECT name FROM profiles WHERE uid = ?1";
    Ok(transaction
        .prepare_cached(sql)?
        .query_row([uid], |row| row.get(0))
        .optional()?)
}

fn finish<E>(transaction: &Transaction<'_>, account: AccountRecord) -> Result<Saved<E>, StoreError> {
    match owner(transaction, account.uid)? {
        Some(name) if name != account.name => Ok(Saved::UidTaken {
            uid: account.uid,
            name,
        }),
        _ => {
            save(transaction, &account)?;
            Ok(Saved::Done(Box::new(account)))
        }
    }
}

fn save(transaction: &Transaction<'_>, account: &AccountRecord) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO accounts (name, password_hash, administrator) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE
         SET password_hash = excluded.password_hash, administrator = excluded.administrator",
        (&account.name, &account.password_hash, account.administrator),
    )?;
    transaction.execute(
        "INSERT INTO profiles (name, uid, record) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET uid = excluded.uid, record = excluded.record",
        (
            &account.name,
            account.uid,
            serde_json::to_string(&account.profile)?,
        ),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, uid: u32) -> AccountRecord {
        AccountRecord {
            uid,
            ..AccountRecord::new(name.to_owned(), "hash".to_owned(), false)
        }
    }

    #[tokio::test]
    async fn numbers_are_given_once_and_belong_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let uid = |saved: Saved<()>| match saved {
            Saved::Done(account) => account.uid,
            other => panic!("{other:?}"),
        };
        assert_eq!(uid(store.add_account(account("a", 0)).await.unwrap()), 20_000);
        assert_eq!(
            uid(store.add_account(account("b", 20_001)).await.unwrap()),
            20_001
        );
        assert_eq!(uid(store.add_account(account("c", 0)).await.unwrap()), 20_002);
        store.remove_account("c").await.unwrap();
        assert_eq!(uid(store.add_account(account("d", 0)).await.unwrap()), 20_003);
        let taken: Saved<()> = store.add_account(account("e", 20_001)).await.unwrap();
        assert!(matches!(taken, Saved::UidTaken { name, .. } if name == "b"));
        let exists: Saved<()> = store.add_account(account("a", 0)).await.unwrap();
        assert!(matches!(exists, Saved::Exists));
        let edited = store.edit_account("a", |account| {
            account.uid = 20_001;
            Ok::<_, ()>(())
        });
        assert!(matches!(edited.await.unwrap(), Saved::UidTaken { .. }));
        store.save_account(account("a", 0)).await.unwrap();
        assert_eq!(store.account("a").await.unwrap().unwrap().uid, 20_000);
    }
}
