//! What a broker is doing, for people and tests.

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// The vhost that it is in.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// Messages that wait for a consumer.
    pub ready: usize,
    /// Messages delivered and not acknowledged.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
    /// Declared to survive a restart.
    pub durable: bool,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// The address of the other end.
    pub peer: String,
    /// The user; none before the login.
    pub user: Option<String>,
}

/// A look at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// In the order in which they came.
    pub connections: Vec<ConnectionStatus>,
    /// By vhost and name.
    pub queues: Vec<QueueStatus>,
    /// Bytes of messages in memory.
    pub memory: usize,
    /// Bytes of the message log on the disk.
    pub log_size: u64,
    /// Publishers wait because there are too many messages in memory, or for the disk.
    pub blocked: bool,
    /// What is wrong with the disk, while something is: what it refused, or how little room it has.
    pub trouble: Option<String>,
}
