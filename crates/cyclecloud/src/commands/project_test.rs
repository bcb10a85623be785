//! `cyclecloud project test`: runs the tests of a project on the nodes of a cluster that is made for them.

mod junit;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use protocol::TestReport;
use protocol::rest::NodeRecord;
use serde_json::{Value, json};
use terminal::ResultExt;
use tokio::time::{Instant, sleep, timeout_at};

use super::nodes::{reason, text};
use super::{clusters, manage, project};
use crate::cli::{ImportCluster, ProjectTest, Upload};
use crate::client::Client;
use crate::config::Config;
use crate::workplace::Workplace;

/// How often the server is asked.
const PACE: Duration = Duration::from_secs(2);
/// How long the cluster may take to be gone.
const TEARDOWN: Duration = Duration::from_secs(15 * 60);

/// What one node said of one spec.
#[derive(Debug)]
struct NodeReport {
    node: String,
    report: TestReport,
}

pub(super) async fn run(config: &Config, args: ProjectTest) -> anyhow::Result<()> {
    let Workplace { folder, ini } = Workplace::find()?;
    let specs = specs_with_tests(&folder.join("specs"))?;
    if specs.is_empty() {
        return Err(anyhow::anyhow!("the project `{}` has no tests", ini.name))
            .hint("tests are `test_*.py`, `*_test.py` and programs in `specs/SPEC/cluster-init/tests`");
    }
    let template = match &args.template {
        Some(template) => template.clone(),
        None => only_template(&folder.join("templates"))?,
    };
    let cluster = args.name.clone().unwrap_or_else(|| format!("{}-test", ini.name));
    let client = Client::new(config.require_server()?)?;
    let upload = Upload {
        locker: args.locker.clone(),
        ..Upload::default()
    };
    project::upload(config, &upload).await?;
    let import = ImportCluster {
        cluster: Some(cluster.clone()),
        file: template,
        template: None,
        parameters: None,
        values: args.parameters.clone(),
        force: true,
    };
    clusters::import(&client, import).await?;
    clusters::start(&client, &cluster, true).await?;

    let deadline = Instant::now() + Duration::from_secs(args.timeout.saturating_mul(60));
    let waiting = wait(&client, &cluster, &ini.name, &specs);
    let outcome = tokio::select! {
        outcome = timeout_at(deadline, waiting) => match outcome {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("the tests were not over after {} minutes", args.timeout)),
        },
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped before the tests were over")),
    };
    let written = match &outcome {
        Ok(reports) => show(reports).and_then(|()| write(reports, &args)),
        Err(_) => Ok(()),
    };
    let torn_down = match args.skip_teardown {
        true => Ok(()),
        false => tear_down(&client, &cluster).await,
    };
    // What the tests said comes first.
    let reports = outcome.hint(match args.skip_teardown {
        true => format!("the cluster is still there: `cyclecloud show_cluster {cluster} --long`"),
        false => "`--skip-teardown` keeps the cluster, to look at its nodes".to_owned(),
    })?;
    written?;
    torn_down?;
    let failed: u32 = reports
        .iter()
        .map(|one| one.report.failed + one.report.errors)
        .sum();
    let passed: u32 = reports.iter().map(|one| one.report.passed).sum();
    ensure!(failed == 0, "{failed} of {} tests failed", failed + passed);
    ensure!(passed > 0, "no test was run");
    Ok(())
}

/// The specs that have something to run in their folder `tests`, as nodes find it.
fn specs_with_tests(specs: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(specs) else {
        return Ok(found);
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read `{}`", specs.display()))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if has_tests(&entry.path().join("cluster-init/tests"), true)? {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn has_tests(folder: &Path, is_top: bool) -> anyhow::Result<bool> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(false);
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read `{}`", folder.display()))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let metadata = entry
            .metadata()
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let is_test = match name.strip_suffix(".py") {
            _ if name.starts_with('.') => false,
            _ if metadata.is_dir() => name != "__pycache__" && has_tests(&path, false)?,
            Some(stem) => stem.starts_with("test_") || stem.ends_with("_test"),
            None => is_top && metadata.is_file() && metadata.permissions().mode() & 0o111 != 0,
        };
        if is_test {
            return Ok(true);
        }
    }
    Ok(false)
}

fn only_template(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut templates: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    let hint = "name one with `--template FILE`";
    match (templates.pop(), templates.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(anyhow::anyhow!(
            "there is no cluster template in `{}`",
            folder.display()
        ))
        .hint(hint),
        (Some(_), _) => Err(anyhow::anyhow!(
            "there is more than one cluster template in `{}`",
            folder.display()
        ))
        .hint(hint),
    }
}

