//! `cycle_server.toml`: what an administrator may set.
//!
//! A key that this version does not know is a warning, so that an older server starts with the file of a newer
//! one.

mod lockers;
mod messages;

pub use lockers::LockerSettings;
pub use messages::MessageSettings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use crate::app::LOCKER;
use crate::lifecycle::{MachineType, Machines};

/// Name of the file in the server's folder.
pub const FILE: &str = "cycle_server.toml";

/// A physical machine takes ten minutes to boot, and an image may have to be copied first.
const BOOT_LIMIT: u64 = 3600;
/// Nodes run what was registered with `jetpack run_on_shutdown` for at most 15 minutes; a minute more is for the way.
const SHUTDOWN_LIMIT: u64 = 16 * 60;

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
struct Fragment {
    http: Option<String>,
    amqp: Option<String>,
    url: Option<String>,
    amqp_url: Option<String>,
    heartbeat_seconds: Option<u64>,
    log: Option<String>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    retention: Retention,
    #[serde(default)]
    provider: Provider,
    #[serde(default)]
    messages: messages::Fragment,
    #[serde(default)]
    machine_types: BTreeMap<String, MachineType>,
    #[serde(default)]
    lockers: BTreeMap<String, lockers::Fragment>,
    default_locker: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Limits {
    max_nodes: Option<u32>,
    max_cores: Option<u32>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Retention {
    days: Option<u32>,
    max_events: Option<u32>,
    max_messages: Option<u32>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Provider {
    programs: Option<PathBuf>,
    grace_seconds: Option<u64>,
    shutdown_limit_seconds: Option<u64>,
    boot_limit_seconds: Option<u64>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

/// The settings of a server, complete and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where AMQP is served.
    pub amqp: SocketAddr,
    /// How nodes and people reach the HTTP address, when that is not what it looks like from here.
    pub url: Option<String>,
    /// How nodes reach the AMQP listener, when that is not what it looks like from here: host and port.
    pub amqp_url: Option<(String, u16)>,
    /// Time between two heartbeats of a node.
    pub heartbeat: Duration,
    /// What is logged, in the syntax of `RUST_LOG`.
    pub log: String,
    /// Machine types and limits.
    pub machines: Machines,
    /// How long messages, operations, events and ended userdata ids are kept.
    pub keep: SignedDuration,
    /// Most events.
    pub max_events: u32,
    /// Most messages.
    pub max_messages: u32,
    /// Folder of `jetpack` and `jetpackd`; none: that of this program.
    pub programs: Option<PathBuf>,
    /// How long a node may take to stop its work before its machine is deleted, if it does not say that it needs longer.
    pub grace: Duration,
    /// How long at most it may take if it says so.
    pub shutdown_limit: Duration,
    /// How long a machine may take to boot and to join, if its template does not say (`AwaitInstallationTimeout`).
    pub boot_limit: Duration,
    /// The RabbitMQ that carries the messages; none: the server's own broker does.
    pub messages: Option<MessageSettings>,
    /// Object storage beside the server's own locker, by name.
    pub lockers: BTreeMap<String, LockerSettings>,
    /// Name of the locker that holds a project when nobody says which.
    pub default_locker: String,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or a value has the wrong type.
    #[error("`{path}` is not valid", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A locker cannot be as it is written.
    #[error("the locker `{name}` {problem}")]
    Locker {
        /// Name of the locker.
        name: String,
        /// What is wrong with it, to be read after the name.
        problem: String,
    },
    /// A value cannot be meant.
    #[error("`{key}` cannot be `{value}`: {problem}")]
    Value {
        /// The key or option.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is expected.
        problem: &'static str,
    },
}

impl Settings {
    /// Reads the file of a server's folder; a missing one is an empty one. Addresses that are given here win
    /// over those of the file. Returns warnings for people with the settings.
    ///
    /// # Errors
    /// When the file cannot be read or says something that cannot be.
    pub fn load(
        folder: &Path,
        http: Option<&str>,
        amqp: Option<&str>,
    ) -> Result<(Self, Vec<String>), SettingsError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(SettingsError::Read { path, source }),
        };
        let fragment: Fragment = match toml::from_str(&text) {
            Ok(fragment) => fragment,
            Err(source) => return Err(SettingsError::Syntax { path, source }),
        };
        let warnings = fragment.warnings(&path);
        Ok((fragment.settings(folder, http, amqp)?, warnings))
    }
}

impl Fragment {
    fn warnings(&self, path: &Path) -> Vec<String> {
        [
            ("", &self.unknown),
            ("limits.", &self.limits.unknown),
            ("retention.", &self.retention.unknown),
            ("provider.", &self.provider.unknown),
            ("messages.", &self.messages.unknown),
        ]
        .into_iter()
        .flat_map(|(prefix, keys)| keys.keys().map(move |key| format!("{prefix}{key}")))
        .chain(self.lockers.iter().flat_map(|(name, locker)| {
            let keys = locker.unknown();
            keys.map(move |key| format!("lockers.{name}.{key}"))
        }))
        .map(|key| {
            format!(
                "`{}`: the key `{key}` is not known and has no effect",
                path.display()
            )
        })
        .chain(self.open_secret(path))
        .collect()
    }

