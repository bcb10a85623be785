//! Bodies of the REST calls. JSON names and required members are those of the documented API
//! (CycleCloud REST API, version 8); calls of our own are marked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A node as REST clients see it: a free-form record with attributes such as `Name`, `NodeId`,
/// `Template`, `Status`, `State`, `TargetState`, `StatusMessage`, `InstanceId`, `Hostname`,
/// `PrivateIp`, `MachineType`, `CoreCount`, `Configuration`.
pub type NodeRecord = Map<String, Value>;

/// `GET /clusters/{cluster}/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Most cores that the cluster may have.
    pub max_core_count: i64,
    /// Most nodes that the cluster may have.
    pub max_count: i64,
    /// All node arrays.
    pub nodearrays: Vec<NodearrayStatus>,
    /// The nodes of the arrays; only with `nodes=true`. Standalone nodes are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<NodeRecord>>,
    /// `Started`, `Starting`, `Terminating`, `Terminated`; absent until the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `Started` or `Terminated`; absent until the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_state: Option<String>,
}

/// One node array of a [`ClusterStatus`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodearrayStatus {
    /// Name of the array.
    pub name: String,
    /// Most nodes of the array.
    pub max_count: i64,
    /// Most cores of the array.
    pub max_core_count: i64,
    /// The array's own attributes.
    pub nodearray: NodeRecord,
    /// One for each machine type, in the order of preference.
    pub buckets: Vec<Bucket>,
    /// What autoscalers on nodes want of it (ours).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<ArrayTarget>,
}

/// What one request set wants of an array until it says something else (ours). What several sets want adds up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArrayTarget {
    /// The array.
    pub nodearray: String,
    /// Keeps independent callers apart.
    pub request_set: String,
    /// Nodes that it shall have at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_count: Option<u32>,
    /// Cores that it shall have at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_core_count: Option<u32>,
    /// Groups of nodes that it shall have at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_group_count: Option<u32>,
    /// When it ends if it is not renewed; ISO 8601.
    pub expires: String,
}

/// What one machine type of a node array has and could have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// The same for the life of the cluster.
    pub bucket_id: String,
    /// False when only old nodes use it.
    pub valid: bool,
    /// `NotActivated`, `DisabledMachineType` or empty.
    pub invalid_reason: String,
    /// What a create request names to pick this bucket.
    pub definition: BucketDefinition,
    /// The machine type's properties.
    pub virtual_machine: VirtualMachine,
    /// Nodes, with those still being acquired.
    pub active_count: i64,
    /// Their cores.
    pub active_core_count: i64,
    /// Names of the active nodes; only with `nodes=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_nodes: Option<Vec<String>>,
    /// How many more could be added now.
    pub available_count: i64,
    /// Their cores.
    pub available_core_count: i64,
    /// The most after all limits.
    pub max_count: i64,
    /// Its cores.
    pub max_core_count: i64,
    /// Cores counted against limits.
    pub consumed_core_count: i64,
    /// Quota of the machine type.
    pub quota_count: i64,
    /// Its cores.
    pub quota_core_count: i64,
    /// Quota of the machine type's family.
    pub family_quota_count: i64,
    /// Its cores.
    pub family_quota_core_count: i64,
    /// Cores of the family in use.
    pub family_consumed_core_count: i64,
    /// Quota of the region.
    pub regional_quota_count: i64,
    /// Its cores.
    pub regional_quota_core_count: i64,
    /// Cores of the region in use.
    pub regional_consumed_core_count: i64,
    /// Largest placement group.
    pub max_placement_group_size: i64,
    /// Its cores.
    pub max_placement_group_core_size: i64,
    /// The placement groups there are.
    pub placement_groups: Vec<PlacementGroup>,
    /// Seconds since a machine could not be had; negative: never.
    pub last_capacity_failure: f64,
    /// `High`, `Medium`, `Low` or empty.
    pub spot_placement_score: String,
}

/// See [`Bucket::definition`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BucketDefinition {
    /// The machine type.
    #[serde(default)]
    pub machine_type: String,
}

/// See [`Bucket::virtual_machine`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachine {
    /// Virtual CPUs.
    pub vcpu_count: i64,
    /// Physical cores.
    pub pcpu_count: i64,
    /// GPUs.
    pub gpu_count: i64,
    /// Memory in GB.
    pub memory: f64,
    /// Whether it has InfiniBand.
    pub infiniband: bool,
}

/// See [`Bucket::placement_groups`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementGroup {
    /// Its name.
    pub name: String,
    /// Nodes in it.
    pub active_count: i64,
    /// Their cores.
    pub active_core_count: i64,
}

/// `POST /clusters/{cluster}/nodes/create`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCreationRequest {
    /// Chosen by the caller; a repeat is answered 409.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What to create.
    pub sets: Vec<NodeCreationSet>,
}

/// One set of a [`NodeCreationRequest`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCreationSet {
    /// The node array.
    pub nodearray: String,
    /// How many nodes.
    pub count: u32,
    /// Picks the bucket; none: the first that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<BucketDefinition>,
    /// printf pattern with `%d`, or a complete name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_format: Option<String>,
    /// Added to the index in the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_offset: Option<i64>,
    /// Attributes for the new nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_attributes: Option<NodeRecord>,
    /// Placement group, made when it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_group_id: Option<String>,
}

