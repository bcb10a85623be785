//! Projects as they lie in a locker: what nodes and servers ask for.

use std::path::Path;

use crate::download::{Target, Watch};
use crate::path;
use crate::project::{Manifest, compare_versions};
use crate::{Checksum, Digests, Error, Locker, PathError};

/// Most bytes of a manifest.
const MAX_MANIFEST: u64 = 32 << 20;

/// One file of a spec, to be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFile {
    /// Path below the spec's folder, for instance `cluster-init/scripts/010-x.sh`.
    pub path: String,
    /// Path in the locker.
    pub source: String,
    /// What is known of the content.
    pub expected: Checksum,
    /// Whether the author's file was executable; unknown counts as executable for scripts.
    pub executable: bool,
}

/// `projects/PROJECT/VERSION/manifest.json`
pub fn manifest_path(project: &str, version: &str) -> String {
    format!("projects/{project}/{version}/manifest.json")
}

/// `projects/PROJECT/VERSION/SPEC`
pub fn spec_path(project: &str, version: &str, spec: &str) -> String {
    format!("projects/{project}/{version}/{spec}")
}

/// `projects/PROJECT/blobs/FILE`
pub fn project_blob_path(project: &str, file: &str) -> String {
    format!("projects/{project}/blobs/{file}")
}

/// `blobs/PROJECT/FILE`
pub fn user_blob_path(project: &str, file: &str) -> String {
    format!("blobs/{project}/{file}")
}

