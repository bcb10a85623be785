//! What every provider can do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;

/// What a new machine needs to become a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRequest {
    /// The node that the machine is for. A provider has at most one machine for each node.
    pub node_id: String,
    /// The id with which the machine fetches its configuration; fresh at each start of a machine.
    pub userdata: String,
    /// The server, as the machine reaches it.
    pub url: String,
    /// The server's CA in PEM; none when the system's certificates or plain HTTP do.
    pub ca: Option<PathBuf>,
}

/// How a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineStatus {
    /// It is being made, or started for the first time by this server.
    Starting,
    /// It runs.
    Running {
        /// The process that stands for the machine, where there is one on this host.
        pid: Option<i32>,
    },
    /// It died. The provider starts it again by itself.
    Dead {
        /// Why, for people: `jetpackd ended with exit code 3`.
        reason: String,
        /// How long until the next start.
        restart_in: Duration,
    },
    /// It is being taken away, or stops together with the server.
    Stopping,
    /// It was stopped and keeps its disks.
    Stopped,
    /// There is none: never made, deleted, or half made when the server was killed and cleared
    /// away since.
    Gone,
}

/// One machine in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The node that it is for.
    pub node_id: String,
    /// How it is.
    pub status: MachineStatus,
}

/// A machine that could not be made or taken away.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// There is one already. Delete it first.
    #[error("node `{0}` has a machine already")]
    Exists(String),
    /// The id cannot be the name of a folder or a machine.
    #[error("the node id cannot name a machine")]
    Name(#[source] protocol::IdError),
    /// A program that makes machines is missing or cannot be run.
    #[error("cannot start `{program}`", program = program.display())]
    Start {
        /// Its path.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The first step on the machine failed.
    #[error("`jetpack initialize` {how}: {output}")]
    Initialize {
        /// How it ended: `ended with exit code 1`.
        how: String,
        /// The last lines that it printed, as one line.
        output: String,
    },
    /// The record of a machine could not be kept.
    #[error("cannot keep the record of a machine")]
    Record(#[from] durable::Error),
    /// The folder of a machine could not be read or removed.
    #[error("cannot {action} `{path}`", path = path.display())]
    Folder {
        /// What was tried.
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Processes of the machine outlived SIGKILL, for instance in uninterruptible sleep.
    #[error("{count} processes of node `{node_id}` cannot be killed")]
    Unkillable {
        /// The node.
        node_id: String,
        /// How many are left.
        count: usize,
    },
    /// There is none.
    #[error("node `{0}` has no machine")]
    Missing(String),
    /// The server stops; nothing new is begun.
    #[error("the server is stopping")]
    Stopping,
}

/// Makes machines. All calls may be made at any time, and again after an error.
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// The word for it in settings and logs: `process`.
    fn name(&self) -> &'static str;

    /// What the machine of this request will be called, before and after it is made. The node is told it in
    /// its configuration, which it fetches while [`Provider::create`] is at work.
    fn instance_id(&self, request: &MachineRequest) -> String;

    /// Makes and starts the machine. Goes on when the caller stops waiting. When it fails, nothing of
    /// the machine is left.
    ///
    /// # Errors
    /// [`ProviderError::Exists`] when the node has a machine, else what the machine failed on.
    fn create(&self, request: MachineRequest) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// Takes the machine away with all that runs on it. No machine is success.
    ///
    /// # Errors
    /// What is left and why. The machine counts as [`MachineStatus::Stopping`] then: call again.
    fn delete<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Stops the machine, which keeps its disks. No machine, and one that is stopped, are success.
    ///
    /// # Errors
    /// What is left and why: call again.
    fn deallocate<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Starts a machine that is [`MachineStatus::Stopped`]. One that runs is success.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    fn start<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// How the machine of a node is, from memory: cheap and without waiting.
    fn status(&self, node_id: &str) -> MachineStatus;

    /// All machines there are, by node id.
    fn machines(&self) -> Vec<Machine>;

    /// Stops what cannot go on without the server. The next server starts it again.
    fn stop(&self) -> BoxFuture<'_, ()>;
}
