//! `cyclecloud cluster wait`

use std::time::Duration;

use anyhow::bail;
use protocol::rest::{ClusterSummary, NodeRecord};
use terminal::ResultExt;
use tokio::time::{Instant, sleep};

use super::nodes::{reason, text};
use crate::cli::Wait;
use crate::client::{Client, check_name};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// How a cluster is, beside how it should be.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    /// What is missing, for people.
    NotYet(String),
    Failed(String),
}

pub(super) async fn run(client: &Client, args: &Wait) -> anyhow::Result<()> {
    check_name("cluster", &args.cluster)?;
    let end = Instant::now() + args.timeout;
    let mut said = String::new();
    loop {
        let missing = match look(client, args).await? {
            Verdict::Done => return Ok(()),
            Verdict::Failed(why) => {
                return Err(anyhow::anyhow!(why))
                    .hint("`cyclecloud retry` tries again; `--keep-waiting` waits for that");
            }
            Verdict::NotYet(missing) => missing,
        };
        if missing != said {
            terminal::note(&missing);
            said = missing;
        }
        if Instant::now() + PAUSE > end {
            bail!(
                "the cluster `{}` is not there after {:?}: {said}",
                args.cluster,
                args.timeout
            );
        }
        sleep(PAUSE).await;
    }
}

async fn look(client: &Client, args: &Wait) -> anyhow::Result<Verdict> {
    if args.terminated {
        // One that was removed is gone, too.
        let all: Vec<ClusterSummary> = client.get(&["cloud", "clusters"], &[]).await?;
        let cluster = all.iter().find(|cluster| cluster.name == args.cluster);
        return Ok(cluster.map_or(Verdict::Done, terminated));
    }
    let cluster = client.get(&["cloud", "clusters", &args.cluster], &[]).await?;
    Ok(ready(&cluster, args.keep_waiting))
}

fn terminated(cluster: &ClusterSummary) -> Verdict {
    match cluster.state.as_deref() {
        None | Some("Terminated") => Verdict::Done,
        Some(_) => {
            let left = cluster.nodes.iter().filter(|node| text(node, "Status") != "Off");
            Verdict::NotYet(format!("{} nodes are left", left.count()))
        }
    }
}

fn ready(cluster: &ClusterSummary, keep_waiting: bool) -> Verdict {
    if cluster.target_state.as_deref() != Some("Started") {
        return Verdict::Failed(format!("the cluster `{}` is not started", cluster.name));
    }
    let wanted = |node: &&NodeRecord| text(node, "TargetState") == "Started";
    let nodes: Vec<&NodeRecord> = cluster.nodes.iter().filter(wanted).collect();
    if !keep_waiting && let Some(node) = nodes.iter().find(|node| text(node, "Status") == "Failed") {
        let why = reason(node).into_iter().next().unwrap_or_default();
        return Verdict::Failed(format!("the node `{}` failed: {why}", text(node, "Name")));
    }
    let ready = nodes
        .iter()
        .filter(|node| text(node, "Status") == "Ready")
        .count();
    if ready == nodes.len() && cluster.state.as_deref() == Some("Started") {
        return Verdict::Done;
    }
    Verdict::NotYet(format!("{ready} of {} nodes are Ready", nodes.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(state: &str, target: &str, statuses: &[&str]) -> ClusterSummary {
        let nodes: Vec<_> = statuses
            .iter()
            .enumerate()
            .map(|(index, status)| {
                let target = if *status == "Off" { "Terminated" } else { "Started" };
                json!({"Name": format!("n{index}"), "Status": status, "TargetState": target, "StatusMessage": "no room\nat all"})
            })
            .collect();
        serde_json::from_value(json!({"Name": "demo", "State": state, "TargetState": target, "Nodes": nodes}))
            .unwrap()
    }

    #[test]
    fn ready_is_when_all_that_should_run_are() {
        for (state, statuses, verdict) in [
            ("Started", &["Ready", "Off"][..], Verdict::Done),
            (
                "Starting",
                &[],
                Verdict::NotYet("0 of 0 nodes are Ready".to_owned()),
            ),
            (
                "Starting",
                &["Ready", "Preparing"],
                Verdict::NotYet("1 of 2 nodes are Ready".to_owned()),
            ),
            (
                "Starting",
                &["Ready", "Failed"],
                Verdict::Failed("the node `n1` failed: no room".to_owned()),
            ),
        ] {
            assert_eq!(ready(&cluster(state, "Started", statuses), false), verdict);
        }
        let failed = cluster("Starting", "Started", &["Failed"]);
        assert_eq!(
            ready(&failed, true),
            Verdict::NotYet("0 of 1 nodes are Ready".to_owned())
        );
        assert_eq!(
            ready(&cluster("Terminated", "Terminated", &[]), false),
            Verdict::Failed("the cluster `demo` is not started".to_owned())
        );
    }
}
