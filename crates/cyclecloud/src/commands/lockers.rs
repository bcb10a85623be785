//! `cyclecloud locker`, and finding the locker to upload to.

use anyhow::{Context, bail};
use locker::Locker;
use protocol::rest::LockerSummary;
use reqwest::Url;
use terminal::ResultExt;

use super::blobs;
use crate::cli;
use crate::client::Client;
use crate::config::Config;

pub(super) async fn run(config: &Config, command: cli::Locker) -> anyhow::Result<()> {
    let client = || Client::new(config.require_server()?);
    match command {
        cli::Locker::List => list(&client()?).await,
        cli::Locker::Show { locker } => show(&client()?, &locker).await,
        cli::Locker::Ls(args) => blobs::list(config, &args).await,
        cli::Locker::Get {
            source,
            dest,
            recursive,
        } => blobs::get(config, &source, dest.as_deref(), recursive).await,
        cli::Locker::Put {
            source,
            target,
            recursive,
        } => blobs::put(config, &source, &target, recursive).await,
        cli::Locker::Rm { target, recursive } => blobs::remove(config, &target, recursive).await,
    }
}

pub(super) async fn list(client: &Client) -> anyhow::Result<()> {
    for locker in lockers(client).await? {
        let url = locker.storage.unwrap_or(locker.url);
        terminal::out(format_args!("{} ({url})\n", locker.name))?;
    }
    Ok(())
}

async fn show(client: &Client, name: &str) -> anyhow::Result<()> {
    let lockers = lockers(client).await?;
    let locker = find(&lockers, name)?;
    terminal::out(format_args!("Name: {}\nUrl: {}\n", locker.name, locker.url))?;
    if let Some(storage) = &locker.storage {
        terminal::out(format_args!("Storage: {storage}\n"))?;
    }
    terminal::out(format_args!("Default: {}\n", locker.is_default))?;
    Ok(())
}

/// The locker of this name.
fn find<'a>(lockers: &'a [LockerSummary], name: &str) -> anyhow::Result<&'a LockerSummary> {
    lockers
        .iter()
        .find(|locker| locker.name == name)
        .with_context(|| format!("there is no locker `{name}`"))
        .hint(format!("the lockers of this server are: {}", names(lockers)))
}

fn names(lockers: &[LockerSummary]) -> String {
    let names: Vec<_> = lockers
        .iter()
        .map(|locker| format!("`{}`", locker.name))
        .collect();
    names.join(", ")
}

async fn lockers(client: &Client) -> anyhow::Result<Vec<LockerSummary>> {
    client.get(&["lockers"], &[]).await
}

/// The locker of this name, else the only one of the server, or its default.
pub(super) async fn open(client: &Client, name: Option<&str>) -> anyhow::Result<Locker> {
    let lockers = lockers(client).await?;
    let default = lockers.iter().find(|locker| locker.is_default);
    let found = match (name, lockers.as_slice(), default) {
        (_, [], _) => bail!("the server has no locker"),
        (Some(name), lockers, _) => find(lockers, name)?,
        (None, [only], _) => only,
        (None, _, Some(default)) => default,
        (None, lockers, None) => {
            return Err(anyhow::anyhow!(
                "there is more than one locker and none is the default"
            ))
            .hint(format!(
                "the lockers of this server are: {}; choose one with `cyclecloud project default_locker`",
                names(lockers)
            ));
        }
    };
    let url = reachable(client, found)?;
    let access = match url.scheme() {
        "file" => locker::Access::default(),
        _ => client.server().access()?,
    };
    Ok(Locker::open(url.as_str(), &access)?)
}

/// Where we reach a locker. One that the server itself serves is below the server's address as we know it, whatever
/// the server calls itself; our credential goes nowhere else.
fn reachable(client: &Client, locker: &LockerSummary) -> anyhow::Result<Url> {
    let own = client.url(&["lockers", &locker.name], &[]);
    let url = client.url(&[""], &[]).join(&locker.url).with_context(|| {
        format!(
            "the URL of the locker `{}` is not valid: `{}`",
            locker.name, locker.url
        )
    })?;
    let tail = |url: &Url| {
        url.path()
            .trim_end_matches('/')
            .rsplit('/')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    match url.scheme() {
        "http" | "https" if tail(&url) == tail(&own) => Ok(own),
        "http" | "https" => bail!(
            "the locker `{}` at `{url}` is not below the server's address",
            locker.name
        ),
        _ => Ok(url),
    }
}
