//! `cycle_server init`: makes the folder of a server.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use terminal::ResultExt;
use uuid::Uuid;

use crate::auth::{generate_password, hash_password, is_node_id};
use crate::clock::Clock;
use crate::folder::{Folder, Site};
use crate::store::{AccountRecord, Store};
use crate::tls;

/// What the administrator chose.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the first account.
    pub admin: String,
    /// Its password; none: one is made and printed.
    pub password: Option<String>,
    /// Further names of this host, for the certificate.
    pub hosts: Vec<String>,
}

/// Makes the folder. One that was left half made is made anew; a complete one is not touched.
///
/// # Errors
/// When the folder is complete already, holds something else, or cannot be written.
pub async fn init(folder: &Path, options: Options, clock: &dyn Clock) -> anyhow::Result<()> {
    protocol::check_name("the account", &options.admin)?;
    if is_node_id(&options.admin) {
        bail!("the account `{}` would look like a node", options.admin);
    }
    if options.password.as_deref() == Some("") {
        bail!("the password is empty");
    }
    let folder = Folder::new(folder)?;
    check(&folder)?;
    durable::create_folder(folder.root(), 0o750)?;
    let _lock = folder.lock()?;
    // Somebody else may have been faster.
    check(&folder)?;
    durable::write(&folder.beginning(), 0o600, b"")?;
    clear(&folder)?;

    for path in [folder.tls(), folder.broker(), folder.run()] {
        durable::create_folder(&path, 0o700)?;
    }
    for path in [folder.locker(), folder.nodes(), folder.logs()] {
        durable::create_folder(&path, 0o750)?;
    }
    tls::create(&folder.tls(), names(options.hosts), clock.now())
        .hint("check the names given with `--host`")?;
    let store = Store::open(&folder.store())?;
    let (password, is_generated) = match options.password {
        Some(password) => (password, false),
        None => (generate_password()?, true),
    };
    let account = AccountRecord::new(options.admin.clone(), hash_password(&password)?, true);
    store.save_account(account).await?;
    store.checkpoint().await?;

    terminal::out(format!("Folder: {}\n", folder.root().display()))?;
    terminal::out(format!(
        "CA fingerprint (SHA-256): {}\n",
        tls::fingerprint(&folder.tls())?
    ))?;
    terminal::out(format!("Account: {}\n", options.admin))?;
    if is_generated {
        terminal::out(format!("Password: {password}\n"))?;
    }
    // Last: a password that nobody has seen is worth nothing.
    let site = Site {
        version: 1,
        id: Uuid::new_v4().to_string(),
    };
    durable::write_json(&folder.site(), 0o644, &site)?;
    durable::remove(&folder.beginning())?;
    terminal::note(format!(
        "Start the server with `cycle_server run --dir {}`",
        folder.root().display()
    ));
    Ok(())
}

fn check(folder: &Folder) -> anyhow::Result<()> {
    let root = folder.root().display();
    if folder.site().exists() {
        return Err(anyhow::anyhow!("`{root}` is initialised already")).hint(format!(
            "start it with `cycle_server run --dir {root}`, or choose another folder"
        ));
    }
    if folder.beginning().exists() {
        return Ok(());
    }
    let entries = match fs::read_dir(folder.root()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{root}`")),
    };
    for entry in entries {
        let name = entry?.file_name();
        if ![crate::settings::FILE, ".lock", "lost+found"]
            .iter()
            .any(|known| name == *known)
        {
            return Err(anyhow::anyhow!(
                "`{root}` is not empty: it holds `{}`",
                name.display()
            ))
            .hint("choose a folder that is empty or does not exist");
        }
    }
    Ok(())
}

/// Removes what an init that was killed has left.
fn clear(folder: &Folder) -> anyhow::Result<()> {
    let store = folder.store();
    for suffix in ["", "-wal", "-shm"] {
        let mut path = store.clone().into_os_string();
        path.push(suffix);
        durable::remove(Path::new(&path))?;
    }
    for path in [folder.tls(), folder.broker()] {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove `{}`", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The names of this host and those that were given.
fn names(hosts: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let own = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    for name in hosts.into_iter().chain(own) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn options() -> Options {
        Options {
            admin: "admin".to_owned(),
            password: Some("secret".to_owned()),
            hosts: vec!["head.example".to_owned()],
        }
    }

    async fn account(folder: &Path) -> AccountRecord {
        let store = Store::open(&folder.join("store.db")).unwrap();
        store.account("admin").await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_complete_folder_is_refused_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), options(), &SystemClock).await.unwrap();
        let before = (
            account(folder.path()).await,
            fs::read(folder.path().join("tls/ca.pem")).unwrap(),
        );
        let error = init(folder.path(), options(), &SystemClock).await.unwrap_err();
        assert!(error.to_string().contains("initialised already"), "{error}");
        let after = (
            account(folder.path()).await,
            fs::read(folder.path().join("tls/ca.pem")).unwrap(),
        );
        assert_eq!(before, after);
    }

    #[tokio::test]
    async fn an_init_that_was_killed_is_run_again() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), options(), &SystemClock).await.unwrap();
        durable::write(&folder.path().join(".initialising"), 0o600, b"").unwrap();
        durable::remove(&folder.path().join("site.json")).unwrap();
        durable::write(&folder.path().join("tls/ca.pem"), 0o600, b"half").unwrap();
        init(folder.path(), options(), &SystemClock).await.unwrap();
        assert!(folder.path().join("site.json").exists());
        assert!(!folder.path().join(".initialising").exists());
        tls::fingerprint(&folder.path().join("tls")).unwrap();
    }

    #[tokio::test]
    async fn a_folder_with_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        durable::write(&folder.path().join("thesis.txt"), 0o600, b"").unwrap();
        let error = init(folder.path(), options(), &SystemClock).await.unwrap_err();
        assert!(error.to_string().contains("thesis.txt"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn names_that_nobody_may_have_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for admin in ["", "../x", "0123456789abcdef0123456789abcdef"] {
            let options = Options {
                admin: admin.to_owned(),
                ..options()
            };
            init(folder.path(), options, &SystemClock).await.unwrap_err();
        }
    }
}
