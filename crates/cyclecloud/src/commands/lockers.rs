//! `cyclecloud locker`, and finding the locker to upload to.

use anyhow::{Context, bail};
use locker::Locker;
use protocol::rest::LockerSummary;
use reqwest::Url;
use terminal::ResultExt;

use crate::client::Client;

pub(super) async fn list(client: &Client) -> anyhow::Result<()> {
    for LockerSummary { name, url } in lockers(client).await? {
        terminal::out(format_args!("{name} ({url})\n"))?;
    }
    Ok(())
}

async fn lockers(client: &Client) -> anyhow::Result<Vec<LockerSummary>> {
    client.get(&["lockers"], &[]).await
}

/// The locker of this name, or the only one of the server.
pub(super) async fn open(client: &Client, name: Option<&str>) -> anyhow::Result<Locker> {
    let lockers = lockers(client).await?;
    let names = || {
        let names: Vec<_> = lockers
            .iter()
            .map(|locker| format!("`{}`", locker.name))
            .collect();
        format!("the lockers of this server are: {}", names.join(", "))
    };
    let found = match (name, lockers.as_slice()) {
        (_, []) => bail!("the server has no locker"),
        (Some(name), lockers) => lockers
            .iter()
            .find(|locker| locker.name == name)
            .with_context(|| format!("there is no locker `{name}`"))
            .hint(names())?,
        (None, [only]) => only,
        (None, _) => {
            return Err(anyhow::anyhow!(
                "there is more than one locker and none is the default"
            ))
            .hint(format!(
                "{}; choose one with `cyclecloud project default_locker`",
                names()
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
