//! The event log.

use jiff::Timestamp;
use protocol::{Event, Level, Priority};
use rusqlite::{Row, Transaction};

use super::{Store, StoreError};

/// An event that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// When it happened.
    pub time: Timestamp,
    /// The cluster it belongs to; none for events of the site.
    pub cluster: Option<String>,
    /// Name of the node it belongs to.
    pub node: Option<String>,
    /// What kind of news it is.
    pub level: Level,
    /// How much it matters.
    pub priority: Priority,
    /// `log`, `phase`, `node`, `cluster` or `site`.
    pub category: &'static str,
    /// The text.
    pub message: String,
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Those of one cluster; none: all.
    pub cluster: Option<String>,
    /// Those with a greater number, the oldest first; none: the newest.
    pub after: Option<i64>,
    /// Those of at least this level.
    pub level: Level,
    /// Those of at least this priority.
    pub priority: Priority,
    /// At most so many.
    pub limit: u32,
}

impl Store {
    /// Events, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        self.read(move |t| {
            let columns = "SELECT id, time, cluster, node, level, priority, category, message FROM events";
            let cluster = if query.cluster.is_some() {
                "cluster = ?2"
            } else {
                "?2 IS NULL"
            };
            let order = if query.after.is_some() { "" } else { "DESC" };
            let sql = format!(
                "{columns} WHERE id > ?1 AND {cluster} AND priority >= ?3 AND level >= ?4 ORDER BY id {order} LIMIT ?5"
            );
            let mut statement = t.prepare_cached(&sql)?;
            let rows = statement.query_map(
                (
                    query.after.unwrap_or(i64::MIN),
                    query.cluster,
                    query.priority as i64,
                    query.level as i64,
                    query.limit,
                ),
                event,
            )?;
            let mut events = rows.collect::<Result<Vec<Event>, _>>()?;
            if query.after.is_none() {
                events.reverse();
            }
            Ok(events)
        })
        .await
    }

    /// Number of the newest event there ever was; 0 when there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_event(&self) -> Result<i64, StoreError> {
        self.read(|t| {
            let sql = "SELECT coalesce(max(id), 0) FROM events";
            Ok(t.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
        })
        .await
    }

    /// Adds events to the log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_events(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(move |t| add(t, &events)).await
    }
}

/// Adds events within a transaction.
pub(super) fn add(transaction: &Transaction<'_>, events: &[NewEvent]) -> Result<(), StoreError> {
    let sql = "INSERT INTO events (time, cluster, node, level, priority, category, message)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut statement = transaction.prepare_cached(sql)?;
    for event in events {
        statement.execute((
            event.time.as_microsecond(),
            &event.cluster,
            &event.node,
            event.level as i64,
            event.priority as i64,
            event.category,
            &event.message,
        ))?;
    }
    Ok(())
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let time: i64 = row.get(1)?;
    Ok(Event {
        id: row.get(0)?,
        time: Timestamp::from_microsecond(time).unwrap_or_default(),
        cluster: row.get(2)?,
        node: row.get(3)?,
        level: match row.get::<_, i64>(4)? {
            0 => Level::Info,
            1 => Level::Warn,
            _ => Level::Error,
        },
        priority: match row.get::<_, i64>(5)? {
            0 => Priority::Low,
            1 => Priority::Medium,
            _ => Priority::High,
        },
        category: row.get(6)?,
        message: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(cluster: &str, priority: Priority, message: &str) -> NewEvent {
        NewEvent {
            time: Timestamp::from_second(1_000).unwrap(),
            cluster: Some(cluster.to_owned()),
            node: None,
            level: Level::Warn,
            priority,
            category: "log",
            message: message.to_owned(),
        }
    }

    async fn messages(store: &Store, cluster: Option<&str>, after: Option<i64>, limit: u32) -> Vec<String> {
        let query = EventQuery {
            cluster: cluster.map(str::to_owned),
            after,
            level: Level::Info,
            priority: Priority::Medium,
            limit,
        };
        let events = store.events(query).await.unwrap();
        events.into_iter().map(|event| event.message).collect()
    }

    #[tokio::test]
    async fn events_are_filtered_and_come_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        store
            .add_events(vec![
                news("a", Priority::High, "1"),
                news("b", Priority::Medium, "2"),
                news("a", Priority::Low, "3"),
                news("a", Priority::Medium, "4"),
            ])
            .await
            .unwrap();
        assert_eq!(messages(&store, None, None, 2).await, ["2", "4"]);
        assert_eq!(messages(&store, None, Some(0), 2).await, ["1", "2"]);
        assert_eq!(messages(&store, Some("a"), Some(1), 9).await, ["4"]);
        assert_eq!(messages(&store, Some("a"), None, 9).await, ["1", "4"]);
        let errors = EventQuery {
            cluster: None,
            after: None,
            level: Level::Error,
            priority: Priority::Low,
            limit: 9,
        };
        assert_eq!(
            store.events(errors).await.unwrap(),
            [],
            "all of them are warnings"
        );
        assert_eq!(store.last_event().await.unwrap(), 4);
    }
}
