//! `cyclecloud show_nodes`

use anyhow::bail;
use protocol::rest::{ClusterSummary, NodeRecord};
use serde_json::Value;
use terminal::Table;

use crate::cli::{Format, ShowNodes};
use crate::client::{Client, check_name};

/// Heading, and the attribute below it.
type Column = (&'static str, &'static str);

const BASIC: [Column; 5] = [
    ("NAME", "Name"),
    ("STATUS", "Status"),
    ("PHASE", "Phase"),
    ("INSTANCE", "InstanceId"),
    ("IP", "PrivateIp"),
];
const STATES: [Column; 2] = [("STATE", "State"), ("TARGET", "TargetState")];
const LONG: [Column; 4] = [
    ("TEMPLATE", "Template"),
    ("MACHINE TYPE", "MachineType"),
    ("HOSTNAME", "Hostname"),
    ("NODE ID", "NodeId"),
];
const CLUSTER: &str = "ClusterName";

pub(super) async fn show(client: &Client, args: ShowNodes) -> anyhow::Result<()> {
    let mut nodes = match &args.cluster {
        Some(cluster) => {
            check_name("cluster", cluster)?;
            client
                .get(&["cloud", "api", "nodes"], &[("cluster", cluster)])
                .await?
        }
        None => all(client).await?,
    };
    if let Some(name) = &args.name {
        nodes.retain(|node| text(node, "Name") == *name);
        match (&args.cluster, nodes.is_empty()) {
            (Some(cluster), true) => bail!("the cluster `{cluster}` has no node `{name}`"),
            (None, true) => bail!("there is no node `{name}`"),
            _ => {}
        }
    }
    match args.format {
        Format::Json => terminal::out(format_args!("{:#}\n", Value::from_iter(nodes)))?,
        Format::Text => terminal::out(table(&nodes, &args))?,
    }
    Ok(())
}

/// The nodes of all clusters; each record says of which.
async fn all(client: &Client) -> anyhow::Result<Vec<NodeRecord>> {
    let clusters: Vec<ClusterSummary> = client.get(&["cloud", "clusters"], &[]).await?;
    let nodes = clusters.into_iter().flat_map(|cluster| {
        cluster.nodes.into_iter().map(move |mut node| {
            node.entry(CLUSTER).or_insert_with(|| cluster.name.clone().into());
            node
        })
    });
    Ok(nodes.collect())
}

fn table(nodes: &[NodeRecord], args: &ShowNodes) -> String {
    let mut columns = BASIC.to_vec();
    if args.cluster.is_none() {
        columns.insert(0, ("CLUSTER", CLUSTER));
    }
    if args.states {
        columns.extend(STATES);
    }
    if args.long {
        columns.extend(LONG);
    }
    let mut table = Table::new(columns.iter().map(|(heading, _)| *heading));
    for node in nodes {
        table.row(columns.iter().map(|(_, attribute)| text(node, attribute)));
    }
    let table = table.to_string();
    let mut lines = table.lines();
    let mut shown = String::new();
    let mut push = |line: &str| {
        shown.push_str(line);
        shown.push('\n');
    };
    // The headings; each row after them has the reason below it.
    lines.by_ref().take(1).for_each(&mut push);
    for (line, node) in lines.zip(nodes) {
        push(line);
        for line in reason(node) {
            push(&format!("    {line}"));
        }
    }
    shown
}

/// Why a node is not as it should be, in lines; none when it is.
pub(super) fn reason(node: &NodeRecord) -> Vec<String> {
    text(node, "StatusMessage")
        .lines()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// An attribute for people; empty when it is not there.
pub(super) fn text(node: &NodeRecord, attribute: &str) -> String {
    match node.get(attribute) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
