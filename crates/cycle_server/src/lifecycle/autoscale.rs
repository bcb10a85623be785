//! Pursuing what autoscalers want: arrays take the shape that was asked for, and grow to their targets.
//!
//! Targets only let a cluster grow. A node goes when it asks to, and only if the targets leave it free to go: see
//! [`is_needed`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use protocol::rest::{BucketDefinition, NodeCreationSet};
use protocol::{Level, Priority, check_name};

use super::create::add_nodes;
use super::limits::{Capacity, Machines, capacity};
use super::manage::has_room;
use super::news::{cluster_news, news};
use super::node::begin_resume;
use super::targets::{GroupSize, Sum, Wish, cores_there, is_there, known_name, lacks, wish};
use crate::store::{Cluster, ClusterEdit, Node, State, TargetState};
use crate::template::{ArrayDefinition, ClusterDefinition, amend, derive};

pub(super) use super::targets::in_words;

/// Why a target is not reached, by the array that it is about.
type Problems = BTreeMap<String, String>;

/// Lets what is over end, shapes the arrays as the request sets want them, and adds the nodes that they lack. Without anything
/// to do it changes nothing.
pub(super) fn pursue(edit: &mut ClusterEdit, machines: &Machines, now: Timestamp) {
    expire(edit, now);
    let mut problems = Problems::new();
    let wishes = wishes(&edit.cluster, &mut problems);
    shape(edit, &wishes, machines, now, &mut problems);
    let runs = edit.cluster.target_state == Some(TargetState::Started) && !edit.cluster.start_pending;
    if runs {
        let mut arrays: Vec<&str> = wishes.iter().map(|wish| wish.array.as_str()).collect();
        arrays.sort_unstable();
        arrays.dedup();
        for array in arrays {
            grow(edit, array, &wishes, machines, now, &mut problems);
        }
        report(edit, problems, now);
    }
}

/// Keeps a problem with those that the same array has already.
fn note(problems: &mut Problems, array: &str, problem: String) {
    let all = problems.entry(array.to_owned()).or_default();
    if !all.is_empty() {
        all.push('\n');
    }
    all.push_str(&problem);
}

fn expire(edit: &mut ClusterEdit, now: Timestamp) {
    let (live, over) = std::mem::take(&mut edit.cluster.autoscale.demands)
        .into_iter()
        .partition(|demand| demand.expires > now);
    edit.cluster.autoscale.demands = live;
    for demand in over {
        let text = format!("Request set `{}` wants nothing any more", demand.request_set);
        edit.events
            .push(cluster_news(&edit.cluster, now, Level::Info, Priority::Low, text));
    }
}

/// All definitions of all request sets that can be understood, the oldest set first.
fn wishes(cluster: &Cluster, problems: &mut Problems) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for demand in &cluster.autoscale.demands {
        for definition in &demand.definitions {
            match wish(definition) {
                Ok(mut wish) => {
                    wish.array = known_name(&cluster.definition, wish.array);
                    wishes.push(wish);
                }
                Err(problem) => {
                    let name = definition
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case("Name"))
                        .and_then(|(_, value)| value.as_str())
                        .unwrap_or_default();
                    let text = format!(
                        "Request set `{}`, node array `{name}`: {problem}",
                        demand.request_set
                    );
                    note(problems, name, text);
                }
            }
        }
    }
    wishes
}

