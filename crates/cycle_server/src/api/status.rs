//! `GET /clusters/{cluster}/status`: what autoscalers decide by.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use protocol::rest::{
    Bucket, BucketDefinition, ClusterStatus, NodearrayStatus, PlacementGroup, VirtualMachine,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ApiError;
use super::records::{array_record, array_targets, node_record};
use crate::app::SharedApp;
use crate::auth::Account;
use crate::lifecycle::{Capacity, Limit, Machines, capacity};
use crate::store::{Cluster, Node};
use crate::template::ArrayDefinition;

/// The query of the call.
#[derive(Debug, Deserialize)]
pub(super) struct Wants {
    nodes: Option<String>,
}

/// `GET /clusters/{cluster}/status?nodes=`
pub(super) async fn status(
    State(app): State<SharedApp>,
    _: Account,
    Path(name): Path<String>,
    Query(wants): Query<Wants>,
) -> Result<Json<ClusterStatus>, ApiError> {
    let with_nodes = wants
        .nodes
        .is_some_and(|nodes| nodes.eq_ignore_ascii_case("true"));
    let (cluster, nodes) = app
        .store
        .cluster_and_nodes(&name)
        .await?
        .ok_or_else(|| ApiError::no_cluster(&name))?;
    Ok(Json(cluster_status(
        &cluster,
        &nodes,
        &app.settings.machines,
        with_nodes,
        app.clock.now(),
    )))
}

fn cluster_status(
    cluster: &Cluster,
    nodes: &[Node],
    machines: &Machines,
    with_nodes: bool,
    now: Timestamp,
) -> ClusterStatus {
    let all_targets = array_targets(cluster, now);
    let mut most = Limit {
        nodes: machines.max_nodes.into(),
        cores: machines.max_cores.into(),
    };
    let mut nodearrays = Vec::new();
    for array in &cluster.definition.arrays {
        let (of_cluster, of_array, capacities) = capacity(cluster, nodes, array, machines);
        most = of_cluster;
        nodearrays.push(NodearrayStatus {
            name: array.node.name.clone(),
            max_count: of_array.nodes,
            max_core_count: of_array.cores,
            nodearray: array_record(cluster, array),
            buckets: capacities
                .iter()
                .map(|capacity| bucket(cluster, nodes, array, capacity, machines, with_nodes))
                .collect(),
            targets: all_targets
                .iter()
                .filter(|target| target.nodearray == array.node.name)
                .cloned()
                .collect(),
        });
    }
    ClusterStatus {
        max_core_count: most.cores,
        max_count: most.nodes,
        nodearrays,
        nodes: with_nodes.then(|| {
            nodes
                .iter()
                .filter(|node| node.array)
                .map(|node| node_record(cluster, node, machines))
                .collect()
        }),
        state: cluster.state.map(|state| state.as_str().to_owned()),
        target_state: cluster.target_state.map(|state| state.as_str().to_owned()),
    }
}

fn bucket(
    cluster: &Cluster,
    nodes: &[Node],
    array: &ArrayDefinition,
    capacity: &Capacity,
    machines: &Machines,
    with_nodes: bool,
) -> Bucket {
    let cores = i64::from(capacity.machine.cores);
    let active = i64::try_from(capacity.active.len()).unwrap_or(i64::MAX);
    let is_active = cluster.active_arrays.contains(&array.node.name);
    let valid = is_active && capacity.is_defined;
    let available = if valid { capacity.available } else { 0 };
    let most_of_site = i64::from(machines.max_cores);
    Bucket {
        bucket_id: bucket_id(&cluster.id, &array.node.name, &capacity.machine_type),
        valid,
        invalid_reason: match (is_active, capacity.is_defined) {
            (true, true) => "",
            (false, _) => "NotActivated",
            (true, false) => "DisabledMachineType",
        }
        .to_owned(),
        definition: BucketDefinition {
            machine_type: capacity.machine_type.clone(),
        },
        virtual_machine: VirtualMachine {
            vcpu_count: cores,
            pcpu_count: cores,
            gpu_count: capacity.machine.gpus.into(),
            memory: capacity.machine.memory,
            infiniband: false,
        },
        active_count: active,
        active_core_count: active * cores,
        active_nodes: with_nodes.then(|| capacity.active.clone()),
        available_count: available,
        available_core_count: available * cores,
        max_count: capacity.most,
        max_core_count: capacity.most * cores,
        consumed_core_count: active * cores,
        quota_count: most_of_site / cores,
        quota_core_count: most_of_site,
        family_quota_count: most_of_site / cores,
        family_quota_core_count: most_of_site,
        family_consumed_core_count: active * cores,
        regional_quota_count: most_of_site / cores,
        regional_quota_core_count: most_of_site,
        regional_consumed_core_count: active * cores,
        max_placement_group_size: capacity.most,
        max_placement_group_core_size: capacity.most * cores,
        placement_groups: placement_groups(nodes, capacity),
        last_capacity_failure: -1.0,
        spot_placement_score: String::new(),
    }
}

fn placement_groups(nodes: &[Node], capacity: &Capacity) -> Vec<PlacementGroup> {
    let mut counts = BTreeMap::new();
    for node in nodes.iter().filter(|node| capacity.active.contains(&node.name)) {
        if let Some(group) = &node.placement_group {
            *counts.entry(group.clone()).or_insert(0) += 1;
        }
    }
    counts
        .into_iter()
        .map(|(name, count)| PlacementGroup {
            name,
            active_count: count,
            active_core_count: count * i64::from(capacity.machine.cores),
        })
        .collect()
}

/// The same for the life of the cluster: made of what the bucket is.
fn bucket_id(cluster: &str, array: &str, machine_type: &str) -> String {
    let digest = Sha256::digest(format!("{cluster}\0{array}\0{machine_type}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}
