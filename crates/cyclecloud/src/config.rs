//! `~/.cycle/config.ini`: which server, who we are there, and the default lockers.
//!
//! Other tools keep sections of their own in this file; they stay as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use locker::{Access, Credential, Trust};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use terminal::ResultExt;

const SERVER: &str = "cyclecloud";
const PROJECT: &str = "project";
/// Start of the names of sections with credentials of object storage.
const POGO: &str = "pogo ";

/// The file, line by line.
#[derive(Debug, Default, Clone)]
pub(crate) struct Config {
    path: PathBuf,
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, Eq)]
enum Line {
    Section(String),
    Key(String, String),
    /// Comments, blanks, and what others write.
    Other(String),
}

/// Values may be passwords.
impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Section(name) => write!(f, "[{name}]"),
            Self::Key(key, _) => write!(f, "{key} = …"),
            Self::Other(_) => f.write_str("…"),
        }
    }
}

/// What is needed to talk to the server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// Without a slash at its end.
    pub(crate) url: Url,
    pub(crate) username: String,
    pub(crate) password: SecretString,
    pub(crate) verify: bool,
    /// PEM file with the only authority to believe.
    pub(crate) ca: Option<PathBuf>,
    /// For people.
    pub(crate) name: Option<String>,
}

impl Server {
    /// Credential and trust, for REST and lockers alike.
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let trust = match &self.ca {
            _ if !self.verify => Trust::Anybody,
            Some(path) => Trust::Pinned(
                fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?,
            ),
            None => Trust::System,
        };
        let access = Access::basic(self.username.clone(), self.password.clone());
        Ok(Access { trust, ..access })
    }
}

