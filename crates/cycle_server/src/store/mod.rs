//! What the server remembers: clusters, nodes, operations, messages, events, accounts.
//!
//! The only place with SQL. Callers see typed methods and never a row. Changes to a cluster or a node are
//! closures over the current record ([`Store::edit_cluster`], [`Store::edit_node`]): they run inside the
//! transaction, so that two of them never overwrite each other. The module must not know why a record
//! changes; those rules are in `lifecycle`.

mod accounts;
mod clusters;
mod database;
mod documents;
mod events;
mod messages;
mod nodes;
mod operations;
mod records;
mod schema;
mod sync;
mod usage;

pub use accounts::Saved;
pub use clusters::{ClusterEdit, Edited};
pub use database::{Store, StoreError};
pub use documents::{Document, DocumentKind};
pub use events::{EventQuery, NewEvent};
pub use messages::{Consequences, Received, Retention};
pub use nodes::Userdata;
pub use records::{
    AccountRecord, Autoscaling, Cluster, Demand, HeldCondition, Incoming, MachineFailure, Node, Operation,
    Profile, Renewal, ShutdownRequest, State, Status, TargetState,
};
pub use sync::{KeyValue, KeyVersion, MAX_KEYS, Refused};
pub use usage::{Running, Usage};

#[cfg(test)]
mod tests;
