//! `cyclecloud locker ls|get|put|rm`: blobs of lockers, and of object storage by its URL.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use locker::{Checksum, Entry, Error, Locker};
use terminal::ResultExt;

use super::lockers;
use crate::cli::Listing;
use crate::client::Client;
use crate::config::Config;

/// A place in a locker.
struct Target {
    locker: Locker,
    /// As the user wrote it, without a slash at its end.
    name: String,
    /// Empty for the locker as a whole; without a slash at its end.
    path: String,
    /// Whether the user wrote a slash at its end: it is a folder then.
    is_folder: bool,
}

impl Target {
    /// `LOCKER/PATH`, or `az://ACCOUNT/CONTAINER/PATH`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`.
    async fn open(config: &Config, text: &str) -> anyhow::Result<Self> {
        let (locker, path) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let steps = match scheme {
                    "az" => 2,
                    "s3" | "gs" => 1,
                    _ => {
                        return Err(anyhow::anyhow!("`{text}` is no place in a locker")).hint(
                            "LOCKER/PATH, az://ACCOUNT/CONTAINER/PATH, s3://BUCKET/PATH or gs://BUCKET/PATH",
                        );
                    }
                };
                let end = rest
                    .match_indices('/')
                    .nth(steps - 1)
                    .map_or(rest.len(), |(at, _)| at);
                let url = format!("{scheme}://{}", &rest[..end]);
                let locker = Locker::open_any(&url, &config.storage_access(&url)?)?;
                (locker, rest[end..].trim_start_matches('/').to_owned())
            }
            None => {
                let (name, path) = text.split_once('/').unwrap_or((text, ""));
                ensure!(!name.is_empty(), "`{text}` names no locker");
                let client = Client::new(config.require_server()?)?;
                let locker = lockers::open(&client, Some(name)).await?;
                (locker, path.to_owned())
            }
        };
        let is_folder = path.is_empty() || path.ends_with('/');
        let path = path.trim_end_matches('/').to_owned();
        if !path.is_empty() {
            locker::path::check(&path)?;
        }
        Ok(Self {
            locker,
            name: text.trim_end_matches('/').to_owned(),
            path,
            is_folder,
        })
    }

    /// All blobs below it.
    async fn list(&self) -> anyhow::Result<Vec<Entry>> {
        told(self.locker.list(&self.path).await)
    }

    /// The path of a blob below it, from it on.
    fn relative<'a>(&self, path: &'a str) -> &'a str {
        match self.path.as_str() {
            "" => path,
            folder => path
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .unwrap_or(path),
        }
    }

    fn nothing<T>(&self) -> anyhow::Result<T> {
        bail!("there is nothing at `{}`", self.name)
    }
}

/// What the locker said, with what a person can do.
fn told<T>(result: Result<T, Error>) -> anyhow::Result<T> {
    match result {
        Err(error @ Error::Unauthorised { .. }) => {
            Err(error).hint("check the credential: an account of the server, `[pogo]` in the configuration, or the environment")
        }
        result => Ok(result?),
    }
}