/// The address of a server, as people write it.
pub(crate) fn server_url(text: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(text).with_context(|| format!("`{text}` is not a URL"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https"),
        "`{text}` is not the address of a server: it starts neither with http:// nor https://"
    );
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "the address of the server has a credential in it"
    );
    if !locker::is_private(&url) {
        bail!("`{text}` is not on this machine: a password goes over https only");
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

impl Config {
    /// Reads the file; an empty configuration when there is none.
    pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => std::env::home_dir()
                .filter(|home| !home.as_os_str().is_empty())
                .context("there is no home folder")
                .hint("name the configuration with `--config FILE`")?
                .join(".cycle/config.ini"),
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
            }
        };
        Ok(Self {
            lines: text.lines().map(Line::parse).collect(),
            path,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file, for its owner only.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            durable::create_folder(folder, 0o700)?;
        }
        durable::write(&self.path, 0o600, self.text().as_bytes())?;
        Ok(())
    }

    fn text(&self) -> String {
        self.lines
            .iter()
            .map(|line| match line {
                Line::Section(name) => format!("[{name}]\n"),
                Line::Key(key, value) => format!("{key} = {value}\n"),
                Line::Other(text) => format!("{text}\n"),
            })
            .collect()
    }

    /// The server, if there is one in the file.
    pub(crate) fn server(&self) -> anyhow::Result<Option<Server>> {
        let (Some(url), Some(username), Some(password)) = (
            self.get(SERVER, "url"),
            self.get(SERVER, "username"),
            self.get(SERVER, "password"),
        ) else {
            return Ok(None);
        };
        let url = server_url(url).with_context(|| format!("`{}` is not valid", self.path.display()))?;
        Ok(Some(Server {
            url,
            username: username.to_owned(),
            password: password.to_owned().into(),
            verify: !self
                .get(SERVER, "verify_certificates")
                .is_some_and(|value| value.eq_ignore_ascii_case("false")),
            ca: self.get(SERVER, "ca").map(PathBuf::from),
            name: self.get(SERVER, "name").map(str::to_owned),
        }))
    }

    /// The server, or what to do about there being none.
    pub(crate) fn require_server(&self) -> anyhow::Result<Server> {
        self.server()?
            .with_context(|| format!("`{}` names no server", self.path.display()))
            .hint("run `cyclecloud initialize`")
    }

    pub(crate) fn set_server(&mut self, server: &Server) -> anyhow::Result<()> {
        let ca = server.ca.as_ref().map(|path| path.display().to_string());
        self.set(SERVER, "name", server.name.as_deref())?;
        self.set(SERVER, "url", Some(server.url.as_str().trim_end_matches('/')))?;
        self.set(SERVER, "username", Some(&server.username))?;
        self.set(SERVER, "password", Some(server.password.expose_secret()))?;
        let verify = if server.verify { "true" } else { "false" };
        self.set(SERVER, "verify_certificates", Some(verify))?;
        self.set(SERVER, "ca", ca.as_deref())
    }

    /// The default locker of a project: its own, else the global one.
    pub(crate) fn default_locker(&self, project: &str) -> Option<&str> {
        self.get(&format!("{PROJECT} {project}"), "default_locker")
            .or_else(|| self.get(PROJECT, "default_locker"))
    }

    /// Sets the default locker of a project, or of all.
    pub(crate) fn set_default_locker(&mut self, project: Option<&str>, locker: &str) -> anyhow::Result<()> {
        let section = match project {
            Some(project) => format!("{PROJECT} {project}"),
            None => PROJECT.to_owned(),
        };
        self.set(&section, "default_locker", Some(locker))
    }

    /// How object storage is entered that the user names by its URL: as the section `[pogo NAME]` says whose `matches`
    /// is this URL or a folder above, else with what the environment and the machine offer.
    pub(crate) fn storage_access(&self, url: &str) -> anyhow::Result<Access> {
        let sections = self.lines.iter().filter_map(|line| match line {
            Line::Section(name) if name.starts_with(POGO) => Some(name.as_str()),
            _ => None,
        });
        let matches = |section: &&str| {
            let above = self
                .get(section, "matches")
                .map(|matches| matches.trim_end_matches('/'));
            above
                .and_then(|above| url.strip_prefix(above))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let Some(section) = sections.into_iter().find(matches) else {
            return Ok(Access::default());
        };
        let one = |key: &str| self.get(section, key);
        let all = |keys: [&str; 3]| {
            let [a, b, c] = keys.map(one);
            Some((a?, b?, c?))
        };
        let application = all(["tenant_id", "application_id", "application_secret"]);
        let access_key = one("access_key").zip(one("secret_key"));
        let credential = if let Some((tenant_id, client_id, client_secret)) = application {
            Credential::ServicePrincipal {
                tenant_id: tenant_id.to_owned(),
                client_id: client_id.to_owned(),
                client_secret: client_secret.into(),
            }
        } else if let Some((id, secret)) = access_key {
            Credential::AccessKey {
                id: id.to_owned(),
                secret: secret.into(),
                session_token: None,
            }
        } else if let Some(sas) = one("sas_token") {
            Credential::Sas(sas.into())
        } else if let Some(key) = one("account_key") {
            Credential::AccountKey(key.into())
        } else {
            return Err(anyhow::anyhow!(
                "the section `[{section}]` of `{}` has no credential",
                self.path.display()
            ))
            .hint(
                "give `tenant_id`, `application_id` and `application_secret`, or `account_key`, or `sas_token`, or \
                 `access_key` and `secret_key`",
            );
        };
        Ok(Access {
            endpoint: one("endpoint").map(str::to_owned),
            region: one("region").map(str::to_owned),
            ..Access::with(credential)
        })
    }

    fn get(&self, section: &str, key: &str) -> Option<&str> {
        let mut within = false;
        self.lines.iter().find_map(|line| match line {
            Line::Section(name) => {
                within = name == section;
                None
            }
            Line::Key(name, value) if within && name.eq_ignore_ascii_case(key) && !value.is_empty() => {
                Some(value.as_str())
            }
            _ => None,
        })
    }

    fn set(&mut self, section: &str, key: &str, value: Option<&str>) -> anyhow::Result<()> {
        if let Some(value) = value {
            ensure!(
                value.trim() == value && !value.contains(['\n', '\r']),
                "the value of `{key}` starts or ends with a blank or has several lines, which `{}` cannot hold",
                self.path.display()
            );
        }
        let start = match self
            .lines
            .iter()
            .position(|line| matches!(line, Line::Section(name) if name == section))
        {
            Some(header) => header + 1,
            None if value.is_none() => return Ok(()),
            None => {
                self.lines.push(Line::Section(section.to_owned()));
                self.lines.len()
            }
        };
        let length = self.lines[start..]
            .iter()
            .position(|line| matches!(line, Line::Section(_)))
            .unwrap_or(self.lines.len() - start);
        let known = self.lines[start..start + length]
            .iter()
            .position(|line| matches!(line, Line::Key(name, _) if name.eq_ignore_ascii_case(key)));
        match (known, value) {
            (Some(at), Some(value)) => self.lines[start + at] = Line::Key(key.to_owned(), value.to_owned()),
            (Some(at), None) => drop(self.lines.remove(start + at)),
            (None, Some(value)) => {
                // Before the blank lines that end the section.
                let end = self.lines[start..start + length]
                    .iter()
                    .rposition(|line| !matches!(line, Line::Other(text) if text.trim().is_empty()))
                    .map_or(start, |last| start + last + 1);
                self.lines
                    .insert(end, Line::Key(key.to_owned(), value.to_owned()));
            }
            (None, None) => {}
        }
        Ok(())
    }
}

impl Line {
    fn parse(line: &str) -> Self {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) || line.starts_with([' ', '\t']) {
            return Self::Other(line.to_owned());
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Self::Section(name.trim().to_owned());
        }
        match trimmed.split_once('=') {
            Some((key, value)) => Self::Key(key.trim().to_owned(), value.trim().to_owned()),
            None => Self::Other(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(text: &str) -> Config {
        Config {
            path: "c.ini".into(),
            lines: text.lines().map(Line::parse).collect(),
        }
    }

    #[test]
    fn what_others_wrote_stays() {
        let mut config = config(
            "# mine\n[pogo a]\ntype = az\n  matches = x\n\n[cyclecloud]\nurl = http://localhost\n\n[z]\n",
        );
        config.set("cyclecloud", "name", Some("x")).unwrap();
        config.set("cyclecloud", "url", None).unwrap();
        config.set_default_locker(Some("p"), "local").unwrap();
        assert_eq!(
            config.text(),
            "# mine\n[pogo a]\ntype = az\n  matches = x\n\n[cyclecloud]\nname = x\n\n[z]\n[project p]\ndefault_locker = local\n"
        );
    }

    #[test]
    fn the_projects_own_default_wins() {
        let config = config("[project]\ndefault_locker = all\n[project a]\ndefault_locker = own\n");
        assert_eq!(config.default_locker("a"), Some("own"));
        assert_eq!(config.default_locker("b"), Some("all"));
    }

    #[test]
    fn the_credential_of_object_storage_is_found_by_its_url() {
        let config = config(
            "[pogo a]\ntype = az\nsubscription_id = 0\ntenant_id = 1\napplication_id = 2\napplication_secret = 3\n\
             matches = az://acct/box\n[pogo b]\nmatches = s3://bucket/\naccess_key = k\nsecret_key = s\nregion = x\n\
             [pogo c]\nmatches = gs://none\n",
        );
        let access = |url: &str| config.storage_access(url).unwrap();
        assert!(matches!(
            access("az://acct/box").credential,
            Some(Credential::ServicePrincipal { client_id, .. }) if client_id == "2"
        ));
        assert!(matches!(
            access("s3://bucket").credential,
            Some(Credential::AccessKey { .. })
        ));
        assert_eq!(access("s3://bucket").region.as_deref(), Some("x"));
        assert!(access("az://acct/boxes").credential.is_none());
        let error = config.storage_access("gs://none").unwrap_err().to_string();
        assert!(error.contains("`[pogo c]`"), "{error}");
    }

    #[test]
    fn passwords_are_not_in_debug_output() {
        let config = config("[cyclecloud]\nurl=http://localhost\nusername=a\npassword=hunter2\n");
        assert!(!format!("{config:?}{:?}", config.server().unwrap()).contains("hunter2"));
    }

    #[test]
    fn addresses_that_would_show_the_password_are_refused() {
        for url in [
            "http://example.com",
            "ftp://localhost",
            "localhost:8080",
            "https://u:p@localhost",
        ] {
            server_url(url).unwrap_err();
        }
        assert_eq!(
            server_url("https://x/cyclecloud/?a#b").unwrap().as_str(),
            "https://x/cyclecloud"
        );
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_from_the_text(value in "[ -~]{1,20}", key in "[a-z]{1,5}", before in "[\\[\\]a=# \n]{0,20}") {
            let mut before = config(&before);
            if before.set("cyclecloud", &key, Some(&value)).is_ok() {
                let after = config(&before.text());
                prop_assert_eq!(after.get("cyclecloud", &key), Some(value.as_str()));
            } else {
                prop_assert_ne!(value.trim(), &value);
            }
        }
    }
}
