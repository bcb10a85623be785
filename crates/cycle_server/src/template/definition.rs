//! A cluster as the server works with it: everything resolved, ready to be stored.

use std::collections::BTreeMap;

use protocol::ShutdownPolicy;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A cluster after parameters and inheritance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterDefinition {
    /// Name of the cluster.
    pub name: String,
    /// The name in the template's `[cluster NAME]`.
    pub template: String,
    /// Most nodes of all arrays together; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Most cores of all arrays together; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_core_count: Option<u32>,
    /// All attributes of `[cluster]`, those above too.
    pub attributes: Map<String, Value>,
    /// The standalone nodes, in file order.
    pub nodes: Vec<NodeDefinition>,
    /// The node arrays, in file order.
    pub arrays: Vec<ArrayDefinition>,
    /// The value of every parameter, null for those without, in file order.
    pub parameters: Map<String, Value>,
}

impl ClusterDefinition {
    /// The node or the array of this name, whose definition nodes with it as `Template` have.
    pub fn node(&self, template: &str) -> Option<&NodeDefinition> {
        self.nodes
            .iter()
            .chain(self.arrays.iter().map(|array| &array.node))
            .find(|node| node.name == template)
    }

    /// The array of this name, to be changed.
    pub fn array_mut(&mut self, name: &str) -> Option<&mut ArrayDefinition> {
        self.arrays.iter_mut().find(|array| array.node.name == name)
    }

    /// The array of this name.
    pub fn array(&self, name: &str) -> Option<&ArrayDefinition> {
        self.arrays.iter().find(|array| array.node.name == name)
    }
}

/// A node, or what all nodes of an array have in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeDefinition {
    /// Name of the node or the array.
    pub name: String,
    /// In the order of preference.
    pub machine_types: Vec<String>,
    /// The merged `[[[configuration]]]` tree.
    pub configuration: Map<String, Value>,
    /// The specs in the order in which they run.
    pub cluster_init: Vec<SpecReference>,
    /// The server must not terminate it.
    pub keep_alive: bool,
    /// What a shutdown does.
    pub shutdown_policy: ShutdownPolicy,
    /// Whether it starts with the cluster.
    pub start_automatically: bool,
    /// `[[[volume]]]` by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Map<String, Value>>,
    /// `[[[network-interface]]]` by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub network_interfaces: BTreeMap<String, Map<String, Value>>,
    /// `[[[input-endpoint]]]` by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input_endpoints: BTreeMap<String, Map<String, Value>>,
    /// All attributes, those above too, except `Extends` and `Abstract`. Dotted keys are trees.
    pub attributes: Map<String, Value>,
}

/// A node array.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArrayDefinition {
    /// What its nodes are made of.
    pub node: NodeDefinition,
    /// Nodes that start with the cluster.
    pub initial_count: u32,
    /// Cores that start with the cluster; the larger of both counts.
    pub initial_core_count: u32,
    /// Most nodes; none: no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Most cores; none: no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_core_count: Option<u32>,
    /// Made by an autoscaler, not by the template: it goes when nobody needs it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dynamic: bool,
    /// Nodes of one group, for an array whose nodes come in groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_size: Option<u32>,
}

/// One `[[[cluster-init]]]` of a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SpecReference {
    /// Name of the project.
    pub project: String,
    /// Name of the spec.
    pub spec: String,
    /// Version; none: the server chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Name of the locker; none: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locker: Option<String>,
    /// Whether a node may go on without it.
    pub optional: bool,
    /// All attributes of the section, `run_list` and `SourceLocker` among them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}