/// Makes the arrays that are wanted and missing, merges what is wanted of each, and takes away those dynamic ones that nobody
/// wants and that have no nodes.
fn shape(
    edit: &mut ClusterEdit,
    wishes: &[Wish],
    machines: &Machines,
    now: Timestamp,
    problems: &mut Problems,
) {
    let mut definition = (*edit.cluster.definition).clone();
    let mut changes = Vec::new();
    for wish in wishes {
        if definition.array(&wish.array).is_none() {
            match make(&edit.cluster, &definition, wish) {
                Ok(array) => {
                    changes.push(format!("Node array `{}` added for an autoscaler", wish.array));
                    definition.arrays.push(array);
                }
                Err(problem) => {
                    note(problems, &wish.array, problem);
                    continue;
                }
            }
        }
        if let Some(array) = definition.array_mut(&wish.array) {
            if let Err(error) = amend(array, &wish.attributes) {
                note(
                    problems,
                    &wish.array,
                    format!("Node array `{}`: {error}", wish.array),
                );
            }
            array.group_size = wish.groups.as_ref().map(|groups| match groups.size {
                GroupSize::Nodes(nodes) => nodes,
                GroupSize::Cores(cores) => cores.div_ceil(first_cores(array, machines)),
            });
        }
    }
    definition.arrays.retain(|array| {
        let name = &array.node.name;
        let stays = !array.dynamic
            || wishes.iter().any(|wish| wish.array == *name)
            || edit.nodes.iter().any(|node| node.template == *name);
        if !stays {
            changes.push(format!(
                "Node array `{name}` removed: no autoscaler wants it any more"
            ));
        }
        stays
    });
    if definition != *edit.cluster.definition {
        edit.cluster.definition = Arc::new(definition);
    }
    let definition = edit.cluster.definition.clone();
    if edit.cluster.target_state == Some(TargetState::Started) {
        let active = &mut edit.cluster.active_arrays;
        active.retain(|name| definition.array(name).is_some());
        for array in definition.arrays.iter().filter(|array| array.dynamic) {
            if !active.contains(&array.node.name) {
                active.push(array.node.name.clone());
            }
        }
    }
    for text in changes {
        edit.events
            .push(cluster_news(&edit.cluster, now, Level::Info, Priority::Low, text));
    }
}

/// A new array for a wish.
fn make(cluster: &Cluster, definition: &ClusterDefinition, wish: &Wish) -> Result<ArrayDefinition, String> {
    let name = &wish.array;
    let parent = match (&wish.groups, wish.extends.as_slice()) {
        (Some(groups), _) => Some(&groups.of),
        (None, [parent]) => Some(parent),
        (None, _) => None,
    };
    let known = parent.and_then(|parent| {
        let parent = known_name(definition, parent.clone());
        definition.array(&parent)
    });
    let mut array = match (known, &wish.groups) {
        (Some(known), _) => known.clone(),
        (None, Some(groups)) if !wish.dynamic => {
            return Err(unknown(&groups.of, &cluster.name));
        }
        (None, None) if !wish.dynamic => return Err(unknown(name, &cluster.name)),
        (None, groups) => {
            let base = groups.as_ref().map_or(name, |groups| &groups.of);
            check_name("the node array", base).map_err(|error| format!("Autoscaling: {error}"))?;
            for parent in &wish.extends {
                check_name("the node array", parent).map_err(|error| format!("Autoscaling: {error}"))?;
            }
            derive(
                &cluster.template,
                &cluster.name,
                &cluster.parameters,
                base,
                &wish.extends,
            )
            .map_err(|error| format!("Node array `{name}` cannot be made: {error}"))?
        }
    };
    if wish.groups.is_none() {
        if !wish.dynamic {
            return Err(unknown(name, &cluster.name));
        }
        check_name("the node array", name).map_err(|error| format!("Autoscaling: {error}"))?;
    }
    array.node.name.clone_from(name);
    array.initial_count = 0;
    array.initial_core_count = 0;
    array.dynamic = true;
    array.group_size = None;
    Ok(array)
}

fn unknown(name: &str, cluster: &str) -> String {
    format!(
        "An autoscaler wants node array `{name}`, which cluster `{cluster}` does not have: a new one needs `Dynamic`"
    )
}

/// Keeps the dynamic arrays of an earlier definition that the new one does not have. Those that nobody wants go with the next
/// [`pursue`].
pub(super) fn keep_dynamic_arrays(edit: &mut ClusterEdit, old: &ClusterDefinition) {
    let mut definition = (*edit.cluster.definition).clone();
    for array in old.arrays.iter().filter(|array| array.dynamic) {
        if definition.array(&array.node.name).is_none() && has_nodes(&edit.nodes, &array.node.name) {
            definition.arrays.push(array.clone());
        }
    }
    if definition != *edit.cluster.definition {
        edit.cluster.definition = Arc::new(definition);
    }
}

fn has_nodes(nodes: &[Node], array: &str) -> bool {
    nodes.iter().any(|node| node.template == array)
}

fn first_cores(array: &ArrayDefinition, machines: &Machines) -> u32 {
    let first = array.node.machine_types.first().map_or("", String::as_str);
    machines.machine(first, &array.node.attributes).cores
}

