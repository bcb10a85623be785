//! Starting, terminating and retrying single nodes.

use std::sync::Arc;

use jiff::Timestamp;
use protocol::rest::{NodeManagementEntry, NodeManagementRequest, NodeManagementResult};
use protocol::{Level, Priority, ShutdownPolicy};
use uuid::Uuid;

use super::Refusal;
use super::limits::{Machines, capacity};
use super::news::news;
use super::node::{begin_deallocate, begin_resume, begin_start, begin_terminate};
use crate::store::{Cluster, ClusterEdit, Node, Operation, Renewal, State, Status, TargetState};

/// What to do to nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Give nodes that are off a machine.
    Start,
    /// Take their machines away.
    Terminate,
    /// Stop their machines; they keep their disks.
    Deallocate,
    /// What the shutdown policy of each says.
    Shutdown,
    /// Terminate nodes of arrays, and forget other nodes that are off.
    Remove,
    /// Stop their machines and start them again.
    Restart,
    /// Give them new machines.
    Reimage,
}

/// Which nodes a filter chooses.
pub type Chosen<'a> = &'a dyn Fn(&Cluster, &Node) -> bool;

impl Action {
    /// The word in URLs and operations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Terminate => "terminate",
            Self::Deallocate => "deallocate",
            Self::Shutdown => "shutdown",
            Self::Remove => "remove",
            Self::Restart => "restart",
            Self::Reimage => "reimage",
        }
    }
}

/// Carries out `POST …/nodes/{start,terminate,deallocate,shutdown,remove,restart,reimage}`. A node for which it cannot be done has an entry with
/// the reason; the others are done. `chosen` is the filter of the request.
///
/// # Errors
/// When the request names no node at all, or was made before.
pub fn manage(
    edit: &mut ClusterEdit,
    action: Action,
    request: &NodeManagementRequest,
    chosen: Option<Chosen<'_>>,
    machines: &Machines,
    now: Timestamp,
) -> Result<NodeManagementResult, Refusal> {
    if edit.request_known {
        let id = request.request_id.as_deref().unwrap_or_default();
        return Err(Refusal(format!("the request id `{id}` was used before")));
    }
    let selectors = [
        &request.ids,
        &request.names,
        &request.hostnames,
        &request.ip_addresses,
    ];
    if selectors.iter().all(|selector| selector.is_empty()) && chosen.is_none() {
        return Err(Refusal(
            "the request names no node: give `ids`, `names`, `hostnames`, `ip_addresses` or a `filter`"
                .to_owned(),
        ));
    }
    let unknown = unknown(edit, request);
    let mut entries = Vec::new();
    let mut touched = Vec::new();
    for at in 0..edit.nodes.len() {
        let node = &edit.nodes[at];
        if !is_selected(node, request) && !chosen.is_some_and(|chosen| chosen(&edit.cluster, node)) {
            continue;
        }
        let result = act(edit, at, action, machines, now);
        let node = &edit.nodes[at];
        touched.push(node.id.clone());
        entries.push(NodeManagementEntry {
            name: node.name.clone(),
            id: node.id.clone(),
            status: if result.is_ok() { "OK" } else { "Error" }.to_owned(),
            error: result.err(),
        });
    }
    if action == Action::Remove {
        let gone = |node: &Node| !node.array && touched.contains(&node.id) && forgettable(node).is_ok();
        let names = edit.nodes.iter().filter(|node| gone(node));
        let names: Vec<String> = names.map(|node| node.name.clone()).collect();
        forget(edit, &names, now);
    }
    entries.extend(unknown);
    let operation_id = Uuid::new_v4().to_string();
    edit.operation = Some(Operation {
        id: operation_id.clone(),
        cluster: edit.cluster.name.clone(),
        action: action.as_str().to_owned(),
        request_id: request.request_id.clone(),
        start_time: now,
        nodes: touched,
    });
    Ok(NodeManagementResult {
        operation_id,
        nodes: entries,
    })
}

/// Clears the failures of a cluster's nodes: those without a machine are tried at once, those whose converge
/// failed are told to converge. Returns how many there were.
pub fn retry(edit: &mut ClusterEdit, now: Timestamp) -> usize {
    let mut count = 0;
    for node in edit.nodes.iter_mut().filter(|node| node.status == Status::Failed) {
        count += 1;
        match (&mut node.machine_failure, node.target_state) {
            (Some(failure), _) => {
                failure.attempts = 0;
                failure.next = now;
            }
            (None, TargetState::Started) => node.converge_pending = true,
            (None, TargetState::Terminated | TargetState::Deallocated) => {}
        }
        edit.events.push(news(
            node,
            now,
            Level::Info,
            Priority::Medium,
            "Failure cleared, tried again",
        ));
    }
    count
}

