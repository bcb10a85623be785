//! Importing, starting, terminating and showing clusters.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use protocol::rest::ClusterSummary;
use serde_json::{Map, Value};
use terminal::ResultExt;

use super::nodes::{reason, text};
use crate::cli::{ImportCluster, ShowCluster};
use crate::client::{Body, Client, check_name};

/// Most bytes of a template or a file of parameters; the server takes no more.
const MAX_FILE: u64 = 16 << 20;

pub(super) async fn import(client: &Client, args: ImportCluster) -> anyhow::Result<()> {
    let template = read(&args.file)?;
    let name = match args.cluster.or_else(|| args.template.clone()) {
        Some(name) => name,
        None => cluster_name(&template)
            .with_context(|| format!("`{}` has no section `[cluster NAME]`", args.file.display()))
            .hint("name the cluster: `cyclecloud import_cluster NAME -f FILE`")?,
    };
    check_name("cluster", &name)?;
    let mut parameters = match &args.parameters {
        Some(path) => serde_json::from_str::<Map<String, Value>>(&read(path)?)
            .with_context(|| format!("`{}` is not a JSON object", path.display()))?,
        None => Map::new(),
    };
    for (name, value) in args.values {
        parameters.insert(name, typed(&value));
    }
    let parameters = Value::Object(parameters).to_string();
    let file = args.file.display().to_string();
    let mut fields = vec![
        ("source", "standard"),
        ("cluster", template.as_str()),
        ("file", file.as_str()),
        ("force", if args.force { "true" } else { "false" }),
        ("parameters", parameters.as_str()),
        ("parameters_format", "json"),
    ];
    fields.extend(args.template.as_deref().map(|template| ("template", template)));
    let answer = client
        .post(&["cloud", "api", "import_cluster", &name], Body::Form(&fields))
        .await?;
    let answer = match answer.trim_end() {
        "" => format!("Importing cluster {name}...."),
        answer => answer.to_owned(),
    };
    terminal::out(format_args!("{answer}\n"))?;
    show_one(client, &name, false).await
}

/// In test mode the nodes run the tests of their projects when they are ready.
pub(super) async fn start(client: &Client, name: &str, test_mode: bool) -> anyhow::Result<()> {
    let query: &[_] = if test_mode { &[("test_mode", "true")] } else { &[] };
    act(client, name, "startcluster", query, "Starting").await
}

pub(super) async fn terminate(client: &Client, name: &str) -> anyhow::Result<()> {
    act(client, name, "terminatecluster", &[], "Terminating").await
}

pub(super) async fn retry(client: &Client, name: &str) -> anyhow::Result<()> {
    act(client, name, "retry", &[], "Retrying failed operations of").await
}

async fn act(
    client: &Client,
    name: &str,
    action: &str,
    query: &[(&str, &str)],
    word: &str,
) -> anyhow::Result<()> {
    check_name("cluster", name)?;
    let url = client.url(&["cloud", "actions", action, name], query);
    client.post_to(url, Body::Empty).await?;
    terminal::out(format_args!("{word} cluster {name}....\n"))?;
    show_one(client, name, false).await
}

pub(super) async fn show(client: &Client, args: ShowCluster) -> anyhow::Result<()> {
    if let Some(name) = &args.cluster {
        return show_one(client, name, args.long).await;
    }
    let clusters: Vec<ClusterSummary> = client.get(&["cloud", "clusters"], &[]).await?;
    if clusters.is_empty() {
        terminal::note("There are no clusters");
    }
    for cluster in &clusters {
        terminal::out(block(cluster, args.long))?;
    }
    Ok(())
}

async fn show_one(client: &Client, name: &str, long: bool) -> anyhow::Result<()> {
    check_name("cluster", name)?;
    let cluster: ClusterSummary = client.get(&["cloud", "clusters", name], &[]).await?;
    terminal::out(block(&cluster, long))?;
    Ok(())
}

/// A cluster as its block of lines.
fn block(cluster: &ClusterSummary, long: bool) -> String {
    let state = cluster.state.as_deref().unwrap_or("off").to_lowercase();
    let title = format!("{} : {state}", cluster.name);
    let rule = "-".repeat(title.chars().count());
    let mut block = format!("{rule}\n{title}\n{rule}\n");
    if !cluster.nodes.is_empty() {
        block.push_str("Cluster nodes:\n");
    }
    for node in &cluster.nodes {
        let or_none = |name| {
            Some(text(node, name))
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| "--".to_owned())
        };
        block.push_str(&format!(
            "    {}: {} {} {}\n",
            text(node, "Name"),
            or_none("Status"),
            or_none("InstanceId"),
            or_none("PrivateIp")
        ));
        let doing = text(node, "Phase");
        if long && !doing.is_empty() {
            block.push_str(&format!("        {doing}\n"));
        }
        if long {
            for line in reason(node) {
                block.push_str(&format!("        {line}\n"));
            }
        }
    }
    block.push_str(&format!("Total nodes: {}\n", cluster.nodes.len()));
    if !cluster.targets.is_empty() {
        block.push_str("Targets of autoscalers:\n");
    }
    for target in &cluster.targets {
        let parts = [
            (target.target_count, "nodes"),
            (target.target_core_count, "cores"),
            (target.target_group_count, "groups"),
        ];
        let parts = parts
            .iter()
            .filter_map(|(count, what)| Some(format!("{} {what}", (*count)?)));
        block.push_str(&format!(
            "    {}: {} until {} (request set {})\n",
            target.nodearray,
            parts.collect::<Vec<_>>().join(", "),
            target.expires,
            target.request_set
        ));
    }
    block
}

fn read(path: &Path) -> anyhow::Result<String> {
    let describe = || format!("cannot read `{}`", path.display());
    let size = fs::metadata(path).with_context(describe)?.len();
    if size > MAX_FILE {
        bail!("`{}` is larger than {MAX_FILE} bytes", path.display());
    }
    fs::read_to_string(path).with_context(describe)
}

/// The name in the section `[cluster NAME]`.
fn cluster_name(template: &str) -> Option<String> {
    template.lines().find_map(|line| {
        let (header, _) = line.trim().strip_prefix('[')?.split_once(']')?;
        let (kind, name) = header.trim().split_once(char::is_whitespace)?;
        let name = name.trim();
        (kind.eq_ignore_ascii_case("cluster") && !name.is_empty()).then(|| name.to_owned())
    })
}

/// A value as a template would take it: integers, booleans, JSON lists and records; anything else is text.
fn typed(value: &str) -> Value {
    if let Ok(number) = value.parse::<i64>()
        && number.to_string() == value
    {
        return number.into();
    }
    if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        return value.eq_ignore_ascii_case("true").into();
    }
    match serde_json::from_str(value) {
        Ok(json @ (Value::Array(_) | Value::Object(_))) => json,
        _ => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_name_is_that_of_the_cluster_section() {
        let template = "# [cluster no]\n[parameters x]\n  [ Cluster  my grid ] # it\n[[node a]]\n";
        assert_eq!(cluster_name(template).as_deref(), Some("my grid"));
        assert_eq!(cluster_name("[cluster]\n[[node cluster]]\n"), None);
    }

    #[test]
    fn values_keep_their_form_unless_they_are_plainly_of_a_type() {
        for (text, value) in [
            ("2", json!(2)),
            ("-1", json!(-1)),
            ("007", json!("007")),
            ("1.10", json!("1.10")),
            ("TRUE", json!(true)),
            ("[1, 2]", json!([1, 2])),
            ("[1, 2", json!("[1, 2")),
            ("null", json!("null")),
            ("", json!("")),
            ("a=b", json!("a=b")),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
    }
}
