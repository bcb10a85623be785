//! `cyclecloud user`

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, bail};
use protocol::rest::{NewUserKey, User, UserChange};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use terminal::{ResultExt, Table};

use crate::cli::{self, AddUser, ChangeUser, UserKey};
use crate::client::Client;
use crate::prompt;

const USERS: [&str; 3] = ["cloud", "api", "users"];
/// Most bytes of a file with a key; no key is as long.
const MAX_KEY: u64 = 64 << 10;
const NONE: Option<&()> = None;

pub(super) async fn run(client: &Client, command: cli::User) -> anyhow::Result<()> {
    match command {
        cli::User::Add(args) => add(client, args).await,
        cli::User::Change(args) => change(client, args).await,
        cli::User::List { json } => list(client, json).await,
        cli::User::Show { name, json } => {
            let user: User = client.get(&path(&name, &[]), &[]).await?;
            match json {
                true => Ok(terminal::out(format_args!("{:#}\n", json!(user)))?),
                false => print(&user),
            }
        }
        cli::User::Enable { name } => set_disabled(client, &name, false).await,
        cli::User::Disable { name } => set_disabled(client, &name, true).await,
        cli::User::Delete { name } => {
            client.delete(&path(&name, &[])).await?;
            Ok(terminal::out(format_args!("Deleted user {name}\n"))?)
        }
        cli::User::Key(UserKey::Add { name, file }) => {
            let new = NewUserKey {
                public_key: read_key(&file)?,
            };
            let user: User = client
                .json(Method::POST, &path(&name, &["keys"]), Some(&new))
                .await?;
            print(&user)
        }
        cli::User::Key(UserKey::Remove { name, fingerprint }) => {
            let path = path(&name, &["keys", &fingerprint]);
            let user: User = client.json(Method::DELETE, &path, NONE).await?;
            print(&user)
        }
    }
}

fn path<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    USERS
        .iter()
        .copied()
        .chain([name])
        .chain(more.iter().copied())
        .collect()
}

async fn add(client: &Client, args: AddUser) -> anyhow::Result<()> {
    let keys = args
        .keys
        .iter()
        .map(|file| read_key(file))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let change = UserChange {
        name: Some(args.name),
        password: Some(password(args.password_stdin)?),
        full_name: args.full_name,
        uid: args.uid,
        administrator: Some(args.administrator),
        // Not said when there is nothing to say: an older server knows no such role.
        plugin: args.plugin.then_some(true),
        node_user: Some(args.node_user),
        node_admin: Some(args.node_admin),
        public_keys: Some(keys),
        ..UserChange::default()
    };
    let user: User = client.json(Method::POST, &USERS, Some(&change)).await?;
    print(&user)
}

async fn change(client: &Client, args: ChangeUser) -> anyhow::Result<()> {
    let change = UserChange {
        password: args.password_stdin.then(|| password(true)).transpose()?,
        full_name: args.full_name,
        uid: args.uid,
        administrator: args.administrator,
        plugin: args.plugin,
        node_access: args.node_access,
        node_user: args.node_user,
        node_admin: args.node_admin,
        ..UserChange::default()
    };
    if change == UserChange::default() {
        return Err(anyhow::anyhow!("nothing to change was given"))
            .hint("see `cyclecloud user change --help`");
    }
    let user: User = client
        .json(Method::PUT, &path(&args.name, &[]), Some(&change))
        .await?;
    print(&user)
}

async fn set_disabled(client: &Client, name: &str, disabled: bool) -> anyhow::Result<()> {
    let change = UserChange {
        disabled: Some(disabled),
        ..UserChange::default()
    };
    let user: User = client.json(Method::PUT, &path(name, &[]), Some(&change)).await?;
    print(&user)
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let users: Vec<User> = client.get(&USERS, &[]).await?;
    if json {
        return Ok(terminal::out(format_args!("{:#}\n", json!(users)))?);
    }
    let mut table = Table::new(["NAME", "UID", "FULL NAME", "ROLES", "KEYS"]);
    for user in &users {
        table.row([
            user.name.clone(),
            user.uid.to_string(),
            user.full_name.clone(),
            roles(user),
            user.keys.len().to_string(),
        ]);
    }
    Ok(terminal::out(table)?)
}

fn roles(user: &User) -> String {
    let roles = [
        (user.disabled, "disabled"),
        (user.administrator, "administrator"),
        (user.plugin, "plug-in"),
        (user.node_admin, "node-admin"),
        (user.node_user, "node-user"),
        (!user.node_access, "no-node-access"),
    ];
    let roles = roles.iter().filter(|(has, _)| *has).map(|(_, role)| *role);
    roles.collect::<Vec<_>>().join(", ")
}

fn print(user: &User) -> anyhow::Result<()> {
    let mut text = format!(
        "Name: {}\nFull name: {}\nUID: {}\nRoles: {}\nKeys: {}\n",
        user.name,
        user.full_name,
        user.uid,
        roles(user),
        user.keys.len()
    );
    for key in &user.keys {
        let mut words = key.public_key.splitn(3, ' ');
        let (kind, comment) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        text.push_str(format!("    {} {kind} {comment}", key.fingerprint).trim_end());
        text.push('\n');
    }
    Ok(terminal::out(text)?)
}

fn password(from_stdin: bool) -> anyhow::Result<String> {
    if from_stdin {
        return prompt::line();
    }
    if !io::stdin().is_terminal() {
        return Err(anyhow::anyhow!("a new user needs a password"))
            .hint("pipe it in and give `--password-stdin`");
    }
    let first = prompt::ask_password("Password of the new user")?;
    let second = prompt::ask_password("The same again")?;
    if first.expose_secret() != second.expose_secret() {
        bail!("the passwords are not the same");
    }
    Ok(first.expose_secret().to_owned())
}

/// The text of a file with a public key. The server judges it.
fn read_key(file: &Path) -> anyhow::Result<String> {
    let describe = || format!("cannot read `{}`", file.display());
    let mut text = String::new();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).with_context(describe)?)
    };
    source
        .take(MAX_KEY + 1)
        .read_to_string(&mut text)
        .with_context(describe)?;
    if text.len() as u64 > MAX_KEY {
        bail!("`{}` is too long for a public key", file.display());
    }
    if text.contains("PRIVATE KEY") {
        return Err(anyhow::anyhow!("`{}` is a private key", file.display()))
            .hint("give the file that ends in `.pub`; the private key was not sent");
    }
    Ok(text)
}
