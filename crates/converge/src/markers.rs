//! Which scripts succeeded.
//!
//! A marker stands beside the cluster-init tree, `.run/P/S/scripts/NAME.run`, where people find and delete
//! it to have a script run again; a copy stands in the home. The tree often is on a disk that is lost
//! when the machine is moved, and the home may come with an image of another machine, so the two are tied
//! together by an id and to the machine:
//!
//! | beside the tree | in the home | the markers |
//! |---|---|---|
//! | id | the same id, this machine | beside the tree count: one that was deleted is gone |
//! | nothing | id, this machine | the tree was lost: the copies are put back |
//! | id | another id, another machine or nothing | are of another life: they are removed |

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use durable::Recovered;
use jiff::Timestamp;
use node::home::Home;
use node::identity::Machine;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Script;

const VERSION: u32 = 1;
const MARKERS: &str = ".run";
/// The tie at home.
const TIE: &str = "tree.json";

/// The markers cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MarkerError {
    #[error(transparent)]
    Durable(#[from] durable::Error),
    #[error("cannot {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl MarkerError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// What ties tree and home together.
#[derive(Debug, Serialize, Deserialize)]
struct Tie {
    version: u32,
    id: Uuid,
    machine: Machine,
}

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    version: u32,
    sha256: String,
    finished: Timestamp,
    exit_code: i32,
    machine: Machine,
}

/// Where the markers of a cluster-init tree are.
pub(crate) fn beside(root: &Path) -> PathBuf {
    root.join(MARKERS)
}

/// The markers of one cluster-init tree.
#[derive(Debug)]
pub(crate) struct Markers {
    beside: PathBuf,
    copies: PathBuf,
    machine: Machine,
}

impl Markers {
    /// Finds out which markers to believe, and puts the others right.
    pub(crate) fn open(root: &Path, home: &Home, machine: &Machine) -> Result<Self, MarkerError> {
        let markers = Self {
            beside: beside(root),
            copies: home.markers(),
            machine: machine.clone(),
        };
        durable::create_folder(root, 0o755)?;
        durable::create_folder(&markers.beside, 0o755)?;
        durable::create_folder(&markers.copies, 0o750)?;
        let (tie_beside, at_home) = (Home::tree_tie(root), markers.copies.join(TIE));
        let tree = read_tie(&tie_beside)?;
        let known = read_tie(&at_home)?.filter(|tie| !tie.machine.is_other_than(machine));
        match (tree, known) {
            (Some(tree), Some(known)) if tree.id == known.id => {}
            (None, Some(known)) => {
                tracing::info!("the cluster-init tree is new; markers of scripts are put back");
                copy_all(&markers.copies, &markers.beside)?;
                durable::write_json(&tie_beside, 0o644, &known)?;
            }
            (tree, _) => {
                if tree.is_some() || at_home.exists() {
                    tracing::warn!("the markers of scripts are those of another machine and are removed");
                    clear(&markers.beside, 0o755)?;
                }
                clear(&markers.copies, 0o750)?;
                let tie = Tie {
                    version: VERSION,
                    id: Uuid::new_v4(),
                    machine: machine.clone(),
                };
                durable::write_json(&at_home, 0o640, &tie)?;
                durable::write_json(&tie_beside, 0o644, &tie)?;
            }
        }
        Ok(markers)
    }

