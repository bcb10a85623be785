//! `jetpack converge`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use converge::{BeginError, ConvergeError, Options, Plan, Session};
use facts::Freshness;
use link::https::ServerApi;
use link::join::Membership;
use locker::Locker;
use node::clock::SystemClock;
use node::command::{Stop, Tee};
use node::config::{Facts, NodeData};
use node::home::Home;
use node::identity::Machine;
use node::settings::Settings;
use protocol::{ConvergeFailure, Log, MessageType, NodeConfiguration, Phase, Priority};
use terminal::ResultExt;
use tracing::Level;

use super::local;
use super::progress::Telling;
use super::recipes::{Recipes, Setup, reboot as reboot_machine};
use crate::{context, deliver, node_data};

/// The key that `cyclecloud start_cluster -t` sets.
const TEST_MODE: &str = "cyclecloud.test_mode";

#[derive(Debug, Args)]
pub(crate) struct ConvergeArgs {
    /// Only run the cluster-init scripts that are on this machine already
    #[arg(long)]
    pub(crate) cluster_init: bool,

    /// Fetch the configuration, but download no projects: run what is on this machine already
    #[arg(long)]
    pub(crate) no_sync: bool,

    /// Also run scripts that succeeded before
    #[arg(long)]
    pub(crate) rerun_scripts: bool,

    /// Log every step to logs/jetpack.log
    #[arg(long)]
    pub(crate) debug: bool,

    /// Why it is run; jetpackd says install
    #[arg(long, value_enum, value_name = "MODE", default_value = "manual")]
    pub(crate) mode: Mode,

    /// How many milliseconds after a failure jetpackd will try again; the server is told
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    pub(crate) retry_in: Option<u64>,

    /// Only say what would be downloaded and which scripts would run
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Run the project in this folder, without a server and in a home of its own; may be repeated
    #[arg(long, value_name = "DIR", conflicts_with_all = ["cluster_init", "no_sync", "rerun_scripts", "mode"])]
    pub(crate) project: Vec<PathBuf>,

    /// With --project: run this spec, or PROJECT:SPEC, and not `default`; may be repeated
    #[arg(long, value_name = "SPEC", requires = "project")]
    pub(crate) spec: Vec<String>,

    /// With --project: a key of the node's configuration, for `jetpack config`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "project")]
    pub(crate) config: Vec<String>,

    /// With --project: run in an overlay of this machine, so that nothing of it remains
    #[arg(long, requires = "project")]
    pub(crate) sandbox: bool,

    /// With --project: do not remove the home afterwards, and say where it is
    #[arg(long, requires = "project", conflicts_with = "sandbox")]
    pub(crate) keep: bool,

    /// This process is in the sandbox
    #[arg(long, hide = true, requires = "project", conflicts_with = "sandbox")]
    pub(crate) in_sandbox: bool,
}

impl ConvergeArgs {
    /// Whether projects are downloaded.
    fn sync(&self) -> bool {
        !self.cluster_init && !self.no_sync
    }
}

/// Why a converge is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Somebody typed it
    Manual,
    /// The node becomes one
    Install,
    /// It was due
    Maintenance,
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Install => "install",
            Self::Maintenance => "maintenance",
        }
    }
}

/// Converges once. Fails when another converge is at work.
pub(crate) fn run(args: &ConvergeArgs) -> anyhow::Result<()> {
    if !args.project.is_empty() {
        return local::run(args);
    }
    let home = context::initialized_home()?;
    let settings = context::settings(&home)?;
    if args.dry_run {
        return context::with_runtime(preview(args, &home, &settings));
    }
    let level = if args.debug { Level::DEBUG } else { Level::INFO };
    context::start_log(&home, &settings, level);
    context::with_runtime(converge(args, &home, &settings))
}

