//! `jetpack converge --project`: the author's own loop. Projects are run from their folders, with no server, in a home that
//! is made for it and gone afterwards.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use converge::{Options, Plan, Session};
use link::join::Membership;
use locker::project::Build;
use locker::{Access, Locker};
use node::clock::SystemClock;
use node::command::{Ended, Stop};
use node::home::Home;
use node::host;
use node::identity::{Identity, Machine};
use node::sandbox;
use node::settings::Settings;
use protocol::{ClusterInitSpec, LockerRef, NodeConfiguration, Phase, Transport};
use serde_json::{Map, Value};
use tempfile::TempDir;
use terminal::ResultExt;

use super::converge::{ConvergeArgs, failed, to_output};
use super::preview;
use super::recipes::{Recipes, Setup};
use super::screen::Screen;
use crate::{context, node_data};

/// The name of the locker, of the cluster and of the node's id.
const LOCAL: &str = "local";
/// The server of a node that has none: nobody listens there, and who asks is told so at once.
const NOBODY: &str = "http://127.0.0.1:9";
/// How long the sandbox has to end its script and itself.
const SANDBOX_GRACE: Duration = Duration::from_secs(15);

/// Runs the projects.
pub(crate) fn run(args: &ConvergeArgs) -> anyhow::Result<()> {
    let folders = folders(&args.project)?;
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    if args.sandbox {
        return in_sandbox(args, &folders, &program);
    }
    if args.in_sandbox {
        sandbox::enter(&folders, &program)?;
        return run_in(args, &folders, &program, &Home::standard());
    }
    let scratch = TempDir::with_prefix("jetpack-").context("cannot make a scratch folder")?;
    let result = run_in(
        args,
        &folders,
        &program,
        &Home::at(scratch.path().join("jetpack")),
    );
    if args.keep {
        terminal::note(format_args!("kept in `{}`", scratch.keep().display()));
    }
    result
}

/// Runs this program again where nothing that it does remains.
fn in_sandbox(args: &ConvergeArgs, folders: &[PathBuf], program: &Path) -> anyhow::Result<()> {
    let mut command = match sandbox::command(program) {
        Err(error @ sandbox::SandboxError::Refused { .. }) => {
            return Err(error)
                .hint("run it as root, or allow namespaces to users (`user.max_user_namespaces` in sysctl)");
        }
        command => command?,
    };
    command = command.arg("converge").arg("--in-sandbox");
    for folder in folders {
        command = command.arg("--project").arg(folder);
    }
    for (option, values) in [("--spec", &args.spec), ("--config", &args.config)] {
        for value in values {
            command = command.arg(option).arg(value);
        }
    }
    if args.dry_run {
        command = command.arg("--dry-run");
    }
    let command = command.grace(SANDBOX_GRACE);
    let outcome = context::with_runtime(async {
        let stop = Stop::new();
        context::stop_on_signal(&stop)?;
        let run = tokio::task::spawn_blocking(move || command.run(&stop));
        Ok(run.await.context("the sandbox was not waited for")??)
    })?;
    match outcome.ended {
        Ended::Exited(0) => Ok(()),
        // What was told to stop says so.
        Ended::Exited(_) | Ended::Stopped => Err(terminal::Reported.into()),
        ended => bail!("the sandbox ended: {ended}"),
    }
}

fn run_in(args: &ConvergeArgs, folders: &[PathBuf], program: &Path, home: &Home) -> anyhow::Result<()> {
    home.create()?;
    if !home.jetpack().exists() {
        symlink(program, home.jetpack()).context("cannot make the home's `jetpack`")?;
    }
    node::python_package::write(home)?;
    // Nobody is asked: a test of a project needs neither server nor cloud.
    let alone = [
        ("cycle_server", "webserver", NOBODY),
        ("metadata", "provider", "none"),
    ];
    Settings::update(home, &SystemClock, &alone)?;
    context::with_runtime(converge(args, folders, home))
}

