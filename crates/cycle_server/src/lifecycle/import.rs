//! Importing a cluster, for the first time or again.

use std::sync::Arc;

use jiff::Timestamp;
use protocol::{Level, Priority};
use serde_json::{Map, Value};

use super::autoscale;
use super::news::cluster_news;
use super::node::{Place, new_node};
use crate::store::{ClusterEdit, Node, State, TargetState};
use crate::template::{ClusterDefinition, SpecReference};

/// Why a template was not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    /// There is a cluster of this name, and nobody said to replace it.
    #[error("the cluster `{0}` exists already: import with `force` to update it")]
    Exists(String),
}

/// Gives a cluster its definition and the records of its standalone nodes.
///
/// Nodes that exist keep their ids and go on. Those that run and whose configuration changed are to be told.
///
/// # Errors
/// When the cluster exists and `force` is not set.
pub fn import(
    edit: &mut ClusterEdit,
    is_new: bool,
    force: bool,
    definition: Arc<ClusterDefinition>,
    template: Arc<str>,
    parameters: Arc<Map<String, Value>>,
    now: Timestamp,
) -> Result<(), ImportRefusal> {
    if !is_new && !force {
        return Err(ImportRefusal::Exists(edit.cluster.name.clone()));
    }
    let old = std::mem::replace(&mut edit.cluster.definition, definition);
    edit.cluster.template = template;
    edit.cluster.parameters = parameters;
    let new = edit.cluster.definition.clone();
    for node in &mut edit.nodes {
        let runs = node.target_state == TargetState::Started && node.claim.is_some();
        if runs && configures(&old, node) != configures(&new, node) {
            node.converge_pending = true;
        }
        if let Some(definition) = new.node(&node.template)
            && !node.attributes.contains_key("KeepAlive")
        {
            node.keep_alive = definition.keep_alive;
        }
    }
    autoscale::keep_dynamic_arrays(edit, &old);
    add_standalone_nodes(edit, &new, now);
    drop_orphans(edit, &new);
    let message = if is_new {
        "Cluster imported"
    } else {
        "Cluster imported again"
    };
    let event = cluster_news(&edit.cluster, now, Level::Info, Priority::Medium, message);
    edit.events.push(event);
    Ok(())
}

/// Removes the records of standalone nodes that are off and that the template does not have any more.
pub(super) fn drop_orphans(edit: &mut ClusterEdit, definition: &ClusterDefinition) {
    edit.nodes.retain(|node| {
        let is_defined = definition.nodes.iter().any(|defined| defined.name == node.name);
        node.array || is_defined || node.state != State::Terminated
    });
}

fn add_standalone_nodes(edit: &mut ClusterEdit, definition: &ClusterDefinition, now: Timestamp) {
    for defined in &definition.nodes {
        if !edit.nodes.iter().any(|node| node.name == defined.name) {
            let place = Place {
                cluster: &edit.cluster.name,
                name: defined.name.clone(),
                definition: defined,
                array: false,
                machine_type: defined.machine_types.first().cloned().unwrap_or_default(),
            };
            edit.nodes.push(new_node(place, Map::new(), now));
        }
    }
}

/// What of the definition reaches the node when it converges.
fn configures<'a>(
    definition: &'a ClusterDefinition,
    node: &Node,
) -> Option<(&'a Map<String, Value>, &'a [SpecReference])> {
    definition
        .node(&node.template)
        .map(|found| (&found.configuration, found.cluster_init.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::lifecycle::begin_start;
    use crate::store::Status;

    fn again(edit: &mut ClusterEdit, text: &str, force: bool) -> Result<(), ImportRefusal> {
        let definition = Arc::new(fixture::definition(text));
        import(
            edit,
            false,
            force,
            definition,
            text.into(),
            Arc::default(),
            fixture::NOW,
        )
    }

    #[test]
    fn a_first_import_makes_the_standalone_nodes_off() {
        let edit = fixture::edit();
        assert_eq!(edit.nodes.len(), 1);
        assert_eq!(
            (edit.nodes[0].name.as_str(), edit.nodes[0].status),
            ("head", Status::Off)
        );
        assert_eq!(edit.nodes[0].template, "head");
    }

    #[test]
    fn a_second_import_needs_force_and_keeps_ids() {
        let mut edit = fixture::edit();
        let id = edit.nodes[0].id.clone();
        again(&mut edit, fixture::TEMPLATE, false).unwrap_err();
        again(&mut edit, fixture::TEMPLATE, true).unwrap();
        assert_eq!(edit.nodes[0].id, id);
    }

    #[test]
    fn running_nodes_are_told_when_their_configuration_changed() {
        let mut edit = fixture::edit();
        begin_start(&mut edit.nodes[0], fixture::NOW);
        edit.nodes[0].claim = Some("x".to_owned());
        again(&mut edit, &fixture::TEMPLATE.replace("worker", "boss"), true).unwrap();
        assert!(
            !edit.nodes[0].converge_pending,
            "the change does not concern the head node"
        );
        again(&mut edit, &fixture::TEMPLATE.replace("1.0.0", "1.1.0"), true).unwrap();
        assert!(edit.nodes[0].converge_pending);
    }

    #[test]
    fn a_node_that_left_the_template_goes_when_it_is_off() {
        let renamed = fixture::TEMPLATE.replace("[[node head]]", "[[node chief]]");
        let mut edit = fixture::edit();
        begin_start(&mut edit.nodes[0], fixture::NOW);
        again(&mut edit, &renamed, true).unwrap();
        assert_eq!(edit.nodes.len(), 2, "it runs");
        let mut edit = fixture::edit();
        again(&mut edit, &renamed, true).unwrap();
        assert_eq!(edit.nodes.len(), 1);
        assert_eq!(edit.nodes[0].name, "chief");
    }
}
