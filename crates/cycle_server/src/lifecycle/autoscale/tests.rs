//! Autoscaling over records.

use serde_json::{Value, json};

use super::super::limits::MachineType;
use super::super::{fixture, settle, start, targets, terminate};
use super::*;
use crate::lifecycle::begin_terminate;
use crate::store::Demand;

const NOW: Timestamp = fixture::NOW;

fn machines() -> Machines {
    let big = MachineType {
        cores: 8,
        ..MachineType::default()
    };
    Machines {
        types: [("big".to_owned(), big)].into(),
        max_nodes: 100,
        max_cores: 100,
    }
}

/// A started cluster: `head`, `execute-1` and `execute-2`; at most 4 nodes in `execute`, 6 in the cluster.
fn started() -> ClusterEdit {
    let mut edit = fixture::edit();
    start(&mut edit, NOW);
    settle(&mut edit, &machines(), NOW);
    edit.events.clear();
    edit
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn ask(edit: &mut ClusterEdit, set: &str, definitions: Value) {
    ask_at(edit, set, definitions, NOW);
}

fn ask_at(edit: &mut ClusterEdit, set: &str, definitions: Value, now: Timestamp) {
    let definitions = serde_json::from_value(definitions).unwrap();
    edit.cluster.autoscale.take(Demand {
        request_set: set.to_owned(),
        definitions,
        received: now,
        expires: now + jiff::SignedDuration::from_secs(300),
    });
    settle(edit, &machines(), now);
}

fn names(edit: &ClusterEdit, array: &str) -> Vec<String> {
    let of = edit.nodes.iter().filter(|node| node.template == array);
    of.map(|node| node.name.clone()).collect()
}

fn warnings(edit: &ClusterEdit) -> Vec<&str> {
    let warnings = edit.events.iter().filter(|event| event.level == Level::Warn);
    warnings.map(|event| event.message.as_str()).collect()
}

/// Settling again changes nothing.
fn is_settled(edit: &mut ClusterEdit) {
    let before = (edit.cluster.clone(), edit.nodes.clone(), edit.events.len());
    settle(edit, &machines(), NOW);
    assert_eq!(
        (edit.cluster.clone(), edit.nodes.clone(), edit.events.len()),
        before
    );
}

#[test]
fn an_array_grows_to_its_target_and_never_shrinks() {
    let mut edit = started();
    ask(
        &mut edit,
        "standard",
        json!([{"Name": "execute", "TargetCount": 3}]),
    );
    assert_eq!(names(&edit, "execute"), ["execute-1", "execute-2", "execute-3"]);
    is_settled(&mut edit);
    ask(
        &mut edit,
        "standard",
        json!([{"Name": "execute", "TargetCount": 1}]),
    );
    assert_eq!(names(&edit, "execute").len(), 3);
    ask(&mut edit, "standard", json!([]));
    assert_eq!(names(&edit, "execute").len(), 3);
    assert_eq!(warnings(&edit), [""; 0]);
}

#[test]
fn request_sets_add_up_and_end_by_themselves() {
    let mut edit = started();
    ask(&mut edit, "a", json!([{"Name": "execute", "TargetCount": 2}]));
    assert_eq!(names(&edit, "execute").len(), 2);
    ask(&mut edit, "b", json!([{"Name": "execute", "TargetCoreCount": 1}]));
    assert_eq!(names(&edit, "execute").len(), 3);
    assert_eq!(targets(&edit.cluster, NOW).len(), 2);
    assert_eq!(targets(&edit.cluster, at(300)).len(), 0);
    begin_terminate(&mut edit.nodes[1]);
    settle(&mut edit, &machines(), at(299));
    assert_eq!(names(&edit, "execute").len(), 4, "the one that goes is replaced");
    begin_terminate(&mut edit.nodes[2]);
    settle(&mut edit, &machines(), at(300));
    assert_eq!(names(&edit, "execute").len(), 4, "nobody wants it any more");
    assert!(edit.cluster.autoscale.demands.is_empty());
}

#[test]
fn cores_are_filled_with_the_machines_there_are() {
    let mut edit = started();
    let wanted = json!([{"Name": "execute", "MachineType": "big", "TargetCoreCount": 17}]);
    ask(&mut edit, "standard", wanted);
    // Two small ones are there: 15 cores are lacking, two of 8.
    assert_eq!(names(&edit, "execute").len(), 4);
    assert_eq!(edit.nodes[3].machine_type, "big");
    is_settled(&mut edit);
    assert_eq!(warnings(&edit), [""; 0]);
}

#[test]
fn limits_hold_and_a_shortage_is_said_once() {
    let mut edit = started();
    ask(
        &mut edit,
        "standard",
        json!([{"Name": "execute", "TargetCount": 9}]),
    );
    assert_eq!(names(&edit, "execute").len(), 4, "the limit of the array");
    assert_eq!(warnings(&edit).len(), 1);
    assert!(warnings(&edit)[0].contains("execute") && warnings(&edit)[0].contains("9 nodes"));
    is_settled(&mut edit);
    ask_at(
        &mut edit,
        "standard",
        json!([{"Name": "execute", "TargetCount": 9}]),
        at(60),
    );
    assert_eq!(warnings(&edit).len(), 1, "renewed");
    ask_at(
        &mut edit,
        "standard",
        json!([{"Name": "execute", "TargetCount": 10}]),
        at(60),
    );
    assert_eq!(warnings(&edit).len(), 2, "another target");
}

#[test]
fn an_unknown_array_is_named() {
    let mut edit = started();
    ask(
        &mut edit,
        "standard",
        json!([{"Name": "gpu", "TargetCount": 1}, {"Name": "EXECUTE", "TargetCount": 3}]),
    );
    assert!(warnings(&edit)[0].contains("`gpu`"));
    assert_eq!(names(&edit, "execute").len(), 3, "the other one is pursued");
    is_settled(&mut edit);
    ask(
        &mut edit,
        "b",
        json!([{"Name": "execute", "TargetCount": "lots"}, {"Name": "execute", "MaxCount": []}]),
    );
    let all = warnings(&edit).join("\n");
    assert!(all.contains("lots") && all.contains("MaxCount"), "{all}");
}

#[test]
fn a_dynamic_array_comes_and_goes() {
    let mut edit = started();
    let wanted = json!([{"Name": "gpu", "Dynamic": true, "Extends": "execute", "MachineType": "big",
        "Configuration": {"role": "gpu"}, "TargetCount": 1}]);
    ask(&mut edit, "standard", wanted.clone());
    assert_eq!(names(&edit, "gpu"), ["gpu-1"]);
    let array = edit.cluster.definition.array("gpu").unwrap();
    assert_eq!(array.node.configuration["role"], json!("gpu"));
    assert_eq!(array.initial_count, 0);
    is_settled(&mut edit);
    ask(
        &mut edit,
        "standard",
        json!([{"Name": "execute", "TargetCount": 1}]),
    );
    assert!(edit.cluster.definition.array("gpu").is_some(), "it has a node");
    edit.nodes.retain(|node| node.template != "gpu");
    settle(&mut edit, &machines(), NOW);
    assert!(edit.cluster.definition.array("gpu").is_none());
    assert!(!edit.cluster.active_arrays.contains(&"gpu".to_owned()));

    ask(&mut edit, "standard", wanted);
    terminate(&mut edit, NOW);
    settle(&mut edit, &machines(), NOW);
    assert!(edit.cluster.definition.array("gpu").is_some());
    edit.nodes.clear();
    settle(&mut edit, &machines(), NOW);
    assert!(edit.cluster.definition.array("gpu").is_none());
    assert!(edit.cluster.autoscale.demands.is_empty());
}

#[test]
fn a_dynamic_array_survives_another_import() {
    let mut edit = started();
    let wanted = json!([{"Name": "gpu", "Dynamic": true, "Extends": ["execute"], "TargetCount": 1},
        {"Name": "execute", "Region": "elsewhere"}]);
    ask(&mut edit, "standard", wanted);
    let definition = Arc::new(fixture::definition(fixture::TEMPLATE));
    let parameters = edit.cluster.parameters.clone();
    crate::lifecycle::import(
        &mut edit,
        false,
        true,
        definition,
        fixture::TEMPLATE.into(),
        parameters,
        NOW,
    )
    .unwrap();
    settle(&mut edit, &machines(), NOW);
    assert_eq!(names(&edit, "gpu").len(), 1);
    assert!(edit.cluster.definition.array("gpu").unwrap().dynamic);
    let execute = edit.cluster.definition.array("execute").unwrap();
    assert_eq!(
        execute.node.attributes["Region"],
        json!("elsewhere"),
        "merged again"
    );
}

#[test]
fn groups_are_complete_or_not_begun() {
    let mut edit = started();
    edit.nodes.retain(|node| node.name == "head");
    let wanted =
        |count: u32| json!([{"Name": "execute", "TargetGroupCount": count, "GroupInstanceCount": 2}]);
    ask(&mut edit, "standard", wanted(1));
    assert_eq!(names(&edit, "execute:2"), ["execute-2-1", "execute-2-2"]);
    assert!(
        edit.nodes[1..]
            .iter()
            .all(|node| node.group_id.as_deref() == Some("execute:2-1"))
    );
    is_settled(&mut edit);
    // Four nodes are the limit of the array: no third group.
    ask(&mut edit, "standard", wanted(3));
    assert_eq!(names(&edit, "execute:2").len(), 4);
    assert!(warnings(&edit)[0].contains("3 groups"), "{:?}", warnings(&edit));
    // A member that goes is replaced within its group.
    let gone = edit.nodes.remove(1);
    ask(&mut edit, "standard", wanted(2));
    let again = edit.nodes.last().unwrap();
    assert_eq!(again.group_id, gone.group_id);
    assert!(is_needed(&edit, again, &machines()).is_some());
    ask(&mut edit, "standard", wanted(1));
    assert!(
        is_needed(&edit, &edit.nodes[1], &machines()).is_none(),
        "one of two groups may go"
    );
    edit.nodes.remove(1);
    let (whole, half): (Vec<_>, Vec<_>) = edit.nodes[1..].iter().partition(|node| {
        groups(&edit, edit.cluster.definition.array("execute:2").unwrap(), None)
            [node.group_id.as_ref().unwrap()]
            == 2
    });
    assert_eq!((whole.len(), half.len()), (2, 1));
    assert!(
        is_needed(&edit, half[0], &machines()).is_none(),
        "the rest of that group"
    );
    assert!(
        is_needed(&edit, whole[0], &machines()).is_some(),
        "but not of the other one"
    );
}

#[test]
fn a_node_is_needed_while_the_target_lacks_without_it() {
    let mut edit = started();
    ask(
        &mut edit,
        "standard",
        json!([{"Name": "execute", "TargetCount": 1}]),
    );
    let (first, second) = (edit.nodes[1].clone(), edit.nodes[2].clone());
    assert!(is_needed(&edit, &first, &machines()).is_none());
    edit.nodes.retain(|node| node.id != second.id);
    assert!(
        is_needed(&edit, &first, &machines())
            .unwrap()
            .contains("1 nodes of node array `execute`")
    );
    let head = edit.nodes[0].clone();
    assert!(
        is_needed(&edit, &head, &machines()).is_none(),
        "no target speaks of it"
    );
}
