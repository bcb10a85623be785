//! `jetpack initialize`.

use clap::Args;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use link::join::{Error as JoinError, Membership};
use node::clock::SystemClock;
use node::home::{Home, Root};
use node::identity::{Identity, Machine};
use node::settings::Settings;
use protocol::check_name;
use terminal::ResultExt;

use crate::{context, node_data};

#[derive(Debug, Args)]
pub(crate) struct InitializeArgs {
    /// URL of the server
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// The id that the server gave for this start of the machine
    #[arg(long, value_name = "ID")]
    pub(crate) userdata: String,

    /// Certificate of the server's authority (PEM); only servers that it has signed are trusted
    #[arg(long, value_name = "FILE", conflicts_with = "ca_fingerprint")]
    pub(crate) ca: Option<PathBuf>,

    /// SHA-256 of that certificate, 64 hex digits; the certificate itself is fetched from the server
    #[arg(long, value_name = "SHA256")]
    pub(crate) ca_fingerprint: Option<String>,
}

/// Makes the home and joins. A server that refuses leaves everything as it was; one that is away does not.
pub(crate) fn run(args: &InitializeArgs) -> anyhow::Result<()> {
    check_name("userdata id", &args.userdata)?;
    let fingerprint = args.ca_fingerprint.as_deref().map(fingerprint).transpose()?;
    let ca = args.ca.as_deref().map(read_certificate).transpose()?;
    let home = context::home()?;
    let skeleton = home.create().hint("CYCLECLOUD_HOME names another home")?;
    let kept = Kept::read(&home)?;

    let result = prepare(args, fingerprint.as_deref(), ca.as_deref(), &home).and_then(|()| join(&home));
    match result {
        Ok(Joined::Yes { cluster, node }) => {
            install_files(&home);
            terminal::note(format_args!(
                "this machine is node `{node}` of cluster `{cluster}`; jetpackd does the rest"
            ));
            Ok(())
        }
        Ok(Joined::Later(reason)) => {
            install_files(&home);
            terminal::note(format_args!(
                "{reason}; jetpackd will join when the server answers"
            ));
            Ok(())
        }
        Err(error) => {
            kept.restore()?;
            skeleton.remove();
            Err(error)
        }
    }
}

enum Joined {
    Yes { cluster: String, node: String },
    Later(String),
}

fn prepare(
    args: &InitializeArgs,
    fingerprint: Option<&str>,
    ca: Option<&[u8]>,
    home: &Home,
) -> anyhow::Result<()> {
    if let Some(ca) = ca {
        durable::write(&home.ca_certificate(), 0o644, ca)?;
    } else if fingerprint.is_some() {
        // The one that belongs to the fingerprint is fetched.
        durable::remove(&home.ca_certificate())?;
    }
    let mut values = vec![("cycle_server", "webserver", args.url.trim_end_matches('/'))];
    if let Some(fingerprint) = fingerprint {
        values.push(("cycle_server", "ca_fingerprint", fingerprint));
    }
    Settings::update(home, &SystemClock, &values)?;
    let (_, warning) = Identity::ensure(home, &Machine::this(), &args.userdata, &SystemClock)?;
    if let Some(warning) = warning {
        terminal::warn(warning);
    }
    link_programs(home)
}

fn join(home: &Home) -> anyhow::Result<Joined> {
    let settings = context::settings(home)?;
    let mut membership = Membership::load(home, &settings, &Machine::this())?;
    context::with_runtime(async {
        let joined = async {
            membership.pin(home, &settings).await?;
            membership.join(home, &SystemClock).await
        };
        match joined.await {
            Ok(configuration) => {
                node_data::refresh(home, &membership, &configuration).await?;
                Ok(Joined::Yes {
                    cluster: configuration.cluster_name,
                    node: configuration.node_name,
                })
            }
            Err(error) if error.is_away() => Ok(Joined::Later(terminal::chain(&error))),
            Err(error @ JoinError::Server(_)) => {
                Err(error).hint("the userdata id is on the node's page of the server")
            }
            Err(error) => Err(error.into()),
        }
    })
}

/// What other software on the node uses. A node without it is still a node.
fn install_files(home: &Home) {
    for (what, result) in [
        ("files of the environment are", node::environment::install(home)),
        (
            "files of login shells are",
            node::environment::install_profile(home, &Root::this()),
        ),
        ("Python is", node::python_package::install(home)),
    ] {
        if let Err(error) = result {
            terminal::warn(format_args!(
                "the node's {what} not complete: {}",
                terminal::chain(&error)
            ));
        }
    }
}

/// Puts our programs where other software looks for them. Installed ones are left alone.
fn link_programs(home: &Home) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    for name in ["jetpack", "jetpackd"] {
        let (link, program) = (home.bin().join(name), folder.join(name));
        let is_link = link.symlink_metadata().is_ok_and(|there| there.is_symlink());
        if link == program || !program.exists() || (link.exists() && !is_link) {
            continue;
        }
        if is_link {
            if fs::read_link(&link).is_ok_and(|to| to == program) {
                continue;
            }
            fs::remove_file(&link).with_context(|| format!("cannot replace `{}`", link.display()))?;
        }
        match symlink(&program, &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.with_context(|| format!("cannot make `{}`", link.display()))?,
        }
    }
    Ok(())
}

fn fingerprint(given: &str) -> anyhow::Result<String> {
    let digits: String = given
        .chars()
        .filter(|c| *c != ':')
        .collect::<String>()
        .to_lowercase();
    if digits.len() != 64 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!("`{given}` is no SHA-256 fingerprint of 64 hex digits");
    }
    Ok(digits)
}

fn read_certificate(path: &Path) -> anyhow::Result<Vec<u8>> {
    let pem = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    link::tls::fingerprint(&pem).with_context(|| format!("`{}` is no certificate", path.display()))?;
    Ok(pem)
}

/// The files that `initialize` changes, as they were before.
struct Kept(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Kept {
    fn read(home: &Home) -> anyhow::Result<Self> {
        let paths = [
            home.jetpack_ini(),
            home.identity(),
            home.ca_certificate(),
            home.run().join("settings.lock"),
            home.run().join("identity.lock"),
            home.bin().join("jetpack"),
            home.bin().join("jetpackd"),
        ];
        let mut files = Vec::new();
        for path in paths {
            let content = match fs::read(&path) {
                Ok(content) => Some(content),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
            };
            files.push((path, content));
        }
        Ok(Self(files))
    }

    fn restore(self) -> anyhow::Result<()> {
        for (path, content) in self.0 {
            match content {
                None => durable::remove(&path)?,
                Some(content) if fs::read(&path).is_ok_and(|now| now == content) => {}
                Some(content) => {
                    let mode = if path.ends_with("identity.json") {
                        0o600
                    } else {
                        0o640
                    };
                    durable::write(&path, mode, &content)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_come_with_and_without_colons() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(fingerprint(&colons).unwrap(), plain);
        fingerprint("abc").unwrap_err();
    }

    #[test]
    fn what_was_there_is_restored_and_what_was_not_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("jetpack"));
        home.create().unwrap();
        durable::write(&home.jetpack_ini(), 0o640, b"[a]\nb = 1\n").unwrap();
        let kept = Kept::read(&home).unwrap();
        durable::write(&home.jetpack_ini(), 0o640, b"other").unwrap();
        durable::write(&home.identity(), 0o600, b"{}").unwrap();
        kept.restore().unwrap();
        assert_eq!(fs::read(home.jetpack_ini()).unwrap(), b"[a]\nb = 1\n");
        assert!(!home.identity().exists());
    }
}