pub(super) async fn list(config: &Config, args: &Listing) -> anyhow::Result<()> {
    let target = match &args.target {
        Some(target) => Target::open(config, target).await?,
        None => {
            return lockers::list(&Client::new(config.require_server()?)?).await;
        }
    };
    let mut entries = target.list().await?;
    if entries.is_empty() && !target.path.is_empty() {
        // One blob, or nothing at all.
        match target.locker.head(&target.path).await {
            Ok(meta) => {
                let name = target.path.rsplit('/').next().unwrap_or_default().to_owned();
                return print(args, BTreeMap::from([(name, Some(meta.size))]));
            }
            Err(error) if error.is_not_found() => return target.nothing(),
            Err(error) => return told(Err(error)),
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut lines: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for entry in &entries {
        let relative = target.relative(&entry.path);
        match relative.split_once('/') {
            Some((folder, _)) if !args.recursive => {
                lines.insert(format!("{folder}/"), None);
            }
            _ => {
                lines.insert(relative.to_owned(), Some(entry.size));
            }
        }
    }
    print(args, lines)
}

fn print(args: &Listing, lines: BTreeMap<String, Option<u64>>) -> anyhow::Result<()> {
    for (name, size) in lines {
        let size = size.map(|size| size.to_string()).unwrap_or_default();
        if args.long {
            terminal::out(format_args!("{size:>15}  {name}\n"))?;
        } else {
            terminal::out(format_args!("{name}\n"))?;
        }
    }
    Ok(())
}

pub(super) async fn get(
    config: &Config,
    source: &str,
    dest: Option<&Path>,
    recursive: bool,
) -> anyhow::Result<()> {
    let target = Target::open(config, source).await?;
    let dest = dest.unwrap_or(Path::new("."));
    if !recursive {
        ensure!(
            !target.is_folder,
            "`{source}` is a folder: `--recursive` copies all of it"
        );
        let name = target.path.rsplit('/').next().unwrap_or_default();
        let is_folder = dest.is_dir() || dest.as_os_str().as_encoded_bytes().ends_with(b"/");
        let dest = if is_folder {
            dest.join(name)
        } else {
            dest.to_owned()
        };
        return fetch(&target, &target.path, &dest).await;
    }
    let entries = target.list().await?;
    if entries.is_empty() {
        return target.nothing();
    }
    for entry in &entries {
        let dest = locker::path::join(dest, target.relative(&entry.path))?;
        fetch(&target, &entry.path, &dest).await?;
    }
    Ok(())
}

async fn fetch(target: &Target, path: &str, dest: &Path) -> anyhow::Result<()> {
    if let Some(folder) = dest.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        durable::create_folder(folder, 0o755)?;
    }
    ensure!(!dest.is_dir(), "`{}` is a folder", dest.display());
    let bar = terminal::Bar::new(path);
    let expected = Checksum::default();
    let fetched = target
        .locker
        .fetch_watched(path, dest, 0o644, &expected, &|transfer| {
            bar.set(transfer.done, transfer.total);
        })
        .await;
    drop(bar);
    let digests = match fetched {
        Err(error) if error.is_away() => Err(error).hint("run the command again: it goes on where it was"),
        fetched => told(fetched),
    }?;
    terminal::out(format_args!("{} ({} bytes)\n", dest.display(), digests.size))?;
    Ok(())
}

pub(super) async fn put(config: &Config, source: &Path, target: &str, recursive: bool) -> anyhow::Result<()> {
    let metadata = fs::metadata(source).with_context(|| format!("cannot read `{}`", source.display()))?;
    let target = Target::open(config, target).await?;
    if metadata.is_dir() {
        ensure!(
            recursive,
            "`{}` is a folder: `--recursive` copies all of it",
            source.display()
        );
        let mut files = Vec::new();
        walk(source, "", &mut files)?;
        for (path, file) in files {
            let path = match target.path.as_str() {
                "" => path,
                folder => format!("{folder}/{path}"),
            };
            send(&target, &path, &file).await?;
        }
        return Ok(());
    }
    let path = if target.is_folder {
        let name = source
            .file_name()
            .and_then(|name| name.to_str())
            .with_context(|| format!("the name of `{}` cannot be that of a blob", source.display()))?;
        match target.path.as_str() {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        }
    } else {
        target.path.clone()
    };
    send(&target, &path, source).await
}

/// All files below a folder, sorted, with their paths from it on.
fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, PathBuf)>) -> anyhow::Result<()> {
    let context = || format!("cannot read `{}`", folder.display());
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(context)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let name = name
            .to_str()
            .with_context(|| format!("the name of `{}` is not UTF-8", path.display()))?;
        let name = match prefix {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        // Not followed: a link may lead out of the folder, or round in it.
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() {
            walk(&path, &name, found)?;
        } else if kind.is_file() {
            found.push((name, path));
        } else {
            bail!("`{}` is neither a file nor a folder", path.display());
        }
    }
    Ok(())
}

async fn send(target: &Target, path: &str, source: &Path) -> anyhow::Result<()> {
    let bar = terminal::Bar::new(path);
    let expected = Checksum::default();
    let sent = target
        .locker
        .put_file_watched(path, source, &expected, &|transfer| {
            bar.set(transfer.done, transfer.total);
        })
        .await;
    drop(bar);
    told(sent)?;
    terminal::out(format_args!("{}/{path}\n", target.locker.url()))?;
    Ok(())
}

pub(super) async fn remove(config: &Config, target: &str, recursive: bool) -> anyhow::Result<()> {
    let target = Target::open(config, target).await?;
    ensure!(
        !target.path.is_empty(),
        "`{}` is a whole locker, which is not removed",
        target.name
    );
    if !recursive {
        ensure!(
            !target.is_folder,
            "`{}` is a folder: `--recursive` removes all of it",
            target.name
        );
        told(target.locker.delete(&target.path).await)?;
        terminal::out(format_args!("{}/{}\n", target.locker.url(), target.path))?;
        return Ok(());
    }
    let entries = target.list().await?;
    if entries.is_empty() {
        return target.nothing();
    }
    for entry in entries {
        told(target.locker.delete(&entry.path).await)?;
        terminal::out(format_args!("{}/{}\n", target.locker.url(), entry.path))?;
    }
    Ok(())
}