async fn converge(args: &ConvergeArgs, home: &Home, settings: &Settings) -> anyhow::Result<()> {
    let stop = Stop::new();
    context::stop_on_signal(&stop)?;
    let machine = Machine::this();
    let session = Session::begin(
        home,
        &machine,
        args.mode.as_str(),
        "jetpack converge",
        &SystemClock,
    );
    let mut session = match session {
        Err(error @ BeginError::Busy(_)) => return Err(error).hint("`jetpack status` shows how far it is"),
        session => session?,
    };
    let mut telling = Telling::new(
        home,
        link::join::sender(settings),
        args.retry_in.map(Duration::from_millis),
    );

    session.enter(Phase::Configure, &mut telling)?;
    let prepared = tokio::select! {
        prepared = prepare(args, home, settings) => prepared,
        () = stop.requested() => return Err(session.stopped(&mut telling).into()),
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            let failure = ConvergeFailure {
                message: terminal::chain(error.as_ref()),
                ..ConvergeFailure::default()
            };
            return Err(session.fail(failure, &mut telling).into());
        }
    };
    telling.sender = link::join::sender(&context::settings(home)?);

    let Prepared {
        configuration,
        lockers,
        data,
        facts,
        server,
    } = prepared;
    // The daemon reads the files that hold the output; people want to see it.
    let tee = (args.mode == Mode::Manual).then(|| telling.screen.tee());
    let recipes = Recipes::new(Setup {
        home,
        settings,
        data: &data,
        facts: &facts,
        dry_run: false,
        stop: &stop,
        tee: tee.clone(),
        server: Some(server),
        reboots: *home == Home::standard(),
    });
    let plan = Plan {
        home,
        settings: &settings.converge,
        machine: &machine,
        specs: &configuration.cluster_init_specs,
        lockers: &lockers,
        node: &data,
        recipes: recipes.as_dyn(),
        options: Options {
            sync: args.sync(),
            recipes: !args.cluster_init,
            rerun_scripts: args.rerun_scripts,
            tee,
        },
    };
    let done = session.run(&plan, &mut telling, &stop).await;
    // Recipes that want a reboot first have stopped there; after it the node converges again.
    if let (Ok(()) | Err(ConvergeError::Stopped), Some(reboot)) = (&done, recipes.reboot())
        && !stop.is_requested()
    {
        say_reboot(home, settings, &reboot.reason);
        return reboot_machine(&reboot.reason, reboot.delay_minutes);
    }
    match done {
        Ok(()) => {
            // The session is over: its lock is free for whatever the tests do.
            if args.mode == Mode::Install && data.is_true(TEST_MODE, false) {
                run_tests(home, settings, &data, &stop).await;
            }
            Ok(())
        }
        Err(ConvergeError::Failed(failure)) => Err(failed(*failure)),
        Err(error) => Err(error.into()),
    }
}

/// Tells the log and the server why the machine goes.
fn say_reboot(home: &Home, settings: &Settings, reason: &str) {
    let message = format!("rebooting, as a recipe asks for: {reason}");
    tracing::info!("{message}");
    terminal::note(&message);
    let log = Log {
        level: protocol::Level::Info,
        priority: Priority::Medium,
        message,
    };
    // The reboot itself matters more than that the server hears of it.
    if let Err(error) = deliver::keep(home, settings, MessageType::Log, &log) {
        terminal::warn(format_args!(
            "the server is not told: {}",
            terminal::chain(error.as_ref())
        ));
    }
}

/// A failure as the error of the command, with its advice.
pub(crate) fn failed(failure: ConvergeFailure) -> anyhow::Error {
    let error = anyhow!("{}", failure.message);
    match failure.recommendation {
        Some(recommendation) => match Err::<(), _>(error).hint(recommendation) {
            Err(error) => error,
            Ok(()) => anyhow!("{}", failure.message),
        },
        None => error,
    }
}

