//! The database file and the threads that own its connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::schema;

/// Calls that wait for a thread; more make their callers wait.
const QUEUE: usize = 1024;

/// The store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open the store `{path}`", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A later version of the server has written it.
    #[error("the store has schema {found}, this server knows up to {known}: use the newer server")]
    Newer {
        /// What the file says.
        found: u32,
        /// What this program can read.
        known: u32,
    },
    /// The database refused.
    #[error("the store failed")]
    Database(#[from] rusqlite::Error),
    /// A record is not what it should be.
    #[error("a record of the store cannot be read or written")]
    Record(#[from] serde_json::Error),
    /// The thread could not be made.
    #[error("cannot start the thread of the store")]
    Thread(#[source] std::io::Error),
    /// The server is stopping.
    #[error("the store is closed")]
    Closed,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The store. Clones share it.
///
/// One thread writes, so that writers never wait for each other's locks; another one reads beside it. What
/// a write has answered is on the disk.
#[derive(Debug, Clone)]
pub struct Store {
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Job>,
    revision: Arc<watch::Sender<u64>>,
}

impl Store {
    /// Opens the file, makes it when there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`], and [`StoreError::Newer`] for a file of a later server.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let mut writer = Connection::open(path).map_err(opened)?;
        writer
            .busy_timeout(Duration::from_secs(5))
            .and_then(|()| writer.pragma_update(None, "journal_mode", "WAL"))
            .and_then(|()| writer.pragma_update(None, "synchronous", "FULL"))
            .and_then(|()| writer.pragma_update(None, "foreign_keys", true))
            .map_err(opened)?;
        schema::migrate(&mut writer)?;
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(opened)?;
        reader.busy_timeout(Duration::from_secs(5)).map_err(opened)?;
        Ok(Self {
            writer: serve("store-write", writer)?,
            reader: serve("store-read", reader)?,
            revision: Arc::new(watch::Sender::new(0)),
        })
    }

    /// Rises with every change of the store. Pages and event streams wait for it.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Moves everything into the main file. Calls after it still work.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the disk refuses; nothing is lost then, the journal is kept.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        call(&self.writer, |connection| {
            // A reader that is at work keeps the journal busy: the next start takes it over.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
            Ok(())
        })
        .await
    }

    /// Runs a closure in a transaction that may write. An error undoes it.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let revision = self.revision.clone();
        call(&self.writer, move |connection| {
            let changes = connection.total_changes();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            if connection.total_changes() != changes {
                revision.send_modify(|revision| *revision += 1);
            }
            Ok(result)
        })
        .await
    }

    /// Runs a closure in a transaction that sees one state of the store.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        call(&self.reader, move |connection| {
            let transaction = connection.transaction()?;
            work(&transaction)
        })
        .await
    }
}

fn serve(name: &str, mut connection: Connection) -> Result<mpsc::Sender<Job>, StoreError> {
    connection.set_prepared_statement_cache_capacity(64);
    let (sender, mut receiver) = mpsc::channel::<Job>(QUEUE);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            while let Some(job) = receiver.blocking_recv() {
                job(&mut connection);
            }
        })
        .map_err(StoreError::Thread)?;
    Ok(sender)
}

async fn call<T, F>(thread: &mpsc::Sender<Job>, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
{
    let (answer, result) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        // Whoever asked may have gone away; the work is done all the same.
        let _ = answer.send(work(connection));
    });
    thread.send(job).await.map_err(|_| StoreError::Closed)?;
    result.await.map_err(|_| StoreError::Closed)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_write_answered_is_read_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Store::open(&path).unwrap();
        store
            .write(|t| Ok(t.execute("INSERT INTO meta VALUES ('a', 'b')", ())?))
            .await
            .unwrap();
        let other = Store::open(&path).unwrap();
        let value: String = other
            .read(|t| Ok(t.query_row("SELECT value FROM meta WHERE key = 'a'", (), |row| row.get(0))?))
            .await
            .unwrap();
        assert_eq!(value, "b");
    }

    #[tokio::test]
    async fn an_error_undoes_the_write_and_keeps_the_revision() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let result: Result<(), _> = store
            .write(|t| {
                t.execute("INSERT INTO meta VALUES ('a', 'b')", ())?;
                Err(StoreError::Closed)
            })
            .await;
        result.unwrap_err();
        let count: i64 = store
            .read(|t| Ok(t.query_row("SELECT count(*) FROM meta", (), |row| row.get(0))?))
            .await
            .unwrap();
        assert_eq!(count, 0);
        assert_eq!(*store.revision().borrow(), 0);
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        durable::write(&path, 0o600, &[b'x'; 4096]).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(error.to_string().contains("store.db"), "{error}");
    }
}
