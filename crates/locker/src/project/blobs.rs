//! The blobs of a project on its author's machine: downloading those that others have uploaded.

use std::fs;
use std::io;
use std::path::Path;

use crate::project::build::matching;
use crate::project::files::Found;
use crate::project::{BlobEntry, BuildError, Manifest, ProjectIni, project_blob_path};
use crate::store::blocking;
use crate::{Error, Locker, Transfer, path};

/// Blobs could not be downloaded. Those before are in place.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The locker failed, or a file could not be written.
    #[error(transparent)]
    Locker(#[from] Error),
    /// A list of blobs that makes no sense, or a file that cannot be read.
    #[error(transparent)]
    Project(#[from] BuildError),
    /// The project lists blobs that nobody has uploaded.
    #[error(
        "version `{version}` of the project `{project}` has no blobs {} in the locker `{locker}`",
        .missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    )]
    Missing {
        /// The locker.
        locker: String,
        /// Name of the project.
        project: String,
        /// The version that was looked at.
        version: String,
        /// As they are listed.
        missing: Vec<String>,
    },
}

/// What became of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Path below `blobs/`.
    pub path: String,
    /// Bytes that came; none when the file was there already.
    pub bytes: Option<u64>,
}

/// Downloads the blobs that `project.ini` lists into `PROJECT/blobs`, as `manifest` names them. Files that are the
/// same already stay. `watch` learns how far each one is, `done` what became of it.
///
/// # Errors
/// [`DownloadError`]; nothing is downloaded when a blob that is listed is missing.
pub async fn download_blobs(
    locker: &Locker,
    project: &Path,
    ini: &ProjectIni,
    manifest: &Manifest,
    watch: &(dyn Fn(&str, Transfer) + Sync),
    done: &(dyn Fn(Downloaded) + Sync),
) -> Result<(), DownloadError> {
    let mut wanted: Vec<&BlobEntry> = Vec::new();
    let mut missing = Vec::new();
    for pattern in &ini.blobs {
        let found = matching(pattern, &manifest.blobs, |blob| &blob.path)?;
        if found.is_empty() {
            missing.push(pattern.clone());
        }
        for blob in found {
            if !wanted.contains(&blob) {
                wanted.push(blob);
            }
        }
    }
    if !missing.is_empty() {
        return Err(DownloadError::Missing {
            locker: locker.url().to_owned(),
            project: manifest.name.clone(),
            version: manifest.version.clone(),
            missing,
        });
    }
    for blob in wanted {
        let dest = path::join(&project.join("blobs"), &blob.path).map_err(Error::from)?;
        let bytes = match is_same(&dest, blob).await? {
            true => None,
            false => {
                if let Some(folder) = dest.parent() {
                    durable::create_folder(folder, 0o755).map_err(Error::from)?;
                }
                let source = project_blob_path(&manifest.name, &blob.path);
                let digests = locker
                    .fetch_watched(&source, &dest, 0o644, &blob.expected(), &|transfer| {
                        watch(&blob.path, transfer);
                    })
                    .await?;
                Some(digests.size)
            }
        };
        done(Downloaded {
            path: blob.path.clone(),
            bytes,
        });
    }
    Ok(())
}

/// Whether the file is what the manifest says.
async fn is_same(dest: &Path, blob: &BlobEntry) -> Result<bool, DownloadError> {
    let found = match fs::symlink_metadata(dest) {
        Ok(metadata) if metadata.is_file() && blob.size.is_none_or(|size| size == metadata.len()) => Found {
            path: blob.path.clone(),
            source: dest.to_owned(),
            executable: false,
        },
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("read", dest)(error).into()),
    };
    let summed = blocking(move || Ok(super::build::sum_blob(&found))).await??;
    let is_known = blob.sha256.is_some() || blob.checksum.is_some();
    let same = |expected: &Option<String>, actual: &Option<String>| {
        expected.is_none()
            || expected.as_deref().map(str::to_ascii_lowercase)
                == actual.as_deref().map(str::to_ascii_lowercase)
    };
    Ok(is_known && same(&blob.sha256, &summed.sha256) && same(&blob.checksum, &summed.checksum))
}
