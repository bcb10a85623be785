//! Swapping a folder for a new one, so that a crash leaves the old or the new.
//!
//! A spec `P/S` is staged in `P/.S.new`. Its last file is the stamp, so a staged folder with a stamp is
//! complete. The two are exchanged in one step where the file system can; where it cannot, the old one
//! waits as `P/.S.old`, and [`Stage::recover`] puts things right after a crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::syncfs;
use serde::{Deserialize, Serialize};

/// The stamp's name, hidden from those who list the spec.
pub(crate) const STAMP: &str = ".sync.json";

/// What a spec's folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) version: String,
    /// Of all paths, sums and modes; none when the locker does not tell sums.
    pub(crate) digest: Option<String>,
    /// The recipes and roles of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) run_list: Vec<String>,
}

/// A folder that could not be staged or swapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error("cannot {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

impl StageError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// The places of one spec.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    current: PathBuf,
    new: PathBuf,
    old: PathBuf,
    project: PathBuf,
}

impl Stage {
    pub(crate) fn new(root: &Path, project: &str, spec: &str) -> Self {
        let project = root.join(project);
        Self {
            current: project.join(spec),
            // Names of specs never start with a dot.
            new: project.join(format!(".{spec}.new")),
            old: project.join(format!(".{spec}.old")),
            project,
        }
    }

    /// The folder as scripts know it.
    pub(crate) fn current(&self) -> &Path {
        &self.current
    }

    /// The folder that is being filled.
    pub(crate) fn staged(&self) -> &Path {
        &self.new
    }

    /// What the current folder holds; none when it is not there or nobody knows.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        stamp(&self.current)
    }

    /// Says of the current folder, whose files are right, where they are from now.
    pub(crate) fn restamp(&self, stamp: &Stamp) -> Result<(), StageError> {
        Ok(durable::write_json(&self.current.join(STAMP), 0o644, stamp)?)
    }

    /// Ends what a crash interrupted and removes what it left.
    pub(crate) fn recover(&self) -> Result<(), StageError> {
        if !self.current.exists() {
            let complete = stamp(&self.new).is_some();
            for from in [(&self.new, complete), (&self.old, self.old.exists())] {
                if let (from, true) = from {
                    fs::rename(from, &self.current).map_err(StageError::io("rename", from))?;
                    break;
                }
            }
        }
        remove(&self.new)?;
        remove(&self.old)
    }

    /// Makes the empty folder to fill.
    pub(crate) fn prepare(&self) -> Result<(), StageError> {
        Ok(durable::create_folder(&self.new, 0o755)?)
    }

    /// Marks the staged folder as complete and puts it in the place of the current one.
    pub(crate) fn swap(&self, stamp: &Stamp) -> Result<(), StageError> {
        // All files at once. The stamp must not be on the disk before them.
        let folder = fs::File::open(&self.new).map_err(StageError::io("read", &self.new))?;
        syncfs(folder).map_err(|error| StageError::io("write", &self.new)(error.into()))?;
        durable::write_json(&self.new.join(STAMP), 0o644, stamp)?;
        durable::failpoint::reached("staged");
        if self.current.exists() {
            let exchanged = renameat2(
                AT_FDCWD,
                &self.new,
                AT_FDCWD,
                &self.current,
                RenameFlags::RENAME_EXCHANGE,
            );
            if exchanged.is_err() {
                // The file system cannot.
                self.swap_in_two_steps()?;
            }
        } else {
            self.move_in()?;
        }
        durable::sync_folder(&self.project)?;
        durable::failpoint::reached("swapped");
        remove(&self.new)?;
        remove(&self.old)
    }

    fn swap_in_two_steps(&self) -> Result<(), StageError> {
        fs::rename(&self.current, &self.old).map_err(StageError::io("rename", &self.current))?;
        self.move_in()
    }

    fn move_in(&self) -> Result<(), StageError> {
        fs::rename(&self.new, &self.current).map_err(StageError::io("rename", &self.new))
    }
}

fn stamp(folder: &Path) -> Option<Stamp> {
    // One that cannot be read or understood is as good as none: the spec is downloaded again.
    durable::read_json(&folder.join(STAMP)).ok().flatten()
}

fn remove(folder: &Path) -> Result<(), StageError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StageError::io("remove", folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(stage: &Stage) -> Option<String> {
        fs::read_to_string(stage.current().join("x")).ok()
    }

    fn fill(folder: &Path, text: &str, complete: bool) {
        fs::create_dir_all(folder).unwrap();
        durable::write(&folder.join("x"), 0o644, text.as_bytes()).unwrap();
        if complete {
            durable::write_json(&folder.join(STAMP), 0o644, &sample()).unwrap();
        }
    }

    fn sample() -> Stamp {
        Stamp {
            version: "1".to_owned(),
            digest: None,
            run_list: Vec::new(),
        }
    }

    #[test]
    fn a_swap_leaves_the_new_folder_alone() {
        let root = tempfile::tempdir().unwrap();
        let stage = Stage::new(root.path(), "p", "s");
        for text in ["one", "two"] {
            stage.recover().unwrap();
            stage.prepare().unwrap();
            fill(stage.staged(), text, false);
            stage.swap(&sample()).unwrap();
            assert_eq!(content(&stage).as_deref(), Some(text));
            assert_eq!(fs::read_dir(root.path().join("p")).unwrap().count(), 1);
        }
        assert_eq!(stage.stamp(), Some(sample()));
    }

    #[test]
    fn every_instant_of_a_swap_in_two_steps_is_recovered() {
        // (current, staged, staged is complete, old) as a crash left them, and what is right after.
        for (current, new, complete, old, expected) in [
            (None, Some("new"), false, None, None),
            (None, Some("new"), true, None, Some("new")),
            (Some("old"), Some("new"), false, None, Some("old")),
            (Some("old"), Some("new"), true, None, Some("old")),
            (None, Some("new"), true, Some("old"), Some("new")),
            (None, None, false, Some("old"), Some("old")),
            (Some("new"), None, false, Some("old"), Some("new")),
        ] {
            let root = tempfile::tempdir().unwrap();
            let stage = Stage::new(root.path(), "p", "s");
            for (folder, text) in [(&stage.current, current), (&stage.new, new), (&stage.old, old)] {
                if let Some(text) = text {
                    fill(folder, text, complete && folder == &stage.new);
                }
            }
            stage.recover().unwrap();
            assert_eq!(content(&stage).as_deref(), expected);
            assert!(!stage.new.exists() && !stage.old.exists());
        }
    }

    #[test]
    fn the_swap_in_two_steps_works_too() {
        let root = tempfile::tempdir().unwrap();
        let stage = Stage::new(root.path(), "p", "s");
        fill(&stage.current, "old", true);
        fill(&stage.new, "new", true);
        stage.swap_in_two_steps().unwrap();
        assert_eq!(content(&stage).as_deref(), Some("new"));
    }
}
