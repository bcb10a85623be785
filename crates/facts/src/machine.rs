//! The machine that is looked at.

use std::fs;
use std::path::{Path, PathBuf};

/// A machine as its files below a root: this one, or the recorded files of another.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
    live: bool,
}

impl Machine {
    /// The machine on which the program runs.
    pub fn this() -> Self {
        Self {
            root: PathBuf::from("/"),
            live: true,
        }
    }

    /// A machine of which there are only files, for instance a root that was made for a container. What only the
    /// running kernel knows is not among its facts.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            live: false,
        }
    }

    /// Whether the running kernel may be asked.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Where a file of the machine is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file; none when it cannot be read. Bytes that are not UTF-8 are replaced.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    /// The text of a file of one value, without the white space around it.
    pub(crate) fn read_value(&self, path: &str) -> Option<String> {
        self.read(path).map(|text| text.trim().to_owned())
    }

    /// Whether there is anything at a path.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Names of what is in a folder, sorted; none when it cannot be read.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.path(path)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = folder
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Where a symbolic link points to, as written in it.
    pub(crate) fn link(&self, path: &str) -> Option<PathBuf> {
        fs::read_link(self.path(path)).ok()
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
