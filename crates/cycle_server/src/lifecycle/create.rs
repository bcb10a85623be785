//! Adding nodes to arrays.

use std::collections::HashSet;

use jiff::Timestamp;
use protocol::rest::{NodeCreationRequest, NodeCreationResult, NodeCreationSet, NodeCreationSetResult};
use protocol::{Level, Priority, check_name};
use uuid::Uuid;

use super::Refusal;
use super::limits::{Capacity, Machines, capacity};
use super::news::news;
use super::node::{Place, begin_start, new_node};
use crate::store::{ClusterEdit, Operation, TargetState};

/// Most nodes of one set.
pub(super) const MAX_COUNT: u32 = 10_000;

/// Carries out `POST …/nodes/create`. Where the limits allow fewer nodes than asked for, as many as fit are
/// added and the set says so.
///
/// # Errors
/// When anything of the request cannot be meant: then nothing is added.
pub fn create_nodes(
    edit: &mut ClusterEdit,
    request: &NodeCreationRequest,
    machines: &Machines,
    now: Timestamp,
) -> Result<NodeCreationResult, Refusal> {
    if edit.request_known {
        let id = request.request_id.as_deref().unwrap_or_default();
        return Err(Refusal(format!("the request id `{id}` was used before")));
    }
    if edit.cluster.target_state != Some(TargetState::Started) {
        return Err(Refusal(format!(
            "the cluster `{}` is not started",
            edit.cluster.name
        )));
    }
    let operation_id = Uuid::new_v4().to_string();
    let mut added = Vec::new();
    let mut sets = Vec::new();
    for set in &request.sets {
        let (ids, message) = add_nodes(edit, set, request.request_id.as_deref(), machines, now)?;
        sets.push(NodeCreationSetResult {
            added: u32::try_from(ids.len()).unwrap_or(u32::MAX),
            message,
        });
        added.extend(ids);
    }
    edit.operation = Some(Operation {
        id: operation_id.clone(),
        cluster: edit.cluster.name.clone(),
        action: "create".to_owned(),
        request_id: request.request_id.clone(),
        start_time: now,
        nodes: added,
    });
    Ok(NodeCreationResult { operation_id, sets })
}

/// How large an array shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many cores, rounded up to whole nodes.
    Cores(u32),
    /// So many nodes.
    Nodes(u32),
}

/// Carries out `POST …/scale/{nodearray}`: adds what the array lacks to the total. An array that is larger stays as it is.
///
/// # Errors
/// As [`create_nodes`].
pub fn scale(
    edit: &mut ClusterEdit,
    nodearray: &str,
    total: Total,
    machines: &Machines,
    now: Timestamp,
) -> Result<NodeCreationResult, Refusal> {
    let there = edit
        .nodes
        .iter()
        .filter(|node| node.array && node.template == nodearray && node.target_state == TargetState::Started);
    let definition = edit.cluster.definition.clone();
    let cores = |machine_type: &str| {
        let attributes = definition.array(nodearray).map(|array| &array.node.attributes);
        attributes
            .map_or(1, |attributes| machines.machine(machine_type, attributes).cores)
            .max(1)
    };
    let count = match total {
        Total::Nodes(total) => total.saturating_sub(u32::try_from(there.count()).unwrap_or(u32::MAX)),
        Total::Cores(total) => {
            let has: u32 = there.map(|node| cores(&node.machine_type)).sum();
            let first = definition
                .array(nodearray)
                .and_then(|array| array.node.machine_types.first());
            total
                .saturating_sub(has)
                .div_ceil(cores(first.map_or("", String::as_str)))
        }
    };
    let request = NodeCreationRequest {
        request_id: None,
        sets: vec![NodeCreationSet {
            nodearray: nodearray.to_owned(),
            count,
            ..NodeCreationSet::default()
        }],
    };
    create_nodes(edit, &request, machines, now)
}

