//! `cyclecloud initialize`

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Context, bail};
use protocol::rest::LockerSummary;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use terminal::ResultExt;

use crate::cli::Initialize;
use crate::client::{CallError, Client, shown};
use crate::config::{Config, Server, server_url};
use crate::prompt;

pub(super) async fn run(mut config: Config, args: Initialize) -> anyhow::Result<()> {
    let known = match config.server() {
        // The file is what the user came to mend.
        Err(_) if args.force => None,
        known => known.hint("write a new one with `cyclecloud initialize --force`")?,
    };
    if let Some(known) = known.as_ref().filter(|_| !args.force) {
        check(known).await?;
        if let Some(what) = difference(known, &args)? {
            return Err(anyhow::anyhow!(
                "`{}` is for `{}` already, with another {what}",
                config.path().display(),
                shown(&known.url)
            ))
            .hint("write a new one with `cyclecloud initialize --force`");
        }
        terminal::out("CycleCloud is configured properly\n")?;
        return Ok(());
    }
    let server = gather(args, known)?;
    check(&server).await?;
    config.set_server(&server)?;
    config.write()?;
    terminal::out(format_args!(
        "CycleCloud is configured for {} in {}\n",
        shown(&server.url),
        config.path().display()
    ))?;
    Ok(())
}

/// Calls the server as the user. An account that is no administrator, of a plug-in for instance, is right as well.
async fn check(server: &Server) -> anyhow::Result<()> {
    let client = Client::new(server.clone())?;
    match client.get::<Vec<LockerSummary>>(&["lockers"], &[]).await {
        Err(error) if is_forbidden(&error) => {
            terminal::warn(format_args!("{error}: it may use few commands"));
            Ok(())
        }
        result => result.map(drop),
    }
}

/// The server knows the account, and that it may not do this.
fn is_forbidden(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<CallError>();
    refused.is_some_and(
        |refused| matches!(refused, CallError::Refused { status, .. } if *status == StatusCode::FORBIDDEN),
    )
}

/// What the command line says other than the configuration, if anything.
fn difference(known: &Server, args: &Initialize) -> anyhow::Result<Option<&'static str>> {
    let url = args.url.as_deref().map(server_url).transpose()?;
    Ok(if url.is_some_and(|url| url != known.url) {
        Some("address")
    } else if args.username.as_ref().is_some_and(|user| *user != known.username) {
        Some("user")
    } else if args.verify_ssl.is_some_and(|verify| verify != known.verify) {
        Some("setting of --verify-ssl")
    } else if args.name.is_some() && args.name != known.name {
        Some("name")
    } else if let Some(ca) = &args.ca
        && Some(absolute(ca)?) != known.ca
    {
        Some("authority")
    } else if given_password(args)?
        .is_some_and(|password| password.expose_secret() != known.password.expose_secret())
    {
        Some("password")
    } else {
        None
    })
}

fn given_password(args: &Initialize) -> anyhow::Result<Option<SecretString>> {
    if args.password_stdin {
        return Ok(Some(prompt::line()?.into()));
    }
    Ok(args.password.clone().map(SecretString::from))
}

/// From the command line, else from the person, else from the old configuration.
fn gather(args: Initialize, known: Option<Server>) -> anyhow::Result<Server> {
    let asks = !args.batch && io::stdin().is_terminal() && !args.password_stdin;
    let text = |given: &Option<String>, question: &str, flag: &str, default: Option<&str>| match given {
        Some(given) => Ok(given.clone()),
        None if asks => prompt::ask(question, default),
        None => default
            .map(str::to_owned)
            .with_context(|| format!("`{flag}` is missing"))
            .hint("give it, or run `cyclecloud initialize` at a terminal without `--batch`"),
    };
    let known_url = known.as_ref().map(|known| shown(&known.url));
    let url = server_url(&text(&args.url, "Address of the server", "--url", known_url)?)?;
    let known_user = known.as_ref().map(|known| known.username.as_str());
    let username = text(&args.username, "User", "--username", known_user)?;
    let password = match given_password(&args)? {
        Some(password) => password,
        None if asks => prompt::ask_password("Password")?,
        None => match &known {
            // Another server must not learn the password of this one.
            Some(known) if known.url == url && known.username == username => known.password.clone(),
            _ => {
                return Err(anyhow::anyhow!("`--password` is missing"))
                    .hint("pipe it in and give `--password-stdin`");
            }
        },
    };
    if username.is_empty() || password.expose_secret().is_empty() {
        bail!("user and password cannot be empty");
    }
    let known_ca = known.as_ref().and_then(|known| known.ca.clone());
    Ok(Server {
        ca: args.ca.as_deref().map(absolute).transpose()?.or(known_ca),
        verify: args
            .verify_ssl
            .unwrap_or_else(|| known.as_ref().is_none_or(|known| known.verify)),
        name: args.name.or_else(|| known.and_then(|known| known.name)),
        url,
        username,
        password,
    })
}

fn absolute(path: &Path) -> anyhow::Result<std::path::PathBuf> {
    path.canonicalize()
        .with_context(|| format!("cannot read `{}`", path.display()))
}
