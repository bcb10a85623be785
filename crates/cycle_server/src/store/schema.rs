//! The tables, as numbered steps.
//!
//! A step is never changed once it was released; a new need is a new step. Each runs in a transaction with
//! the number it leads to, so a server that is killed half way finds the old schema.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Step N leads to schema N + 1. `IF NOT EXISTS` makes each safe to run again.
const STEPS: &[&str] = &[
    "
    CREATE TABLE IF NOT EXISTS meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS accounts (
        name TEXT PRIMARY KEY,
        password_hash TEXT NOT NULL,
        administrator INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS clusters (
        name TEXT PRIMARY KEY,
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS nodes (
        id TEXT PRIMARY KEY,
        cluster TEXT NOT NULL,
        name TEXT NOT NULL,
        record TEXT NOT NULL,
        UNIQUE (cluster, name)
    ) STRICT;
    -- Every userdata id that was ever given, so that a late machine learns that its node is gone.
    CREATE TABLE IF NOT EXISTS userdata (
        id TEXT PRIMARY KEY,
        node_id TEXT NOT NULL,
        ended INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS operations (
        id TEXT PRIMARY KEY,
        request_id TEXT UNIQUE,
        start_time INTEGER NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS messages (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id BLOB NOT NULL,
        node_id TEXT NOT NULL,
        received INTEGER NOT NULL,
        envelope TEXT NOT NULL,
        UNIQUE (node_id, id)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time INTEGER NOT NULL,
        cluster TEXT,
        node TEXT,
        level INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        category TEXT NOT NULL,
        message TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS events_of_cluster ON events (cluster, id);
",
    "
    -- What accounts are on nodes. Every account has a row.
    CREATE TABLE IF NOT EXISTS profiles (
        name TEXT PRIMARY KEY,
        uid INTEGER NOT NULL UNIQUE,
        record TEXT NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO profiles (name, uid, record)
        SELECT name, 19999 + row_number() OVER (ORDER BY name), '{}' FROM accounts;
    -- What nodes tell of themselves, as they told it last: properties, results of tests.
    CREATE TABLE IF NOT EXISTS documents (
        node_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        time INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (node_id, kind, name)
    ) STRICT;
",
    "
    -- When nodes had machines, and of what size.
    CREATE TABLE IF NOT EXISTS usage (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        cluster TEXT NOT NULL,
        node_id TEXT NOT NULL,
        node TEXT NOT NULL,
        nodearray TEXT,
        machine_type TEXT NOT NULL,
        cores INTEGER NOT NULL,
        started INTEGER NOT NULL,
        ended INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS usage_of_cluster ON usage (cluster, started);
    CREATE UNIQUE INDEX IF NOT EXISTS usage_now ON usage (node_id) WHERE ended IS NULL;
",
    "
    -- What the nodes of a cluster keep for each other, and the number that grows with every change of it.
    CREATE TABLE IF NOT EXISTS sync_versions (
        cluster TEXT PRIMARY KEY,
        version INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS sync_values (
        cluster TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (cluster, key)
    ) STRICT;
",
];

/// Brings the schema to the newest step.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    run(connection, STEPS)
}

fn run(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for step in steps.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_run_twice() {
        let mut connection = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            for step in STEPS {
                connection.execute_batch(step).unwrap();
            }
        }
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
    }

    #[test]
    fn only_missing_steps_run() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &["CREATE TABLE a (x) "]).unwrap();
        run(&mut connection, &["this is not run again", "CREATE TABLE b (x)"]).unwrap();
        connection.execute("INSERT INTO b VALUES (1)", ()).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_schema() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE a (x)"]).unwrap_err();
        run(&mut connection, &["CREATE TABLE a (x)"]).unwrap();
    }

    #[test]
    fn accounts_of_an_older_server_get_numbers_of_their_own() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &STEPS[..1]).unwrap();
        connection
            .execute_batch("INSERT INTO accounts VALUES ('zoe', 'x', 0), ('admin', 'x', 1)")
            .unwrap();
        migrate(&mut connection).unwrap();
        let sql = "SELECT group_concat(name || ' ' || uid, ', ') FROM (SELECT * FROM profiles ORDER BY uid)";
        let found: String = connection.query_row(sql, (), |row| row.get(0)).unwrap();
        assert_eq!(found, "admin 20000, zoe 20001");
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(error.to_string().contains("999"), "{error}");
    }
}
