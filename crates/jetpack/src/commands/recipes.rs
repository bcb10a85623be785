//! The recipes of a converge: what they get to know, and where what they do is told.

#[cfg(feature = "recipes")]
pub(crate) use with_ruby::Recipes;
#[cfg(not(feature = "recipes"))]
pub(crate) use without_ruby::Recipes;

use std::time::Duration;

use anyhow::Context as _;
use link::https::ServerApi;
use node::command::{Command, CommandError, Ended, Stop, Tee};
use node::config::{Facts, NodeData};
use node::home::Home;
use node::settings::Settings;

/// What recipes are run for.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "recipes"),
    expect(dead_code, reason = "a build without recipes looks at nothing of it")
)]
pub(crate) struct Setup<'a> {
    pub(crate) home: &'a Home,
    pub(crate) settings: &'a Settings,
    /// The node's configuration with everything that the machine is.
    pub(crate) data: &'a NodeData,
    /// What the machine is.
    pub(crate) facts: &'a Facts,
    /// Nothing is changed.
    pub(crate) dry_run: bool,
    pub(crate) stop: &'a Stop,
    /// Sees what is written to the log.
    pub(crate) tee: Option<Tee>,
    /// Who knows the other nodes, if there is a server.
    pub(crate) server: Option<ServerApi>,
    /// Whether recipes may ask for a reboot.
    pub(crate) reboots: bool,
}

/// How long the system may take to say that it will reboot.
const REBOOT_LIMIT: Duration = Duration::from_secs(60);

/// Tells the system to reboot.
///
/// # Errors
/// When it does not want to.
pub(crate) fn reboot(reason: &str, delay_minutes: u64) -> anyhow::Result<()> {
    let when = match delay_minutes {
        0 => "now".to_owned(),
        minutes => format!("+{minutes}"),
    };
    let commands = [
        Command::new("shutdown").arg("-r").arg(when).arg(reason),
        // A small system has no other.
        Command::new("systemctl").arg("reboot"),
    ];
    let mut failed = None;
    for command in commands {
        let run = command
            .time_limit(REBOOT_LIMIT)
            .output(Vec::new(), 4096, &Stop::new());
        match run {
            Err(error @ CommandError::NotFound { .. }) => failed = Some(error),
            Ok(output) if output.ended == Ended::Exited(0) => return Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                anyhow::bail!("the system refuses to reboot: {said}");
            }
            Err(error) => return Err(error).context("cannot reboot"),
        }
    }
    Err(failed.map_or_else(|| anyhow::anyhow!("no command"), Into::into)).context("cannot reboot")
}

