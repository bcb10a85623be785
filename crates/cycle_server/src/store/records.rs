//! The records that the store keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use protocol::{Condition, Envelope, ShutdownCause, ShutdownPolicy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::template::ClusterDefinition;

/// What somebody wants a node or a cluster to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetState {
    /// It should run.
    Started,
    /// It should be gone.
    Terminated,
    /// Its machine should be off and keep its disks. Only for nodes.
    Deallocated,
}

/// How far the change to the [`TargetState`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// On the way to `Started`.
    Starting,
    /// All that was wanted is there.
    Started,
    /// On the way to `Terminated`.
    Terminating,
    /// Nothing is left of it.
    Terminated,
    /// On the way to `Deallocated`.
    Deallocating,
    /// Its machine is off.
    Deallocated,
}

/// What people and autoscalers read of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It has no machine.
    Off,
    /// The provider makes its machine.
    Acquiring,
    /// The machine is there, the converge has not ended.
    Preparing,
    /// The converge succeeded.
    Ready,
    /// Something went wrong: see the status message.
    Failed,
    /// It is being taken away.
    Terminating,
    /// It is gone.
    Terminated,
    /// Its machine is being stopped.
    Deallocating,
    /// Its machine is off and keeps its disks.
    Deallocated,
}

impl TargetState {
    /// The word that clients match on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Terminated => "Terminated",
            Self::Deallocated => "Deallocated",
        }
    }
}

impl State {
    /// The word that clients match on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Started => "Started",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
            Self::Deallocating => "Deallocating",
            Self::Deallocated => "Deallocated",
        }
    }
}

impl Status {
    /// The word that clients match on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Acquiring => "Acquiring",
            Self::Preparing => "Preparing",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
            Self::Deallocating => "Deallocating",
            Self::Deallocated => "Deallocated",
        }
    }
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name, the key.
    pub name: String,
    /// Unique for ever, kept when the cluster is imported again.
    pub id: String,
    /// What the template says.
    pub definition: Arc<ClusterDefinition>,
    /// The text that was imported.
    pub template: Arc<str>,
    /// The parameters that were given with it.
    pub parameters: Arc<Map<String, Value>>,
    /// Name of the account that imported it first.
    pub owner: String,
    /// None until the first start.
    pub state: Option<State>,
    /// None until the first start.
    pub target_state: Option<TargetState>,
    /// How often it was started.
    pub start_count: u64,
    /// Somebody started it, and its nodes are not made yet.
    pub start_pending: bool,
    /// The node arrays that the last start knew. Others cannot be used until the next start.
    pub active_arrays: Vec<String>,
    /// When it was imported first.
    pub created: Timestamp,
    /// What autoscalers want of it.
    #[serde(default)]
    pub autoscale: Autoscaling,
    /// By array, how many of its initial nodes went because they were unhealthy and have to be replaced.
    #[serde(default)]
    pub replacements: BTreeMap<String, u32>,
    /// Whether it was started to be tested: its nodes run the tests of their projects when they are ready.
    #[serde(default)]
    pub test_mode: bool,
    /// It goes, with its definition, as soon as its nodes are gone.
    #[serde(default)]
    pub remove_pending: bool,
}

/// What autoscalers want of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Autoscaling {
    /// One for each request set, in the order in which they came.
    pub demands: Vec<Demand>,
    /// By array, why its target is not reached, as the event log has it already.
    pub reported: BTreeMap<String, String>,
}

/// All that one request set wants, until it says something else or the time is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// Keeps independent callers apart.
    pub request_set: String,
    /// Definitions of arrays, as they were sent.
    pub definitions: Vec<Map<String, Value>>,
    /// When it came, by the server's clock.
    pub received: Timestamp,
    /// When it ends, by the server's clock.
    pub expires: Timestamp,
}

