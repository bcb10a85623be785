//! Clusters, and changes to a cluster together with its nodes.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};

use super::{Cluster, NewEvent, Node, Operation, Store, StoreError, events, nodes, operations};

/// A cluster and its nodes, to be changed in one step.
///
/// Whatever the closure changes, adds or takes out of here is written when it returns; nothing is when it
/// fails.
#[derive(Debug)]
pub struct ClusterEdit {
    /// The cluster.
    pub cluster: Cluster,
    /// All its nodes, by name. New ones may be added, others taken out.
    pub nodes: Vec<Node>,
    /// True when the request id that the caller gave was used before.
    pub request_known: bool,
    /// An operation to add.
    pub operation: Option<Operation>,
    /// Events to add.
    pub events: Vec<NewEvent>,
}

/// What became of an edit.
#[derive(Debug)]
pub enum Edited<T, E> {
    /// It is written.
    Done(T),
    /// The closure refused; nothing is written.
    Refused(E),
    /// There is no such cluster.
    NoCluster,
}

impl Store {
    /// All clusters by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clusters(&self) -> Result<Vec<Cluster>, StoreError> {
        self.read(|t| {
            let mut statement = t.prepare_cached("SELECT record FROM clusters ORDER BY name")?;
            let rows = statement.query_map((), |row| row.get::<_, String>(0))?;
            rows.map(|row| Ok(serde_json::from_str(&row?)?)).collect()
        })
        .await
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster(&self, name: &str) -> Result<Option<Cluster>, StoreError> {
        let name = name.to_owned();
        self.read(move |t| by_name(t, &name)).await
    }

    /// A cluster and its nodes at one instant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_and_nodes(&self, name: &str) -> Result<Option<(Cluster, Vec<Node>)>, StoreError> {
        let name = name.to_owned();
        self.read(move |t| match by_name(t, &name)? {
            Some(cluster) => Ok(Some((cluster, nodes::of_cluster(t, &name)?))),
            None => Ok(None),
        })
        .await
    }

    /// Changes a cluster and its nodes in one step. `request` is the id that the caller gave to the request,
    /// looked up for [`ClusterEdit::request_known`].
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn edit_cluster<T, E, F>(
        &self,
        name: &str,
        request: Option<&str>,
        now: Timestamp,
        edit: F,
    ) -> Result<Edited<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut ClusterEdit) -> Result<T, E> + Send + 'static,
    {
        let (name, request) = (name.to_owned(), request.map(str::to_owned));
        self.write(move |t| match by_name(t, &name)? {
            Some(cluster) => apply(t, Some(cluster.clone()), cluster, request.as_deref(), now, edit),
            None => Ok(Edited::NoCluster),
        })
        .await
    }

    /// Removes a cluster and its nodes, with these events. False when there is none, or `may` does not allow it any more.
    ///
    /// # Errors
    /// When the database fails; nothing is removed then.
    pub async fn remove_cluster(
        &self,
        name: &str,
        now: Timestamp,
        news: Vec<NewEvent>,
        may: impl FnOnce(&Cluster, &[Node]) -> bool + Send + 'static,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |t| {
            let Some(cluster) = by_name(t, &name)? else {
                return Ok(false);
            };
            let of_cluster = nodes::of_cluster(t, &name)?;
            if !may(&cluster, &of_cluster) {
                return Ok(false);
            }
            for node in &of_cluster {
                nodes::remove(t, &node.id, now)?;
            }
            t.execute("DELETE FROM clusters WHERE name = ?1", [&name])?;
            t.execute("DELETE FROM sync_values WHERE cluster = ?1", [&name])?;
            t.execute("DELETE FROM sync_versions WHERE cluster = ?1", [&name])?;
            events::add(t, &news)?;
            Ok(true)
        })
        .await
    }

    /// As [`Store::edit_cluster`], for a cluster that may not exist yet: `new` is what the edit starts with
    /// then. The flag is true when the cluster is new.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn edit_or_create_cluster<T, E, F>(
        &self,
        new: Cluster,
        now: Timestamp,
        edit: F,
    ) -> Result<Edited<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut ClusterEdit, bool) -> Result<T, E> + Send + 'static,
    {
        self.write(move |t| match by_name(t, &new.name)? {
            Some(cluster) => apply(t, Some(cluster.clone()), cluster, None, now, |e| edit(e, false)),
            None => apply(t, None, new, None, now, |e| edit(e, true)),
        })
        .await
    }
}

fn apply<T, E>(
    transaction: &Transaction<'_>,
    old: Option<Cluster>,
    cluster: Cluster,
    request: Option<&str>,
    now: Timestamp,
    work: impl FnOnce(&mut ClusterEdit) -> Result<T, E>,
) -> Result<Edited<T, E>, StoreError> {
    let before = nodes::of_cluster(transaction, &cluster.name)?;
    let request_known = match request {
        Some(request) => operations::known(transaction, request)?,
        None => false,
    };
    let mut edit = ClusterEdit {
        cluster,
        nodes: before.clone(),
        request_known,
        operation: None,
        events: Vec::new(),
    };
    let result = match work(&mut edit) {
        Ok(result) => result,
        Err(refusal) => return Ok(Edited::Refused(refusal)),
    };
    if old.as_ref() != Some(&edit.cluster) {
        save(transaction, &edit.cluster)?;
    }
    for node in &before {
        if !edit.nodes.iter().any(|kept| kept.id == node.id) {
            nodes::remove(transaction, &node.id, now)?;
        }
    }
    for node in &edit.nodes {
        match before.iter().find(|old| old.id == node.id) {
            Some(old) => nodes::replace(transaction, old, node, now)?,
            None => nodes::save(transaction, node)?,
        }
    }
    if let Some(operation) = &edit.operation {
        operations::add(transaction, operation)?;
    }
    events::add(transaction, &edit.events)?;
    Ok(Edited::Done(result))
}

/// One cluster.
pub(super) fn by_name(transaction: &Transaction<'_>, name: &str) -> Result<Option<Cluster>, StoreError> {
    let sql = "SELECT record FROM clusters WHERE name = ?1";
    let text: Option<String> = transaction
        .prepare_cached(sql)?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// Writes a cluster, new or not.
pub(super) fn save(transaction: &Transaction<'_>, cluster: &Cluster) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO clusters (name, record) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET record = excluded.record",
        (&cluster.name, serde_json::to_string(cluster)?),
    )?;
    Ok(())
}