#[cfg(feature = "recipes")]
mod with_ruby {
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError};

    use async_trait::async_trait;
    use converge::resource::{Machine, Options, Platform};
    use converge::{RecipesError, Wanted};
    use facts::Freshness;
    use link::https::ServerApi;
    use node::clock::SystemClock;
    use node::command::{Stop, Tee};
    use node::config::NodeData;
    use node::home::Home;
    use node::settings::Settings;
    use protocol::{ConvergeFailure, RecipesReport, SlowResource};
    use recipe::{
        Alone, ClientLog, Cluster, ClusterError, CollectFacts, Engine, Event, Limits, Observer, Plan, Reboot,
        RecipeError, Summary, Surroundings,
    };
    use serde_json::{Map, Value};
    use tokio::runtime::Handle;

    use super::Setup;

    /// A log of this size is put aside when the next converge begins.
    const LARGEST_LOG: u64 = 10 << 20;
    /// Cookbooks and roles that every node has, in Ruby's own folder.
    const OURS: &str = "/__ruby__/jetpack";

    /// Runs the recipes of one converge.
    #[derive(Debug)]
    pub(crate) struct Recipes {
        home: Home,
        settings: Settings,
        data: NodeData,
        automatic: Map<String, Value>,
        reboots: bool,
        dry_run: bool,
        stop: Stop,
        tee: Option<Tee>,
        cluster: Arc<dyn Cluster>,
        engine: Mutex<Option<Arc<Engine>>>,
        summary: Arc<Mutex<Summary>>,
    }

    impl Recipes {
        /// To be used in a runtime.
        pub(crate) fn new(setup: Setup<'_>) -> Self {
            let cluster: Arc<dyn Cluster> = match setup.server {
                Some(api) => Arc::new(Served {
                    api,
                    runtime: Handle::current(),
                }),
                None => Arc::new(Alone::default()),
            };
            Self {
                home: setup.home.clone(),
                settings: setup.settings.clone(),
                data: setup.data.clone(),
                automatic: setup.facts.automatic.clone(),
                reboots: setup.reboots,
                dry_run: setup.dry_run,
                stop: setup.stop.clone(),
                tee: setup.tee,
                cluster,
                engine: Mutex::new(None),
                summary: Arc::default(),
            }
        }

        /// The reboot that recipes have asked for, if they have.
        pub(crate) fn reboot(&self) -> Option<Reboot> {
            self.engine()?.reboot()
        }

        pub(crate) fn as_dyn(&self) -> Option<&dyn converge::Recipes> {
            Some(self)
        }

        /// Says what the recipes would do.
        pub(crate) async fn preview(&self, wanted: &Wanted) -> anyhow::Result<()> {
            let all = converge::Recipes::converge(self, wanted).await;
            match all {
                Ok(()) => Ok(()),
                Err(RecipesError::Failed(failure)) => Err(crate::commands::converge::failed(*failure)),
                Err(RecipesError::Stopped) => anyhow::bail!("the recipes were stopped"),
            }
        }

        fn start(&self, wanted: &Wanted) -> Result<Arc<Engine>, RecipeError> {
            if !self.dry_run {
                // Recipes take it for granted.
                let cache = self.home.chef().join("cache");
                durable::create_folder(&cache, 0o755)
                    .map_err(|error| RecipeError::Gone(error.to_string()))?;
            }
            let log = Log::open(&self.home, self.dry_run, self.tee.clone());
            let log = ClientLog::new(log, Arc::new(SystemClock));
            let counted = Counted(Arc::clone(&self.summary));
            let observer = Box::new((counted, log));
            let engine = Engine::start(self.plan(wanted), self.surroundings(), observer)?;
            let engine = Arc::new(engine);
            let mut place = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some(Arc::clone(&engine));
            Ok(engine)
        }

        /// Says in the log of the node what the recipes have come to.
        fn say_summary(&self) {
            let summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
            let report = report(&summary);
            let slowest = report.slowest.iter().take(3).filter(|slow| slow.seconds >= 0.1);
            let slowest: Vec<String> = slowest
                .map(|slow| format!("{} {} {:.1} s", slow.resource, slow.action, slow.seconds))
                .collect();
            let slowest = if slowest.is_empty() {
                String::new()
            } else {
                format!("; slowest: {}", slowest.join(", "))
            };
            tracing::info!("recipes: {report}{slowest}");
        }

        fn engine(&self) -> Option<Arc<Engine>> {
            self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        fn text(&self, key: &str) -> String {
            self.data.get_str(key).unwrap_or_default().to_owned()
        }

        fn surroundings(&self) -> Surroundings {
            let platform = Platform {
                name: self.text("platform"),
                family: self.text("platform_family"),
                version: self.text("platform_version"),
            };
            Surroundings {
                machine: Machine::this(),
                options: Options {
                    live: self.tee.clone(),
                    ..Options::of(&self.home, platform)
                },
                cluster: Arc::clone(&self.cluster),
                stop: self.stop.clone(),
                facts: self.collect_facts(),
                reboots: self.reboots,
                limits: Limits {
                    memory: usize::try_from(self.settings.converge.recipes_memory_bytes)
                        .unwrap_or(usize::MAX),
                    time: self.settings.converge.recipes_timeout,
                },
            }
        }

        fn collect_facts(&self) -> CollectFacts {
            let (home, metadata) = (self.home.clone(), self.settings.metadata.clone());
            let runtime = Handle::current();
            CollectFacts(Arc::new(move || {
                runtime
                    .block_on(facts::node_facts(&home, &metadata, Freshness::Now))
                    .automatic
            }))
        }

        fn plan(&self, wanted: &Wanted) -> Plan {
            let folders: Vec<PathBuf> = wanted
                .folders
                .iter()
                .map(|folder| unpacked(&self.home, folder))
                .collect();
            let ours = |name: &str| Path::new(OURS).join(name);
            let all = |first: Vec<PathBuf>, names: &[&str]| {
                let of_specs = folders
                    .iter()
                    .flat_map(|folder| names.iter().map(|name| folder.join(name)));
                first
                    .into_iter()
                    .chain(of_specs.filter(|folder| folder.is_dir()))
                    .collect()
            };
            let text = |path: PathBuf| Value::from(path.display().to_string());
            let chef = self.home.chef();
            let config = Map::from_iter([
                ("file_cache_path".to_owned(), text(chef.join("cache"))),
                ("file_backup_path".to_owned(), text(chef.join("backup"))),
                ("jetpack".to_owned(), text(self.home.jetpack())),
                ("node_json".to_owned(), text(self.home.node_json())),
                ("ssl_verify_mode".to_owned(), "verify_peer".into()),
                ("solo".to_owned(), true.into()),
            ]);
            let mut normal = self.data.tree().clone();
            // Facts are automatic attributes: said twice they are only read twice.
            normal.retain(|key, value| key != "run_list" && self.automatic.get(key) != Some(value));
            let name = ["cyclecloud.node.name", "hostname"]
                .into_iter()
                .find_map(|key| self.data.get_str(key));
            Plan {
                node_name: name.unwrap_or("node").to_owned(),
                run_list: wanted.run_list.clone(),
                automatic: self.automatic.clone(),
                normal,
                cookbook_path: all(vec![ours("cookbooks")], &["cookbooks", "site-cookbooks"]),
                role_path: all(vec![ours("roles")], &["roles"]),
                data_bag_path: all(Vec::new(), &["data_bags"]),
                environment_path: all(Vec::new(), &["environments"]),
                environment: None,
                config,
                log_level: None,
                dry_run: self.dry_run,
            }
        }
    }

    #[async_trait]
    impl converge::Recipes for Recipes {
        async fn converge(&self, wanted: &Wanted) -> Result<(), RecipesError> {
            let engine = self.start(wanted).map_err(failed)?;
            let done = on_thread(engine, Engine::converge).await;
            self.say_summary();
            done
        }

        fn has_deferred(&self) -> bool {
            self.engine().is_some_and(|engine| engine.has_deferred())
        }

        async fn deferred(&self) -> Result<(), RecipesError> {
            match self.engine() {
                Some(engine) => on_thread(engine, Engine::deferred).await,
                None => Ok(()),
            }
        }

        fn report(&self) -> RecipesReport {
            report(&self.summary.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    /// What the server is told.
    fn report(summary: &Summary) -> RecipesReport {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let slowest = summary.slowest.iter().map(|slow| SlowResource {
            resource: slow.resource.clone(),
            action: slow.action.clone(),
            seconds: slow.seconds,
        });
        RecipesReport {
            total: count(summary.total),
            updated: count(summary.updated),
            skipped: count(summary.skipped),
            ignored: count(summary.ignored),
            slowest: slowest.collect(),
        }
    }

    /// The cluster as the server knows it.
    #[derive(Debug)]
    struct Served {
        api: ServerApi,
        runtime: Handle,
    }

    impl Cluster for Served {
        fn search(
            &self,
            role: Option<&str>,
            recipe: Option<&str>,
        ) -> Result<Vec<recipe::Attributes>, ClusterError> {
            let found = self.runtime.block_on(self.api.discoverable(role, recipe));
            found.map_err(ClusterError::new)
        }

        fn store(&self, attributes: recipe::Attributes) -> Result<(), ClusterError> {
            let stored = self.runtime.block_on(self.api.store_discoverable(&attributes));
            stored.map_err(ClusterError::new)
        }
    }

    async fn on_thread(
        engine: Arc<Engine>,
        work: impl FnOnce(&Engine) -> Result<(), RecipeError> + Send + 'static,
    ) -> Result<(), RecipesError> {
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        done.unwrap_or_else(|error| Err(RecipeError::Gone(error.to_string())))
            .map_err(failed)
    }

    fn failed(error: RecipeError) -> RecipesError {
        // Whoever has run them sees that they want a reboot.
        if let RecipeError::Stopped { .. } | RecipeError::Reboot { .. } = error {
            return RecipesError::Stopped;
        }
        let output = match &error {
            RecipeError::Failed(failure) => failure.backtrace.join("\n"),
            _ => String::new(),
        };
        let message = terminal::chain(&error);
        let (line, rest) = message.split_once('\n').unwrap_or((&message, ""));
        RecipesError::Failed(Box::new(ConvergeFailure {
            message: format!("recipes: {line}"),
            output: [rest, &output]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("\n"),
            ..ConvergeFailure::default()
        }))
    }

    /// The folder of a spec's recipes, with what other tools have packed unpacked. A zip that is damaged is as one that is
    /// missing: the recipe that needs it says so.
    fn unpacked(home: &Home, folder: &Path) -> PathBuf {
        let packed = ["cookbooks", "site-cookbooks", "roles", "data_bags"]
            .map(|name| folder.join(format!("{name}.zip")));
        if packed.iter().all(|zip| !zip.is_file()) {
            return folder.to_owned();
        }
        let name: Vec<_> = folder
            .iter()
            .rev()
            .skip(1)
            .take(2)
            .map(|part| part.to_string_lossy())
            .collect();
        let to = home.chef().join("unpacked").join(name.join("."));
        let _ = fs::remove_dir_all(&to);
        for zip in packed.iter().filter(|zip| zip.is_file()) {
            if let Err(error) = unpack(zip, &to) {
                tracing::warn!("cannot unpack `{}`: {error}", zip.display());
            }
        }
        to
    }

    /// Unpacks `NAME.zip` to the folder `NAME`; the archive holds what is in the folder, or the folder itself.
    fn unpack(zip: &Path, to: &Path) -> zip::result::ZipResult<()> {
        let mut archive = zip::ZipArchive::new(File::open(zip)?)?;
        let name = zip.file_stem().unwrap_or_default();
        let below = archive
            .file_names()
            .all(|entry| entry.is_ok_and(|entry| Path::new(entry.as_ref()).starts_with(name)));
        let into = if below { to.to_owned() } else { to.join(name) };
        archive.extract(into)
    }

    /// A summary that is read when the recipes are over.
    struct Counted(Arc<Mutex<Summary>>);

    impl Observer for Counted {
        fn observe(&mut self, event: &Event<'_>) {
            let mut summary = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            summary.observe(event);
        }
    }

    /// `logs/chef-client.log`, and whoever watches.
    struct Log {
        file: Option<File>,
        tee: Option<Tee>,
    }

    impl Log {
        fn open(home: &Home, dry_run: bool, tee: Option<Tee>) -> Self {
            let path = home.chef_client_log();
            if fs::metadata(&path).is_ok_and(|file| file.len() > LARGEST_LOG) {
                let _ = fs::rename(&path, path.with_extension("log.1"));
            }
            let file = match dry_run {
                true => None,
                false => match OpenOptions::new().create(true).append(true).open(&path) {
                    Ok(file) => Some(file),
                    Err(error) => {
                        tracing::warn!("cannot write `{}`: {error}", path.display());
                        None
                    }
                },
            };
            Self { file, tee }
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(file) = &mut self.file {
                file.write_all(bytes)?;
            }
            if let Some(tee) = &self.tee {
                tee.show(bytes);
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(not(feature = "recipes"))]
mod without_ruby {
    use super::Setup;

    /// This build runs no recipes.
    #[derive(Debug)]
    pub(crate) struct Recipes;

    /// Recipes ask for it; here there are none.
    #[derive(Debug)]
    pub(crate) struct Reboot {
        pub(crate) reason: String,
        pub(crate) delay_minutes: u64,
    }

    impl Recipes {
        pub(crate) fn new(_: Setup<'_>) -> Self {
            Self
        }

        pub(crate) fn as_dyn(&self) -> Option<&dyn converge::Recipes> {
            None
        }

        pub(crate) fn reboot(&self) -> Option<Reboot> {
            None
        }

        /// Nobody has a list of recipes to run: having one is a failure.
        pub(crate) async fn preview(&self, _: &converge::Wanted) -> anyhow::Result<()> {
            Ok(())
        }
    }
}
