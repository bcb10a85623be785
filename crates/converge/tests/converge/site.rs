//! A node, a locker and the projects of an author, all in one scratch folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use converge::{BeginError, ConvergeError, Event, Options, Plan, Preview, Progress, Reporter, Session};
use locker::{Access, Locker};
use node::clock::{Clock, SystemClock};
use node::command::Stop;
use node::config::NodeData;
use node::home::Home;
use node::identity::Machine;
use node::settings::{ConvergeSettings, Settings};
use protocol::{ClusterInitSpec, ConvergeFailure};
use serde_json::{Value, json};

pub(crate) struct Site {
    folder: Option<tempfile::TempDir>,
    top: PathBuf,
    pub(crate) home: Home,
    pub(crate) settings: ConvergeSettings,
    pub(crate) machine: Machine,
    pub(crate) node: Value,
    pub(crate) options: Options,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self::in_folder(folder.path());
        Self {
            folder: Some(folder),
            ..site
        }
    }

    /// A new site in an empty folder.
    pub(crate) fn in_folder(top: &Path) -> Self {
        let site = Self::at(top);
        fs::create_dir(site.locker_folder()).unwrap();
        site
    }

    /// A site that somebody else made.
    pub(crate) fn at(top: &Path) -> Self {
        let home = Home::at(top.join("jetpack"));
        home.create().unwrap();
        Self {
            folder: None,
            top: top.to_owned(),
            settings: Settings::defaults(&home).converge,
            home,
            machine: Machine::named("m1"),
            node: json!({}),
            options: Options::default(),
        }
    }

    pub(crate) fn top(&self) -> &Path {
        self.folder.as_ref().map_or(&self.top, |folder| folder.path())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.settings.cluster_init_root
    }

    pub(crate) fn locker_folder(&self) -> PathBuf {
        self.top().join("locker")
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top().join(path)).unwrap()
    }

    pub(crate) fn output(&self, script: &str) -> String {
        let mut parts = script.split('/');
        let mut part = || parts.next().unwrap();
        fs::read_to_string(self.home.script_log(part(), part(), part(), part())).unwrap()
    }

    /// An executable script of a project.
    pub(crate) fn script(&mut self, project: &str, spec: &str, name: &str, text: &str) {
        self.put(project, spec, &format!("scripts/{name}"), text, 0o755);
    }

    pub(crate) fn file(&mut self, project: &str, spec: &str, path: &str, text: &str) {
        self.put(project, spec, path, text, 0o644);
    }

    fn put(&mut self, project: &str, spec: &str, path: &str, text: &str, mode: u32) {
        let folder = self
            .project(project)
            .join("specs")
            .join(spec)
            .join("cluster-init");
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, mode, text.as_bytes()).unwrap();
        if !self.project(project).join("project.ini").exists() {
            self.ini(project, "");
        }
    }

    pub(crate) fn ini(&mut self, project: &str, more: &str) {
        let text = format!("[project]\nname = {project}\nversion = 1.0.0\n{more}");
        fs::create_dir_all(self.project(project)).unwrap();
        durable::write(&self.project(project).join("project.ini"), 0o644, text.as_bytes()).unwrap();
    }

    fn project(&self, project: &str) -> PathBuf {
        self.top().join("projects").join(project)
    }

    pub(crate) async fn upload(&self, project: &str) {
        let build = locker::project::build(&self.project(project), None, None).unwrap();
        locker::project::upload(&self.locker(), &build, false, &|_| {})
            .await
            .unwrap();
    }

    fn locker(&self) -> Locker {
        let url = format!("file://{}", self.locker_folder().display());
        Locker::open(&url, &Access::default()).unwrap()
    }

    /// Specs in the form `PROJECT:SPEC`.
    pub(crate) fn specs(&self, specs: &[&str]) -> Vec<ClusterInitSpec> {
        let spec = |text: &&str| {
            let (project, spec) = text.split_once(':').unwrap();
            ClusterInitSpec {
                project: project.to_owned(),
                spec: spec.to_owned(),
                version: Some("1.0.0".to_owned()),
                locker: "local".to_owned(),
                optional: false,
            }
        };
        specs.iter().map(spec).collect()
    }

    pub(crate) async fn converge(&self, specs: &[&str]) -> Result<Vec<String>, ConvergeError> {
        let mut said = Said::default();
        self.run(&self.specs(specs), &mut said, &Stop::new()).await?;
        Ok(said.0)
    }

    pub(crate) async fn preview(&self, specs: &[&str]) -> Result<Preview, ConvergeError> {
        let specs = self.specs(specs);
        let lockers = self.lockers();
        let node = self.node.as_object().unwrap().clone().into();
        Ok(self.plan(&specs, &lockers, &node).preview().await?)
    }

    /// Begins a converge and ends it at once.
    pub(crate) fn try_begin(&self) -> Result<(), BeginError> {
        Session::begin(
            &self.home,
            &self.machine,
            "manual",
            "jetpack converge",
            &SystemClock,
        )
        .map(drop)
    }

    fn lockers(&self) -> BTreeMap<String, Locker> {
        BTreeMap::from([("local".to_owned(), self.locker())])
    }

    fn plan<'a>(
        &'a self,
        specs: &'a [ClusterInitSpec],
        lockers: &'a BTreeMap<String, Locker>,
        node: &'a NodeData,
    ) -> Plan<'a> {
        Plan {
            home: &self.home,
            settings: &self.settings,
            machine: &self.machine,
            specs,
            lockers,
            node,
            recipes: None,
            options: self.options.clone(),
        }
    }

    pub(crate) async fn run(
        &self,
        specs: &[ClusterInitSpec],
        reporter: &mut dyn Reporter,
        stop: &Stop,
    ) -> Result<(), ConvergeError> {
        self.run_by(&SystemClock, specs, reporter, stop).await
    }

    /// [`Site::run`] by another clock.
    pub(crate) async fn run_by(
        &self,
        clock: &dyn Clock,
        specs: &[ClusterInitSpec],
        reporter: &mut dyn Reporter,
        stop: &Stop,
    ) -> Result<(), ConvergeError> {
        let lockers = self.lockers();
        let node = self.node.as_object().unwrap().clone().into();
        let plan = self.plan(specs, &lockers, &node);
        let session = Session::begin(&self.home, &self.machine, "manual", "jetpack converge", clock).unwrap();
        session.run(&plan, reporter, stop).await
    }
}