/// Waits until every node is ready and has told of the tests of each of its specs that has some.
async fn wait(
    client: &Client,
    cluster: &str,
    project: &str,
    specs: &[String],
) -> anyhow::Result<Vec<NodeReport>> {
    let mut said = BTreeMap::new();
    loop {
        let nodes: Vec<NodeRecord> = client
            .get(&["cloud", "api", "nodes"], &[("cluster", cluster)])
            .await?;
        let mut reports = Vec::new();
        let mut is_over = !nodes.is_empty();
        for node in &nodes {
            let (name, status) = (text(node, "Name"), text(node, "Status"));
            if said.insert(name.clone(), status.clone()).as_ref() != Some(&status) {
                terminal::note(format_args!("{name}: {status}"));
            }
            if status == "Failed" {
                bail!("the node `{name}` failed: {}", reason(node).join("; "));
            }
            let wanted = wanted(node, project, specs);
            if status != "Ready" || wanted.is_empty() {
                is_over &= status == "Ready";
                continue;
            }
            let id = text(node, "NodeId");
            let record: NodeRecord = client.get(&["cloud", "api", "nodes", &id], &[]).await?;
            for spec in wanted {
                let report = record.get("Tests").and_then(|tests| tests.get(&spec));
                match report {
                    Some(report) => reports.push(NodeReport {
                        node: name.clone(),
                        report: serde_json::from_value(report.clone())
                            .with_context(|| format!("what `{name}` said of its tests is not as expected"))?,
                    }),
                    None => is_over = false,
                }
            }
        }
        if is_over {
            return Ok(reports);
        }
        sleep(PACE).await;
    }
}

/// The specs of a node that it runs tests of, as `PROJECT:SPEC`.
fn wanted(node: &NodeRecord, project: &str, specs: &[String]) -> Vec<String> {
    let own = node.get("ClusterInitSpecs").and_then(Value::as_array);
    let own = own.into_iter().flatten().filter_map(|spec| {
        let member = |key: &str| spec.get(key).and_then(Value::as_str);
        (member("Project") == Some(project)).then(|| member("Spec"))?
    });
    let mut wanted: Vec<_> = own
        .filter(|spec| specs.iter().any(|known| known == spec))
        .map(|spec| format!("{project}:{spec}"))
        .collect();
    wanted.dedup();
    wanted
}

fn show(reports: &[NodeReport]) -> anyhow::Result<()> {
    let mut table = terminal::Table::new([
        "NODE", "TESTS", "PASSED", "FAILED", "ERRORS", "SKIPPED", "SECONDS",
    ]);
    for NodeReport { node, report } in reports {
        let counts = [report.passed, report.failed, report.errors, report.skipped];
        let head = [node.clone(), format!("{}:{}", report.project, report.spec)];
        let counts = counts.iter().map(u32::to_string);
        table.row(
            head.into_iter()
                .chain(counts)
                .chain([format!("{:.1}", report.seconds)]),
        );
    }
    terminal::out(table)?;
    for NodeReport { node, report } in reports {
        for failure in &report.failures {
            terminal::out(format_args!("{node}: {}\n", failure.test))?;
            for line in failure.message.lines() {
                terminal::out(format_args!("    {line}\n"))?;
            }
        }
    }
    Ok(())
}

fn write(reports: &[NodeReport], args: &ProjectTest) -> anyhow::Result<()> {
    if let Some(path) = &args.output_json {
        let results: Vec<_> = reports
            .iter()
            .map(|NodeReport { node, report }| json!({"node": node, "report": report}))
            .collect();
        durable::write_json(path, 0o644, &results)?;
    }
    if let Some(path) = &args.junit_xml {
        let document =
            junit::document(reports).with_context(|| format!("cannot write `{}`", path.display()))?;
        durable::write(path, 0o644, &document)?;
    }
    Ok(())
}

async fn tear_down(client: &Client, cluster: &str) -> anyhow::Result<()> {
    clusters::terminate(client, cluster).await?;
    let gone = async {
        loop {
            let summary: protocol::rest::ClusterSummary =
                client.get(&["cloud", "clusters", cluster], &[]).await?;
            let state = summary.state.unwrap_or_default();
            if state.eq_ignore_ascii_case("terminated") {
                return anyhow::Ok(());
            }
            sleep(PACE).await;
        }
    };
    match timeout_at(Instant::now() + TEARDOWN, gone).await {
        Ok(gone) => gone?,
        Err(_) => bail!("the cluster `{cluster}` is not gone after 15 minutes"),
    }
    manage::remove_cluster(client, cluster, false).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_with_tests_are_those_that_nodes_find_some_in() {
        let folder = tempfile::tempdir().unwrap();
        for (spec, name, mode) in [
            ("python", "test_a.py", 0o644),
            ("deep", "more/a_test.py", 0o644),
            ("program", "check", 0o755),
            ("none", "README.txt", 0o644),
            ("helper", "helper.py", 0o755),
            ("hidden", ".test", 0o755),
        ] {
            let path = folder.path().join(spec).join("cluster-init/tests").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            durable::write(&path, mode, b"").unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert_eq!(
            specs_with_tests(folder.path()).unwrap(),
            ["deep", "program", "python"]
        );
        assert!(
            specs_with_tests(&folder.path().join("missing"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn only_the_specs_of_the_project_are_waited_for() {
        let node = json!({"ClusterInitSpecs": [
            {"Project": "demo", "Spec": "default"}, {"Project": "demo", "Spec": "untested"},
            {"Project": "other", "Spec": "default"}, {"Project": "demo", "Spec": "default", "Version": "1"},
        ]});
        let node: NodeRecord = serde_json::from_value(node).unwrap();
        assert_eq!(wanted(&node, "demo", &["default".to_owned()]), ["demo:default"]);
    }
}