/// Adds the nodes of one set. Returns their ids and, when they are fewer than asked, why.
pub(super) fn add_nodes(
    edit: &mut ClusterEdit,
    set: &NodeCreationSet,
    request_id: Option<&str>,
    machines: &Machines,
    now: Timestamp,
) -> Result<(Vec<String>, Option<String>), Refusal> {
    let cluster = edit.cluster.name.clone();
    let name = &set.nodearray;
    let definition = edit.cluster.definition.clone();
    let Some(array) = definition.array(name) else {
        return Err(Refusal(format!(
            "there is no node array `{name}` in cluster `{cluster}`"
        )));
    };
    if !edit.cluster.active_arrays.contains(name) {
        return Err(Refusal(format!(
            "the node array `{name}` is new: start the cluster `{cluster}` again to use it"
        )));
    }
    if set.count > MAX_COUNT {
        return Err(Refusal(format!("more than {MAX_COUNT} nodes in one set")));
    }
    let (_, _, capacities) = capacity(&edit.cluster, &edit.nodes, array, machines);
    let bucket = pick(&capacities, set)?;
    let fits = u32::try_from(bucket.available.max(0)).unwrap_or(u32::MAX);
    let count = set.count.min(fits);
    let mut names = Names::new(edit, set)?;
    let mut ids = Vec::new();
    for _ in 0..count {
        let place = Place {
            cluster: &cluster,
            name: names.next()?,
            definition: &array.node,
            array: true,
            machine_type: bucket.machine_type.clone(),
        };
        let attributes = set.node_attributes.clone().unwrap_or_default();
        let mut node = new_node(place, attributes, now);
        node.placement_group = set.placement_group_id.clone();
        node.request_id = request_id.map(str::to_owned);
        begin_start(&mut node, now);
        edit.events
            .push(news(&node, now, Level::Info, Priority::Low, "Node added"));
        ids.push(node.id.clone());
        edit.nodes.push(node);
    }
    let message = (count < set.count).then(|| {
        format!(
            "{count} of {} nodes added: the limits of node array `{name}` and cluster `{cluster}` leave no room for more",
            set.count
        )
    });
    Ok((ids, message))
}

fn pick<'a>(capacities: &'a [Capacity], set: &NodeCreationSet) -> Result<&'a Capacity, Refusal> {
    let wanted = set
        .definition
        .as_ref()
        .map(|definition| definition.machine_type.as_str())
        .filter(|wanted| !wanted.is_empty());
    let defined = || capacities.iter().filter(|bucket| bucket.is_defined);
    let found = match wanted {
        Some(wanted) => defined().find(|bucket| bucket.machine_type.eq_ignore_ascii_case(wanted)),
        None => defined()
            .find(|bucket| bucket.available >= i64::from(set.count))
            .or_else(|| defined().find(|bucket| bucket.available > 0))
            .or_else(|| defined().next()),
    };
    found.ok_or_else(|| {
        Refusal(format!(
            "the node array `{}` has no machine type `{}`",
            set.nodearray,
            wanted.unwrap_or_default()
        ))
    })
}

/// Gives out names that are free.
struct Names {
    taken: HashSet<String>,
    format: String,
    is_pattern: bool,
    next: i64,
}

impl Names {
    fn new(edit: &ClusterEdit, set: &NodeCreationSet) -> Result<Self, Refusal> {
        let format = match set.name_format.as_deref() {
            Some(format) if !format.is_empty() => format.to_owned(),
            _ => format!("{}-%d", set.nodearray),
        };
        let is_pattern = directive(&format).is_some();
        if !is_pattern && set.count > 1 {
            return Err(Refusal(format!(
                "the name `{format}` has no `%d` and cannot name {} nodes",
                set.count
            )));
        }
        let standalone = edit.cluster.definition.nodes.iter().map(|node| node.name.clone());
        Ok(Self {
            taken: edit
                .nodes
                .iter()
                .map(|node| node.name.clone())
                .chain(standalone)
                .collect(),
            format,
            is_pattern,
            next: 1 + set.name_offset.unwrap_or(0).max(0),
        })
    }

    fn next(&mut self) -> Result<String, Refusal> {
        loop {
            let name = if self.is_pattern {
                fill(&self.format, self.next)
            } else {
                self.format.clone()
            };
            self.next += 1;
            check_name("node", &name).map_err(|error| Refusal(error.to_string()))?;
            if self.taken.insert(name.clone()) {
                return Ok(name);
            }
            if !self.is_pattern {
                return Err(Refusal(format!("there is a node `{name}` already")));
            }
        }
    }
}