impl Autoscaling {
    /// Takes a demand in the place of the earlier one of its set. False when it only renews that.
    pub fn take(&mut self, demand: Demand) -> bool {
        let old = self
            .demands
            .iter()
            .position(|old| old.request_set == demand.request_set)
            .map(|at| self.demands.remove(at));
        let is_new = old.is_none_or(|old| old.definitions != demand.definitions);
        self.demands.push(demand);
        is_new
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique for ever, never reused. Also the user name of its credential.
    pub id: String,
    /// Name of its cluster.
    pub cluster: String,
    /// Name within the cluster.
    pub name: String,
    /// The node array that it belongs to; its own name when it belongs to none.
    pub template: String,
    /// Whether it belongs to a node array, and vanishes when it is terminated.
    pub array: bool,
    /// The machine type that was picked for it.
    pub machine_type: String,
    /// Attributes that were given when it was created, over those of the template.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// Its placement group.
    #[serde(default)]
    pub placement_group: Option<String>,
    /// The group that it works in, for an array whose nodes come in groups.
    #[serde(default)]
    pub group_id: Option<String>,
    /// Nobody may terminate it.
    #[serde(default)]
    pub keep_alive: bool,
    /// The request that created it.
    #[serde(default)]
    pub request_id: Option<String>,
    /// When its record was made.
    pub created: Timestamp,

    /// What it should be.
    pub target_state: TargetState,
    /// How far it is on the way there.
    pub state: State,
    /// What people read.
    pub status: Status,
    /// Why it is Failed.
    #[serde(default)]
    pub status_message: Option<String>,
    /// What the converge does: phase, step and, from the second on, the attempt.
    #[serde(default)]
    pub phase: Option<String>,
    /// What the provider says about the machine when it does not run as it should.
    #[serde(default)]
    pub machine_message: Option<String>,
    /// No message came for three heartbeats.
    #[serde(default)]
    pub unreachable: bool,

    /// When it was started last.
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// One value from a start to the termination; none while it is off.
    #[serde(default)]
    pub session_id: Option<String>,
    /// With it the machine fetches its configuration; none while the node is off.
    #[serde(default)]
    pub userdata_id: Option<String>,
    /// SHA-256 of the secret of the machine that holds the userdata id, in hex.
    #[serde(default)]
    pub claim: Option<String>,
    /// The one before it, and until when it holds.
    #[serde(default)]
    pub previous_claim: Option<(String, Timestamp)>,
    /// The machine, in its provider's terms.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// Short host name, as the node reported it.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Address, as the node reported it.
    #[serde(default)]
    pub private_ip: Option<String>,
    /// When the server last heard of it, by the server's clock.
    #[serde(default)]
    pub last_message: Option<Timestamp>,
    /// Sequence of the newest message that changed its state.
    #[serde(default)]
    pub last_sequence: u64,
    /// Its configuration changed and it was not told yet.
    #[serde(default)]
    pub converge_pending: bool,
    /// Digest of the users that it knows of; none when it never had a list.
    #[serde(default)]
    pub users: Option<String>,
    /// When it was told to terminate.
    #[serde(default)]
    pub told_to_terminate: Option<Timestamp>,
    /// It has confirmed that it stopped its work.
    #[serde(default)]
    pub shutdown_confirmed: bool,
    /// How many seconds it said that it needs before it can confirm, since it was told; none: it did not say.
    #[serde(default)]
    pub shutdown_needs: Option<u64>,
    /// The last failures of its provider; none when all went well.
    #[serde(default)]
    pub machine_failure: Option<MachineFailure>,
    /// What is wrong with it as it says itself, by name.
    #[serde(default)]
    pub conditions: BTreeMap<String, HeldCondition>,
    /// It asks to go, and nobody has decided yet.
    #[serde(default)]
    pub shutdown_asked: Option<ShutdownRequest>,
    /// Why it was not let go when it asked last.
    #[serde(default)]
    pub shutdown_refused: Option<String>,
    /// What is to be done to its machine while it stays a node.
    #[serde(default)]
    pub renewal: Option<Renewal>,
}

/// What can be done to the machine of a node that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// It is stopped and started; its disks stay.
    Restart,
    /// It is replaced by a new one.
    Reimage,
}

/// A condition of a node that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCondition {
    /// Since when its status is what it is, by the node's clock.
    pub since: Timestamp,
    /// The last report.
    pub report: Condition,
}

/// A node that asks to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownRequest {
    /// Why, for people.
    pub reason: String,
    /// Why, for the server.
    pub cause: Option<ShutdownCause>,
    /// What it asks for; none: what its `ShutdownPolicy` says.
    pub policy: Option<ShutdownPolicy>,
}

/// A machine that could not be made or taken away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineFailure {
    /// How often in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub next: Timestamp,
}

impl Node {
    /// What is wrong with the node, if anything is, in one text.
    pub fn trouble(&self) -> Option<String> {
        let unreachable = self
            .unreachable
            .then(|| "Unreachable: no message for three heartbeats".to_owned());
        let parts: Vec<String> = [
            self.status_message.clone(),
            self.machine_message.clone(),
            unreachable,
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| parts.join("\n"))
    }
}

/// An accepted call that created or changed nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// Name of the cluster.
    pub cluster: String,
    /// `create`, `start`, `terminate`, `shutdown`.
    pub action: String,
    /// Chosen by the caller.
    pub request_id: Option<String>,
    /// When it was accepted.
    pub start_time: Timestamp,
    /// Ids of the nodes that it touched.
    pub nodes: Vec<String>,
}

/// An account of a person or an autoscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Name, the key.
    pub name: String,
    /// Argon2 in PHC form.
    pub password_hash: String,
    /// Whether it may do everything.
    pub administrator: bool,
    /// Its number on every node; saved with 0 it gets a free one.
    pub uid: u32,
    /// What else is known of it.
    pub profile: Profile,
}

impl AccountRecord {
    /// A new account that nobody has told anything about.
    pub fn new(name: String, password_hash: String, administrator: bool) -> Self {
        Self {
            name,
            password_hash,
            administrator,
            uid: 0,
            profile: Profile::default(),
        }
    }
}

/// What an account is for people and on nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Name for people.
    pub full_name: String,
    /// Public keys, one line each, without a line end.
    pub public_keys: Vec<String>,
    /// The account cannot be used at all.
    pub disabled: bool,
    /// Nodes may have the account. Alone it grants nothing.
    pub node_access: bool,
    /// It may log in to all nodes.
    pub node_user: bool,
    /// It may log in to all nodes and become root there.
    pub node_admin: bool,
    /// It may hear the messages of nodes and send some of its own, over AMQP.
    pub plugin: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            full_name: String::new(),
            public_keys: Vec::new(),
            disabled: false,
            node_access: true,
            node_user: false,
            node_admin: false,
            plugin: false,
        }
    }
}

/// A message, with the sender as its credential says.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// Id of the node that sent it.
    pub node_id: String,
    /// The message.
    pub envelope: Envelope,
}
