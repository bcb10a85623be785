//! What a node is to become.

use protocol::{ClusterInitSpec, LockerRef, NodeConfiguration, Transport, lookup, merge, set_dotted};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::lifecycle::users_of;
use crate::store::{Node, StoreError};
use crate::template::SpecReference;

/// A configuration could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The cluster is gone.
    #[error("the cluster `{0}` of the node does not exist")]
    NoCluster(String),
    /// The store failed.
    #[error("cannot read the cluster")]
    Store(#[from] StoreError),
    /// The versions of a project could not be listed.
    #[error("cannot list the versions of project `{project}`")]
    Locker {
        /// The project.
        project: String,
        /// Why.
        #[source]
        source: locker::Error,
    },
}

/// The configuration of a node as the template says it now. A spec without a version gets the highest one that the
/// locker holds.
///
/// # Errors
/// When store or locker cannot be read.
pub async fn node_configuration(app: &App, node: &Node) -> Result<NodeConfiguration, ConfigurationError> {
    let cluster = app.store.cluster(&node.cluster).await?;
    let cluster = cluster.ok_or_else(|| ConfigurationError::NoCluster(node.cluster.clone()))?;
    let defined = cluster.definition.node(&node.template);
    let mut specs = Vec::new();
    for reference in defined.map_or(&[][..], |defined| &defined.cluster_init) {
        specs.push(spec(app, reference).await?);
    }
    let mut tree = defined.map_or_else(Map::new, |defined| defined.configuration.clone());
    if let Some(Value::Object(own)) = node.attributes.get("Configuration") {
        merge(&mut tree, own);
    }
    let accounts = app.store.accounts().await?;
    let users = users_of(&cluster, &accounts);
    let instance_id = node.instance_id.clone().unwrap_or_default();
    for (key, value) in [
        ("cyclecloud.cluster.name", json!(cluster.name)),
        ("cyclecloud.cluster.id", json!(cluster.id)),
        ("cyclecloud.cluster.start_count", json!(cluster.start_count)),
        ("cyclecloud.cluster.user.name", json!(cluster.owner)),
        ("cyclecloud.node.id", json!(node.id)),
        ("cyclecloud.node.name", json!(node.name)),
        ("cyclecloud.node.template", json!(node.template)),
        ("cyclecloud.instance.id", json!(instance_id)),
        ("cyclecloud.config.web_server", json!(app.reach.url)),
        ("cyclecloud.cluster_init_specs", json!(specs)),
    ] {
        set_dotted(&mut tree, key, value);
    }
    if let Some(owner) = accounts.iter().find(|account| account.name == cluster.owner) {
        let full_name = match owner.profile.full_name.as_str() {
            "" => &owner.name,
            name => name,
        };
        set_dotted(&mut tree, "cyclecloud.cluster.user.uid", json!(owner.uid));
        set_dotted(&mut tree, "cyclecloud.cluster.user.full_name", json!(full_name));
        let key = owner.profile.public_keys.first();
        for (key, value) in [
            // A group of the user's own, as on the nodes, unless the template wants another one.
            ("cyclecloud.cluster.user.gid", Some(json!(owner.uid))),
            (
                "cyclecloud.cluster.user.disabled",
                Some(json!(owner.profile.disabled)),
            ),
            ("cyclecloud.cluster.user.public_key", key.map(|key| json!(key))),
        ] {
            if let (None, Some(value)) = (lookup(&tree, key), value) {
                set_dotted(&mut tree, key, value);
            }
        }
    }
    if cluster.test_mode {
        set_dotted(&mut tree, "cyclecloud.test_mode", json!(true));
    }
    if let Some(group) = &node.placement_group {
        set_dotted(&mut tree, "cyclecloud.node.placement_group_id", json!(group));
    }
    if let Some(group) = &node.group_id {
        set_dotted(&mut tree, "cyclecloud.node.group_id", json!(group));
    }
    // Only those that the node may read.
    let lockers = specs
        .iter()
        .map(|spec| spec.locker.as_str())
        .chain([app.lockers.default()])
        .filter(|name| app.lockers.get(name).is_some())
        .map(|name| {
            let url = app.locker_url(name);
            (name.to_owned(), LockerRef { url })
        })
        .collect();
    Ok(NodeConfiguration {
        cluster_name: cluster.name.clone(),
        node_id: node.id.clone(),
        node_name: node.name.clone(),
        cluster_session_id: node.session_id.clone().unwrap_or_default(),
        instance_id,
        amqp: Some(app.reach.amqp.clone()),
        transport: Transport::Auto,
        heartbeat_seconds: app.settings.heartbeat.as_secs(),
        lockers,
        cluster_init_specs: specs,
        users,
        configuration: tree,
    })
}

async fn spec(app: &App, reference: &SpecReference) -> Result<ClusterInitSpec, ConfigurationError> {
    let name = reference.locker.as_deref().unwrap_or(app.lockers.default());
    let version = match (&reference.version, app.lockers.get(name)) {
        (Some(version), _) => Some(version.clone()),
        (None, Some(locker)) => match locker.newest_version(&reference.project).await {
            Ok(version) => Some(version),
            Err(error) if error.is_not_found() => None,
            Err(source) => {
                return Err(ConfigurationError::Locker {
                    project: reference.project.clone(),
                    source,
                });
            }
        },
        // The node says that nobody knows this locker.
        (None, None) => None,
    };
    Ok(ClusterInitSpec {
        project: reference.project.clone(),
        spec: reference.spec.clone(),
        version,
        locker: name.to_owned(),
        optional: reference.optional,
    })
}