/// Where in a printf pattern the number goes, and how many digits it has at least.
fn directive(format: &str) -> Option<(usize, usize, usize)> {
    let start = format.find('%')?;
    let digits: String = format[start + 1..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let end = start + 1 + digits.len();
    format[end..]
        .starts_with('d')
        .then(|| (start, end + 1, digits.parse().unwrap_or(0)))
}

fn fill(format: &str, number: i64) -> String {
    match directive(format) {
        Some((start, end, width)) => {
            let width = width.min(20);
            format!("{}{number:0width$}{}", &format[..start], &format[end..])
        }
        None => format.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::rest::BucketDefinition;

    use super::super::{fixture, settle, start};
    use super::*;

    fn machines() -> Machines {
        Machines {
            types: Default::default(),
            max_nodes: 100,
            max_cores: 100,
        }
    }

    fn started() -> ClusterEdit {
        let mut edit = fixture::edit();
        start(&mut edit, fixture::NOW);
        settle(&mut edit, &machines(), fixture::NOW);
        edit
    }

    fn set(count: u32) -> NodeCreationSet {
        NodeCreationSet {
            nodearray: "execute".to_owned(),
            count,
            ..NodeCreationSet::default()
        }
    }

    fn create(edit: &mut ClusterEdit, set: NodeCreationSet) -> Result<NodeCreationResult, Refusal> {
        let request = NodeCreationRequest {
            request_id: Some("r".to_owned()),
            sets: vec![set],
        };
        create_nodes(edit, &request, &machines(), fixture::NOW)
    }

    fn names(edit: &ClusterEdit) -> Vec<&str> {
        edit.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn the_lowest_free_number_is_taken() {
        let mut edit = started();
        edit.nodes.retain(|node| node.name != "execute-1");
        create(&mut edit, set(2)).unwrap();
        assert_eq!(names(&edit), ["head", "execute-2", "execute-1", "execute-3"]);
        let operation = edit.operation.unwrap();
        assert_eq!(
            operation.nodes,
            [edit.nodes[2].id.clone(), edit.nodes[3].id.clone()]
        );
    }

    #[test]
    fn no_more_than_the_limit_is_added_and_it_is_said() {
        let mut edit = started();
        let result = create(&mut edit, set(5)).unwrap();
        assert_eq!(result.sets[0].added, 2);
        assert!(result.sets[0].message.as_ref().unwrap().starts_with("2 of 5"));
    }

    #[test]
    fn an_array_is_brought_to_a_total_and_never_below() {
        let mut edit = started();
        let mut added = |array: &str, total| {
            let result = scale(&mut edit, array, total, &machines(), fixture::NOW);
            result
                .map(|result| result.sets[0].added)
                .map_err(|refusal| refusal.0)
        };
        assert_eq!(added("execute", Total::Nodes(1)), Ok(0));
        assert_eq!(added("execute", Total::Nodes(3)), Ok(1));
        assert_eq!(added("execute", Total::Cores(3)), Ok(0));
        assert_eq!(
            added("execute", Total::Cores(100)),
            Ok(1),
            "the limit of the array"
        );
        assert!(added("nope", Total::Nodes(1)).unwrap_err().contains("`nope`"));
    }

    #[test]
    fn name_formats() {
        let mut edit = started();
        let named = |format: &str, offset| NodeCreationSet {
            name_format: Some(format.to_owned()),
            name_offset: offset,
            ..set(1)
        };
        create(&mut edit, named("htc-%03d", Some(9))).unwrap();
        create(&mut edit, named("whole-name", None)).unwrap();
        assert_eq!(names(&edit)[3..], ["htc-010", "whole-name"]);
        edit.nodes.retain(|node| !node.name.starts_with("execute"));
        create(&mut edit, named("whole-name", None)).unwrap_err();
        create(&mut edit, named("a/b", None)).unwrap_err();
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let mut edit = started();
        let none = NodeCreationSet {
            nodearray: "nope".to_owned(),
            ..set(1)
        };
        assert!(create(&mut edit, none).unwrap_err().0.contains("`nope`"));
        let machine = NodeCreationSet {
            definition: Some(BucketDefinition {
                machine_type: "huge".to_owned(),
            }),
            ..set(1)
        };
        assert!(create(&mut edit, machine).unwrap_err().0.contains("`huge`"));
        edit.request_known = true;
        assert!(create(&mut edit, set(1)).unwrap_err().0.contains("`r`"));
        let mut edit = fixture::edit();
        assert!(create(&mut edit, set(1)).unwrap_err().0.contains("not started"));
    }

    #[test]
    fn an_array_that_came_after_the_start_has_to_wait() {
        let mut edit = started();
        edit.cluster.active_arrays.clear();
        assert!(create(&mut edit, set(1)).unwrap_err().0.contains("again"));
    }
}
