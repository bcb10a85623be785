//! How many nodes there may be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::store::{Cluster, Node, Status};
use crate::template::ArrayDefinition;

/// What a machine of some type has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineType {
    /// Virtual CPUs.
    pub cores: u32,
    /// Memory in GB.
    pub memory: f64,
    /// GPUs.
    pub gpus: u32,
}

impl Default for MachineType {
    fn default() -> Self {
        Self {
            cores: 1,
            memory: 1.0,
            gpus: 0,
        }
    }
}

/// The machine types of the site, and how much of them there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Machines {
    /// By name. A type that is not listed counts as the default one.
    pub types: BTreeMap<String, MachineType>,
    /// Most array nodes of a cluster.
    pub max_nodes: u32,
    /// Most cores of the array nodes of a cluster.
    pub max_cores: u32,
}

impl Machines {
    /// What a machine of this type has. `CoreCount`, `Memory` and `GpuCount` of the template win.
    pub fn machine(&self, name: &str, attributes: &Map<String, Value>) -> MachineType {
        let mut machine = self.types.get(name).copied().unwrap_or_default();
        let count = |key: &str| {
            attributes
                .get(key)
                .and_then(Value::as_u64)
                .and_then(|value| u32::try_from(value).ok())
        };
        if let Some(cores) = count("CoreCount").filter(|cores| *cores > 0) {
            machine.cores = cores;
        }
        if let Some(gpus) = count("GpuCount") {
            machine.gpus = gpus;
        }
        if let Some(memory) = attributes.get("Memory").and_then(Value::as_f64) {
            machine.memory = memory;
        }
        machine.cores = machine.cores.max(1);
        machine
    }
}

/// A number of nodes and of cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// Nodes.
    pub nodes: i64,
    /// Cores.
    pub cores: i64,
}

impl Limit {
    fn min(self, nodes: Option<u32>, cores: Option<u32>) -> Self {
        Self {
            nodes: nodes.map_or(self.nodes, |most| self.nodes.min(most.into())),
            cores: cores.map_or(self.cores, |most| self.cores.min(most.into())),
        }
    }

    fn less(self, used: Self) -> Self {
        Self {
            nodes: self.nodes - used.nodes,
            cores: self.cores - used.cores,
        }
    }

    /// How many machines of so many cores fit.
    fn machines(self, cores: u32) -> i64 {
        self.nodes.min(self.cores / i64::from(cores.max(1))).max(0)
    }
}

/// What one machine type of an array has and could have.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// Name of the machine type.
    pub machine_type: String,
    /// What a machine of it has.
    pub machine: MachineType,
    /// The nodes that count, by name.
    pub active: Vec<String>,
    /// How many more may be added.
    pub available: i64,
    /// The most after all limits.
    pub most: i64,
    /// False when only old nodes use it.
    pub is_defined: bool,
}

/// Limits of the cluster, those of the array, and one [`Capacity`] for each of its machine types in the order
/// of preference. Nodes count until their machine is gone.
pub fn capacity(
    cluster: &Cluster,
    nodes: &[Node],
    array: &ArrayDefinition,
    machines: &Machines,
) -> (Limit, Limit, Vec<Capacity>) {
    let definition = &cluster.definition;
    let site = Limit {
        nodes: machines.max_nodes.into(),
        cores: machines.max_cores.into(),
    };
    let of_cluster = site.min(definition.max_count, definition.max_core_count);
    let of_array = of_cluster.min(array.max_count, array.max_core_count);
    let none = Map::new();
    let cores_of = |node: &Node| {
        let found = definition.node(&node.template);
        let attributes = found.map_or(&none, |found| &found.attributes);
        machines.machine(&node.machine_type, attributes).cores
    };
    let used = |of: &dyn Fn(&Node) -> bool| {
        let mut used = Limit::default();
        for node in nodes.iter().filter(|node| counts(node) && of(node)) {
            used.nodes += 1;
            used.cores += i64::from(cores_of(node));
        }
        used
    };
    let left_in_cluster = of_cluster.less(used(&|_| true));
    let left_in_array = of_array.less(used(&|node| node.template == array.node.name));
    let mut names = array.node.machine_types.clone();
    if names.is_empty() {
        names.push(String::new());
    }
    let defined = names.len();
    for node in nodes.iter().filter(|node| counts(node)) {
        if node.template == array.node.name && !names.contains(&node.machine_type) {
            names.push(node.machine_type.clone());
        }
    }
    let capacities = names.into_iter().enumerate().map(|(index, name)| {
        let machine = machines.machine(&name, &array.node.attributes);
        let is_defined = index < defined;
        let fits = left_in_cluster
            .machines(machine.cores)
            .min(left_in_array.machines(machine.cores));
        Capacity {
            active: nodes
                .iter()
                .filter(|node| counts(node))
                .filter(|node| node.template == array.node.name && node.machine_type == name)
                .map(|node| node.name.clone())
                .collect(),
            available: if is_defined { fits } else { 0 },
            most: of_array.machines(machine.cores),
            machine_type: name,
            machine,
            is_defined,
        }
    });
    let capacities = capacities.collect();
    (of_cluster, of_array, capacities)
}

fn counts(node: &Node) -> bool {
    node.array
        && !matches!(
            node.status,
            Status::Off | Status::Terminated | Status::Deallocated
        )
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::lifecycle::begin_start;

    fn machines() -> Machines {
        let big = MachineType {
            cores: 8,
            ..MachineType::default()
        };
        Machines {
            types: [("big".to_owned(), big)].into(),
            max_nodes: 100,
            max_cores: 20,
        }
    }

    #[test]
    fn the_lowest_limit_wins() {
        let cluster = fixture::cluster(fixture::TEMPLATE);
        let array = cluster.definition.array("execute").unwrap();
        let mut node = fixture::node("execute-1", true);
        begin_start(&mut node, fixture::NOW);
        let (of_cluster, of_array, capacities) = capacity(&cluster, &[node], array, &machines());
        assert_eq!(of_cluster, Limit { nodes: 6, cores: 20 });
        assert_eq!(of_array, Limit { nodes: 4, cores: 20 });
        let of = |index: usize| (capacities[index].available, capacities[index].most);
        assert_eq!(of(0), (3, 4), "by nodes of the array");
        assert_eq!(of(1), (2, 2), "by cores of the site");
        assert_eq!(capacities[0].active, ["execute-1"]);
    }

    #[test]
    fn a_machine_type_that_left_the_template_is_listed_without_room() {
        let cluster = fixture::cluster(fixture::TEMPLATE);
        let array = cluster.definition.array("execute").unwrap();
        let mut node = fixture::node("execute-1", true);
        node.machine_type = "old".to_owned();
        begin_start(&mut node, fixture::NOW);
        let (_, _, capacities) = capacity(&cluster, &[node], array, &machines());
        let old = capacities.last().unwrap();
        assert_eq!((old.machine_type.as_str(), old.available), ("old", 0));
        assert!(!old.is_defined);
    }
}
