//! Records for tests.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Map;

use super::limits::Machines;
use super::node::{Place, new_node};
use crate::store::{Cluster, ClusterEdit, Node};
use crate::template::{ClusterDefinition, NodeDefinition, parse, resolve};

/// The time of all tests.
pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// One standalone node, one array.
pub(crate) const TEMPLATE: &str = "
[cluster demo]
MaxCount = 6
    [[node defaults]]
    MachineType = small
    [[node head]]
        [[[cluster-init tools:head:1.0.0]]]
    [[nodearray execute]]
    MachineType = small, big
    InitialCount = 2
    MaxCount = 4
        [[[configuration]]]
        role = worker
";

/// Room for 100 nodes of one core.
pub(crate) fn machines() -> Machines {
    Machines {
        types: Default::default(),
        max_nodes: 100,
        max_cores: 100,
    }
}

/// A template, resolved.
pub(crate) fn definition(text: &str) -> ClusterDefinition {
    resolve(&parse("demo.txt", text).unwrap(), "demo", &Map::new()).unwrap()
}

/// A cluster without nodes.
pub(crate) fn cluster(text: &str) -> Cluster {
    Cluster {
        name: "demo".to_owned(),
        id: "c0ffee".to_owned(),
        definition: Arc::new(definition(text)),
        template: text.into(),
        parameters: Arc::new(Map::new()),
        owner: "admin".to_owned(),
        state: None,
        target_state: None,
        start_count: 0,
        start_pending: false,
        active_arrays: Vec::new(),
        created: NOW,
        autoscale: crate::store::Autoscaling::default(),
        replacements: Default::default(),
        test_mode: false,
        remove_pending: false,
    }
}

/// [`TEMPLATE`], imported.
pub(crate) fn edit() -> ClusterEdit {
    let cluster = cluster(TEMPLATE);
    let definition = cluster.definition.clone();
    let mut edit = ClusterEdit {
        cluster,
        nodes: Vec::new(),
        request_known: false,
        operation: None,
        events: Vec::new(),
    };
    super::import(&mut edit, true, false, definition, "".into(), Arc::default(), NOW).unwrap();
    edit
}

/// A node that is off.
pub(crate) fn node(name: &str, array: bool) -> Node {
    let definition = NodeDefinition {
        name: if array { "execute" } else { name }.to_owned(),
        ..NodeDefinition::default()
    };
    let place = Place {
        cluster: "demo",
        name: name.to_owned(),
        definition: &definition,
        array,
        machine_type: "small".to_owned(),
    };
    new_node(place, Map::new(), NOW)
}