    /// Whether the script with this content succeeded.
    pub(crate) fn has(&self, script: &Script, sha256: &str) -> Result<bool, MarkerError> {
        let (path, copy) = self.paths(script);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Deleted to have the script run again: it must not come back from the home.
                durable::remove(&copy)?;
                return Ok(false);
            }
            Err(error) => return Err(MarkerError::io("read", &path)(error)),
        };
        // Made by hand, to keep a script from running.
        if text.trim_ascii().is_empty() {
            return Ok(true);
        }
        let valid = self.counts(&text, sha256);
        // The copy is not flushed to the disk when it is made.
        if valid && fs::read(&copy).ok().as_ref() != Some(&text) {
            write(&copy, 0o640, 0o750, &text)?;
        }
        Ok(valid)
    }

    /// What [`Markers::has`] would say after [`Markers::open`], without putting anything right.
    pub(crate) fn peek(
        root: &Path,
        home: &Home,
        machine: &Machine,
        script: &Script,
        sha256: Option<&str>,
    ) -> Result<bool, MarkerError> {
        let markers = Self {
            beside: beside(root),
            copies: home.markers(),
            machine: machine.clone(),
        };
        let tree: Option<Tie> = durable::read_json(&Home::tree_tie(root)).unwrap_or_default();
        let known: Option<Tie> = durable::read_json(&markers.copies.join(TIE)).unwrap_or_default();
        let (path, copy) = markers.paths(script);
        let path = match (tree, known.filter(|tie| !tie.machine.is_other_than(machine))) {
            (Some(tree), Some(known)) if tree.id == known.id => path,
            (None, Some(_)) => copy,
            _ => return Ok(false),
        };
        match (fs::read(&path), sha256) {
            (Ok(text), _) if text.trim_ascii().is_empty() => Ok(path.starts_with(root)),
            (Ok(text), Some(sha256)) => Ok(markers.counts(&text, sha256)),
            // What is in the locker is not known before it is downloaded.
            (Ok(_), None) => Ok(false),
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            (Err(error), _) => Err(MarkerError::io("read", &path)(error)),
        }
    }

    fn counts(&self, text: &[u8], sha256: &str) -> bool {
        serde_json::from_slice(text).is_ok_and(|marker: Marker| {
            marker.sha256.eq_ignore_ascii_case(sha256) && !marker.machine.is_other_than(&self.machine)
        })
    }

    /// Marks a script as succeeded, for everybody but a power cut: the file that is returned has yet to be flushed. Scripts
    /// do not wait for that, see [`Markers::forget_unflushed`].
    pub(crate) fn set(&self, script: &Script, sha256: &str, now: Timestamp) -> Result<PathBuf, MarkerError> {
        let marker = Marker {
            version: VERSION,
            sha256: sha256.to_owned(),
            finished: now,
            exit_code: 0,
            machine: self.machine.clone(),
        };
        let (path, copy) = self.paths(script);
        let mut text = serde_json::to_vec_pretty(&marker)
            .map_err(|error| MarkerError::io("write", &path)(error.into()))?;
        text.push(b'\n');
        // The one that counts first. The copy is put right by `has` if it is lost.
        for (path, mode, folder_mode) in [(&path, 0o644, 0o755), (&copy, 0o640, 0o750)] {
            if let Some(folder) = path.parent() {
                durable::create_folder(folder, folder_mode)?;
            }
            durable::write_unflushed(path, mode, &text)?;
            durable::failpoint::reached("marked");
        }
        Ok(path)
    }

    /// Removes markers that a power cut has emptied: those that were made after `since`, when the converge began that it has
    /// interrupted. They would be taken for some that were made by hand.
    pub(crate) fn forget_unflushed(&self, since: Timestamp) -> Result<(), MarkerError> {
        let since = Duration::from_millis(since.as_millisecond().try_into().unwrap_or_default());
        for folder in [&self.beside, &self.copies] {
            remove_empty(folder, SystemTime::UNIX_EPOCH + since)?;
        }
        Ok(())
    }

    /// Forgets that scripts succeeded. The disk is waited for once.
    pub(crate) fn remove<'a>(
        &self,
        scripts: impl IntoIterator<Item = &'a Script>,
    ) -> Result<(), MarkerError> {
        let mut folders = BTreeSet::new();
        for script in scripts {
            let (path, copy) = self.paths(script);
            for path in [path, copy] {
                match fs::remove_file(&path) {
                    Ok(()) => folders.extend(path.parent().map(Path::to_owned)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(MarkerError::io("remove", &path)(error)),
                }
            }
        }
        for folder in folders {
            durable::sync_folder(&folder)?;
        }
        Ok(())
    }

    fn paths(&self, script: &Script) -> (PathBuf, PathBuf) {
        let below = |folder: &Path| {
            let mut path = folder.to_owned();
            path.extend([&script.project, &script.spec, script.folder.as_str()]);
            path.join(format!("{}.run", script.name))
        };
        (below(&self.beside), below(&self.copies))
    }
}

fn read_tie(path: &Path) -> Result<Option<Tie>, MarkerError> {
    Ok(match durable::recover_json(path)? {
        Recovered::Read(tie) => Some(tie),
        Recovered::Absent | Recovered::MovedAside { .. } => None,
    })
}

fn write(path: &Path, mode: u32, folder_mode: u32, text: &[u8]) -> Result<(), MarkerError> {
    if let Some(folder) = path.parent() {
        durable::create_folder(folder, folder_mode)?;
    }
    Ok(durable::write(path, mode, text)?)
}

fn clear(folder: &Path, mode: u32) -> Result<(), MarkerError> {
    fs::remove_dir_all(folder).map_err(MarkerError::io("remove", folder))?;
    Ok(durable::create_folder(folder, mode)?)
}