async fn converge(args: &ConvergeArgs, folders: &[PathBuf], home: &Home) -> anyhow::Result<()> {
    let stop = Stop::new();
    context::stop_on_signal(&stop)?;
    let settings = Settings::load(home)?;
    let url = format!("file://{}", home.system().join("locker").display());
    durable::create_folder(&home.system().join("locker"), 0o755)?;
    let locker = Locker::open(&url, &Access::default())?;
    let mut builds = Vec::new();
    for folder in folders {
        let build = locker::project::build(folder, None, Some(&home.system().join("build")))
            .with_context(|| format!("cannot build the project in `{}`", folder.display()))?;
        locker::project::upload(&locker, &build, false, &|_| {}).await?;
        builds.push(build);
    }
    let specs = specs(&builds, &args.spec)?;
    let configuration = configuration(specs, &url, configured(&args.config)?);
    let machine = Machine::this();
    let (identity, _) = Identity::ensure(home, &machine, LOCAL, &SystemClock)?;
    let membership = Membership {
        url: NOBODY.to_owned(),
        ca: None,
        identity,
        userdata: LOCAL.to_owned(),
    };
    membership.keep(home, &SystemClock, &configuration)?;
    let (data, facts) = node_data::refresh(home, &membership, &configuration).await?;

    let mut screen = Screen::default();
    let tee = if args.dry_run { to_output() } else { screen.tee() };
    let recipes = Recipes::new(Setup {
        home,
        settings: &settings,
        data: &data,
        facts: &facts,
        dry_run: args.dry_run,
        stop: &stop,
        tee: Some(tee),
        server: None,
        // The machine is its author's.
        reboots: false,
    });
    let plan = Plan {
        home,
        settings: &settings.converge,
        machine: &machine,
        specs: &configuration.cluster_init_specs,
        lockers: &BTreeMap::from([(LOCAL.to_owned(), locker)]),
        node: &data,
        recipes: recipes.as_dyn(),
        options: Options {
            tee: Some(screen.tee()),
            ..Options::default()
        },
    };
    if args.dry_run {
        let preview = plan.preview().await.map_err(|failure| failed(*failure))?;
        terminal::out(preview::text(&preview))?;
        if let Some(mut wanted) = preview.recipes {
            // Nothing was downloaded: the recipes are where their author has them.
            wanted.folders = recipes_of(folders, &builds, &configuration.cluster_init_specs);
            recipes.preview(&wanted).await?;
        }
        return Ok(());
    }
    let mut session = Session::begin(
        home,
        &machine,
        "manual",
        "jetpack converge --project",
        &SystemClock,
    )?;
    session.enter(Phase::Configure, &mut screen)?;
    match session.run(&plan, &mut screen, &stop).await {
        Err(converge::ConvergeError::Failed(mut failure)) => {
            if failure.script.is_some() {
                // Nothing is uploaded or tried again here.
                failure.recommendation = None;
            }
            Err(failed(*failure))
        }
        result => Ok(result?),
    }
}

/// The folders of the specs' recipes, in the order of the specs.
fn recipes_of(folders: &[PathBuf], builds: &[Build], specs: &[ClusterInitSpec]) -> Vec<PathBuf> {
    let of_spec = specs.iter().filter_map(|spec| {
        let index = builds
            .iter()
            .position(|build| build.manifest.name == spec.project)?;
        Some(
            folders[index]
                .join("specs")
                .join(&spec.spec)
                .join(converge::CHEF_FOLDER),
        )
    });
    of_spec.filter(|folder| folder.is_dir()).collect()
}

/// The folders without links; each holds a project.
fn folders(projects: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let folder = |folder: &PathBuf| {
        if !folder.join("project.ini").is_file() {
            let missing: anyhow::Result<PathBuf> =
                (|| bail!("`{}` is no project: it has no `project.ini`", folder.display()))();
            return missing.hint("`cyclecloud project init` makes a project");
        }
        folder
            .canonicalize()
            .with_context(|| format!("cannot read `{}`", folder.display()))
    };
    projects.iter().map(folder).collect()
}

