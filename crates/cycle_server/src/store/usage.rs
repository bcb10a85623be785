//! When nodes had machines: what clusters use.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, Transaction};

use super::{Store, StoreError};

/// Who asks for more gets what there is: a year, and a month to close its books.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// A node with a machine, and what that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Name of the cluster.
    pub cluster: String,
    /// Id of the node.
    pub node_id: String,
    /// Name of the node.
    pub node: String,
    /// Its node array; none for others.
    pub nodearray: Option<String>,
    /// The machine type.
    pub machine_type: String,
    /// How many cores it has.
    pub cores: u32,
}

/// From when to when a node had a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The node and its machine.
    pub running: Running,
    /// When it was seen first.
    pub started: Timestamp,
    /// When it was gone; none: it is still there.
    pub ended: Option<Timestamp>,
}

impl Store {
    /// Takes it down that these nodes have machines now, and no others. Returns how many began and ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_usage(&self, running: Vec<Running>, now: Timestamp) -> Result<usize, StoreError> {
        let noted = self.read(open).await?;
        if is_same(&noted, &running) {
            return Ok(0);
        }
        self.write(move |t| {
            let noted = open(t)?;
            let mut changes = 0;
            for (id, old) in noted.values() {
                if !running.contains(old) {
                    let sql = "UPDATE usage SET ended = ?2 WHERE id = ?1";
                    changes += t.prepare_cached(sql)?.execute((id, now.as_microsecond()))?;
                }
            }
            for new in &running {
                if noted.get(&new.node_id).is_some_and(|(_, old)| old == new) {
                    continue;
                }
                let sql =
                    "INSERT INTO usage (cluster, node_id, node, nodearray, machine_type, cores, started)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
                changes += t.prepare_cached(sql)?.execute((
                    &new.cluster,
                    &new.node_id,
                    &new.node,
                    &new.nodearray,
                    &new.machine_type,
                    new.cores,
                    now.as_microsecond(),
                ))?;
            }
            let oldest = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
            t.prepare_cached("DELETE FROM usage WHERE ended < ?1")?
                .execute([oldest.as_microsecond()])?;
            Ok(changes)
        })
        .await
    }

    /// What a cluster used within a time, in the order in which it began.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usage(
        &self,
        cluster: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Usage>, StoreError> {
        let cluster = cluster.to_owned();
        self.read(move |t| {
            let sql = "SELECT cluster, node_id, node, nodearray, machine_type, cores, started, ended FROM usage
                       WHERE cluster = ?1 AND started < ?3 AND (ended IS NULL OR ended > ?2) ORDER BY started, id";
            let mut statement = t.prepare_cached(sql)?;
            let rows = statement.query_map(
                (&cluster, from.as_microsecond(), to.as_microsecond()),
                |row| {
                    let ended: Option<i64> = row.get(7)?;
                    Ok(Usage {
                        running: running(row)?,
                        started: Timestamp::from_microsecond(row.get(6)?).unwrap_or_default(),
                        ended: ended.and_then(|ended| Timestamp::from_microsecond(ended).ok()),
                    })
                },
            )?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn running(row: &Row<'_>) -> rusqlite::Result<Running> {
    Ok(Running {
        cluster: row.get(0)?,
        node_id: row.get(1)?,
        node: row.get(2)?,
        nodearray: row.get(3)?,
        machine_type: row.get(4)?,
        cores: row.get(5)?,
    })
}

/// What has no end yet, by node.
fn open(t: &Transaction<'_>) -> Result<HashMap<String, (i64, Running)>, StoreError> {
    let sql =
        "SELECT cluster, node_id, node, nodearray, machine_type, cores, id FROM usage WHERE ended IS NULL";
    let mut statement = t.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        let running = running(row)?;
        Ok((running.node_id.clone(), (row.get(6)?, running)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn is_same(noted: &HashMap<String, (i64, Running)>, running: &[Running]) -> bool {
    let is_noted = |one: &Running| noted.get(&one.node_id).is_some_and(|(_, old)| old == one);
    noted.len() == running.len() && running.iter().all(is_noted)
}
