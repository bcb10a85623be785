//! Starting and terminating whole clusters.

use jiff::Timestamp;
use protocol::rest::NodeCreationSet;
use protocol::{Level, Priority};

use super::Refusal;
use super::autoscale;
use super::create::add_nodes;
use super::import::drop_orphans;
use super::limits::Machines;
use super::news::{cluster_news, news};
use super::node::{begin_resume, begin_start, begin_terminate};
use super::shutdown;
use crate::store::{Autoscaling, ClusterEdit, Node, State, Status, TargetState};
use crate::template::ArrayDefinition;

/// The cluster shall run. [`settle`] makes its nodes. Started again while it runs, it gets what its template
/// has gained since.
pub fn start(edit: &mut ClusterEdit, now: Timestamp) {
    let cluster = &mut edit.cluster;
    if cluster.target_state != Some(TargetState::Started) {
        cluster.start_count += 1;
        cluster.state = Some(State::Starting);
    }
    cluster.target_state = Some(TargetState::Started);
    cluster.start_pending = true;
    cluster.remove_pending = false;
    let event = cluster_news(cluster, now, Level::Info, Priority::Medium, "Cluster starts");
    edit.events.push(event);
}

/// [`start`], and says whether the nodes run the tests of their projects when they are ready. It holds until the next
/// start.
pub fn start_in_mode(edit: &mut ClusterEdit, test_mode: bool, now: Timestamp) {
    edit.cluster.test_mode = test_mode;
    start(edit, now);
}

/// The cluster shall be gone, with all its nodes, also those that are kept alive.
pub fn terminate(edit: &mut ClusterEdit, now: Timestamp) {
    let cluster = &mut edit.cluster;
    if cluster.target_state.is_none() {
        return;
    }
    cluster.target_state = Some(TargetState::Terminated);
    cluster.start_pending = false;
    // Those who wanted nodes go with the cluster.
    cluster.autoscale = Autoscaling::default();
    cluster.replacements.clear();
    if cluster.state != Some(State::Terminated) {
        cluster.state = Some(State::Terminating);
        let event = cluster_news(cluster, now, Level::Info, Priority::Medium, "Cluster terminates");
        edit.events.push(event);
    }
    edit.nodes.iter_mut().for_each(begin_terminate);
}

/// The cluster shall be gone with its definition. Returns whether it is to be removed now; else it is when its nodes are gone.
///
/// # Errors
/// When it is not terminated and `force` does not say that this comes first.
pub fn remove(edit: &mut ClusterEdit, force: bool, now: Timestamp) -> Result<bool, Refusal> {
    let is_off = edit.nodes.iter().all(|node| node.status == Status::Off);
    if is_off && edit.cluster.target_state != Some(TargetState::Started) {
        return Ok(true);
    }
    if !force {
        return Err(Refusal(format!(
            "the cluster `{}` must be terminated before it is removed",
            edit.cluster.name
        )));
    }
    terminate(edit, now);
    edit.cluster.remove_pending = true;
    Ok(false)
}

/// Brings a cluster nearer to what is wanted of it: makes the nodes of a start, drops standalone nodes that
/// the template lost, and keeps its state. May be called at any time; without anything to do it changes
/// nothing.
pub fn settle(edit: &mut ClusterEdit, machines: &Machines, now: Timestamp) {
    let definition = edit.cluster.definition.clone();
    drop_orphans(edit, &definition);
    if edit.cluster.start_pending {
        start_nodes(edit, machines, now);
    }
    shutdown::decide(edit, machines, now);
    autoscale::pursue(edit, machines, now);
    shutdown::replace(edit, machines, now);
    if let Some(target) = edit.cluster.target_state
        && let state = state(edit, target)
        && edit.cluster.state != Some(state)
    {
        edit.cluster.state = Some(state);
        let message = match state {
            State::Started => "Cluster started",
            State::Terminated => "Cluster terminated",
            State::Starting | State::Terminating | State::Deallocating | State::Deallocated => return,
        };
        let event = cluster_news(&edit.cluster, now, Level::Info, Priority::Medium, message);
        edit.events.push(event);
    }
}

fn start_nodes(edit: &mut ClusterEdit, machines: &Machines, now: Timestamp) {
    let definition = edit.cluster.definition.clone();
    let mut is_complete = true;
    for defined in definition.nodes.iter().filter(|node| node.start_automatically) {
        let Some(node) = edit.nodes.iter_mut().find(|node| node.name == defined.name) else {
            continue;
        };
        match node.state {
            State::Terminated => {
                node.machine_type = defined.machine_types.first().cloned().unwrap_or_default();
                begin_start(node, now);
                let event = news(node, now, Level::Info, Priority::Low, "Node starts");
                edit.events.push(event);
            }
            // Its old machine has to go first.
            State::Terminating | State::Deallocating => is_complete = false,
            State::Deallocated => {
                begin_resume(node, now);
                let event = news(node, now, Level::Info, Priority::Low, "Node starts");
                edit.events.push(event);
            }
            State::Starting | State::Started => {}
        }
    }
    edit.cluster.active_arrays = definition
        .arrays
        .iter()
        .map(|array| array.node.name.clone())
        .collect();
    if !is_complete {
        return;
    }
    for array in &definition.arrays {
        let count = missing(edit, array, machines);
        let count = count - autoscale::resume(edit, array, count, machines, now);
        if count == 0 {
            continue;
        }
        let set = NodeCreationSet {
            nodearray: array.node.name.clone(),
            count,
            ..NodeCreationSet::default()
        };
        let shortage = match add_nodes(edit, &set, None, machines, now) {
            Ok((_, shortage)) => shortage,
            Err(refusal) => Some(refusal.0),
        };
        if let Some(shortage) = shortage {
            let message = format!("Initial nodes of `{}`: {shortage}", array.node.name);
            let event = cluster_news(&edit.cluster, now, Level::Warn, Priority::High, message);
            edit.events.push(event);
        }
    }
    edit.cluster.start_pending = false;
}

