//! Nodes that ask to go: who may, how, and who comes in their places.

use jiff::Timestamp;
use protocol::rest::NodeCreationSet;
use protocol::{Level, Priority, ShutdownCause, ShutdownPolicy};

use super::autoscale;
use super::create::add_nodes;
use super::limits::Machines;
use super::manage::policy;
use super::news::news;
use super::node::{begin_deallocate, begin_terminate};
use super::start::missing;
use crate::store::{ClusterEdit, ShutdownRequest, TargetState};

/// Decides about each node that asks to go. An idle one stays while the targets need it; one that is kept alive stays
/// whatever it says.
pub(super) fn decide(edit: &mut ClusterEdit, machines: &Machines, now: Timestamp) {
    for at in 0..edit.nodes.len() {
        let Some(asked) = edit.nodes[at].shutdown_asked.take() else {
            continue;
        };
        if edit.nodes[at].target_state != TargetState::Started {
            continue;
        }
        match refusal(edit, at, &asked, machines) {
            Some(why) => refuse(edit, at, &asked, why, now),
            None => grant(edit, at, &asked, now),
        }
    }
}

fn refusal(edit: &ClusterEdit, at: usize, asked: &ShutdownRequest, machines: &Machines) -> Option<String> {
    let node = &edit.nodes[at];
    if node.keep_alive {
        return Some("it is kept alive".to_owned());
    }
    match asked.cause {
        Some(ShutdownCause::Idle) => autoscale::is_needed(edit, node, machines),
        Some(ShutdownCause::Unhealthy) | None => None,
    }
}

fn refuse(edit: &mut ClusterEdit, at: usize, asked: &ShutdownRequest, why: String, now: Timestamp) {
    let node = &mut edit.nodes[at];
    // A node asks again and again: once is enough for those who watch.
    let is_news = node.shutdown_refused.as_ref() != Some(&why);
    let priority = if is_news { Priority::Medium } else { Priority::Low };
    let text = format!("Node asks to go{} and stays: {why}", because(asked));
    node.shutdown_refused = Some(why);
    edit.events
        .push(news(&edit.nodes[at], now, Level::Info, priority, text));
}

fn grant(edit: &mut ClusterEdit, at: usize, asked: &ShutdownRequest, now: Timestamp) {
    let is_unhealthy = asked.cause == Some(ShutdownCause::Unhealthy);
    let policy = match asked.policy {
        Some(policy) => policy,
        // A machine that is broken is not worth keeping.
        None if is_unhealthy => ShutdownPolicy::Terminate,
        None => policy(&edit.cluster, &edit.nodes[at]),
    };
    let node = &mut edit.nodes[at];
    let word = match policy {
        ShutdownPolicy::Terminate => {
            begin_terminate(node);
            "terminated"
        }
        ShutdownPolicy::Deallocate => {
            begin_deallocate(node);
            "deallocated"
        }
    };
    if is_unhealthy && node.array {
        *edit
            .cluster
            .replacements
            .entry(node.template.clone())
            .or_insert(0) += 1;
    }
    let level = if is_unhealthy { Level::Warn } else { Level::Info };
    let text = format!("Node is {word} as it asked{}", because(asked));
    edit.events
        .push(news(&edit.nodes[at], now, level, Priority::Medium, text));
}

fn because(asked: &ShutdownRequest) -> String {
    let cause = match asked.cause {
        Some(ShutdownCause::Idle) => " because it is idle",
        Some(ShutdownCause::Unhealthy) => " because it is unhealthy",
        None => "",
    };
    match asked.reason.trim() {
        "" => cause.to_owned(),
        reason => format!("{cause} ({reason})"),
    }
}

