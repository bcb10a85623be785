//! `jetpack download`.

use clap::Args;
use std::env;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use locker::Transfer;
use node::settings::Settings;
use protocol::{ClusterInitSpec, NodeConfiguration, check_name};
use terminal::{Bar, ResultExt};

use crate::context;

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Name of the blob; it may have folders
    pub(crate) file: String,

    /// File or folder to write to; if not given, the current folder
    pub(crate) dest: Option<PathBuf>,

    /// Project of the blob; scripts of a project need not say it
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
}

/// Downloads one blob to a file, whole or not at all.
pub(crate) fn run(args: &DownloadArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    let settings = context::settings(&home)?;
    let project = project(args, &settings)?;
    check_name("project", &project)?;
    let dest = destination(&args.file, args.dest.as_deref())?;
    let membership = context::membership(&home, &settings)?;
    let configuration = membership
        .last_known(&home)?
        .context("this node has not joined its cluster yet, so its projects are not known")?;
    let spec = spec(&configuration, &project)?;
    let locker = configuration.lockers.get(&spec.locker).with_context(|| {
        format!(
            "the server names no locker `{}` for project `{project}`",
            spec.locker
        )
    })?;
    context::with_runtime(async {
        let locker = context::open_locker(&membership, &configuration, locker, &settings)?;
        // Without a version the locker holds no manifest to check against; the site's own blobs are still there.
        let manifest = match &spec.version {
            Some(version) => Some(locker.manifest(&project, version).await?),
            None => None,
        };
        let bar = Bar::new(args.file.as_str());
        let watch = |transfer: Transfer| bar.set(transfer.done, transfer.total);
        locker
            .fetch_blob(&project, &args.file, manifest.as_ref(), &dest, &watch)
            .await
            .map_err(|error| {
                if error.is_not_found() {
                    anyhow::Error::from(error).context(format!(
                        "there is no blob `{}` for project `{project}`",
                        args.file
                    ))
                } else {
                    error.into()
                }
            })
    })
    .with_context(|| format!("cannot download `{}`", args.file))?;
    Ok(())
}

/// The project as given, else that of the script which calls, else that of the current folder.
fn project(args: &DownloadArgs, settings: &Settings) -> anyhow::Result<String> {
    if let Some(project) = &args.project {
        return Ok(project.clone());
    }
    if let Some(project) = env::var("CYCLECLOUD_PROJECT_NAME")
        .ok()
        .filter(|name| !name.is_empty())
    {
        return Ok(project);
    }
    let folder = env::current_dir().context("cannot tell the current folder")?;
    let root = &settings.converge.cluster_init_root;
    // The folder comes without links, so compare it with the root without links.
    let root = root.canonicalize().unwrap_or_else(|_| root.clone());
    if let Some(Component::Normal(project)) = folder
        .strip_prefix(&root)
        .ok()
        .and_then(|rest| rest.components().next())
        && let Some(project) = project.to_str()
    {
        return Ok(project.to_owned());
    }
    let unknown: anyhow::Result<String> = (|| bail!("the project of `{}` is not known here", args.file))();
    unknown.hint("say it with --project; only scripts of a project need not")
}

/// The first spec of the project on this node: all of them read the same blobs.
fn spec<'a>(configuration: &'a NodeConfiguration, project: &str) -> anyhow::Result<&'a ClusterInitSpec> {
    if let Some(spec) = configuration
        .cluster_init_specs
        .iter()
        .find(|spec| spec.project == project)
    {
        return Ok(spec);
    }
    let mut known: Vec<&str> = configuration
        .cluster_init_specs
        .iter()
        .map(|spec| spec.project.as_str())
        .collect();
    known.dedup();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    bail!("`{project}` is not a project of this node, which has: {known}")
}

/// The file to write: a folder, or a path with a slash at its end, gets the blob under its own name.
fn destination(file: &str, dest: Option<&Path>) -> anyhow::Result<PathBuf> {
    locker::path::check(file)?;
    let name = Path::new(file).file_name().context("the blob has no name")?;
    let Some(dest) = dest else { return Ok(name.into()) };
    let is_folder = dest.is_dir() || dest.as_os_str().as_encoded_bytes().ends_with(b"/");
    let path = if is_folder {
        dest.join(name)
    } else {
        dest.to_owned()
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("the folder `{}` does not exist", folder.display());
    }
    if path.is_dir() {
        bail!("`{}` is a folder", path.display());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_goes_into_a_folder_under_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(destination("a/b.tgz", None).unwrap(), Path::new("b.tgz"));
        assert_eq!(destination("a/b.tgz", Some(path)).unwrap(), path.join("b.tgz"));
        assert_eq!(
            destination("b.tgz", Some(&path.join("c"))).unwrap(),
            path.join("c")
        );
    }

    #[test]
    fn a_folder_that_is_missing_and_a_name_that_leaves_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none/");
        let error = destination("b.tgz", Some(&missing)).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
        destination("../b.tgz", None).unwrap_err();
    }
}
