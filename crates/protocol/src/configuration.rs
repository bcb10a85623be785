//! What a node learns from `GET /clusterlink/userdata/ID`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything a node needs to be one: who it is, where to talk, what to become.
///
/// It holds no secret. The node makes its own secret before it asks, and the server binds it to the
/// node at the first successful request; see `ARCHITECTURE.md`, "How a node joins".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeConfiguration {
    /// Name of the cluster.
    pub cluster_name: String,
    /// Unique for ever, never reused. Also the user name of the node's credential.
    pub node_id: String,
    /// Name within the cluster, for instance `execute-1`.
    pub node_name: String,
    /// One value from the start of a node to its termination.
    pub cluster_session_id: String,
    /// The machine, in its provider's terms.
    pub instance_id: String,
    /// The AMQP listener, if the server has one that nodes reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amqp: Option<Amqp>,
    /// Which transport to use.
    #[serde(default)]
    pub transport: Transport,
    /// Seconds between two heartbeats.
    pub heartbeat_seconds: u64,
    /// The lockers that the specs below name.
    #[serde(default)]
    pub lockers: BTreeMap<String, LockerRef>,
    /// The specs of this node, in the order in which they run.
    #[serde(default)]
    pub cluster_init_specs: Vec<ClusterInitSpec>,
    /// Who may log in to this node.
    #[serde(default)]
    pub users: Vec<NodeUser>,
    /// The `[[[configuration]]]` tree, with the server's `cyclecloud.*` keys merged in.
    #[serde(default)]
    pub configuration: Map<String, Value>,
}

/// Where the AMQP listener is. User and password are the node's id and its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amqp {
    /// Host name or address; none means the host of the server's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// TCP port.
    pub port: u16,
    /// Whether the listener speaks TLS, with a certificate of the server's CA, or of `ca` if that is given.
    pub tls: bool,
    /// Virtual host.
    #[serde(default = "Amqp::default_vhost")]
    pub vhost: String,
    /// The authority of its certificate (PEM), when it is not the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl Amqp {
    fn default_vhost() -> String {
        "/".to_owned()
    }
}

/// How a node sends messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// AMQP, and HTTPS while AMQP is not to be had.
    #[default]
    Auto,
    /// AMQP only.
    Amqp,
    /// HTTPS only.
    Https,
}

/// A locker, as a node reaches it.
///
/// `GET URL/PATH` is one blob, with `Range` a part of it; `HEAD` tells its size and `ETag`; `GET URL/?list=PREFIX` lists
/// blobs. A server that keeps its blobs in object storage answers a `GET` with 307: `Location` is a URL of the storage
/// that opens this one blob, for reading, for a time, to whoever has it, so no credential is sent along. It may be used
/// again for as many seconds as `Cache-Control: max-age` says, which is less than it is good for; then, or when the
/// storage refuses it, the node asks the server again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockerRef {
    /// `file:///folder` or `http(s)://host/lockers/NAME`. A locker below the server's URL is read with the
    /// node's own credential.
    pub url: String,
}

/// One spec of one project, `[[[cluster-init PROJECT:SPEC:VERSION]]]` in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInitSpec {
    /// Name of the project.
    pub project: String,
    /// Name of the spec.
    pub spec: String,
    /// Version of the project; none when the locker holds no version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Name of the locker that holds it.
    pub locker: String,
    /// Whether a node may go on without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Somebody who may log in to a node. The names of the members are those of `jetpack users --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeUser {
    /// Name for people.
    pub full_name: String,
    /// Whether the user may become root.
    pub is_admin: bool,
    /// Whether the cluster belongs to the user.
    pub is_owner: bool,
    /// Name of the account on the node.
    pub name: String,
    /// Public keys in the form of `authorized_keys` (sshd(8)), one each, with a line end.
    #[serde(default)]
    pub public_keys: Vec<String>,
    /// Number of the account on every node.
    pub uid: u32,
}
