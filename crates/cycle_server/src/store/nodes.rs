//! Nodes and their userdata ids.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};

use super::{NewEvent, Node, Store, StoreError, documents, events};

/// What a userdata id stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Userdata {
    /// It was never given.
    Unknown,
    /// The start of the node that it was made for is over.
    Ended,
    /// The node.
    Of(Box<Node>),
}

impl Store {
    /// The nodes of a cluster, or all there are, by cluster and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nodes(&self, cluster: Option<&str>) -> Result<Vec<Node>, StoreError> {
        let cluster = cluster.map(str::to_owned);
        self.read(move |t| match cluster {
            Some(cluster) => of_cluster(t, &cluster),
            None => {
                let mut statement = t.prepare_cached("SELECT record FROM nodes ORDER BY cluster, name")?;
                let rows = statement.query_map((), |row| row.get::<_, String>(0))?;
                rows.map(|row| parse(&row?)).collect()
            }
        })
        .await
    }

    /// The node with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn node(&self, id: &str) -> Result<Option<Node>, StoreError> {
        let id = id.to_owned();
        self.read(move |t| by_id(t, &id)).await
    }

    /// What a userdata id stands for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn userdata(&self, id: &str) -> Result<Userdata, StoreError> {
        let id = id.to_owned();
        self.read(move |t| userdata(t, &id)).await
    }

    /// Binds the hash of a secret to the node of a userdata id, if no other secret is bound to it, and
    /// returns the node as it is then. See its `claim` for the secret that has won. `users` is the
    /// digest of the users that the node is told of with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(
        &self,
        userdata_id: &str,
        secret_hash: &str,
        users: Option<String>,
    ) -> Result<Userdata, StoreError> {
        let (id, hash) = (userdata_id.to_owned(), secret_hash.to_owned());
        self.write(move |t| {
            let mut found = userdata(t, &id)?;
            if let Userdata::Of(node) = &mut found
                && node.claim.is_none()
            {
                node.claim = Some(hash);
                node.users = users;
                save(t, node)?;
            }
            Ok(found)
        })
        .await
    }

    /// Changes one node and adds events. None when there is no such node; then nothing is done.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn edit_node<T, F>(&self, id: &str, now: Timestamp, edit: F) -> Result<Option<T>, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Node, &mut Vec<NewEvent>) -> T + Send + 'static,
    {
        let id = id.to_owned();
        self.write(move |t| {
            let Some(old) = by_id(t, &id)? else {
                return Ok(None);
            };
            let (mut node, mut news) = (old.clone(), Vec::new());
            let result = edit(&mut node, &mut news);
            replace(t, &old, &node, now)?;
            events::add(t, &news)?;
            Ok(Some(result))
        })
        .await
    }

    /// Removes a node for good, with these events. Its userdata ids stay known as ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_node(&self, id: &str, now: Timestamp, news: Vec<NewEvent>) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |t| {
            if remove(t, &id, now)? {
                events::add(t, &news)?;
            }
            Ok(())
        })
        .await
    }
}

/// The nodes of a cluster by name.
pub(super) fn of_cluster(transaction: &Transaction<'_>, cluster: &str) -> Result<Vec<Node>, StoreError> {
    let sql = "SELECT record FROM nodes WHERE cluster = ?1 ORDER BY name";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map([cluster], |row| row.get::<_, String>(0))?;
    rows.map(|row| parse(&row?)).collect()
}

/// One node.
pub(super) fn by_id(transaction: &Transaction<'_>, id: &str) -> Result<Option<Node>, StoreError> {
    let sql = "SELECT record FROM nodes WHERE id = ?1";
    let text: Option<String> = transaction
        .prepare_cached(sql)?
        .query_row([id], |row| row.get(0))
        .optional()?;
    text.map(|text| parse(&text)).transpose()
}

/// Writes a node that changed. A new userdata id becomes known, the one before it ends.
pub(super) fn replace(
    transaction: &Transaction<'_>,
    old: &Node,
    new: &Node,
    now: Timestamp,
) -> Result<(), StoreError> {
    if old == new {
        return Ok(());
    }
    if old.userdata_id != new.userdata_id
        && let Some(id) = &old.userdata_id
    {
        let sql = "UPDATE userdata SET ended = ?2 WHERE id = ?1";
        transaction
            .prepare_cached(sql)?
            .execute((id, now.as_microsecond()))?;
        documents::remove(transaction, &new.id)?;
    }
    save(transaction, new)
}

/// Writes a node, new or not.
pub(super) fn save(transaction: &Transaction<'_>, node: &Node) -> Result<(), StoreError> {
    let sql = "INSERT INTO nodes (id, cluster, name, record) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record";
    let record = serde_json::to_string(node)?;
    transaction
        .prepare_cached(sql)?
        .execute((&node.id, &node.cluster, &node.name, record))?;
    if let Some(userdata) = &node.userdata_id {
        let sql = "INSERT INTO userdata (id, node_id) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
        transaction.prepare_cached(sql)?.execute((userdata, &node.id))?;
    }
    Ok(())
}

/// Removes a node; false when there is none.
pub(super) fn remove(transaction: &Transaction<'_>, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE userdata SET ended = ?2 WHERE node_id = ?1 AND ended IS NULL";
    transaction
        .prepare_cached(sql)?
        .execute((id, now.as_microsecond()))?;
    documents::remove(transaction, id)?;
    let removed = transaction
        .prepare_cached("DELETE FROM nodes WHERE id = ?1")?
        .execute([id])?;
    Ok(removed > 0)
}

fn userdata(transaction: &Transaction<'_>, id: &str) -> Result<Userdata, StoreError> {
    let sql = "SELECT node_id FROM userdata WHERE id = ?1";
    let node: Option<String> = transaction
        .prepare_cached(sql)?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(node) = node else {
        return Ok(Userdata::Unknown);
    };
    match by_id(transaction, &node)? {
        Some(node) if node.userdata_id.as_deref() == Some(id) => Ok(Userdata::Of(Box::new(node))),
        _ => Ok(Userdata::Ended),
    }
}

fn parse(text: &str) -> Result<Node, StoreError> {
    Ok(serde_json::from_str(text)?)
}
