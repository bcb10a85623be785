//! The files of a project on its author's machine.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::path;
use crate::project::BuildError;

/// Folders and files that version control and desktops leave behind.
const LITTER: [&str; 4] = [".git", ".svn", ".hg", ".DS_Store"];

/// One file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Path below the folder that was searched.
    pub(super) path: String,
    /// Where to read it.
    pub(super) source: PathBuf,
    pub(super) executable: bool,
}

/// All files below `folder`, sorted by path; none when it does not exist. Links are followed as long as
/// they stay within `project`, a canonical path.
pub(super) fn walk(folder: &Path, project: &Path) -> Result<Vec<Found>, BuildError> {
    let mut walk = Walk {
        project,
        above: Vec::new(),
        found: Vec::new(),
    };
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => walk.folder(folder, "")?,
    }
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.found)
}

struct Walk<'a> {
    project: &'a Path,
    /// Canonical paths of the folders that we are in: a link to one of them never ends.
    above: Vec<PathBuf>,
    found: Vec<Found>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), BuildError> {
        let real = self.resolve(folder)?;
        if self.above.contains(&real) {
            return Err(BuildError::Loop {
                path: folder.to_owned(),
            });
        }
        self.above.push(real);
        for entry in fs::read_dir(folder).map_err(BuildError::io("read", folder))? {
            let entry = entry.map_err(BuildError::io("read", folder))?;
            let source = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                return Err(BuildError::Name { path: source });
            };
            if LITTER.contains(&name.as_str()) {
                continue;
            }
            let path = match prefix {
                "" => name,
                prefix => format!("{prefix}/{name}"),
            };
            path::check(&path)?;
            self.resolve(&source)?;
            let metadata = fs::metadata(&source).map_err(BuildError::io("read", &source))?;
            if metadata.is_dir() {
                self.folder(&source, &path)?;
            } else if metadata.is_file() {
                let executable = metadata.permissions().mode() & 0o111 != 0;
                self.found.push(Found {
                    path,
                    source,
                    executable,
                });
            } else {
                return Err(BuildError::Special { path: source });
            }
        }
        self.above.pop();
        Ok(())
    }

    /// Where it really is: always within the project.
    fn resolve(&self, path: &Path) -> Result<PathBuf, BuildError> {
        let real = path.canonicalize().map_err(BuildError::io("read", path))?;
        if real.starts_with(self.project) {
            return Ok(real);
        }
        Err(BuildError::Escapes {
            path: path.to_owned(),
            target: real,
        })
    }
}