fn is_selected(node: &Node, request: &NodeManagementRequest) -> bool {
    let has =
        |list: &[String], value: Option<&str>| value.is_some_and(|value| list.iter().any(|x| x == value));
    has(&request.ids, Some(&node.id))
        || has(&request.names, Some(&node.name))
        || has(&request.hostnames, node.hostname.as_deref())
        || has(&request.ip_addresses, node.private_ip.as_deref())
}

fn act(
    edit: &mut ClusterEdit,
    at: usize,
    action: Action,
    machines: &Machines,
    now: Timestamp,
) -> Result<(), String> {
    let node = &edit.nodes[at];
    let name = node.name.clone();
    let policy = match action {
        Action::Start => return start(edit, at, machines, now),
        Action::Terminate => ShutdownPolicy::Terminate,
        Action::Deallocate => ShutdownPolicy::Deallocate,
        Action::Shutdown => policy(&edit.cluster, node),
        // They vanish when they are terminated.
        Action::Remove if node.array => ShutdownPolicy::Terminate,
        Action::Remove => return forgettable(node),
        Action::Restart => return renew(edit, at, Renewal::Restart, now),
        Action::Reimage => return renew(edit, at, Renewal::Reimage, now),
    };
    let is_done = match policy {
        ShutdownPolicy::Terminate => matches!(node.state, State::Terminated | State::Terminating),
        ShutdownPolicy::Deallocate => !matches!(node.state, State::Starting | State::Started),
    };
    if is_done {
        return Ok(());
    }
    if node.keep_alive {
        return Err(format!(
            "the node `{name}` is kept alive: clear its KeepAlive first"
        ));
    }
    let node = &mut edit.nodes[at];
    let text = match policy {
        ShutdownPolicy::Terminate => {
            begin_terminate(node);
            "Node terminates"
        }
        ShutdownPolicy::Deallocate => {
            begin_deallocate(node);
            "Node is deallocated"
        }
    };
    edit.events
        .push(news(&edit.nodes[at], now, Level::Info, Priority::Low, text));
    Ok(())
}

/// Whether a node that belongs to no array can be forgotten.
fn forgettable(node: &Node) -> Result<(), String> {
    match node.state {
        State::Terminated => Ok(()),
        _ => Err(format!(
            "the node `{}` must be terminated before it can be removed",
            node.name
        )),
    }
}

/// Forgets nodes, until their template is imported again.
fn forget(edit: &mut ClusterEdit, names: &[String], now: Timestamp) {
    if names.is_empty() {
        return;
    }
    let mut definition = (*edit.cluster.definition).clone();
    definition.nodes.retain(|node| !names.contains(&node.name));
    edit.cluster.definition = Arc::new(definition);
    for node in edit.nodes.iter().filter(|node| names.contains(&node.name)) {
        edit.events
            .push(news(node, now, Level::Info, Priority::Medium, "Node removed"));
    }
    edit.nodes.retain(|node| !names.contains(&node.name));
}

/// Nodes that are kept alive may be renewed, too: they stay.
fn renew(edit: &mut ClusterEdit, at: usize, renewal: Renewal, now: Timestamp) -> Result<(), String> {
    let node = &mut edit.nodes[at];
    let has_machine =
        matches!(node.state, State::Starting | State::Started) && node.status != Status::Acquiring;
    if node.target_state != TargetState::Started || !has_machine {
        return Err(format!("the node `{}` has no machine that runs", node.name));
    }
    let text = match renewal {
        Renewal::Restart => "Machine restarts",
        Renewal::Reimage => "Node gets a new machine",
    };
    // A new machine is a restart, too.
    if node.renewal != Some(Renewal::Reimage) {
        node.renewal = Some(renewal);
    }
    edit.events
        .push(news(&edit.nodes[at], now, Level::Info, Priority::Low, text));
    Ok(())
}

