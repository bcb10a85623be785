//! What is done to single nodes, and the end of a cluster.

use std::io::{self, IsTerminal};

use anyhow::bail;
use protocol::rest::{
    BucketDefinition, NodeCreationRequest, NodeCreationResult, NodeCreationSet, NodeManagementRequest,
    NodeManagementResult,
};
use reqwest::Method;
use terminal::Table;

use crate::cli::{AddNode, DeleteCluster, OfNodes};
use crate::client::{Body, Client, check_name};
use crate::prompt;

/// What is done to nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Terminate,
    Deallocate,
    Remove,
    Restart,
    Reimage,
}

impl Action {
    /// The last step of the URL, and the word for people.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => ("start", "Starting"),
            Self::Terminate => ("terminate", "Terminating"),
            Self::Deallocate => ("deallocate", "Deallocating"),
            Self::Remove => ("remove", "Removing"),
            Self::Restart => ("restart", "Restarting"),
            Self::Reimage => ("reimage", "Reimaging"),
        }
    }

    /// Whether something is lost by it.
    fn is_asked(self) -> bool {
        matches!(self, Self::Terminate | Self::Remove | Self::Reimage)
    }
}

/// Does it to the nodes that are named. Those for which it cannot be done make the command fail; the others are done.
pub(super) async fn nodes(client: &Client, action: Action, args: OfNodes) -> anyhow::Result<()> {
    check_name("cluster", &args.cluster)?;
    let (step, word) = action.words();
    if action.is_asked() && !args.no_prompt && io::stdin().is_terminal() {
        let question = format!(
            "{word} {} of cluster {}; go on? (yes/no)",
            args.nodes.join(", "),
            args.cluster
        );
        if !prompt::ask(&question, Some("no"))?
            .to_lowercase()
            .starts_with('y')
        {
            bail!("nothing was done");
        }
    }
    let request = NodeManagementRequest {
        names: args.nodes,
        ..NodeManagementRequest::default()
    };
    let steps = ["clusters", &args.cluster, "nodes", step];
    let result: NodeManagementResult = client.json(Method::POST, &steps, Some(&request)).await?;
    let mut failed = 0;
    for node in &result.nodes {
        match &node.error {
            None => terminal::out(format_args!("{word} {}....\n", node.name))?,
            Some(error) => {
                failed += 1;
                terminal::warn(error);
            }
        }
    }
    match failed {
        0 => Ok(()),
        1 => bail!("1 node was left as it is"),
        failed => bail!("{failed} nodes were left as they are"),
    }
}

/// `cyclecloud add_node`
pub(super) async fn add(client: &Client, args: AddNode) -> anyhow::Result<()> {
    check_name("cluster", &args.cluster)?;
    let request = NodeCreationRequest {
        request_id: None,
        sets: vec![NodeCreationSet {
            nodearray: args.template.clone(),
            count: args.count,
            definition: args
                .machine_type
                .map(|machine_type| BucketDefinition { machine_type }),
            name_format: args.name,
            ..NodeCreationSet::default()
        }],
    };
    let steps = ["clusters", &args.cluster, "nodes", "create"];
    let result: NodeCreationResult = client.json(Method::POST, &steps, Some(&request)).await?;
    let set = result.sets.first().cloned().unwrap_or_default();
    let steps = ["clusters", &args.cluster, "nodes"];
    let query = [("operation", result.operation_id.as_str())];
    let list: protocol::rest::NodeList = client.get(&steps, &query).await?;
    let mut table = Table::new(["NAME", "STATUS", "MACHINE TYPE"]);
    for node in &list.nodes {
        table.row(["Name", "Status", "MachineType"].map(|attribute| super::nodes::text(node, attribute)));
    }
    if !list.nodes.is_empty() {
        terminal::out(table)?;
    }
    match set.message {
        Some(message) if set.added == 0 => bail!("{message}"),
        Some(message) => terminal::warn(message),
        None => {}
    }
    Ok(())
}

/// `cyclecloud delete_cluster`
pub(super) async fn delete_cluster(client: &Client, args: &DeleteCluster) -> anyhow::Result<()> {
    remove_cluster(client, &args.cluster, args.force).await
}

/// Removes a cluster, and says so.
pub(super) async fn remove_cluster(client: &Client, cluster: &str, force: bool) -> anyhow::Result<()> {
    check_name("cluster", cluster)?;
    let query: &[_] = if force { &[("force", "true")] } else { &[] };
    let url = client.url(&["cloud", "actions", "removecluster", cluster], query);
    client.post_to(url, Body::Empty).await?;
    terminal::out(format_args!("Removing cluster {cluster}....\n"))?;
    Ok(())
}
