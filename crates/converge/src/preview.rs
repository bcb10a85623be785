//! What a converge would do. Nothing is changed for it, and nothing is downloaded but manifests.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use locker::project::SpecFile;
use protocol::{ClusterInitSpec, ConvergeFailure};

use crate::markers::Markers;
use crate::script::{Kind, sum};
use crate::stage::STAMP;
use crate::steps::Candidate;
use crate::sync::Found;
use crate::{Plan, Script, SkipReason, Wanted, failure, files, recipes, steps, sync};

/// What a converge would do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The specs in their order; none when no projects would be downloaded.
    pub specs: Vec<SpecPreview>,
    /// The recipes that would be run, with the folders for them as they are on this machine.
    pub recipes: Option<Wanted>,
    /// The scripts in the order in which they run.
    pub scripts: Vec<ScriptPreview>,
}

/// What would become of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecPreview {
    /// The spec, with the version that would be taken.
    pub spec: ClusterInitSpec,
    /// What would become of it.
    pub change: SpecChange,
}

/// What would become of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecChange {
    /// It is optional and not in its locker.
    Missing,
    /// It is here as it is in its locker.
    Unchanged,
    /// It is not here yet, and has this many files.
    New(usize),
    /// These files would change, sorted by path. None when only the locker knows what it holds.
    Changed(Vec<FileChange>),
}

/// A file that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Path below the spec's folder.
    pub path: String,
    /// How.
    pub kind: ChangeKind,
}

/// How a file would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It has another content or mode.
    Changed,
    /// It is gone.
    Removed,
}

/// What would become of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptPreview {
    /// The script.
    pub script: Script,
    /// Why it would not be run.
    pub skip: Option<SkipReason>,
}

impl Preview {
    /// Whether the projects on this machine are those that would be there after the downloads.
    pub fn is_on_machine(&self) -> bool {
        let there = |spec: &SpecPreview| matches!(spec.change, SpecChange::Unchanged | SpecChange::Missing);
        self.specs.iter().all(there)
    }
}

impl Plan<'_> {
    /// Says what [`crate::Session::run`] would do now.
    ///
    /// # Errors
    /// What would make the converge fail before its first script, in the words of that failure.
    pub async fn preview(&self) -> Result<Preview, Box<ConvergeFailure>> {
        let root = &self.settings.cluster_init_root;
        if !self.options.sync {
            let steps = steps::on_machine(root, self.specs)?;
            let steps = steps.into_iter().map(|step| {
                let sum = step.script.sha256().ok();
                let skip = step.skip.or(not_executable(&step.script));
                (step.script, skip, sum)
            });
            return Ok(Preview {
                specs: Vec::new(),
                recipes: match self.options.recipes {
                    true => {
                        let run_list = sync::run_list_on_machine(root, self.specs);
                        recipes::wanted(self, run_list.iter().map(String::as_str), self.specs)?
                    }
                    false => None,
                },
                scripts: self.scripts(steps.collect())?,
            });
        }
        let looked_up = sync::look_up(self).await?;
        let run_list = looked_up.iter().filter_map(|(_, found)| found.as_ref());
        let run_list = run_list.flat_map(|found| found.run_list.iter().map(String::as_str));
        let recipes = recipes::wanted(self, run_list, self.specs)?;
        let mut specs = Vec::new();
        for (spec, found) in &looked_up {
            let mut spec = (*spec).clone();
            let change = match found {
                Some(found) => {
                    spec.version = Some(found.version.clone());
                    let folder = root.join(&spec.project).join(&spec.spec);
                    change(found, &folder).map_err(|error| failure::of_machine(&error))?
                }
                None => SpecChange::Missing,
            };
            specs.push(SpecPreview { spec, change });
        }
        let candidates = specs.iter().zip(&looked_up).filter_map(|(preview, (_, found))| {
            let files = &found.as_ref()?.files;
            Some((&preview.spec, candidates(root, &preview.spec, files)))
        });
        let candidates: Vec<(&ClusterInitSpec, Vec<Candidate>)> = candidates.collect();
        let sums: Vec<Candidate> = candidates.iter().flat_map(|(_, all)| all.clone()).collect();
        let steps = steps::arrange(candidates)?.into_iter().map(|step| {
            let sum = sums.iter().find(|(script, _)| *script == step.script);
            (
                step.script.clone(),
                step.skip,
                sum.and_then(|(_, sum)| sum.clone()),
            )
        });
        let scripts = self.scripts(steps.collect())?;
        Ok(Preview {
            specs,
            recipes,
            scripts,
        })
    }

    fn scripts(
        &self,
        steps: Vec<(Script, Option<SkipReason>, Option<String>)>,
    ) -> Result<Vec<ScriptPreview>, Box<ConvergeFailure>> {
        let previews = steps.into_iter().map(|(script, skip, sum)| {
            let succeeded = !self.options.rerun_scripts
                && Markers::peek(
                    &self.settings.cluster_init_root,
                    self.home,
                    self.machine,
                    &script,
                    sum.as_deref(),
                )
                .map_err(|error| failure::of_machine(&error))?;
            let skip = skip.or(succeeded.then_some(SkipReason::Succeeded));
            Ok(ScriptPreview { script, skip })
        });
        previews.collect()
    }
}

fn not_executable(script: &Script) -> Option<SkipReason> {
    let executable = script.is_executable().unwrap_or(true);
    (!executable && !script.is_for_windows()).then_some(SkipReason::NotExecutable)
}

/// The scripts among the files of a spec in its locker.
fn candidates(root: &Path, spec: &ClusterInitSpec, files: &[SpecFile]) -> Vec<Candidate> {
    let scripts = files.iter().filter(|file| match Kind::of(&file.path) {
        Kind::Ignored => false,
        Kind::Runs | Kind::Windows => true,
        Kind::RunsIfExecutable => file.executable,
    });
    scripts
        .filter_map(|file| Some((Script::at(root, spec, &file.path)?, file.expected.sha256.clone())))
        .collect()
}

fn change(found: &Found, folder: &Path) -> io::Result<SpecChange> {
    if !folder.exists() {
        return Ok(SpecChange::New(found.files.len()));
    }
    let here = found.stage.stamp();
    if here.is_some_and(|here| here.digest.is_some() && here.digest == found.digest)
        && files::all_there(&found.files, folder)
    {
        return Ok(SpecChange::Unchanged);
    }
    let mut changes = Vec::new();
    let mut wanted = BTreeSet::from([STAMP.to_owned()]);
    for file in &found.files {
        let path = folder.join(&file.path);
        wanted.insert(file.path.clone());
        let kind = if !path.exists() {
            ChangeKind::Added
        } else if file.expected.sha256.as_deref() == Some(sum(&path)?.as_str()) {
            continue;
        } else {
            ChangeKind::Changed
        };
        changes.push(FileChange {
            path: file.path.clone(),
            kind,
        });
    }
    removed(folder, "", &wanted, &mut changes)?;
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(SpecChange::Changed(changes))
}

fn removed(
    folder: &Path,
    prefix: &str,
    wanted: &BTreeSet<String>,
    changes: &mut Vec<FileChange>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            removed(&entry.path(), &format!("{path}/"), wanted, changes)?;
        } else if !wanted.contains(&path) {
            changes.push(FileChange {
                path,
                kind: ChangeKind::Removed,
            });
        }
    }
    Ok(())
}