fn start(edit: &mut ClusterEdit, at: usize, machines: &Machines, now: Timestamp) -> Result<(), String> {
    let node = &edit.nodes[at];
    let name = &node.name;
    match node.state {
        State::Starting | State::Started => return Ok(()),
        State::Terminating => {
            return Err(format!(
                "the node `{name}` is being terminated: start it when it is off"
            ));
        }
        State::Deallocating => {
            return Err(format!(
                "the node `{name}` is being deallocated: start it when it is deallocated"
            ));
        }
        // It counts again from now on.
        State::Deallocated if !has_room(edit, node, machines) => {
            return Err(format!(
                "the node `{name}` cannot be started: the limits of its node array or of the cluster leave no room"
            ));
        }
        State::Deallocated | State::Terminated => {}
    }
    let node = &mut edit.nodes[at];
    if node.state == State::Deallocated {
        begin_resume(node, now);
    } else {
        begin_start(node, now);
    }
    edit.events.push(news(
        &edit.nodes[at],
        now,
        Level::Info,
        Priority::Low,
        "Node starts",
    ));
    Ok(())
}

/// Whether the limits leave room for a deallocated node to run again.
pub(super) fn has_room(edit: &ClusterEdit, node: &Node, machines: &Machines) -> bool {
    let Some(array) = edit
        .cluster
        .definition
        .array(&node.template)
        .filter(|_| node.array)
    else {
        return true;
    };
    let (_, _, capacities) = capacity(&edit.cluster, &edit.nodes, array, machines);
    let own = capacities
        .iter()
        .find(|bucket| bucket.machine_type == node.machine_type);
    // A machine type that the array has no more is still there: the machine is.
    own.is_none_or(|bucket| bucket.available > 0 || !bucket.is_defined)
}

/// What a shutdown of a node means when nobody says.
pub(super) fn policy(cluster: &Cluster, node: &Node) -> ShutdownPolicy {
    let defined = cluster.definition.node(&node.template);
    defined.map_or(ShutdownPolicy::Terminate, |defined| defined.shutdown_policy)
}