/// Answer to a [`NodeCreationRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCreationResult {
    /// See `GET /operations/{id}`.
    pub operation_id: String,
    /// In the order of the request.
    pub sets: Vec<NodeCreationSetResult>,
}

/// One set of a [`NodeCreationResult`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCreationSetResult {
    /// How many nodes were added.
    pub added: u32,
    /// Why fewer than asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// `POST /clusters/{cluster}/nodes/{start,terminate,shutdown,…}`. Several selectors are a union.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeManagementRequest {
    /// ClassAd expression over node attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Short host names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// Node ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Private addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// Node names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Chosen by the caller; a repeat is answered 409.
    #[serde(default, rename = "requestId", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Answer to a [`NodeManagementRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeManagementResult {
    /// See `GET /operations/{id}`.
    pub operation_id: String,
    /// One for each node that the request named.
    pub nodes: Vec<NodeManagementEntry>,
}

/// One node of a [`NodeManagementResult`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeManagementEntry {
    /// Name of the node.
    pub name: String,
    /// Its id.
    pub id: String,
    /// `OK` or `Error`.
    pub status: String,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `GET /clusters/{cluster}/nodes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeList {
    /// The nodes.
    pub nodes: Vec<NodeRecord>,
    /// Only with `operation` or `request_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationStatus>,
}

/// `GET /operations/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// `create`, `start`, `terminate`, `shutdown`.
    pub action: String,
    /// ISO 8601.
    pub start_time: String,
}

/// `GET /clusters/{cluster}/usage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterUsage {
    /// One for each day or hour, or one for all.
    pub usage: Vec<UsageInterval>,
}

/// What was used within a time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageInterval {
    /// ISO 8601.
    pub start: String,
    /// ISO 8601; not within it.
    pub end: String,
    /// All of the cluster.
    pub total: UsageItem,
    /// Each node array, and each node that belongs to none.
    pub breakdown: Vec<UsageItem>,
}

/// One row of a [`UsageInterval`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageItem {
    /// `cluster`, `nodearray` or `node`.
    pub category: String,
    /// Hours of cores.
    pub hours: f64,
    /// Name of the array or node; none for the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// By machine type; only with `expand=details`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<UsageDetail>>,
}

/// One machine type of a [`UsageItem`]. Names in snake case, as clients read them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageDetail {
    /// The machine type.
    pub vm_size: String,
    /// Region; empty for providers without.
    pub region: String,
    /// `Regular` or `Spot`.
    pub priority: String,
    /// `Linux` or `Windows`.
    pub os: String,
    /// Cores of one machine.
    pub core_count: u32,
    /// Hours of cores.
    pub hours: f64,
}

/// `GET /cloud/clusters`: one cluster in a list (ours).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClusterSummary {
    /// Name of the cluster.
    pub name: String,
    /// As in [`ClusterStatus::state`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// As in [`ClusterStatus::target_state`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_state: Option<String>,
    /// All its nodes, standalone ones and those of arrays.
    pub nodes: Vec<NodeRecord>,
    /// What autoscalers on nodes want of its arrays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<ArrayTarget>,
}

/// `GET /lockers`: one locker (ours). The default locker comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LockerSummary {
    /// Name of the locker.
    pub name: String,
    /// Where `cyclecloud project upload` writes to: always through the server.
    pub url: String,
    /// The storage behind it, for instance `az://account/container`; none for the server's own folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Whether it holds the projects of which nobody says where they are.
    #[serde(default, rename = "Default", skip_serializing_if = "std::ops::Not::not")]
    pub is_default: bool,
}

/// `GET /cloud/api/users`: an account, and what it is on nodes (ours).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct User {
    /// Name of the account on the server and on nodes.
    pub name: String,
    /// Name for people.
    pub full_name: String,
    /// Number of the account on every node.
    pub uid: u32,
    /// Whether it may do everything on the server.
    pub administrator: bool,
    /// Whether it may hear the messages of nodes and send some of its own, over AMQP.
    #[serde(default)]
    pub plugin: bool,
    /// Whether it can be used at all.
    pub disabled: bool,
    /// Whether nodes may have the account. Alone it grants nothing.
    pub node_access: bool,
    /// Whether it may log in to all nodes.
    pub node_user: bool,
    /// Whether it may log in to all nodes and become root there.
    pub node_admin: bool,
    /// Its public keys.
    pub keys: Vec<UserKey>,
}

/// One key of a [`User`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserKey {
    /// `SHA256:` and base64, as ssh-keygen(1) shows it.
    pub fingerprint: String,
    /// One line in the form of `authorized_keys`.
    pub public_key: String,
}

/// `POST /cloud/api/users`, and `PUT /cloud/api/users/{name}`: what is absent stays as it is (ours).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct UserChange {
    /// Name of a new account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// See [`User::full_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// See [`User::uid`]; a new account without one gets a free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// See [`User::administrator`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// See [`User::plugin`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<bool>,
    /// See [`User::disabled`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// See [`User::node_access`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_access: Option<bool>,
    /// See [`User::node_user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_user: Option<bool>,
    /// See [`User::node_admin`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_admin: Option<bool>,
    /// All its public keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_keys: Option<Vec<String>>,
}

/// Without the password.
impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserChange")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// `POST /cloud/api/users/{name}/keys`: one more key (ours).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewUserKey {
    /// One line in the form of `authorized_keys`.
    pub public_key: String,
}
