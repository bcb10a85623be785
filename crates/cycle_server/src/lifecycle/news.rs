//! What goes into the event log.

use jiff::Timestamp;
use protocol::{Level, Priority};

use crate::store::{Cluster, NewEvent, Node};

/// An event about a node.
pub fn news(
    node: &Node,
    now: Timestamp,
    level: Level,
    priority: Priority,
    message: impl Into<String>,
) -> NewEvent {
    NewEvent {
        time: now,
        cluster: Some(node.cluster.clone()),
        node: Some(node.name.clone()),
        level,
        priority,
        category: "node",
        message: message.into(),
    }
}

/// An event about a cluster.
pub(super) fn cluster_news(
    cluster: &Cluster,
    now: Timestamp,
    level: Level,
    priority: Priority,
    message: impl Into<String>,
) -> NewEvent {
    NewEvent {
        time: now,
        cluster: Some(cluster.name.clone()),
        node: None,
        level,
        priority,
        category: "cluster",
        message: message.into(),
    }
}