/// An entry for each id and name that fits no node.
fn unknown(edit: &ClusterEdit, request: &NodeManagementRequest) -> Vec<NodeManagementEntry> {
    let cluster = &edit.cluster.name;
    let entry = |name: &str, id: &str| NodeManagementEntry {
        name: name.to_owned(),
        id: id.to_owned(),
        status: "Error".to_owned(),
        error: Some(format!("there is no node `{name}{id}` in cluster `{cluster}`")),
    };
    let ids = request
        .ids
        .iter()
        .filter(|id| !edit.nodes.iter().any(|node| node.id == **id));
    let names = request
        .names
        .iter()
        .filter(|name| !edit.nodes.iter().any(|node| node.name == **name));
    ids.map(|id| entry("", id))
        .chain(names.map(|name| entry(name, "")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, NOW};
    use super::*;
    use crate::lifecycle::keep_machine_failure;

    fn names(names: &[&str]) -> NodeManagementRequest {
        NodeManagementRequest {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..NodeManagementRequest::default()
        }
    }

    #[test]
    fn nothing_named_is_not_everything() {
        let mut edit = fixture::edit();
        manage(
            &mut edit,
            Action::Terminate,
            &NodeManagementRequest::default(),
            None,
            &fixture::machines(),
            NOW,
        )
        .unwrap_err();
        let none = |_: &Cluster, _: &Node| false;
        let request = NodeManagementRequest::default();
        let result = manage(
            &mut edit,
            Action::Start,
            &request,
            Some(&none),
            &fixture::machines(),
            NOW,
        )
        .unwrap();
        assert!(result.nodes.is_empty(), "a filter may choose none");
    }

    #[test]
    fn each_named_node_has_an_entry() {
        let mut edit = fixture::edit();
        let result = manage(
            &mut edit,
            Action::Start,
            &names(&["head", "nope"]),
            None,
            &fixture::machines(),
            NOW,
        )
        .unwrap();
        let status = |index: usize| {
            (
                result.nodes[index].name.as_str(),
                result.nodes[index].status.as_str(),
            )
        };
        assert_eq!(status(0), ("head", "OK"));
        assert_eq!(status(1), ("nope", "Error"));
        assert_eq!(edit.nodes[0].status, Status::Acquiring);
        assert_eq!(edit.operation.unwrap().nodes.len(), 1);
    }

    #[test]
    fn a_node_that_is_kept_alive_stays() {
        let mut edit = fixture::edit();
        begin_start(&mut edit.nodes[0], NOW);
        edit.nodes[0].keep_alive = true;
        let result = manage(
            &mut edit,
            Action::Terminate,
            &names(&["head"]),
            None,
            &fixture::machines(),
            NOW,
        )
        .unwrap();
        assert!(result.nodes[0].error.as_ref().unwrap().contains("KeepAlive"));
        assert_eq!(edit.nodes[0].target_state, TargetState::Started);
    }

    #[test]
    fn a_node_that_goes_cannot_be_started() {
        let mut edit = fixture::edit();
        begin_start(&mut edit.nodes[0], NOW);
        begin_terminate(&mut edit.nodes[0]);
        let result = manage(
            &mut edit,
            Action::Start,
            &names(&["head"]),
            None,
            &fixture::machines(),
            NOW,
        )
        .unwrap();
        assert_eq!(result.nodes[0].status, "Error");
    }

    #[test]
    fn a_deallocated_node_starts_again_if_there_is_room() {
        let mut edit = fixture::edit();
        super::super::start(&mut edit, NOW);
        super::super::settle(&mut edit, &fixture::machines(), NOW);
        let names = names(&["execute-1"]);
        manage(
            &mut edit,
            Action::Deallocate,
            &names,
            None,
            &fixture::machines(),
            NOW,
        )
        .unwrap();
        assert_eq!(edit.nodes[1].status, Status::Deallocating);
        let early = manage(&mut edit, Action::Start, &names, None, &fixture::machines(), NOW).unwrap();
        assert_eq!(early.nodes[0].status, "Error");
        super::super::settle_deallocated(&mut edit.nodes[1]);
        let none = Machines {
            max_nodes: 1,
            ..fixture::machines()
        };
        let full = manage(&mut edit, Action::Start, &names, None, &none, NOW).unwrap();
        assert!(full.nodes[0].error.as_ref().unwrap().contains("room"));
        manage(&mut edit, Action::Start, &names, None, &fixture::machines(), NOW).unwrap();
        assert_eq!(edit.nodes[1].target_state, TargetState::Started);
    }

    #[test]
    fn nodes_of_arrays_are_terminated_and_others_forgotten_when_they_are_off() {
        let mut edit = fixture::edit();
        super::super::start(&mut edit, NOW);
        super::super::settle(&mut edit, &fixture::machines(), NOW);
        let all = names(&["head", "execute-1", "nope"]);
        let remove = |edit: &mut ClusterEdit| {
            manage(edit, Action::Remove, &all, None, &fixture::machines(), NOW).unwrap()
        };
        let result = remove(&mut edit);
        let error = result.nodes[0].error.clone().unwrap();
        assert_eq!(
            error,
            "the node `head` must be terminated before it can be removed"
        );
        assert_eq!(result.nodes[1].status, "OK");
        assert_eq!(edit.nodes[1].state, State::Terminating);
        begin_terminate(&mut edit.nodes[0]);
        crate::lifecycle::settle_terminated(&mut edit.nodes[0]);
        let result = remove(&mut edit);
        assert_eq!((result.nodes[0].status.as_str(), result.nodes.len()), ("OK", 3));
        assert!(!edit.nodes.iter().any(|node| node.name == "head"));
        super::super::settle(&mut edit, &fixture::machines(), NOW);
        super::super::start(&mut edit, NOW);
        super::super::settle(&mut edit, &fixture::machines(), NOW);
        assert!(
            !edit.nodes.iter().any(|node| node.name == "head"),
            "it does not come back"
        );
    }

    #[test]
    fn only_a_node_with_a_machine_gets_another() {
        let mut edit = fixture::edit();
        let names = names(&["head"]);
        for action in [Action::Restart, Action::Reimage] {
            let result = manage(&mut edit, action, &names, None, &fixture::machines(), NOW).unwrap();
            assert_eq!(
                result.nodes[0].error.as_deref(),
                Some("the node `head` has no machine that runs")
            );
        }
        begin_start(&mut edit.nodes[0], NOW);
        crate::lifecycle::machine_is_there(&mut edit.nodes[0]);
        edit.nodes[0].keep_alive = true;
        for (action, renewal) in [
            (Action::Restart, Renewal::Restart),
            (Action::Reimage, Renewal::Reimage),
            (Action::Restart, Renewal::Reimage),
        ] {
            let result = manage(&mut edit, action, &names, None, &fixture::machines(), NOW).unwrap();
            assert_eq!(result.nodes[0].status, "OK");
            assert_eq!(edit.nodes[0].renewal, Some(renewal));
        }
    }

    #[test]
    fn retry_makes_failures_due() {
        let mut edit = fixture::edit();
        begin_start(&mut edit.nodes[0], NOW);
        keep_machine_failure(&mut edit.nodes[0], "no".to_owned(), NOW);
        assert_eq!(retry(&mut edit, NOW), 1);
        assert_eq!(edit.nodes[0].machine_failure.as_ref().unwrap().next, NOW);
        edit.nodes[0].machine_failure = None;
        retry(&mut edit, NOW);
        assert!(edit.nodes[0].converge_pending);
    }
}
