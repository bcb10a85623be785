//! What nodes tell of themselves and nobody decides by: properties, results of tests. Kept apart from the records of nodes,
//! which are read all the time.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};
use serde_json::Value;

use super::{NewEvent, Node, Store, StoreError, events, nodes};

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// The properties of the node; it has one such document.
    Properties,
    /// The last result of the tests of one spec, `PROJECT:SPEC`.
    Tests,
    /// One of the last converges. Its name sorts as its beginning does.
    Converge,
    /// What the node lets the other nodes of its cluster know of it; it has one such document.
    Discoverable,
    /// What somebody says is wrong with its machine; it has one such document.
    HealthReport,
}

/// How many converges of a node are kept.
const CONVERGES: u32 = 20;

impl DocumentKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Properties => "properties",
            Self::Tests => "tests",
            Self::Converge => "converge",
            Self::Discoverable => "discoverable",
            Self::HealthReport => "ghr",
        }
    }
}

/// One document. A new one replaces the one of the same kind and name.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it is about.
    pub kind: DocumentKind,
    /// Its name; empty when there is only one.
    pub name: String,
    /// When the node told it, by the node's clock.
    pub time: Timestamp,
    /// What it told.
    pub body: Value,
}

impl Store {
    /// The documents of a node, by kind and name. Not what it lets other nodes know, see [`Store::discoverable`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn documents(&self, node_id: &str) -> Result<Vec<Document>, StoreError> {
        let node_id = node_id.to_owned();
        self.read(move |t| {
            let sql = "SELECT kind, name, time, body FROM documents WHERE node_id = ?1 AND kind != 'discoverable' ORDER BY kind, name";
            let mut statement = t.prepare_cached(sql)?;
            let rows = statement.query_map([node_id], |row| {
                let kind: String = row.get(0)?;
                let time: i64 = row.get(2)?;
                Ok((kind, row.get::<_, String>(1)?, time, row.get::<_, String>(3)?))
            })?;
            let mut documents = Vec::new();
            for row in rows {
                let (kind, name, time, body) = row?;
                documents.push(Document {
                    kind: match kind.as_str() {
                        "tests" => DocumentKind::Tests,
                        "converge" => DocumentKind::Converge,
                        "discoverable" => DocumentKind::Discoverable,
                        "ghr" => DocumentKind::HealthReport,
                        _ => DocumentKind::Properties,
                    },
                    name,
                    time: Timestamp::from_microsecond(time).unwrap_or_default(),
                    body: serde_json::from_str(&body)?,
                });
            }
            Ok(documents)
        })
        .await
    }
}

impl Store {
    /// Writes a document of a node. False when there is no such node; then nothing is done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_document(&self, node_id: &str, document: Document) -> Result<bool, StoreError> {
        let node_id = node_id.to_owned();
        self.write(move |t| {
            let exists = nodes::by_id(t, &node_id)?.is_some();
            if exists {
                save(t, &node_id, &document)?;
            }
            Ok(exists)
        })
        .await
    }

    /// Writes a document that a node does not have yet, with events. False when it has one of this kind and name, or is gone; then
    /// nothing is done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_document(
        &self,
        node_id: &str,
        document: Document,
        news: Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let node_id = node_id.to_owned();
        self.write(move |t| {
            let sql = "SELECT count(*) FROM documents WHERE node_id = ?1 AND kind = ?2 AND name = ?3";
            let key = (&node_id, document.kind.as_str(), &document.name);
            let there: u32 = t.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
            if there > 0 || nodes::by_id(t, &node_id)?.is_none() {
                return Ok(false);
            }
            save(t, &node_id, &document)?;
            events::add(t, &news)?;
            Ok(true)
        })
        .await
    }

    /// The nodes of a cluster that let others know of them, by name, and what they let know.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discoverable(&self, cluster: &str) -> Result<Vec<(Node, Value)>, StoreError> {
        let cluster = cluster.to_owned();
        self.read(move |t| {
            let sql = "SELECT body FROM documents WHERE node_id = ?1 AND kind = ?2";
            let mut statement = t.prepare_cached(sql)?;
            let mut found = Vec::new();
            for node in nodes::of_cluster(t, &cluster)? {
                let kind = DocumentKind::Discoverable.as_str();
                let body: Option<String> = statement
                    .query_row((&node.id, kind), |row| row.get(0))
                    .optional()?;
                if let Some(body) = body {
                    found.push((node, serde_json::from_str(&body)?));
                }
            }
            Ok(found)
        })
        .await
    }
}

/// Writes a document of a node.
pub(super) fn save(
    transaction: &Transaction<'_>,
    node_id: &str,
    document: &Document,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO documents (node_id, kind, name, time, body) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (node_id, kind, name) DO UPDATE SET time = excluded.time, body = excluded.body";
    transaction.prepare_cached(sql)?.execute((
        node_id,
        document.kind.as_str(),
        &document.name,
        document.time.as_microsecond(),
        serde_json::to_string(&document.body)?,
    ))?;
    if document.kind == DocumentKind::Converge {
        let sql = "DELETE FROM documents WHERE node_id = ?1 AND kind = ?2 AND name NOT IN
                   (SELECT name FROM documents WHERE node_id = ?1 AND kind = ?2 ORDER BY name DESC LIMIT ?3)";
        transaction
            .prepare_cached(sql)?
            .execute((node_id, document.kind.as_str(), CONVERGES))?;
    }
    Ok(())
}

/// Removes all documents of a node, which is gone or a new machine.
pub(super) fn remove(transaction: &Transaction<'_>, node_id: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM documents WHERE node_id = ?1";
    transaction.prepare_cached(sql)?.execute([node_id])?;
    Ok(())
}