/// The specs to run: those that were named, else `default` or the only one of each project.
fn specs(builds: &[Build], named: &[String]) -> anyhow::Result<Vec<ClusterInitSpec>> {
    let mut chosen = Vec::new();
    let mut unknown: Vec<&String> = named.iter().collect();
    for build in builds {
        let project = &build.manifest.name;
        let there: Vec<&String> = build.manifest.specs.keys().collect();
        let mut of_project = Vec::new();
        for name in named {
            let wanted = match name.split_once(':') {
                Some((of, spec)) if of == project => spec,
                Some(_) => continue,
                None => name.as_str(),
            };
            if there.iter().any(|spec| *spec == wanted) {
                of_project.push(wanted.to_owned());
                unknown.retain(|other| *other != name);
            }
        }
        if named.is_empty() {
            of_project = match there.as_slice() {
                [] => bail!("project `{project}` has no specs"),
                [only] => vec![(*only).clone()],
                several if several.iter().any(|spec| *spec == "default") => vec!["default".to_owned()],
                _ => {
                    let ambiguous: anyhow::Result<()> =
                        (|| bail!("project `{project}` has several specs: {}", listed(&there)))();
                    ambiguous.hint("say which with --spec")?;
                    Vec::new()
                }
            };
        }
        chosen.extend(of_project.into_iter().map(|spec| ClusterInitSpec {
            project: project.clone(),
            spec,
            version: Some(build.manifest.version.clone()),
            locker: LOCAL.to_owned(),
            optional: false,
        }));
    }
    if let Some(name) = unknown.first() {
        let all = builds.iter().flat_map(|build| {
            let project = &build.manifest.name;
            build
                .manifest
                .specs
                .keys()
                .map(move |spec| format!("{project}:{spec}"))
        });
        let all: Vec<String> = all.collect();
        bail!(
            "there is no spec `{name}`; there are {}",
            listed(&all.iter().collect::<Vec<_>>())
        );
    }
    Ok(chosen)
}

fn listed(names: &[&String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// `KEY=VALUE` as a tree. A value that is JSON is one; everything else is text.
fn configured(pairs: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut tree = Map::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
            bail!("`{pair}` is not of the form KEY=VALUE");
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        protocol::set_dotted(&mut tree, key.trim(), value);
    }
    Ok(tree)
}

/// What a server would say to this node.
fn configuration(specs: Vec<ClusterInitSpec>, url: &str, given: Map<String, Value>) -> NodeConfiguration {
    let name = host::short_hostname().unwrap_or_else(|| LOCAL.to_owned());
    let mut tree = Map::new();
    for (key, value) in [
        ("cyclecloud.cluster.name", LOCAL),
        ("cyclecloud.cluster.id", LOCAL),
        ("cyclecloud.node.id", LOCAL),
        ("cyclecloud.node.name", &name),
        ("cyclecloud.node.template", &name),
        ("cyclecloud.instance.id", LOCAL),
    ] {
        protocol::set_dotted(&mut tree, key, value.into());
    }
    let listed = serde_json::to_value(&specs).unwrap_or_default();
    protocol::set_dotted(&mut tree, "cyclecloud.cluster_init_specs", listed);
    protocol::merge(&mut tree, &given);
    NodeConfiguration {
        cluster_name: LOCAL.to_owned(),
        node_id: LOCAL.to_owned(),
        node_name: name,
        cluster_session_id: LOCAL.to_owned(),
        instance_id: LOCAL.to_owned(),
        amqp: None,
        transport: Transport::Https,
        heartbeat_seconds: 60,
        lockers: BTreeMap::from([(LOCAL.to_owned(), LockerRef { url: url.to_owned() })]),
        cluster_init_specs: specs,
        users: Vec::new(),
        configuration: tree,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_json_where_they_can_be_and_text_elsewhere() {
        let pairs = ["a.b=1", "a.c=true", "a.d=1.2.3", "e=", "f=x=y"].map(str::to_owned);
        assert_eq!(
            Value::Object(configured(&pairs).unwrap()),
            json!({"a": {"b": 1, "c": true, "d": "1.2.3"}, "e": "", "f": "x=y"})
        );
        for wrong in ["a", "=1"] {
            let error = configured(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
