//! Building: from an author's folder to the tree that a locker holds.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use protocol::check_name;

use crate::PathError;
use crate::checksum::Hasher;
use crate::project::files::{self, Found};
use crate::project::{BlobEntry, FileEntry, IniError, Manifest, ProjectIni, SpecEntry};

/// Size of the pieces in which files are copied.
const CHUNK: usize = 256 << 10;

/// A project that was built and can be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// `BUILD/NAME/VERSION`: what goes to `projects/NAME/VERSION`.
    pub folder: PathBuf,
    /// What `manifest.json` in that folder says.
    pub manifest: Manifest,
    /// Path of each blob, and the file that is it, in the order of the manifest.
    pub blobs: Vec<(String, PathBuf)>,
}

/// A project that cannot be built. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// See there.
    #[error(transparent)]
    Ini(#[from] IniError),
    /// The version that was asked for is no name.
    #[error(transparent)]
    Version(#[from] protocol::IdError),
    /// `project.ini` lists blobs that are not there.
    #[error(
        "the project `{project}` lists blobs that are not in `{folder}`: {}",
        .missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        folder = folder.display()
    )]
    MissingBlobs {
        /// Name of the project.
        project: String,
        /// Where they should be.
        folder: PathBuf,
        /// As they are listed.
        missing: Vec<String>,
    },
    /// A wildcard that makes no sense.
    #[error("`{pattern}` in the list of blobs is no pattern")]
    Pattern {
        /// As it is listed.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// A link leads out of the project.
    #[error("`{}` is outside of the project: it is `{}`", .path.display(), .target.display())]
    Escapes {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A link leads to a folder that it is in.
    #[error("`{}` is a link to a folder above it", .path.display())]
    Loop {
        /// The link.
        path: PathBuf,
    },
    /// Neither a file nor a folder.
    #[error("`{}` is neither a file nor a folder", .path.display())]
    Special {
        /// The thing.
        path: PathBuf,
    },
    /// A name that is not UTF-8.
    #[error("the name of `{}` is not UTF-8", .path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// A name that no locker takes.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The system refused.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, `rename`, `remove`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The manifest could not be written.
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

impl BuildError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Builds the project in the folder `project`: `BUILD/NAME/VERSION/` with the specs and `manifest.json`.
///
/// `version` replaces the one of `project.ini`. `build_folder` is `project/build` unless given. The
/// tree appears in one step, in place of an earlier one. Blobs are not copied, only summed up.
///
/// # Errors
/// [`BuildError`]; an earlier build is untouched then.
pub fn build(
    project: &Path,
    version: Option<&str>,
    build_folder: Option<&Path>,
) -> Result<Build, BuildError> {
    let ini = ProjectIni::read(&project.join("project.ini"))?;
    let version = version.unwrap_or(&ini.version);
    check_name("version", version)?;
    let real = project.canonicalize().map_err(BuildError::io("read", project))?;

    let blobs = find_blobs(&ini, project, &real)?;
    let blob_entries = blobs.iter().map(sum_blob).collect::<Result<Vec<_>, _>>()?;

    let build_folder = build_folder.map_or_else(|| project.join("build"), Path::to_owned);
    let parent = build_folder.join(&ini.name);
    durable::create_folder(&parent, 0o755)?;
    let fresh = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&parent)
        .map_err(BuildError::io("create a folder in", &parent))?;
    // Not `fresh` itself: it is only its owner's.
    let tree = fresh.path().join("tree");
    durable::create_folder(&tree, 0o755)?;

    let mut manifest = Manifest {
        name: ini.name.clone(),
        kind: ini.kind.clone(),
        version: version.to_owned(),
        blobs: blob_entries,
        specs: ini
            .specs
            .iter()
            .map(|(name, spec)| {
                let entry = SpecEntry {
                    run_list: spec.run_list.clone(),
                    files: Some(Vec::new()),
                };
                (name.clone(), entry)
            })
            .collect(),
    };
    for spec in spec_names(&project.join("specs"))? {
        let found = files::walk(&project.join("specs").join(&spec), &real)?;
        let files = found
            .iter()
            .map(|found| copy(found, &tree.join(&spec)))
            .collect::<Result<Vec<_>, _>>()?;
        manifest.specs.entry(spec).or_default().files = Some(files);
    }
    durable::write_json(&tree.join("manifest.json"), 0o644, &manifest)?;

    let folder = parent.join(version);
    if folder.exists() {
        let old = fresh.path().join("old");
        fs::rename(&folder, old).map_err(BuildError::io("replace", &folder))?;
    }
    fs::rename(&tree, &folder).map_err(BuildError::io("write", &folder))?;
    Ok(Build {
        folder,
        manifest,
        blobs: blobs
            .into_iter()
            .map(|found| (found.path, found.source))
            .collect(),
    })
}

/// The folders below `specs/`, sorted.
fn spec_names(folder: &Path) -> Result<Vec<String>, BuildError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BuildError::io("read", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(BuildError::io("read", folder))?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(BuildError::Name { path: entry.path() });
        };
        if name.starts_with('.') || !entry.path().is_dir() {
            continue;
        }
        check_name("spec", &name)?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

fn find_blobs(ini: &ProjectIni, project: &Path, real: &Path) -> Result<Vec<Found>, BuildError> {
    if ini.blobs.is_empty() {
        return Ok(Vec::new());
    }
    let folder = project.join("blobs");
    let there = files::walk(&folder, real)?;
    let mut blobs: Vec<Found> = Vec::new();
    let mut missing = Vec::new();
    for pattern in &ini.blobs {
        let matches = matching(pattern, &there, |found| &found.path)?;
        if matches.is_empty() {
            missing.push(pattern.clone());
        }
        for found in matches {
            if !blobs.contains(found) {
                blobs.push(found.clone());
            }
        }
    }
    if missing.is_empty() {
        return Ok(blobs);
    }
    Err(BuildError::MissingBlobs {
        project: ini.name.clone(),
        folder,
        missing,
    })
}

/// Of all blobs those that one entry of `[blobs] Files` means: the one of this name, or all below the folder of this
/// name, or what the wildcards match.
///
/// # Errors
/// [`BuildError::Pattern`].
pub(super) fn matching<'a, T>(
    pattern: &str,
    all: &'a [T],
    path: impl Fn(&T) -> &str,
) -> Result<Vec<&'a T>, BuildError> {
    let below = format!("{pattern}/");
    let named: Vec<_> = all
        .iter()
        .filter(|one| path(one) == pattern || path(one).starts_with(&below))
        .collect();
    if !named.is_empty() || !pattern.contains(['*', '?', '[']) {
        return Ok(named);
    }
    let glob = GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|source| BuildError::Pattern {
            pattern: pattern.to_owned(),
            source,
        })?
        .compile_matcher();
    Ok(all.iter().filter(|one| glob.is_match(path(one))).collect())
}