    /// A warning when others of this machine can read a secret in the file.
    fn open_secret(&self, path: &Path) -> Option<String> {
        let holds_secret =
            self.messages.holds_secret() || self.lockers.values().any(lockers::Fragment::holds_secret);
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        (holds_secret && mode & 0o077 != 0).then(|| {
            format!(
                "`{}` holds a secret and others may read it: its mode is {:o}",
                path.display(),
                mode & 0o777
            )
        })
    }

    fn settings(
        self,
        folder: &Path,
        http: Option<&str>,
        amqp: Option<&str>,
    ) -> Result<Settings, SettingsError> {
        let http = http.or(self.http.as_deref()).unwrap_or("127.0.0.1:8080");
        let amqp = amqp.or(self.amqp.as_deref()).unwrap_or("127.0.0.1:5672");
        let heartbeat = self.heartbeat_seconds.unwrap_or(15);
        if heartbeat == 0 {
            return Err(SettingsError::Value {
                key: "heartbeat_seconds",
                value: heartbeat.to_string(),
                problem: "at least 1 is expected",
            });
        }
        if let Some(url) = &self.url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(SettingsError::Value {
                key: "url",
                value: url.clone(),
                problem: "a URL like `https://host:8080` is expected",
            });
        }
        let messages = self.messages.settings(folder)?;
        let mut lockers = BTreeMap::new();
        for (name, fragment) in self.lockers {
            let settings = fragment.settings(&name, folder)?;
            lockers.insert(name, settings);
        }
        let default_locker = self.default_locker.unwrap_or_else(|| LOCKER.to_owned());
        if default_locker != LOCKER && !lockers.contains_key(&default_locker) {
            return Err(SettingsError::Value {
                key: "default_locker",
                value: default_locker,
                problem: "the name of a section `[lockers.NAME]`, or `local`, is expected",
            });
        }
        Ok(Settings {
            http: address("http", http)?,
            amqp: address("amqp", amqp)?,
            url: self.url.map(|url| url.trim_end_matches('/').to_owned()),
            amqp_url: self.amqp_url.as_deref().map(messages::place).transpose()?,
            heartbeat: Duration::from_secs(heartbeat),
            // `lapin` logs each lost connection many times; our session says it once, with the cause.
            log: self.log.unwrap_or_else(|| "info,lapin=off".to_owned()),
            machines: Machines {
                types: self.machine_types,
                max_nodes: self.limits.max_nodes.unwrap_or(10_000),
                max_cores: self.limits.max_cores.unwrap_or(100_000),
            },
            keep: SignedDuration::from_hours(24 * i64::from(self.retention.days.unwrap_or(30))),
            max_events: self.retention.max_events.unwrap_or(200_000),
            max_messages: self.retention.max_messages.unwrap_or(500_000),
            programs: self.provider.programs,
            grace: Duration::from_secs(self.provider.grace_seconds.unwrap_or(10)),
            shutdown_limit: Duration::from_secs(
                self.provider.shutdown_limit_seconds.unwrap_or(SHUTDOWN_LIMIT),
            ),
            boot_limit: Duration::from_secs(self.provider.boot_limit_seconds.unwrap_or(BOOT_LIMIT)),
            messages,
            lockers,
            default_locker,
        })
    }
}

