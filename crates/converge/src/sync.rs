//! Downloading the projects of a node.
//!
//! All specs of all projects are in place before any script runs: scripts use files of other specs. Each
//! file is checked while it comes, each spec is swapped in whole, and one that has not changed is not
//! downloaded again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use locker::project::{Manifest, SpecFile, manifest_path};
use locker::{Error as LockerError, Locker};
use node::trace::chain;
use protocol::{ClusterInitSpec, ConvergeFailure, check_name};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::meter::Meter;
use crate::report::Event;
use crate::stage::{Stage, StageError, Stamp};
use crate::{Plan, failure, files};

/// What became of one spec.
#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) spec: ClusterInitSpec,
    /// Recipes that the project wants for it.
    pub(crate) run_list: Vec<String>,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Unchanged,
    Downloaded(usize),
    Missing,
}

impl Synced {
    /// Whether it is on this machine now.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.outcome, Outcome::Missing)
    }

    pub(crate) fn event(&self) -> Event<'_> {
        let spec = &self.spec;
        match self.outcome {
            Outcome::Missing => Event::SpecMissing { spec },
            Outcome::Unchanged => Event::Synced {
                spec,
                downloaded: None,
            },
            Outcome::Downloaded(files) => Event::Synced {
                spec,
                downloaded: Some(files),
            },
        }
    }
}

/// One spec that is in its locker.
pub(crate) struct Found {
    locker: Locker,
    pub(crate) run_list: Vec<String>,
    pub(crate) version: String,
    pub(crate) files: Vec<SpecFile>,
    pub(crate) digest: Option<String>,
    pub(crate) stage: Stage,
}

/// Downloads what has changed. First everything is looked up, so that a missing project changes nothing
/// on the machine. `meter` counts what comes.
pub(crate) async fn run(plan: &Plan<'_>, meter: &Arc<Meter>) -> Result<Vec<Synced>, Box<ConvergeFailure>> {
    let looked_up = look_up(plan).await?;
    let limit = Arc::new(Semaphore::new(plan.settings.downloads.max(1)));
    // Dropped at the first failure, which ends the others.
    let mut tasks = JoinSet::new();
    let mut outcomes: Vec<_> = looked_up.iter().map(|_| Outcome::Missing).collect();
    for (index, (_, found)) in looked_up.iter().enumerate() {
        if let Some(found) = found.clone() {
            let (limit, meter) = (Arc::clone(&limit), Arc::clone(meter));
            tasks.spawn(async move { (index, bring(&found, &limit, &meter).await) });
        }
    }
    while let Some(task) = tasks.join_next().await {
        let (index, outcome) = task.map_err(|error| failure::of_machine(&Problem::Task(error)))?;
        outcomes[index] = outcome.map_err(|problem| problem.failure(looked_up[index].0))?;
    }
    let synced = looked_up
        .into_iter()
        .zip(outcomes)
        .map(|((spec, found), outcome)| {
            let (version, run_list) = match found {
                Some(found) => (Some(found.version.clone()), found.run_list.clone()),
                None => (spec.version.clone(), Vec::new()),
            };
            let spec = ClusterInitSpec {
                version,
                ..spec.clone()
            };
            log(&spec, &outcome);
            Synced {
                spec,
                run_list,
                outcome,
            }
        });
    Ok(synced.collect())
}

/// The run lists of the specs as they are on this machine, in the order of the specs.
pub(crate) fn run_list_on_machine(root: &Path, specs: &[ClusterInitSpec]) -> Vec<String> {
    let stamp = |spec: &ClusterInitSpec| Stage::new(root, &spec.project, &spec.spec).stamp();
    specs
        .iter()
        .filter_map(stamp)
        .flat_map(|stamp| stamp.run_list)
        .collect()
}

/// Finds every spec in its locker; those that are optional may be missing.
pub(crate) async fn look_up<'a>(
    plan: &Plan<'a>,
) -> Result<Vec<(&'a ClusterInitSpec, Option<Arc<Found>>)>, Box<ConvergeFailure>> {
    let mut manifests = HashMap::new();
    let mut looked_up: Vec<(&ClusterInitSpec, Option<Arc<Found>>)> = Vec::new();
    for spec in plan.specs {
        let earlier = looked_up
            .iter()
            .find(|(other, _)| other.project == spec.project && other.spec == spec.spec);
        if let Some((other, found)) = earlier {
            // Named twice, it is still one folder and runs once, in its first place.
            let version = found.as_ref().map(|found| found.version.as_str());
            let is_same = spec.locker == other.locker
                && spec
                    .version
                    .as_deref()
                    .is_none_or(|wanted| version.is_none_or(|version| version == wanted));
            if is_same {
                continue;
            }
            return Err(conflict(spec, other, version));
        }
        let found = match find(plan, spec, &mut manifests).await {
            Ok(found) => Some(Arc::new(found)),
            Err(Problem::Locker(error)) if spec.optional && error.is_not_found() => {
                tracing::warn!(
                    "optional spec {}:{} is left out: {}",
                    spec.project,
                    spec.spec,
                    chain(&error)
                );
                None
            }
            Err(problem) => return Err(problem.failure(spec)),
        };
        looked_up.push((spec, found));
    }
    Ok(looked_up)
}

