//! `manifest.json`: what one version of a project consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Checksum, PathError, path};

/// What one version of a project consists of. Uploaded after everything that it names.
///
/// Manifests that other tools wrote are read too: they have no sizes, no SHA-256 and no lists of
/// files, and name specs only when these have a run list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the project.
    pub name: String,
    /// `application`, `scheduler`, or what the author wrote.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Version of the project.
    pub version: String,
    /// Blobs of the project, in the order of `project.ini`.
    #[serde(default)]
    pub blobs: Vec<BlobEntry>,
    /// The specs by name.
    #[serde(default)]
    pub specs: BTreeMap<String, SpecEntry>,
}

/// One blob of a [`Manifest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobEntry {
    /// Path below `projects/P/blobs/`.
    pub path: String,
    /// MD5, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// One spec of a [`Manifest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecEntry {
    /// Chef run list.
    #[serde(default)]
    pub run_list: Vec<String>,
    /// Files of the spec, sorted by path; none in manifests of other tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileEntry>>,
}

/// One file of a spec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the spec's folder, for instance `cluster-init/scripts/010-x.sh`.
    pub path: String,
    /// Hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Whether the author's file was executable.
    #[serde(default)]
    pub executable: bool,
}

impl BlobEntry {
    /// What is known of the content.
    pub fn expected(&self) -> Checksum {
        Checksum {
            size: self.size,
            sha256: self.sha256.clone(),
            md5: self.checksum.clone(),
        }
    }
}

impl FileEntry {
    /// What is known of the content.
    pub fn expected(&self) -> Checksum {
        Checksum {
            size: Some(self.size),
            sha256: Some(self.sha256.clone()),
            md5: None,
        }
    }
}

impl Manifest {
    /// The blob of this path.
    pub fn blob(&self, path: &str) -> Option<&BlobEntry> {
        self.blobs.iter().find(|blob| blob.path == path)
    }

    /// Checks every path, so that nobody who uses the manifest has to.
    pub(crate) fn check_paths(&self) -> Result<(), PathError> {
        for blob in &self.blobs {
            path::check(&blob.path)?;
        }
        for (name, spec) in &self.specs {
            path::check(name)?;
            if name.contains('/') {
                return Err(PathError::new(name, "is no name of a spec"));
            }
            for file in spec.files.iter().flatten() {
                path::check(&file.path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_public_form_is_read() {
        let manifest: Manifest = serde_json::from_value(json!({
            "name": "slurm", "type": "scheduler", "version": "2.5.0",
            "blobs": [{"path": "a.rpm", "checksum": "00"}],
            "specs": {"default": {"run_list": ["recipe[slurm]"]}}, "future": 1
        }))
        .unwrap();
        assert_eq!(manifest.specs["default"].files, None);
        assert_eq!(
            manifest.blob("a.rpm").unwrap().expected().md5.as_deref(),
            Some("00")
        );
        manifest.check_paths().unwrap();
    }

    #[test]
    fn paths_that_leave_their_folder_are_found_wherever_they_are() {
        for text in [
            json!({"name": "p", "version": "1", "blobs": [{"path": "../x"}]}),
            json!({"name": "p", "version": "1", "specs": {"../s": {}}}),
            json!({"name": "p", "version": "1", "specs": {"a/b": {}}}),
            json!({"name": "p", "version": "1", "specs": {"s": {"files": [{"path": "/etc/x", "sha256": "", "size": 0}]}}}),
        ] {
            let manifest: Manifest = serde_json::from_value(text).unwrap();
            manifest.check_paths().unwrap_err();
        }
    }
}