fn address(key: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    let text_with_ip = text.replacen("localhost:", "127.0.0.1:", 1);
    text_with_ip.parse().map_err(|_| SettingsError::Value {
        key,
        value: text.to_owned(),
        problem: "an address like `127.0.0.1:8080` or `[::]:8080` is expected",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<(Settings, Vec<String>), SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        durable::write(&folder.path().join(FILE), 0o600, text.as_bytes()).unwrap();
        Settings::load(folder.path(), None, None)
    }

    #[test]
    fn no_file_means_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, warnings) = Settings::load(folder.path(), None, Some("localhost:0")).unwrap();
        assert_eq!(settings.http.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.amqp.to_string(), "127.0.0.1:0");
        assert!(warnings.is_empty());
    }

    #[test]
    fn unknown_keys_are_warnings() {
        let (settings, warnings) =
            load("shiny = 1\nheartbeat_seconds = 3\n[limits]\nmax_moons = 2\n").unwrap();
        assert_eq!(settings.heartbeat, Duration::from_secs(3));
        assert!(warnings[0].contains("`shiny`"), "{warnings:?}");
        assert!(warnings[1].contains("`limits.max_moons`"), "{warnings:?}");
        let (_, warnings) = load("[lockers.a]\nurl = \"s3://b\"\nregoin = \"x\"\n").unwrap();
        assert!(warnings[0].contains("`lockers.a.regoin`"), "{warnings:?}");
    }

    #[test]
    fn a_secret_that_others_may_read_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[lockers.a]\nurl = \"az://a/b\"\nsas = \"topsecret\"\n";
        let warnings = |mode| {
            durable::write(&folder.path().join(FILE), mode, text.as_bytes()).unwrap();
            Settings::load(folder.path(), None, None).unwrap().1
        };
        assert!(warnings(0o600).is_empty());
        let warnings = warnings(0o644);
        assert!(warnings[0].contains("its mode is 644"), "{warnings:?}");
        assert!(!warnings[0].contains("topsecret"), "{warnings:?}");
    }

    #[test]
    fn machine_types_have_defaults() {
        let (settings, _) = load("[machine_types.Standard_D4]\ncores = 4\n").unwrap();
        let machine = settings.machines.types["Standard_D4"];
        assert_eq!((machine.cores, machine.gpus), (4, 0));
    }

    #[test]
    fn a_node_has_time_for_all_that_may_run_before_its_end() {
        let (settings, _) = load("[provider]\ngrace_seconds = 3\n").unwrap();
        assert_eq!(settings.grace, Duration::from_secs(3));
        assert!(settings.shutdown_limit >= Duration::from_secs(15 * 60));
        let (settings, _) = load("[provider]\nshutdown_limit_seconds = 60\n").unwrap();
        assert_eq!(settings.shutdown_limit, Duration::from_secs(60));
    }

    #[test]
    fn a_rabbitmq_is_named_by_one_url() {
        let (settings, _) = load("[messages]\nurl = \"amqps://cycle:s3cret@mq.example.com/site\"\n").unwrap();
        let messages = settings.messages.unwrap();
        assert_eq!(messages.management_url, "https://mq.example.com:15671");
        let reach = &messages.reach;
        assert_eq!(
            (reach.host.as_deref(), reach.port, reach.tls, reach.vhost.as_str()),
            (Some("mq.example.com"), 5671, true, "site")
        );
        assert!(!format!("{messages:?}").contains("s3cret"));
        let error = load("[messages]\nurl = \"amqp://cycle:s3cret@mq.example.com/site\"\n").unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("`amqp://mq.example.com`") && !error.contains("s3cret"),
            "{error}"
        );
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        for text in [
            "http = \"8080\"",
            "heartbeat_seconds = 0",
            "heartbeat_seconds = \"x\"",
            "url = \"host\"",
            "=",
            "default_locker = \"none\"",
            "[lockers.local]\nurl = \"az://a/b\"",
            "[lockers.x]",
            "amqp_url = \"host:5672\"",
            "[messages]\nurl = \"http://x\"",
            "[messages]\nurl = \"amqp://a:b@example.com\"",
            "[messages]\nnode_url = \"amqps://example.com\"",
            "[messages]\nurl = \"amqps://example.com\"\nmanagement_url = \"http://example.com\"",
        ] {
            assert!(load(text).is_err(), "{text}");
        }
    }
}
