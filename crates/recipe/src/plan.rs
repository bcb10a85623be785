//! What is to be run, and with what.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use converge::resource::{Machine, Options};
use node::command::Stop;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cluster::Cluster;

/// What is to be run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// Name of the node.
    pub node_name: String,
    /// Recipes and roles, in their order: `recipe[NAME]`, `role[NAME]`.
    pub run_list: Vec<String>,
    /// What the machine is: stronger than all that cookbooks say.
    pub automatic: Map<String, Value>,
    /// What the node is configured to be: stronger than the defaults of cookbooks.
    pub normal: Map<String, Value>,
    /// Folders with cookbooks. Of two of the same name the later wins; so for the other folders.
    pub cookbook_path: Vec<PathBuf>,
    /// Folders with roles.
    pub role_path: Vec<PathBuf>,
    /// Folders with data bags.
    pub data_bag_path: Vec<PathBuf>,
    /// Folders with environments.
    pub environment_path: Vec<PathBuf>,
    /// The node's environment; `_default` when there is none.
    pub environment: Option<String>,
    /// `Chef::Config`.
    pub config: Map<String, Value>,
    /// What is written to the log: `info`, `debug` …
    pub log_level: Option<String>,
    /// Change nothing, and say what would be changed.
    pub dry_run: bool,
}

/// The machine that is converged, and how.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The machine.
    pub machine: Machine,
    /// How resources are applied.
    pub options: Options,
    /// The other nodes.
    pub cluster: Arc<dyn Cluster>,
    /// Collects the facts of the machine anew, in the schema of Ohai.
    pub facts: CollectFacts,
    /// Whether recipes may ask for a reboot: the machine is this node's own.
    pub reboots: bool,
    /// Ends Ruby and every program that recipes have started.
    pub stop: Stop,
    /// What Ruby may use.
    pub limits: Limits,
}

/// See [`Surroundings::facts`].
#[derive(Clone)]
pub struct CollectFacts(pub Arc<dyn Fn() -> Map<String, Value> + Send + Sync>);

impl fmt::Debug for CollectFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectFacts")
    }
}

/// A reboot that recipes ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reboot {
    /// Why, for people.
    pub reason: String,
    /// In how many minutes.
    pub delay_minutes: u64,
    /// Whether the recipes end here; else the machine reboots when the node is ready.
    pub at_once: bool,
}

/// What recipes may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory. More of it raises `NoMemoryError`.
    pub memory: usize,
    /// How long recipes may take with everything that they start, and after that the deferred blocks.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            time: Duration::from_secs(6 * 3600),
        }
    }
}