/// Adds nodes in the places of unhealthy ones that the initial counts of their arrays want. Without room, for instance because
/// the old one is not gone yet, a later run does it.
pub(super) fn replace(edit: &mut ClusterEdit, machines: &Machines, now: Timestamp) {
    if edit.cluster.target_state != Some(TargetState::Started) || edit.cluster.replacements.is_empty() {
        return;
    }
    let definition = edit.cluster.definition.clone();
    for (name, lost) in std::mem::take(&mut edit.cluster.replacements) {
        let Some(array) = definition.array(&name) else {
            continue;
        };
        let wanted = lost.min(missing(edit, array, machines));
        if wanted == 0 {
            continue;
        }
        let set = NodeCreationSet {
            nodearray: name.clone(),
            count: wanted,
            ..NodeCreationSet::default()
        };
        let added = match add_nodes(edit, &set, None, machines, now) {
            Ok((ids, _)) => u32::try_from(ids.len()).unwrap_or(wanted),
            Err(_) => 0,
        };
        if added < wanted {
            edit.cluster.replacements.insert(name, wanted - added);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, NOW, machines};
    use super::super::{settle, start};
    use super::*;
    use crate::store::{Demand, Status};

    fn started() -> ClusterEdit {
        let mut edit = fixture::edit();
        start(&mut edit, NOW);
        settle(&mut edit, &machines(), NOW);
        edit.events.clear();
        edit
    }

    fn ask(edit: &mut ClusterEdit, name: &str, cause: Option<ShutdownCause>, policy: Option<ShutdownPolicy>) {
        let node = edit.nodes.iter_mut().find(|node| node.name == name).unwrap();
        node.shutdown_asked = Some(ShutdownRequest {
            reason: "a reason".to_owned(),
            cause,
            policy,
        });
        settle(edit, &machines(), NOW);
    }

    fn want(edit: &mut ClusterEdit, count: u32) {
        let definition = serde_json::json!({"Name": "execute", "TargetCount": count});
        edit.cluster.autoscale.take(Demand {
            request_set: "standard".to_owned(),
            definitions: vec![definition.as_object().unwrap().clone()],
            received: NOW,
            expires: Timestamp::MAX,
        });
        settle(edit, &machines(), NOW);
    }

    fn status(edit: &ClusterEdit, name: &str) -> Status {
        edit.nodes.iter().find(|node| node.name == name).unwrap().status
    }

    #[test]
    fn an_idle_node_stays_while_it_is_needed() {
        let mut edit = started();
        want(&mut edit, 2);
        let idle = Some(ShutdownCause::Idle);
        ask(&mut edit, "execute-1", idle, None);
        assert_eq!(status(&edit, "execute-1"), Status::Acquiring);
        let event = edit.events.last().unwrap().clone();
        assert!(
            event.message.contains("idle") && event.message.contains("2 nodes"),
            "{event:?}"
        );
        assert_eq!(event.priority, Priority::Medium);
        ask(&mut edit, "execute-1", idle, None);
        assert_eq!(
            edit.events.last().unwrap().priority,
            Priority::Low,
            "said already"
        );
        want(&mut edit, 1);
        ask(&mut edit, "execute-1", idle, None);
        ask(&mut edit, "execute-2", idle, None);
        assert_eq!(status(&edit, "execute-1"), Status::Terminating);
        assert_eq!(
            status(&edit, "execute-2"),
            Status::Acquiring,
            "the last one that is wanted"
        );
    }

    #[test]
    fn a_node_that_is_kept_alive_stays_whatever_it_asks() {
        let mut edit = started();
        edit.nodes[0].keep_alive = true;
        for cause in [None, Some(ShutdownCause::Idle), Some(ShutdownCause::Unhealthy)] {
            ask(&mut edit, "head", cause, None);
            assert_eq!(status(&edit, "head"), Status::Acquiring);
        }
        assert_eq!(edit.events.len(), 3);
        assert!(edit.events[0].message.contains("kept alive"));
    }

    #[test]
    fn the_policy_is_the_nodes_or_the_arrays() {
        let mut edit = started();
        ask(&mut edit, "head", None, Some(ShutdownPolicy::Deallocate));
        assert_eq!(status(&edit, "head"), Status::Deallocating);
        let mut definition = (*edit.cluster.definition).clone();
        definition.array_mut("execute").unwrap().node.shutdown_policy = ShutdownPolicy::Deallocate;
        edit.cluster.definition = std::sync::Arc::new(definition);
        ask(&mut edit, "execute-1", None, None);
        assert_eq!(status(&edit, "execute-1"), Status::Deallocating);
        assert_eq!(
            edit.events.last().unwrap().message,
            "Node is deallocated as it asked (a reason)"
        );
        ask(&mut edit, "execute-2", None, Some(ShutdownPolicy::Terminate));
        assert_eq!(status(&edit, "execute-2"), Status::Terminating);
    }

    #[test]
    fn an_unhealthy_initial_node_is_replaced_when_there_is_room() {
        let mut edit = started();
        let mut definition = (*edit.cluster.definition).clone();
        definition.array_mut("execute").unwrap().max_count = Some(2);
        edit.cluster.definition = std::sync::Arc::new(definition);
        ask(&mut edit, "execute-1", Some(ShutdownCause::Unhealthy), None);
        assert_eq!(edit.nodes.len(), 3, "no room while the old one goes");
        edit.nodes.retain(|node| node.name != "execute-1");
        settle(&mut edit, &machines(), NOW);
        assert_eq!(status(&edit, "execute-1"), Status::Acquiring);
        assert!(edit.cluster.replacements.is_empty());
        ask(&mut edit, "execute-1", Some(ShutdownCause::Idle), None);
        edit.nodes.retain(|node| node.name != "execute-1");
        settle(&mut edit, &machines(), NOW);
        assert_eq!(edit.nodes.len(), 2, "an idle one is not");
    }

    #[test]
    fn a_target_wakes_deallocated_nodes_first() {
        let mut edit = started();
        ask(&mut edit, "execute-1", None, Some(ShutdownPolicy::Deallocate));
        let node = edit
            .nodes
            .iter_mut()
            .find(|node| node.name == "execute-1")
            .unwrap();
        super::super::settle_deallocated(node);
        want(&mut edit, 3);
        assert_eq!(status(&edit, "execute-1"), Status::Acquiring);
        assert_eq!(edit.nodes.len(), 4, "one was awoken, one is new");
    }
}
