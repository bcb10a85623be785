//! `cyclecloud show_nodes`, `cyclecloud issues`

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
        Format::Text => {
            terminal::out(table(&nodes, &args))?;
            if let (true, [node], Some(_)) = (args.long, nodes.as_slice(), &args.name) {
                details(client, node).await?;
            }
        }
    }
    Ok(())
}

/// What a node told of itself: its properties, and the last results of its tests.
async fn details(client: &Client, node: &NodeRecord) -> anyhow::Result<()> {
    let id = text(node, "NodeId");
    let record: NodeRecord = client.get(&["cloud", "api", "nodes", &id], &[]).await?;
    let mut lines = Vec::new();
    if let Some(Value::Object(tests)) = record.get("Tests") {
        for (spec, report) in tests {
            let count = |key: &str| report.get(key).and_then(Value::as_u64).unwrap_or(0);
            let others = count("errors") + count("skipped");
            lines.push(format!(
                "tests of {spec}: {} passed, {} failed, {others} not run",
                count("passed"),
                count("failed")
            ));
        }
    }
    if let Some(properties) = record.get("Properties") {
        let from = lines.len();
        flatten("", properties, &mut lines);
        lines[from..].sort();
    }
    for line in lines {
        terminal::out(format_args!("{line}\n"))?;
    }
    Ok(())
}

/// A tree as `a.b = value`.
fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(tree) => {
            for (key, value) in tree {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, lines);
            }
        }
        Value::String(text) => lines.push(format!("{path} = {text}")),
        value => lines.push(format!("{path} = {value}")),
    }
}

/// The conditions of a node: name, status, what is wrong, since when.
fn conditions(node: &NodeRecord) -> Vec<[String; 4]> {
    let list = node.get("Conditions").and_then(Value::as_array);
    let list = list.into_iter().flatten().filter_map(Value::as_object);
    list.map(|condition| {
        let what = ["Message", "Description"].map(|key| text(condition, key));
        let what = what.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        [
            text(condition, "Name"),
            text(condition, "Status"),
            what.replace('\n', " "),
            text(condition, "Since"),
        ]
    })
    .collect()
}

/// `cyclecloud issues`: the conditions of all nodes.
pub(super) async fn issues(client: &Client, cluster: Option<&str>) -> anyhow::Result<()> {
    let nodes = match cluster {
        Some(cluster) => {
            check_name("cluster", cluster)?;
            client
                .get(&["cloud", "api", "nodes"], &[("cluster", cluster)])
                .await?
        }
        None => all(client).await?,
    };
    let mut table = Table::new(["CLUSTER", "NODE", "CONDITION", "STATUS", "SINCE", "MESSAGE"]);
    let mut count = 0;
    for node in &nodes {
        for [name, status, what, since] in conditions(node) {
            table.row([text(node, CLUSTER), text(node, "Name"), name, status, since, what]);
            count += 1;
        }
    }
    if count == 0 {
        terminal::note("No node says that anything is wrong with it");
        return Ok(());
    }
    terminal::out(table)?;
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
        for [name, status, what, _] in conditions(node) {
            push(format!("    {name}: {status} {what}").trim_end());
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