pub(super) fn sum_blob(found: &Found) -> Result<BlobEntry, BuildError> {
    let digests = stream(&found.source, &mut io::sink(), &found.source)?.finish();
    Ok(BlobEntry {
        path: found.path.clone(),
        checksum: Some(digests.md5),
        sha256: Some(digests.sha256),
        size: Some(digests.size),
    })
}

/// Copies a file below `folder`; the sums are those of what was copied.
fn copy(found: &Found, folder: &Path) -> Result<FileEntry, BuildError> {
    let dest = crate::path::join(folder, &found.path)?;
    if let Some(parent) = dest.parent() {
        durable::create_folder(parent, 0o755)?;
    }
    let mut file = File::create_new(&dest).map_err(BuildError::io("create", &dest))?;
    let digests = stream(&found.source, &mut file, &dest)?.finish();
    let permissions = fs::metadata(&found.source)
        .map_err(BuildError::io("read", &found.source))?
        .permissions();
    file.set_permissions(permissions)
        .map_err(BuildError::io("write", &dest))?;
    Ok(FileEntry {
        path: found.path.clone(),
        sha256: digests.sha256,
        size: digests.size,
        executable: found.executable,
    })
}

fn stream(source: &Path, to: &mut impl Write, dest: &Path) -> Result<Hasher, BuildError> {
    let mut file = File::open(source).map_err(BuildError::io("read", source))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = file.read(&mut buffer).map_err(BuildError::io("read", source))?;
        if count == 0 {
            return Ok(hasher);
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])
            .map_err(BuildError::io("write", dest))?;
    }
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