fn remove_empty(folder: &Path, since: SystemTime) -> Result<(), MarkerError> {
    for entry in fs::read_dir(folder).map_err(MarkerError::io("read", folder))? {
        let path = entry.map_err(MarkerError::io("read", folder))?.path();
        let metadata = fs::symlink_metadata(&path).map_err(MarkerError::io("read", &path))?;
        if metadata.is_dir() {
            remove_empty(&path, since)?;
        } else if metadata.len() == 0 && metadata.modified().is_ok_and(|modified| modified >= since) {
            tracing::warn!(
                "`{}` is empty since a power cut and does not count",
                path.display()
            );
            durable::remove(&path)?;
        }
    }
    Ok(())
}

/// Copies all markers of a folder and those below it.
fn copy_all(from: &Path, to: &Path) -> Result<(), MarkerError> {
    for entry in fs::read_dir(from).map_err(MarkerError::io("read", from))? {
        let path = entry.map_err(MarkerError::io("read", from))?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy_all(&path, &to.join(name))?;
        } else if path.extension().is_some_and(|ending| ending == "run") {
            let text = fs::read(&path).map_err(MarkerError::io("read", &path))?;
            if text.trim_ascii().is_empty() {
                // Power failed before it was on the disk. Beside the tree it would count for any content.
                continue;
            }
            write(&to.join(name), 0o644, 0o755, &text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        folder: tempfile::TempDir,
        home: Home,
    }

    impl Case {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let home = Home::at(folder.path().join("jetpack"));
            home.create().unwrap();
            Self { folder, home }
        }

        fn root(&self) -> PathBuf {
            self.folder.path().join("cluster-init")
        }

        fn open(&self, machine: &str) -> Markers {
            Markers::open(&self.root(), &self.home, &Machine::named(machine)).unwrap()
        }

        fn marker(&self) -> PathBuf {
            self.root().join(".run/p/s/scripts/1.sh.run")
        }
    }

    fn script() -> Script {
        Script {
            project: "p".to_owned(),
            version: None,
            spec: "s".to_owned(),
            folder: crate::Folder::Scripts,
            name: "1.sh".to_owned(),
            path: PathBuf::new(),
        }
    }

    #[test]
    fn a_marker_holds_for_its_content_until_it_is_deleted() {
        let case = Case::new();
        let markers = case.open("m");
        assert!(!markers.has(&script(), "aa").unwrap());
        markers.set(&script(), "aa", Timestamp::UNIX_EPOCH).unwrap();
        assert!(case.open("m").has(&script(), "aa").unwrap());
        assert!(!markers.has(&script(), "bb").unwrap());
        fs::remove_file(case.marker()).unwrap();
        assert!(!case.open("m").has(&script(), "aa").unwrap());
        // Nor does it come back with a new tree.
        fs::remove_dir_all(case.root()).unwrap();
        assert!(!case.open("m").has(&script(), "aa").unwrap());
    }

    #[test]
    fn markers_survive_the_loss_of_the_tree() {
        let case = Case::new();
        case.open("m")
            .set(&script(), "aa", Timestamp::UNIX_EPOCH)
            .unwrap();
        fs::remove_dir_all(case.root()).unwrap();
        assert!(case.open("m").has(&script(), "aa").unwrap());
        assert!(case.marker().exists());
    }

    #[test]
    fn markers_of_another_machine_or_another_home_do_not_count() {
        let case = Case::new();
        case.open("m")
            .set(&script(), "aa", Timestamp::UNIX_EPOCH)
            .unwrap();
        assert!(!case.open("clone").has(&script(), "aa").unwrap());

        case.open("clone")
            .set(&script(), "aa", Timestamp::UNIX_EPOCH)
            .unwrap();
        fs::remove_dir_all(case.home.run()).unwrap();
        fs::create_dir(case.home.run()).unwrap();
        assert!(!case.open("clone").has(&script(), "aa").unwrap());
    }

    #[test]
    fn a_marker_made_by_hand_keeps_a_script_from_running() {
        let case = Case::new();
        let markers = case.open("m");
        write(&case.marker(), 0o644, 0o755, b"\n").unwrap();
        assert!(markers.has(&script(), "aa").unwrap());
        write(&case.marker(), 0o644, 0o755, b"{\"half").unwrap();
        assert!(!markers.has(&script(), "aa").unwrap());
    }

    #[test]
    fn removing_all_markers_at_once_makes_all_scripts_run_again() {
        let case = Case::new();
        case.open("m")
            .set(&script(), "aa", Timestamp::UNIX_EPOCH)
            .unwrap();
        fs::remove_dir_all(case.root().join(".run")).unwrap();
        assert!(!case.open("m").has(&script(), "aa").unwrap());
    }
}
