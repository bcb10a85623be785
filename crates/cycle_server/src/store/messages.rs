//! What nodes said: stored once each, with all that follows from it, in one transaction.

use jiff::Timestamp;
use protocol::MessageType;
use rusqlite::Transaction;

use super::{
    Demand, Document, Incoming, NewEvent, Node, Store, StoreError, clusters, documents, events, nodes,
};

/// What came of a batch of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Stored now.
    pub new: usize,
    /// Stored before: they changed nothing.
    pub repeated: usize,
    /// From nodes that are gone; dropped.
    pub orphaned: usize,
}

/// What follows from a message beside the changes of its node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Consequences {
    /// Goes into the event log.
    pub events: Vec<NewEvent>,
    /// What is wanted of the node's cluster from now on, and the event that says so if it is not what was wanted before.
    pub demand: Option<(Demand, NewEvent)>,
    /// What the node tells of itself.
    pub documents: Vec<Document>,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Messages, operations, events and ended userdata ids from before this go.
    pub before: Timestamp,
    /// Of the newer events, only the newest so many stay.
    pub max_events: u32,
    /// Of the newer messages, only the newest so many stay.
    pub max_messages: u32,
}

impl Store {
    /// Stores the messages that are new and applies each to its node, in one transaction: when this returns,
    /// the senders may forget them. `apply` changes the node and says what else follows; it must not
    /// know of storage.
    ///
    /// Heartbeats are applied, not stored: a repeated one changes nothing.
    ///
    /// # Errors
    /// When the database fails; nothing is stored then.
    pub async fn receive<F>(
        &self,
        batch: Vec<Incoming>,
        now: Timestamp,
        apply: F,
    ) -> Result<Received, StoreError>
    where
        F: Fn(&mut Node, &Incoming, &mut Consequences) + Send + 'static,
    {
        self.write(move |t| {
            let mut received = Received::default();
            for message in &batch {
                let Some(old) = nodes::by_id(t, &message.node_id)? else {
                    received.orphaned += 1;
                    continue;
                };
                if message.envelope.kind != MessageType::Heartbeat && !insert(t, message, now)? {
                    received.repeated += 1;
                    continue;
                }
                received.new += 1;
                let (mut node, mut then) = (old.clone(), Consequences::default());
                apply(&mut node, message, &mut then);
                nodes::replace(t, &old, &node, now)?;
                events::add(t, &then.events)?;
                for document in &then.documents {
                    documents::save(t, &node.id, document)?;
                }
                if let Some((demand, news)) = then.demand
                    && let Some(mut cluster) = clusters::by_name(t, &node.cluster)?
                {
                    let is_new = cluster.autoscale.take(demand);
                    clusters::save(t, &cluster)?;
                    events::add(t, if is_new { std::slice::from_ref(&news) } else { &[] })?;
                }
            }
            Ok(received)
        })
        .await
    }

    /// Forgets what is too old or too much. Returns how many rows went.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(&self, retention: Retention) -> Result<usize, StoreError> {
        self.write(move |t| {
            let before = retention.before.as_microsecond();
            let mut gone = 0;
            gone += t.execute("DELETE FROM messages WHERE received < ?1", [before])?;
            gone += t.execute("DELETE FROM operations WHERE start_time < ?1", [before])?;
            gone += t.execute("DELETE FROM events WHERE time < ?1", [before])?;
            gone += t.execute("DELETE FROM userdata WHERE ended < ?1", [before])?;
            gone += t.execute(
                "DELETE FROM messages WHERE position <= (SELECT max(position) FROM messages) - ?1",
                [retention.max_messages],
            )?;
            gone += t.execute(
                "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1",
                [retention.max_events],
            )?;
            Ok(gone)
        })
        .await
    }
}

fn insert(transaction: &Transaction<'_>, message: &Incoming, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "INSERT INTO messages (id, node_id, received, envelope) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (node_id, id) DO NOTHING";
    let rows = transaction.prepare_cached(sql)?.execute((
        message.envelope.id.as_bytes(),
        &message.node_id,
        now.as_microsecond(),
        serde_json::to_string(&message.envelope)?,
    ))?;
    Ok(rows > 0)
}