/// Says what a converge would do. Nothing is written, not even what the server says; only what the cloud says of the machine is kept,
/// if it was never asked.
async fn preview(args: &ConvergeArgs, home: &Home, settings: &Settings) -> anyhow::Result<()> {
    let mut membership = context::membership(home, settings)?;
    let configuration = if args.cluster_init {
        last_known(&membership, home)?
    } else {
        membership.pin(home, settings).await?;
        membership
            .joining_api()?
            .fetch_configuration(&membership.userdata)
            .await?
    };
    let facts = facts::node_facts(home, &settings.metadata, Freshness::Last).await;
    let data = membership.node_data(home, &configuration, &facts);
    let stop = Stop::new();
    context::stop_on_signal(&stop)?;
    let server = membership.api(&configuration.node_id)?;
    let recipes = Recipes::new(Setup {
        home,
        settings,
        data: &data,
        facts: &facts,
        dry_run: true,
        stop: &stop,
        tee: Some(to_output()),
        server: Some(server),
        reboots: true,
    });
    let plan = Plan {
        home,
        settings: &settings.converge,
        machine: &Machine::this(),
        specs: &configuration.cluster_init_specs,
        lockers: &lockers(&membership, &configuration, settings)?,
        node: &data,
        recipes: recipes.as_dyn(),
        options: Options {
            sync: args.sync(),
            recipes: !args.cluster_init,
            rerun_scripts: args.rerun_scripts,
            tee: None,
        },
    };
    let preview = plan.preview().await.map_err(|failure| failed(*failure))?;
    terminal::out(super::preview::text(&preview))?;
    match &preview.recipes {
        Some(wanted) if preview.is_on_machine() => recipes.preview(wanted).await,
        Some(wanted) => Ok(terminal::out(format!(
            "the recipes of `{}` would run; what they would do can be said when their projects are on this machine\n",
            wanted.run_list.join(", ")
        ))?),
        None => Ok(()),
    }
}

/// Shows the output of recipes that change nothing.
pub(crate) fn to_output() -> Tee {
    Tee::new(|bytes| {
        // A closed pipe ends nothing here: the recipes change nothing, and are over soon.
        let _ = terminal::out(String::from_utf8_lossy(bytes));
    })
}

/// Runs the tests of a cluster in test mode. The node is ready whatever they say; the server is told.
async fn run_tests(home: &Home, settings: &Settings, data: &NodeData, stop: &Stop) {
    tracing::info!("running the tests of this node's projects: `{TEST_MODE}` is true");
    match super::test::in_test_mode(home, settings, data, stop).await {
        Ok(()) => tracing::info!("the tests have passed"),
        Err(error) => tracing::warn!("the tests have not passed: {}", terminal::chain(error.as_ref())),
    }
}

/// Everything that the `configure` phase finds out.
struct Prepared {
    configuration: NodeConfiguration,
    lockers: BTreeMap<String, Locker>,
    data: NodeData,
    facts: Facts,
    server: ServerApi,
}

async fn prepare(args: &ConvergeArgs, home: &Home, settings: &Settings) -> anyhow::Result<Prepared> {
    let mut membership = context::membership(home, settings)?;
    let configuration = if args.cluster_init {
        last_known(&membership, home)?
    } else {
        fetch(&mut membership, home, settings).await?
    };
    let (data, facts) = node_data::refresh(home, &membership, &configuration).await?;
    Ok(Prepared {
        lockers: lockers(&membership, &configuration, settings)?,
        server: membership.api(&configuration.node_id)?,
        data,
        facts,
        configuration,
    })
}

fn lockers(
    membership: &Membership,
    configuration: &NodeConfiguration,
    settings: &Settings,
) -> anyhow::Result<BTreeMap<String, Locker>> {
    let lockers = configuration.lockers.iter().map(|(name, locker)| {
        let locker = context::open_locker(membership, configuration, locker, settings)?;
        Ok((name.clone(), locker))
    });
    lockers.collect()
}

/// Asks the server; while it is away, what it said last holds.
async fn fetch(
    membership: &mut Membership,
    home: &Home,
    settings: &Settings,
) -> anyhow::Result<NodeConfiguration> {
    membership.pin(home, settings).await?;
    match membership.join(home, &SystemClock).await {
        Ok(configuration) => Ok(configuration),
        Err(error) if error.is_away() => match membership.last_known(home)? {
            Some(configuration) => {
                let message = format!(
                    "{}; going on with the configuration as it was last fetched",
                    terminal::chain(&error)
                );
                tracing::warn!("{message}");
                terminal::warn(message);
                Ok(configuration)
            }
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn last_known(membership: &Membership, home: &Home) -> anyhow::Result<NodeConfiguration> {
    let known = membership.last_known(home)?;
    known
        .context("this node has never fetched its configuration")
        .hint("`jetpack converge` does")
}