/// Two of one name would overwrite each other.
fn conflict(spec: &ClusterInitSpec, other: &ClusterInitSpec, version: Option<&str>) -> Box<ConvergeFailure> {
    let describe = |spec: &ClusterInitSpec, version: Option<&str>| {
        format!(
            "version `{}` of locker `{}`",
            version.unwrap_or("newest"),
            spec.locker
        )
    };
    let message = format!(
        "spec `{}` of project `{}` is listed twice: as {} and as {}",
        spec.spec,
        spec.project,
        describe(other, version),
        describe(spec, spec.version.as_deref())
    );
    failure::of_spec(
        spec,
        message,
        "a node has one version of a spec: correct the cluster template",
    )
}

fn log(spec: &ClusterInitSpec, outcome: &Outcome) {
    let ClusterInitSpec {
        project, spec: name, ..
    } = spec;
    let version = spec.version.as_deref().unwrap_or_default();
    match outcome {
        Outcome::Missing => {}
        Outcome::Unchanged => tracing::info!("project {project} version {version} spec {name}: unchanged"),
        Outcome::Downloaded(files) => {
            tracing::info!("project {project} version {version} spec {name}: {files} files downloaded");
        }
    }
}

async fn find(
    plan: &Plan<'_>,
    spec: &ClusterInitSpec,
    manifests: &mut HashMap<(String, String, String), Arc<Manifest>>,
) -> Result<Found, Problem> {
    check_name("project", &spec.project)?;
    check_name("spec", &spec.spec)?;
    let locker = plan.lockers.get(&spec.locker).ok_or(Problem::NoLocker)?.clone();
    let version = match &spec.version {
        Some(version) => version.clone(),
        None => locker.newest_version(&spec.project).await?,
    };
    let key = (spec.locker.clone(), spec.project.clone(), version.clone());
    let manifest = match manifests.get(&key) {
        Some(manifest) => Arc::clone(manifest),
        None => {
            let manifest = Arc::new(locker.manifest(&spec.project, &version).await?);
            manifests.insert(key, Arc::clone(&manifest));
            manifest
        }
    };
    let files = files::of_cluster_init(locker.spec_files(&manifest, &spec.spec).await?);
    let run_list = manifest.specs.get(&spec.spec);
    Ok(Found {
        run_list: run_list.map(|spec| spec.run_list.clone()).unwrap_or_default(),
        digest: files::digest(&files),
        stage: Stage::new(&plan.settings.cluster_init_root, &spec.project, &spec.spec),
        locker,
        version,
        files,
    })
}

async fn bring(found: &Found, limit: &Arc<Semaphore>, meter: &Arc<Meter>) -> Result<Outcome, Problem> {
    let stage = &found.stage;
    stage.recover()?;
    let stamp = Stamp {
        version: found.version.clone(),
        digest: found.digest.clone(),
        run_list: found.run_list.clone(),
    };
    if let Some(there) = stage.stamp()
        && there.digest.is_some()
        && there.digest == found.digest
        && files::all_there(&found.files, stage.current())
    {
        if there != stamp {
            stage.restamp(&stamp)?;
        }
        return Ok(Outcome::Unchanged);
    }
    stage.prepare()?;
    for file in &found.files {
        meter.expect(file.expected.size.unwrap_or_default());
    }
    let mut downloads = JoinSet::new();
    for file in found.files.clone() {
        let (locker, folder) = (found.locker.clone(), stage.staged().to_owned());
        let (limit, meter) = (Arc::clone(limit), Arc::clone(meter));
        downloads.spawn(async move {
            // The semaphore is never closed.
            let _turn = limit.acquire_owned().await.ok();
            let counted = meter.file();
            let watch = |transfer| counted.told(transfer);
            locker.fetch_spec_file(&file, &folder, &watch).await.map(drop)
        });
    }
    while let Some(download) = downloads.join_next().await {
        match download {
            Ok(result) => result?,
            Err(error) => return Err(Problem::Task(error)),
        }
    }
    stage.swap(&stamp)?;
    Ok(Outcome::Downloaded(found.files.len()))
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Name(#[from] protocol::IdError),
    #[error("the node configuration does not say where the locker is")]
    NoLocker,
    #[error(transparent)]
    Locker(#[from] LockerError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("a download was broken off")]
    Task(#[source] tokio::task::JoinError),
}

impl Problem {
    fn failure(&self, spec: &ClusterInitSpec) -> Box<ConvergeFailure> {
        let ClusterInitSpec { project, locker, .. } = spec;
        let (message, recommendation) = match self {
            Self::Locker(LockerError::NoProject { version, .. }) => {
                let path = match version {
                    Some(version) => manifest_path(project, version),
                    None => manifest_path(project, "*"),
                };
                (
                    format!("failed to find project `{project}` in locker `{locker}` at {path}"),
                    "upload the project with `cyclecloud project upload`, or correct its name and version in the \
                     cluster template",
                )
            }
            Self::Locker(LockerError::NoSpec { version, spec, .. }) => (
                format!("project `{project}` version `{version}` in locker `{locker}` has no spec `{spec}`"),
                "correct the name of the spec in the cluster template, or add it to the project and upload it again",
            ),
            Self::Locker(LockerError::Mismatch { .. } | LockerError::NotFound { .. }) => (
                self.sentence(project, locker),
                "upload the project again: what the locker holds is not what its manifest says",
            ),
            Self::Locker(error) if error.is_away() => (
                self.sentence(project, locker),
                "nothing is wrong with the project; the node tries again by itself",
            ),
            _ => (self.sentence(project, locker), ""),
        };
        failure::of_spec(spec, message, recommendation)
    }

    fn sentence(&self, project: &str, locker: &str) -> String {
        format!(
            "failed to download project `{project}` from locker `{locker}`: {}",
            chain(self)
        )
    }
}
