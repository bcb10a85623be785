//! A Ruby for a test, with a folder of its own.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use converge::resource::{Machine, Options, Platform};
use node::clock::SystemClock;
use node::command::Stop;
use node::home::Home;
use recipe::{
    Alone, ClientLog, Cluster, CollectFacts, Engine, Event, Limits, Observer, Plan, RecipeError, Summary,
    Surroundings,
};
use serde_json::{Map, Value, json};

type Shown = (Vec<u8>, Summary, Vec<String>);

/// What was written and counted.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Shown>>);

impl Observer for Seen {
    fn observe(&mut self, event: &Event<'_>) {
        let mut seen = self.0.lock().unwrap();
        seen.1.observe(event);
        match event {
            Event::Applied {
                resource,
                action,
                report,
                ..
            } => {
                let what = if report.updated { "updated" } else { "up to date" };
                seen.2.push(format!("{resource} {action}: {what}"));
            }
            Event::Ended {
                resource,
                action,
                updated,
                ..
            } => {
                let what = if *updated { "updated" } else { "up to date" };
                seen.2.push(format!("{resource} {action}: {what}"));
            }
            Event::Skipped {
                resource,
                action,
                why,
                ..
            } => seen.2.push(format!("{resource} {action}: skipped ({why})")),
            Event::Retried { resource, .. } => seen.2.push(format!("{resource}: retried")),
            Event::Ignored { resource, action, .. } => seen.2.push(format!("{resource} {action}: ignored")),
            Event::Output(bytes) => seen.0.extend_from_slice(bytes),
            Event::Message(level, text) => seen.2.push(format!("{level:?}: {text}")),
            _ => {}
        }
    }
}

struct Buffer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Try {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) limits: Limits,
    pub(crate) plan: Plan,
    pub(crate) stop: Stop,
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) reboots: bool,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) result: Result<(), RecipeError>,
    /// `file[x] create: updated` and so on, with messages of the log.
    pub(crate) events: Vec<String>,
    pub(crate) output: String,
    pub(crate) log: String,
    pub(crate) summary: Summary,
}

impl Try {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cookbooks = folder.path().join("cookbooks");
        fs::create_dir_all(&cookbooks).unwrap();
        let automatic = json!({
            "platform": "ubuntu", "platform_family": "debian", "platform_version": "22.04", "os": "linux",
            "hostname": "node1", "fqdn": "node1.example.com", "ipaddress": "10.0.0.4",
            "kernel": {"machine": "x86_64", "release": "6.1.0"}, "cpu": {"total": 4}, "memory": {"total": "8000000kB"},
        });
        let plan = Plan {
            node_name: "node1".to_owned(),
            automatic: automatic.as_object().unwrap().clone(),
            cookbook_path: vec![cookbooks],
            role_path: vec![folder.path().join("roles")],
            data_bag_path: vec![folder.path().join("data_bags")],
            environment_path: vec![folder.path().join("environments")],
            config: Map::from_iter([(
                "file_cache_path".to_owned(),
                Value::from(folder.path().join("cache").display().to_string()),
            )]),
            ..Plan::default()
        };
        Self {
            folder,
            limits: Limits::default(),
            plan,
            stop: Stop::new(),
            cluster: Arc::new(Alone::default()),
            reboots: true,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file below the folder.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file of a test")]
        fs::write(&path, content).unwrap();
        path
    }

    fn surroundings(&self) -> Surroundings {
        let platform = Platform {
            name: "ubuntu".to_owned(),
            family: "debian".to_owned(),
            version: "22.04".to_owned(),
        };
        Surroundings {
            machine: Machine::this(),
            options: Options::of(&Home::at(self.path("home")), platform),
            cluster: Arc::clone(&self.cluster),
            facts: CollectFacts(Arc::new(|| {
                Map::from_iter([("hostname".to_owned(), "collected".into())])
            })),
            reboots: self.reboots,
            stop: self.stop.clone(),
            limits: self.limits,
        }
    }

    fn start(&self) -> (Engine, Seen, Arc<Mutex<Vec<u8>>>) {
        let seen = Seen::default();
        let log = Arc::new(Mutex::new(Vec::new()));
        let client = ClientLog::new(Buffer(Arc::clone(&log)), Arc::new(SystemClock));
        let observer = Box::new((seen.clone(), client));
        let engine = Engine::start(self.plan.clone(), self.surroundings(), observer).unwrap();
        (engine, seen, log)
    }

    /// Evaluates code that must succeed.
    pub(crate) fn eval(&self, code: &str) -> String {
        match self.try_eval(code).0 {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// Evaluates code: its value, and what it wrote.
    pub(crate) fn try_eval(&self, code: &str) -> (Result<String, RecipeError>, String) {
        let (engine, seen, _) = self.start();
        let result = engine.eval(code);
        let output = String::from_utf8_lossy(&seen.0.lock().unwrap().0).into_owned();
        (result, output)
    }

    /// Runs a run list, and the deferred blocks.
    pub(crate) fn run(&mut self, run_list: &[&str]) -> Outcome {
        self.plan.run_list = run_list.iter().map(|item| (*item).to_owned()).collect();
        let (engine, seen, log) = self.start();
        let result = engine.converge().and_then(|()| engine.deferred());
        drop(engine);
        let seen = seen.0.lock().unwrap();
        Outcome {
            result,
            events: seen.2.clone(),
            output: String::from_utf8_lossy(&seen.0).into_owned(),
            log: String::from_utf8_lossy(&log.lock().unwrap()).into_owned(),
            summary: seen.1.clone(),
        }
    }

    /// Runs one recipe of a cookbook `t`.
    pub(crate) fn recipe(&mut self, code: &str) -> Outcome {
        self.file("cookbooks/t/recipes/default.rb", code);
        self.run(&["recipe[t]"])
    }
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