/// What all request sets want of an array.
fn sum(edit: &ClusterEdit, array: &ArrayDefinition, machines: &Machines) -> Sum {
    let mut ignored = Problems::new();
    let wishes = wishes(&edit.cluster, &mut ignored);
    let of_array = wishes.iter().filter(|wish| wish.array == array.node.name);
    Sum::of(of_array, first_cores(array, machines))
}

/// Adds the nodes that an array lacks, of its machine types in the order of preference.
fn grow(
    edit: &mut ClusterEdit,
    name: &str,
    wishes: &[Wish],
    machines: &Machines,
    now: Timestamp,
    problems: &mut Problems,
) {
    let definition = edit.cluster.definition.clone();
    let Some(array) = definition.array(name) else {
        return;
    };
    let sum = Sum::of(
        wishes.iter().filter(|wish| wish.array == name),
        first_cores(array, machines),
    );
    let result = match array.group_size {
        Some(size) => grow_groups(edit, array, sum.groups, size, machines, now),
        None => grow_nodes(edit, array, sum, machines, now),
    };
    if let Err(problem) = result {
        note(problems, name, problem);
    }
}

fn grow_nodes(
    edit: &mut ClusterEdit,
    array: &ArrayDefinition,
    sum: Sum,
    machines: &Machines,
    now: Timestamp,
) -> Result<(), String> {
    let lacking = lacks(
        sum,
        cores_there(edit, array, machines, None),
        first_cores(array, machines),
    );
    resume(edit, array, lacking, machines, now);
    // Each turn fills up one machine type.
    for _ in 0..=array.node.machine_types.len() {
        let there = cores_there(edit, array, machines, None);
        let Some(bucket) = roomy(edit, array, machines, 1) else {
            return match lacks(sum, there, first_cores(array, machines)) {
                0 => Ok(()),
                _ => Err(shortage(array, sum, &edit.cluster.name)),
            };
        };
        let lacking = lacks(sum, there, bucket.machine.cores);
        if lacking == 0 {
            return Ok(());
        }
        add(edit, array, &bucket, lacking, None, machines, now)?;
    }
    Ok(())
}

/// Starts deallocated nodes of an array again, at most so many; returns how many. They are there already and need no new
/// machine. Nodes of groups are not taken: their groups are complete or not by themselves.
pub(super) fn resume(
    edit: &mut ClusterEdit,
    array: &ArrayDefinition,
    most: u32,
    machines: &Machines,
    now: Timestamp,
) -> u32 {
    let mut resumed = 0;
    for at in 0..edit.nodes.len() {
        let node = &edit.nodes[at];
        let is_off = node.array && node.template == array.node.name && node.state == State::Deallocated;
        if resumed == most || !is_off || !has_room(edit, node, machines) {
            continue;
        }
        begin_resume(&mut edit.nodes[at], now);
        edit.events.push(news(
            &edit.nodes[at],
            now,
            Level::Info,
            Priority::Low,
            "Node starts",
        ));
        resumed += 1;
    }
    resumed
}

/// Completes groups and adds new ones until as many are complete as are wanted. Half a group is of no use: it is not begun.
fn grow_groups(
    edit: &mut ClusterEdit,
    array: &ArrayDefinition,
    wanted: u32,
    size: u32,
    machines: &Machines,
    now: Timestamp,
) -> Result<(), String> {
    let mut members = groups(edit, array, None);
    let complete = members.values().filter(|count| **count >= size).count();
    let mut lacking = usize::try_from(wanted)
        .unwrap_or(usize::MAX)
        .saturating_sub(complete);
    members.retain(|_, count| *count < size);
    // Those that lack least first.
    let mut begun: Vec<(String, u32)> = members.into_iter().collect();
    begun.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut begun = begun.into_iter();
    while lacking > 0 {
        let (group, count) = begun.next().unwrap_or_else(|| (free_group(edit, array), 0));
        let Some(bucket) = roomy(edit, array, machines, size - count) else {
            let sum = Sum {
                groups: wanted,
                ..Sum::default()
            };
            return Err(shortage(array, sum, &edit.cluster.name));
        };
        add(edit, array, &bucket, size - count, Some(&group), machines, now)?;
        lacking -= 1;
    }
    Ok(())
}