impl Locker {
    /// The manifest of one version of a project. All its paths are checked.
    ///
    /// # Errors
    /// [`Error::NoProject`] when it is not there, [`Error::Invalid`] when it is not a manifest, and the
    /// other errors of the locker.
    pub async fn manifest(&self, project: &str, version: &str) -> Result<Manifest, Error> {
        check_step(project)?;
        check_step(version)?;
        let path = manifest_path(project, version);
        let bytes = match self.get_bytes(&path, MAX_MANIFEST).await {
            Ok(bytes) => bytes,
            Err(Error::NotFound { locker, path }) => {
                return Err(Error::NoProject {
                    locker,
                    project: project.to_owned(),
                    version: Some(version.to_owned()),
                    path,
                });
            }
            Err(error) => return Err(error),
        };
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|source| Error::Invalid {
            locker: self.url().to_owned(),
            path: path.clone(),
            source: Box::new(source),
        })?;
        manifest.check_paths().map_err(|source| Error::Invalid {
            locker: self.url().to_owned(),
            path,
            source: Box::new(source),
        })?;
        Ok(manifest)
    }

    /// The versions of a project that have a manifest, oldest first. None when there is no such project.
    ///
    /// # Errors
    /// The errors of the locker.
    pub async fn versions(&self, project: &str) -> Result<Vec<String>, Error> {
        check_step(project)?;
        let folder = format!("projects/{project}/");
        let entries = self.list(&folder).await?;
        let mut versions: Vec<String> = entries
            .iter()
            .filter_map(|entry| {
                let version = entry.path.strip_prefix(&folder)?.strip_suffix("/manifest.json")?;
                (!version.contains('/') && version != "blobs").then(|| version.to_owned())
            })
            .collect();
        versions.sort_by(|a, b| compare_versions(a, b));
        Ok(versions)
    }

    /// The newest version of a project.
    ///
    /// # Errors
    /// [`Error::NoProject`] when there is none, and the errors of the locker.
    pub async fn newest_version(&self, project: &str) -> Result<String, Error> {
        self.versions(project)
            .await?
            .pop()
            .ok_or_else(|| Error::NoProject {
                locker: self.url().to_owned(),
                project: project.to_owned(),
                version: None,
                path: format!("projects/{project}"),
            })
    }

    /// The files of a spec, sorted by path. For manifests of other tools, which do not list them, the
    /// locker's own listing counts; nothing is known of the content then but its size.
    ///
    /// # Errors
    /// [`Error::NoSpec`], and the errors of the locker.
    pub async fn spec_files(&self, manifest: &Manifest, spec: &str) -> Result<Vec<SpecFile>, Error> {
        check_step(spec)?;
        let folder = spec_path(&manifest.name, &manifest.version, spec);
        let known = manifest.specs.get(spec);
        if let Some(files) = known.and_then(|spec| spec.files.as_ref()) {
            return Ok(files
                .iter()
                .map(|file| SpecFile {
                    path: file.path.clone(),
                    source: format!("{folder}/{}", file.path),
                    expected: file.expected(),
                    executable: file.executable,
                })
                .collect());
        }
        let entries = self.list(&folder).await?;
        if entries.is_empty() && known.is_none() {
            return Err(Error::NoSpec {
                locker: self.url().to_owned(),
                project: manifest.name.clone(),
                version: manifest.version.clone(),
                spec: spec.to_owned(),
            });
        }
        let files = entries.into_iter().filter_map(|entry| {
            let path = entry.path.strip_prefix(&folder)?.strip_prefix('/')?.to_owned();
            Some(SpecFile {
                executable: path.starts_with("cluster-init/scripts/"),
                path,
                source: entry.path,
                expected: Checksum {
                    size: Some(entry.size),
                    ..Checksum::default()
                },
            })
        });
        Ok(files.collect())
    }

    /// Downloads one file of a spec below the folder `dest` and makes the folders that it needs. The file is
    /// 0755 when it is executable, else 0644. It is not flushed to the disk: whoever downloads a whole spec flushes
    /// all of it at once, which takes a fraction of the time. `watch` is told how far it is.
    ///
    /// # Errors
    /// As [`Locker::fetch`].
    pub async fn fetch_spec_file(
        &self,
        file: &SpecFile,
        dest: &Path,
        watch: Watch<'_>,
    ) -> Result<Digests, Error> {
        let dest = path::join(dest, &file.path)?;
        if let Some(folder) = dest.parent() {
            durable::create_folder(folder, 0o755)?;
        }
        let mode = if file.executable { 0o755 } else { 0o644 };
        let target = Target {
            path: &dest,
            mode,
            flush: false,
        };
        self.fetch_to(&file.source, target, &file.expected, watch).await
    }

    /// Downloads all files of a spec below the folder `dest`, which is made when it is not there. Files of
    /// the same name are replaced; files that do not belong to the spec are left alone.
    ///
    /// # Errors
    /// The first error; the files before it are in place then.
    pub async fn fetch_spec(
        &self,
        manifest: &Manifest,
        spec: &str,
        dest: &Path,
    ) -> Result<Vec<SpecFile>, Error> {
        let files = self.spec_files(manifest, spec).await?;
        durable::create_folder(dest, 0o755)?;
        for file in &files {
            self.fetch_spec_file(file, dest, &|_| {}).await?;
        }
        Ok(files)
    }

    /// Downloads a blob of a project to the file `dest`, mode 0644. A user's blob wins over the project's own.
    /// The project's own is checked against `manifest`, when one is given and names it. `watch` is told how far it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is neither, and as [`Locker::fetch`].
    pub async fn fetch_blob(
        &self,
        project: &str,
        file: &str,
        manifest: Option<&Manifest>,
        dest: &Path,
        watch: Watch<'_>,
    ) -> Result<Digests, Error> {
        check_step(project)?;
        path::check(file)?;
        let user = user_blob_path(project, file);
        match self
            .fetch_watched(&user, dest, 0o644, &Checksum::default(), watch)
            .await
        {
            Err(Error::NotFound { .. }) => {}
            result => return result,
        }
        let expected = manifest
            .and_then(|manifest| manifest.blob(file))
            .map(|blob| blob.expected())
            .unwrap_or_default();
        self.fetch_watched(&project_blob_path(project, file), dest, 0o644, &expected, watch)
            .await
    }
}

/// A name that is one step of a path.
fn check_step(name: &str) -> Result<(), PathError> {
    path::check(name)?;
    if name.contains('/') {
        return Err(PathError::new(name, "is no single name"));
    }
    Ok(())
}
