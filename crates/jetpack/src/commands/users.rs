//! `jetpack users`.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use link::join::Membership;
use node::home::Home;
use node::settings::Settings;
use protocol::{NodeConfiguration, NodeUser};
use terminal::ResultExt;

use crate::context;
use crate::json::indented;

/// How long the server may take; then what it said last holds.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Only the owner of the cluster; with --json a single object and no list
    #[arg(long)]
    pub(crate) owner: bool,
}

/// Prints who may log in to this node.
pub(crate) fn run(args: &UsersArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    let settings = context::settings(&home)?;
    let membership = context::membership(&home, &settings)?;
    let configuration = configuration(&home, &settings, membership)?;
    let mut users = configuration.users;
    // Scripts take the first for the one who is meant.
    users.sort_by(|a, b| (!a.is_owner, &a.name).cmp(&(!b.is_owner, &b.name)));
    if args.owner {
        let Some(owner) = users.into_iter().find(|user| user.is_owner) else {
            bail!(
                "the cluster `{}` has no owner who may log in to this node",
                configuration.cluster_name
            );
        };
        let text = if args.json {
            indented(&owner)?
        } else {
            block(&owner)
        };
        return Ok(terminal::out(text)?);
    }
    let text = if args.json {
        indented(&users)?
    } else {
        users.iter().map(block).collect::<Vec<_>>().join("\n")
    };
    Ok(terminal::out(text)?)
}

/// Asks the server; while it is away, what it said last holds. Nothing is written: that is the daemon's.
fn configuration(
    home: &Home,
    settings: &Settings,
    mut membership: Membership,
) -> anyhow::Result<NodeConfiguration> {
    let known = membership.last_known(home)?;
    let fetched = context::with_runtime(async {
        let fetching = async {
            membership.pin(home, settings).await?;
            let api = membership.joining_api()?;
            Ok::<_, link::join::Error>(api.fetch_configuration(&membership.userdata).await?)
        };
        Ok(tokio::time::timeout(PATIENCE, fetching).await)
    })?;
    let why = match fetched {
        Ok(Ok(configuration)) => return Ok(configuration),
        // It names the innermost cause itself.
        Ok(Err(error)) if error.is_away() => error.to_string(),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => format!(
            "the server at `{}` did not answer within {} seconds",
            membership.url,
            PATIENCE.as_secs()
        ),
    };
    let known = known
        .with_context(|| why.clone())
        .hint("this node has never fetched its configuration, so its users are not known")?;
    terminal::note(format_args!("{why}; these are the users as last known"));
    Ok(known)
}

fn block(user: &NodeUser) -> String {
    let flag = |value| if value { "True" } else { "False" };
    let mut text = String::new();
    for (name, value) in [
        ("Username", user.name.as_str()),
        ("Full Name", user.full_name.as_str()),
        ("UID", &user.uid.to_string()),
        ("Is Admin", flag(user.is_admin)),
        ("Is Owner", flag(user.is_owner)),
    ] {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}