/// How many nodes each group of an array has, without the node `but`.
fn groups(edit: &ClusterEdit, array: &ArrayDefinition, but: Option<&str>) -> BTreeMap<String, u32> {
    let mut groups = BTreeMap::new();
    for node in &edit.nodes {
        if is_there(node, &array.node.name)
            && Some(node.id.as_str()) != but
            && let Some(group) = &node.group_id
        {
            *groups.entry(group.clone()).or_insert(0) += 1;
        }
    }
    groups
}

fn free_group(edit: &ClusterEdit, array: &ArrayDefinition) -> String {
    let is_taken = |name: &String| edit.nodes.iter().any(|node| node.group_id.as_ref() == Some(name));
    let mut number = 1_u64;
    loop {
        let name = format!("{}-{number}", array.node.name);
        if !is_taken(&name) {
            return name;
        }
        number += 1;
    }
}

/// The first machine type of an array with room for so many nodes.
fn roomy(edit: &ClusterEdit, array: &ArrayDefinition, machines: &Machines, nodes: u32) -> Option<Capacity> {
    let (_, _, capacities) = capacity(&edit.cluster, &edit.nodes, array, machines);
    capacities
        .into_iter()
        .find(|bucket| bucket.is_defined && bucket.available >= i64::from(nodes.max(1)))
}

fn add(
    edit: &mut ClusterEdit,
    array: &ArrayDefinition,
    bucket: &Capacity,
    count: u32,
    group: Option<&str>,
    machines: &Machines,
    now: Timestamp,
) -> Result<(), String> {
    let name = &array.node.name;
    let set = NodeCreationSet {
        nodearray: name.clone(),
        count: count.min(super::create::MAX_COUNT),
        definition: Some(BucketDefinition {
            machine_type: bucket.machine_type.clone(),
        }),
        // The name of a node has no colon.
        name_format: name
            .contains(':')
            .then(|| format!("{}-%d", name.replace(':', "-"))),
        ..NodeCreationSet::default()
    };
    let (ids, _) = add_nodes(edit, &set, None, machines, now)
        .map_err(|refusal| format!("Target of node array `{name}`: {refusal}"))?;
    for node in edit.nodes.iter_mut().filter(|node| ids.contains(&node.id)) {
        node.group_id = group.map(str::to_owned);
    }
    Ok(())
}

/// Says what is wanted and not how much of it is there: while that changes, the sentence is the same.
fn shortage(array: &ArrayDefinition, sum: Sum, cluster: &str) -> String {
    let parts = [(sum.nodes, "nodes"), (sum.cores, "cores"), (sum.groups, "groups")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    format!(
        "The target of node array `{}` ({}) is beyond the limits of the array or of cluster `{cluster}`: as many nodes as fit are made",
        array.node.name,
        parts.join(", ")
    )
}

/// Says each problem once, for as long as it lasts.
fn report(edit: &mut ClusterEdit, problems: Problems, now: Timestamp) {
    for (array, text) in &problems {
        if edit.cluster.autoscale.reported.get(array) != Some(text) {
            edit.events.push(cluster_news(
                &edit.cluster,
                now,
                Level::Warn,
                Priority::Medium,
                text.clone(),
            ));
        }
    }
    edit.cluster.autoscale.reported = problems;
}

/// Why the targets of its array do not let a node go, if they do not. The sentence is for people.
pub(super) fn is_needed(edit: &ClusterEdit, node: &Node, machines: &Machines) -> Option<String> {
    let array = edit.cluster.definition.array(&node.template)?;
    let name = &array.node.name;
    let sum = sum(edit, array, machines);
    match array.group_size {
        Some(size) => {
            let mut others = groups(edit, array, None);
            if let Some(own) = &node.group_id {
                others.remove(own);
            }
            let complete = others.values().filter(|count| **count >= size).count();
            let wanted = usize::try_from(sum.groups).unwrap_or(usize::MAX);
            (complete < wanted).then(|| format!("{wanted} groups of node array `{name}` are wanted"))
        }
        None => {
            let cores = machines.machine(&node.machine_type, &array.node.attributes).cores;
            let without = cores_there(edit, array, machines, Some(&node.id));
            (lacks(sum, without, cores) > 0).then(|| {
                let parts = [(sum.nodes, "nodes"), (sum.cores, "cores")];
                let parts: Vec<String> = parts
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, what)| format!("{count} {what}"))
                    .collect();
                format!("{} of node array `{name}` are wanted", parts.join(" and "))
            })
        }
    }
}

#[cfg(test)]
mod tests;