/// How many nodes an array lacks for its initial count.
pub(super) fn missing(edit: &ClusterEdit, array: &ArrayDefinition, machines: &Machines) -> u32 {
    let name = &array.node.name;
    let first = array.node.machine_types.first().map_or("", String::as_str);
    let cores = machines.machine(first, &array.node.attributes).cores;
    let wanted = array.initial_count.max(array.initial_core_count.div_ceil(cores));
    let wants = |node: &&Node| node.template == *name && node.target_state == TargetState::Started;
    let there = edit.nodes.iter().filter(wants).count();
    wanted.saturating_sub(u32::try_from(there).unwrap_or(u32::MAX))
}

fn state(edit: &ClusterEdit, target: TargetState) -> State {
    match target {
        TargetState::Started => {
            let is_under_way = |node: &Node| {
                !node.array && node.target_state == TargetState::Started && node.state != State::Started
            };
            if edit.cluster.start_pending || edit.nodes.iter().any(is_under_way) {
                State::Starting
            } else {
                State::Started
            }
        }
        TargetState::Terminated | TargetState::Deallocated => {
            if edit.nodes.iter().all(|node| node.status == Status::Off) {
                State::Terminated
            } else {
                State::Terminating
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, NOW};
    use super::*;
    use crate::lifecycle::settle_terminated;

    fn machines() -> Machines {
        Machines {
            types: Default::default(),
            max_nodes: 100,
            max_cores: 100,
        }
    }

    fn names(edit: &ClusterEdit) -> Vec<&str> {
        edit.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn a_start_makes_the_standalone_and_the_initial_nodes_once() {
        let mut edit = fixture::edit();
        start(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        assert_eq!(names(&edit), ["head", "execute-1", "execute-2"]);
        assert!(edit.nodes.iter().all(|node| node.status == Status::Acquiring));
        assert_eq!(edit.cluster.state, Some(State::Starting));
        let before = (edit.cluster.clone(), edit.nodes.clone(), edit.events.len());
        settle(&mut edit, &machines(), NOW);
        assert_eq!(
            (edit.cluster.clone(), edit.nodes.clone(), edit.events.len()),
            before
        );
        edit.nodes[0].state = State::Started;
        settle(&mut edit, &machines(), NOW);
        assert_eq!(edit.cluster.state, Some(State::Started));
        assert_eq!(edit.cluster.start_count, 1);
    }

    #[test]
    fn a_node_that_was_terminated_by_hand_is_not_started_again() {
        let mut edit = fixture::edit();
        start(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        begin_terminate(&mut edit.nodes[0]);
        settle_terminated(&mut edit.nodes[0]);
        settle(&mut edit, &machines(), NOW);
        assert_eq!(edit.nodes[0].status, Status::Off);
    }

    #[test]
    fn a_start_waits_for_machines_that_still_go() {
        let mut edit = fixture::edit();
        start(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        terminate(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        assert_eq!(edit.cluster.state, Some(State::Terminating));
        start(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        assert_eq!(edit.nodes[0].status, Status::Terminating);
        assert!(edit.cluster.start_pending);
        settle_terminated(&mut edit.nodes[0]);
        settle(&mut edit, &machines(), NOW);
        assert_eq!(edit.nodes[0].status, Status::Acquiring);
        assert_eq!(edit.cluster.start_count, 2);
    }

    #[test]
    fn a_cluster_that_runs_is_removed_only_by_force() {
        let mut edit = fixture::edit();
        assert_eq!(remove(&mut edit, false, NOW), Ok(true), "it was never started");
        start(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        let refusal = remove(&mut edit, false, NOW).unwrap_err();
        assert_eq!(
            refusal.0,
            "the cluster `demo` must be terminated before it is removed"
        );
        assert_eq!(remove(&mut edit, true, NOW), Ok(false));
        assert!(edit.cluster.remove_pending);
        assert_eq!(edit.cluster.target_state, Some(TargetState::Terminated));
        start(&mut edit, NOW);
        assert!(!edit.cluster.remove_pending, "who starts it wants it");
    }

    #[test]
    fn a_cluster_is_terminated_when_all_its_nodes_are() {
        let mut edit = fixture::edit();
        terminate(&mut edit, NOW);
        assert_eq!(edit.cluster.state, None, "it was never started");
        start(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        terminate(&mut edit, NOW);
        edit.nodes.retain(|node| !node.array);
        settle_terminated(&mut edit.nodes[0]);
        settle(&mut edit, &machines(), NOW);
        assert_eq!(edit.cluster.state, Some(State::Terminated));
    }
}
