//! Nodes and arrays as the free-form records that clients read.

use jiff::Timestamp;
use protocol::rest::{ArrayTarget, NodeRecord};
use serde_json::{Map, Value, json};

use crate::lifecycle::{self, Machines};
use crate::store::{Cluster, Document, DocumentKind, HeldCondition, Node};
use crate::template::{ArrayDefinition, NodeDefinition};

/// The record of a node: the template's attributes, those it was created with, and what the server knows.
pub(super) fn node_record(cluster: &Cluster, node: &Node, machines: &Machines) -> NodeRecord {
    let defined = cluster.definition.node(&node.template);
    let mut record = base(defined);
    for (key, value) in &node.attributes {
        record.insert(key.clone(), value.clone());
    }
    let machine = machines.machine(&node.machine_type, &record);
    let mut set = |key: &str, value: Value| {
        record.insert(key.to_owned(), value);
    };
    set("Name", json!(node.name));
    set("NodeId", json!(node.id));
    set("ClusterName", json!(node.cluster));
    set("Template", json!(node.template));
    if node.array {
        set("NodeArray", json!(node.template));
    }
    set("TargetState", json!(node.target_state.as_str()));
    set("State", json!(node.state.as_str()));
    set("Status", json!(node.status.as_str()));
    set("StatusMessage", json!(node.trouble()));
    set("Phase", json!(node.phase));
    set("Unreachable", json!(node.unreachable));
    set("InstanceId", json!(node.instance_id));
    set("Hostname", json!(node.hostname));
    set("PrivateIp", json!(node.private_ip));
    set(
        "Instance",
        json!({"PrivateHostName": node.hostname, "PrivateIp": node.private_ip}),
    );
    set("MachineType", json!(node.machine_type));
    set("CoreCount", json!(machine.cores));
    set("Memory", json!(machine.memory));
    set("GpuCount", json!(machine.gpus));
    set("KeepAlive", json!(node.keep_alive));
    set("PlacementGroupId", json!(node.placement_group));
    set("GroupId", json!(node.group_id));
    set("RequestId", json!(node.request_id));
    set(
        "Conditions",
        Value::Array(node.conditions.values().map(condition).collect()),
    );
    let specs = defined.map_or(&[][..], |defined| &defined.cluster_init);
    let specs: Vec<_> = specs
        .iter()
        .map(|spec| json!({"Project": spec.project, "Spec": spec.spec, "Version": spec.version, "Locker": spec.locker}))
        .collect();
    set("ClusterInitSpecs", Value::Array(specs));
    set("StartTime", json!(node.started));
    set("LastMessageTime", json!(node.last_message));
    record
}

fn condition(held: &HeldCondition) -> Value {
    let report = &held.report;
    json!({
        "Name": report.name,
        "Status": report.status.as_str(),
        "Since": held.since,
        "Message": report.message,
        "Description": report.description,
        "Recommendations": report.recommendations,
        "Details": report.details,
        "ActionType": report.action_type,
        "GhrCategory": report.ghr_category,
    })
}

/// Adds what a node told of itself: `Properties`, `Tests` with one member for each spec, and `Converges`, the newest first.
pub(super) fn add_documents(record: &mut NodeRecord, documents: Vec<Document>) {
    let (mut properties, mut tests, mut converges) = (json!({}), Map::new(), Vec::new());
    for document in documents {
        match document.kind {
            DocumentKind::Discoverable | DocumentKind::HealthReport => {}
            DocumentKind::Properties => properties = document.body,
            DocumentKind::Tests => {
                let mut body = document.body;
                body["time"] = json!(document.time);
                tests.insert(document.name, body);
            }
            DocumentKind::Converge => converges.insert(0, document.body),
        }
    }
    record.insert("Properties".to_owned(), properties);
    record.insert("Tests".to_owned(), Value::Object(tests));
    record.insert("Converges".to_owned(), Value::Array(converges));
}

/// The record of an array.
pub(super) fn array_record(cluster: &Cluster, array: &ArrayDefinition) -> NodeRecord {
    let mut record = base(Some(&array.node));
    record.insert("Name".to_owned(), json!(array.node.name));
    record.insert("ClusterName".to_owned(), json!(cluster.name));
    record.insert("MachineType".to_owned(), json!(array.node.machine_types));
    record
}

/// What autoscalers want of the arrays of a cluster.
pub(super) fn array_targets(cluster: &Cluster, now: Timestamp) -> Vec<ArrayTarget> {
    let targets = lifecycle::targets(cluster, now).into_iter();
    targets
        .map(|target| ArrayTarget {
            nodearray: target.array,
            request_set: target.request_set,
            target_count: target.nodes,
            target_core_count: target.cores,
            target_group_count: target.groups,
            expires: target.expires.to_string(),
        })
        .collect()
}

/// The keys that clients read without looking whether they are there.
fn base(defined: Option<&NodeDefinition>) -> NodeRecord {
    let none = Map::new();
    let attributes = defined.map_or(&none, |defined| &defined.attributes);
    let mut record = attributes.clone();
    for (key, value) in [("Region", json!("local")), ("SubnetId", json!(""))] {
        record.entry(key).or_insert(value);
    }
    let configuration = defined.map_or_else(Map::new, |defined| defined.configuration.clone());
    record.insert("Configuration".to_owned(), Value::Object(configuration));
    record
}
