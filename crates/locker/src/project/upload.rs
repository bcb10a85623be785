//! Uploading: what changed, and the manifest last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::project::{Build, Manifest, manifest_path, project_blob_path, spec_path};
use crate::{Checksum, Error, Locker};

/// How many files are uploaded at the same time.
const PARALLEL: usize = 4;

/// The parts of an upload, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The files of the specs, to `projects/P/V`.
    Specs,
    /// The blobs, to `projects/P/blobs`.
    Blobs,
}

/// How far a part of an upload is. Each part ends with `done == total`; blobs are left out when there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The part.
    pub part: Part,
    /// Bytes of its files that are in the locker now.
    pub done: u64,
    /// Bytes of all its files.
    pub total: u64,
}

/// What an upload did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadReport {
    /// Files and blobs that were sent.
    pub sent: usize,
    /// Files and blobs that were there already.
    pub unchanged: usize,
    /// Bytes that were sent.
    pub bytes: u64,
}

/// One file on its way.
struct Item {
    source: PathBuf,
    path: String,
    expected: Checksum,
}

/// Uploads a project: files and blobs that the locker does not have, then the manifest. With `force`
/// everything is sent, for a locker whose content is not what its manifests say.
///
/// A node that reads meanwhile sees the old manifest; where a file behind it was replaced already, the
/// file's sum is wrong for the node, which tries again later.
///
/// # Errors
/// The errors of the locker. The old manifest is in place then.
pub async fn upload(
    locker: &Locker,
    build: &Build,
    force: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<UploadReport, Error> {
    let manifest = &build.manifest;
    let there = There::look(locker, &manifest.name).await?;
    let mut report = UploadReport::default();
    for (part, items) in [(Part::Specs, specs(build)?), (Part::Blobs, blobs(build))] {
        if items.is_empty() && part == Part::Blobs {
            continue;
        }
        let (old, new): (Vec<Item>, Vec<Item>) =
            items.into_iter().partition(|item| !force && there.has(item));
        let size = |items: &[Item]| items.iter().filter_map(|item| item.expected.size).sum::<u64>();
        report.sent += new.len();
        report.unchanged += old.len();
        report.bytes += size(&new);
        let total = size(&old) + size(&new);
        let done = AtomicU64::new(size(&old));
        let say = || {
            progress(Progress {
                part,
                done: done.load(Ordering::Relaxed),
                total,
            });
        };
        say();
        stream::iter(new.iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(PARALLEL, async |item: &Item| {
                locker.put_file(&item.path, &item.source, &item.expected).await?;
                done.fetch_add(item.expected.size.unwrap_or(0), Ordering::Relaxed);
                say();
                Ok(())
            })
            .await?;
    }
    if force || there.manifests.get(&manifest.version) != Some(manifest) {
        let path = manifest_path(&manifest.name, &manifest.version);
        let bytes = serde_json::to_vec_pretty(manifest).map_err(|source| Error::Invalid {
            locker: locker.url().to_owned(),
            path: path.clone(),
            source: Box::new(source),
        })?;
        locker.put(&path, bytes).await?;
    }
    Ok(report)
}

/// The files of the specs.
fn specs(build: &Build) -> Result<Vec<Item>, Error> {
    let manifest = &build.manifest;
    let mut items = Vec::new();
    for (name, spec) in &manifest.specs {
        let folder = spec_path(&manifest.name, &manifest.version, name);
        for file in spec.files.iter().flatten() {
            items.push(Item {
                source: crate::path::join(&build.folder.join(name), &file.path)?,
                path: format!("{folder}/{}", file.path),
                expected: file.expected(),
            });
        }
    }
    Ok(items)
}

fn blobs(build: &Build) -> Vec<Item> {
    let manifest = &build.manifest;
    let blobs = manifest.blobs.iter().zip(&build.blobs);
    blobs
        .map(|(blob, (path, source))| Item {
            source: source.clone(),
            path: project_blob_path(&manifest.name, path),
            expected: blob.expected(),
        })
        .collect()
}

/// What the locker holds of a project.
struct There {
    sizes: BTreeMap<String, u64>,
    /// By version. Those that cannot be understood are left out.
    manifests: BTreeMap<String, Manifest>,
}

impl There {
    async fn look(locker: &Locker, project: &str) -> Result<Self, Error> {
        let folder = format!("projects/{project}");
        let sizes: BTreeMap<_, _> = locker
            .list(&folder)
            .await?
            .into_iter()
            .map(|entry| (entry.path, entry.size))
            .collect();
        let versions: BTreeSet<String> = sizes
            .keys()
            .filter_map(|path| {
                let version = path
                    .strip_prefix(&folder)?
                    .strip_prefix('/')?
                    .strip_suffix("/manifest.json")?;
                (!version.contains('/')).then(|| version.to_owned())
            })
            .collect();
        let manifests = stream::iter(versions)
            .map(async |version| match locker.manifest(project, &version).await {
                Ok(manifest) => Ok(Some((version, manifest))),
                Err(Error::Invalid { .. } | Error::NoProject { .. }) => Ok(None),
                Err(error) => Err(error),
            })
            .buffer_unordered(PARALLEL)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
        Ok(Self { sizes, manifests })
    }

    /// Whether the locker certainly has this content. All versions share their blobs, so every manifest that
    /// names a blob must say the same.
    fn has(&self, item: &Item) -> bool {
        let Some(size) = self.sizes.get(&item.path) else {
            return false;
        };
        if item.expected.size != Some(*size) {
            return false;
        }
        let said: Vec<Option<String>> = self
            .manifests
            .values()
            .flat_map(|manifest| sums(manifest, &item.path))
            .collect();
        !said.is_empty() && said.iter().all(|sum| *sum == item.expected.sha256)
    }
}

/// What a manifest says of the content at a path of the locker.
fn sums(manifest: &Manifest, path: &str) -> Option<Option<String>> {
    let Manifest { name, version, .. } = manifest;
    if let Some(blob) = path.strip_prefix(&project_blob_path(name, "")) {
        return Some(manifest.blob(blob)?.sha256.clone());
    }
    let (spec, file) = path
        .strip_prefix(&format!("projects/{name}/{version}/"))?
        .split_once('/')?;
    let files = manifest.specs.get(spec)?.files.as_ref()?;
    let file = files.iter().find(|known| known.path == file)?;
    Some(Some(file.sha256.clone()))
}