pub(crate) fn failure<T: std::fmt::Debug>(result: Result<T, ConvergeError>) -> ConvergeFailure {
    match result {
        Err(ConvergeError::Failed(failure)) => *failure,
        other => panic!("{other:?}"),
    }
}

/// Keeps what was reported.
#[derive(Debug, Default)]
pub(crate) struct Said(pub(crate) Vec<String>);

impl Reporter for Said {
    fn report(&mut self, event: &Event<'_>, progress: &Progress) {
        self.0.push(match event {
            Event::PhaseStarted => format!("phase {}", progress.phase.as_str()),
            Event::Synced { spec, downloaded } => {
                let files = downloaded.map_or("unchanged".to_owned(), |files| files.to_string());
                format!("synced {}:{} ({files})", spec.project, spec.spec)
            }
            Event::SpecMissing { spec } => format!("missing {}:{}", spec.project, spec.spec),
            Event::ScriptStarted { script } => format!("start {}", script.step()),
            Event::ScriptEnded { script, ended, .. } => format!("end {}: {ended}", script.step()),
            Event::ScriptSkipped { script, reason } => format!("skip {}: {reason:?}", script.step()),
            Event::Failed { failure } => format!("failed {}", failure.message),
            Event::Stopped => "stopped".to_owned(),
            Event::Ready => "ready".to_owned(),
            other => format!("{other:?}"),
        });
    }
}
