//! Names of exchanges, queues and routing keys (design, section 6).

use crate::MessageType;

/// Durable topic exchange that nodes publish to, with the keys of [`routing_key`].
pub const NODE_EXCHANGE: &str = "cyclecloud.node";
/// Durable topic exchange for `jetpack send`, with exactly the key that the user gave.
pub const CUSTOM_EXCHANGE: &str = "cyclecloud.custom";
/// Durable direct exchange for commands; the key is the node's id.
pub const COMMAND_EXCHANGE: &str = "cyclecloud.command";
/// The durable queue from which servers read what nodes say.
pub const INBOX_QUEUE: &str = "cycle_server.inbox";

/// The durable queue with the commands for one node.
pub fn command_queue(node_id: &str) -> String {
    format!("node.{node_id}")
}

/// `CLUSTER.NODE_ID.TYPE`: the only keys under which a node may publish start with its own
/// [`node_prefix`].
pub fn routing_key(cluster: &str, node_id: &str, kind: MessageType) -> String {
    format!("{}{}", node_prefix(cluster, node_id), kind.as_str())
}

/// `CLUSTER.NODE_ID.`, with the dots inside the names replaced by underscores.
pub fn node_prefix(cluster: &str, node_id: &str) -> String {
    format!("{}.{}.", cluster.replace('.', "_"), node_id.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_in_names_do_not_add_parts_to_the_key() {
        assert_eq!(
            routing_key("my.cluster", "ab", MessageType::Log),
            "my_cluster.ab.log"
        );
    }
}
