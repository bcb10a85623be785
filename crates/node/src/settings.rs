//! `config/jetpack.ini`: what the administrator and `jetpack initialize` set.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use protocol::Transport;

use crate::backoff::Backoff;
use crate::clock::{Clock, Deadline};
use crate::home::Home;
use crate::ini::{Entry, Ini, IniError};
use crate::lock::{Lock, LockError};

/// Ruby itself, with what it has read of a large run list, needs about half of it.
const LEAST_RECIPES_MEMORY: u64 = 128 << 20;
/// What a program of WebAssembly can have.
const MOST_RECIPES_MEMORY: u64 = 4 << 30;

/// The settings cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The system refused.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line has no meaning.
    #[error(transparent)]
    Syntax(#[from] IniError),
    /// The file cannot be replaced.
    #[error(transparent)]
    Write(#[from] durable::Error),
    /// Another process changes the settings and does not end.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// The settings of this node, checked, with defaults where nothing is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `[cycle_server] webserver`: where the node joins; none before `jetpack initialize`.
    pub webserver: Option<String>,
    /// `[cycle_server] ca_fingerprint`: SHA-256 of the server's CA, while the CA itself was not fetched yet.
    pub ca_fingerprint: Option<String>,
    /// `[cycle_server] transport` = `auto`, `amqp` or `https`; none leaves it to the server.
    pub transport: Option<Transport>,
    /// `[identity]`.
    pub identity: IdentitySettings,
    /// `[converge]`.
    pub converge: ConvergeSettings,
    /// `[metadata]`.
    pub metadata: MetadataSettings,
    /// `[log]`: for each log file of ours.
    pub log: crate::log::Limits,
    /// Keys that mean nothing to this version, with file and line. They are kept and ignored.
    pub warnings: Vec<String>,
}

/// `[identity]`: what the server calls this node. Other software reads it too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// `cluster_name`.
    pub cluster_name: Option<String>,
    /// `node_id`.
    pub node_id: Option<String>,
    /// `node_name`.
    pub node_name: Option<String>,
    /// `instance_id`.
    pub instance_id: Option<String>,
    /// `cluster_session_id`.
    pub cluster_session_id: Option<String>,
    /// `secret_lifetime`: how old the node's secret becomes before it is replaced. None: 30 days.
    pub secret_lifetime: Option<Duration>,
}

/// `[converge]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvergeSettings {
    /// `retry_initial`, `retry_max`: pauses after a failed converge. Seconds, or like `90s`, `5m`.
    pub retry: Backoff,
    /// `script_timeout`: longest run of one script. Default 4 hours.
    pub script_timeout: Duration,
    /// `script_grace`: how long a script has after it was told to end. Default 10 seconds.
    pub script_grace: Duration,
    /// `script_log_bytes`: most bytes of output kept for a script. Default 8 MiB.
    pub script_log_bytes: u64,
    /// `downloads`: how many files are fetched at the same time. Default 8.
    pub downloads: usize,
    /// `cache_bytes`: most bytes of downloaded files that are kept for the next time; 0 keeps none. Default 2 GiB.
    pub cache_bytes: u64,
    /// `recipes_timeout`: longest run of the recipes with everything that they start, and then of their deferred blocks. Default 6
    /// hours.
    pub recipes_timeout: Duration,
    /// `recipes_memory_bytes`: most memory of Ruby, at most 4 GiB. Default 1 GiB.
    pub recipes_memory_bytes: u64,
    /// `maintenance_interval`: pause between converges of a node that is to be maintained
    /// (`cyclecloud.maintenance_converge.enabled`). Default 20 minutes.
    pub maintenance_interval: Duration,
    /// `cluster_init_root`: where projects are unpacked; else as [`Home::default_cluster_init`] says.
    pub cluster_init_root: PathBuf,
}

/// `[metadata]`: how the machine asks its cloud what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataSettings {
    /// `provider` = `auto`, `azure`, `aws`, `gcp`, `openstack` or `none`. With `auto`, the default, the firmware says
    /// which clouds are asked.
    pub provider: MetadataProvider,
    /// `timeout`: how long a cloud that does not answer is waited for. Default 1 second. One that has answered, and
    /// wants to be asked again later, is given five times as long.
    pub timeout: Duration,
    /// `azure`: URL of Azure's service, if not the usual one. A cloud whose URL is set is asked whatever the firmware
    /// says.
    pub azure: Option<String>,
    /// `aws`.
    pub aws: Option<String>,
    /// `gcp`.
    pub gcp: Option<String>,
    /// `openstack`.
    pub openstack: Option<String>,
}

/// `[metadata] provider`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetadataProvider {
    /// Whichever it is.
    #[default]
    Auto,
    /// Microsoft Azure.
    Azure,
    /// Amazon EC2.
    Aws,
    /// Google Compute Engine.
    Gcp,
    /// OpenStack.
    Openstack,
    /// The machine is in no cloud, or its cloud is not to be asked.
    None,
}

impl Default for MetadataSettings {
    fn default() -> Self {
        Self {
            provider: MetadataProvider::Auto,
            timeout: Duration::from_secs(1),
            azure: None,
            aws: None,
            gcp: None,
            openstack: None,
        }
    }
}

impl Settings {
    /// What holds when nothing is set.
    pub fn defaults(home: &Home) -> Self {
        Self {
            webserver: None,
            ca_fingerprint: None,
            transport: None,
            identity: IdentitySettings::default(),
            converge: ConvergeSettings {
                retry: Backoff {
                    initial: Duration::from_secs(5),
                    max: Duration::from_secs(300),
                },
                script_timeout: Duration::from_secs(4 * 3600),
                script_grace: Duration::from_secs(10),
                script_log_bytes: 8 << 20,
                downloads: 8,
                cache_bytes: 2 << 30,
                recipes_timeout: Duration::from_secs(6 * 3600),
                recipes_memory_bytes: 1 << 30,
                maintenance_interval: Duration::from_secs(20 * 60),
                cluster_init_root: home.default_cluster_init(),
            },
            metadata: MetadataSettings::default(),
            log: crate::log::Limits::default(),
            warnings: Vec::new(),
        }
    }

    /// Reads `config/jetpack.ini`; a missing file means the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, is not INI, or a value is not what its key takes; with file and line.
    pub fn load(home: &Home) -> Result<Self, SettingsError> {
        let (ini, file) = read(home)?;
        Ok(Self::from_ini(home, &ini, &file)?)
    }

    /// What `ini` sets; `file` names it in errors.
    pub(crate) fn from_ini(home: &Home, ini: &Ini, file: &str) -> Result<Self, IniError> {
        let mut settings = Self::defaults(home);
        for entry in ini.entries() {
            settings.apply(home, &entry, file)?;
        }
        Ok(settings)
    }

    /// Sets keys, `(section, key, value)`, and keeps everything else that is in the file.
    ///
    /// # Errors
    /// When the file cannot be read, is not INI, or cannot be replaced; it is then unchanged.
    pub fn update(
        home: &Home,
        clock: &dyn Clock,
        values: &[(&str, &str, &str)],
    ) -> Result<(), SettingsError> {
        let wait = Deadline::after(clock, Duration::from_secs(10));
        let path = home.run().join("settings.lock");
        let _lock = Lock::wait(&path, "changing the settings", clock, &wait)?;
        let (mut ini, _) = read(home)?;
        for (section, key, value) in values {
            ini.set(section, key, value);
        }
        durable::write(&home.jetpack_ini(), 0o640, ini.to_string().as_bytes())?;
        Ok(())
    }

    fn apply(&mut self, home: &Home, entry: &Entry<'_>, file: &str) -> Result<(), IniError> {
        let wrong = |expected: &str| IniError {
            file: file.to_owned(),
            line: entry.line,
            problem: format!("`{}` is not {expected} for `{}`", entry.value, entry.key),
        };
        let text = || (!entry.value.is_empty()).then(|| entry.value.to_owned());
        let converge = &mut self.converge;
        match (entry.section, entry.key.to_ascii_lowercase().as_str()) {
            ("cycle_server", "webserver") => self.webserver = text(),
            ("cycle_server", "ca_fingerprint") => self.ca_fingerprint = text(),
            ("cycle_server", "transport") => {
                self.transport = Some(match entry.value {
                    "auto" => Transport::Auto,
                    "amqp" => Transport::Amqp,
                    "https" => Transport::Https,
                    _ => return Err(wrong("one of auto, amqp, https")),
                });
            }
            ("identity", "cluster_name") => self.identity.cluster_name = text(),
            ("identity", "node_id") => self.identity.node_id = text(),
            ("identity", "node_name") => self.identity.node_name = text(),
            ("identity", "instance_id") => self.identity.instance_id = text(),
            ("identity", "cluster_session_id") => self.identity.cluster_session_id = text(),
            ("identity", "secret_lifetime") => {
                self.identity.secret_lifetime = Some(duration(entry, wrong)?);
            }
            ("converge", "retry_initial") => converge.retry.initial = duration(entry, wrong)?,
            ("converge", "retry_max") => converge.retry.max = duration(entry, wrong)?,
            ("converge", "script_timeout") => converge.script_timeout = duration(entry, wrong)?,
            ("converge", "script_grace") => converge.script_grace = duration(entry, wrong)?,
            ("converge", "script_log_bytes") => {
                converge.script_log_bytes = number(entry, 4096, wrong)?;
            }
            ("converge", "downloads") => converge.downloads = number(entry, 1, wrong)?,
            ("converge", "cache_bytes") => converge.cache_bytes = number(entry, 0, wrong)?,
            ("converge", "recipes_timeout") => converge.recipes_timeout = duration(entry, wrong)?,
            ("converge", "recipes_memory_bytes") => {
                converge.recipes_memory_bytes =
                    number(entry, LEAST_RECIPES_MEMORY, wrong)?.min(MOST_RECIPES_MEMORY);
            }
            ("converge", "maintenance_interval") => {
                converge.maintenance_interval = duration(entry, wrong)?;
            }
            ("converge", "cluster_init_root") => {
                if let Some(root) = text() {
                    // A relative path is meant from the home, wherever the program was started.
                    converge.cluster_init_root = home.root().join(root);
                }
            }
            ("metadata", "provider") => {
                self.metadata.provider = match entry.value {
                    "auto" => MetadataProvider::Auto,
                    "azure" => MetadataProvider::Azure,
                    "aws" => MetadataProvider::Aws,
                    "gcp" => MetadataProvider::Gcp,
                    "openstack" => MetadataProvider::Openstack,
                    "none" => MetadataProvider::None,
                    _ => return Err(wrong("one of auto, azure, aws, gcp, openstack, none")),
                };
            }
            ("metadata", "timeout") => self.metadata.timeout = duration(entry, wrong)?,
            ("metadata", "azure") => self.metadata.azure = plain_url(entry, wrong)?,
            ("metadata", "aws") => self.metadata.aws = plain_url(entry, wrong)?,
            ("metadata", "gcp") => self.metadata.gcp = plain_url(entry, wrong)?,
            ("metadata", "openstack") => self.metadata.openstack = plain_url(entry, wrong)?,
            ("log", "max_bytes") => self.log.bytes = number(entry, 4096, wrong)?,
            ("log", "max_files") => self.log.files = number(entry, 1, wrong)?,
            // Written for other software by earlier versions of the agent.
            ("cycle_server", "api_username" | "api_password") => {}
            (section, key) => self.warnings.push(format!(
                "{file}:{line}: `{key}` in `[{section}]` means nothing to this version",
                line = entry.line
            )),
        }
        Ok(())
    }
}

fn read(home: &Home) -> Result<(Ini, String), SettingsError> {
    let path = home.jetpack_ini();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(SettingsError::Read { path, source }),
    };
    let file = path.display().to_string();
    Ok((Ini::parse(&file, &text)?, file))
}

fn duration(entry: &Entry<'_>, wrong: impl Fn(&str) -> IniError) -> Result<Duration, IniError> {
    let parsed = match entry.value.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => SignedDuration::from_str(entry.value)
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok()),
    };
    parsed
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| wrong("a number of seconds or a duration like `5m`"))
}

/// The URL of a metadata service, without a slash at its end. None of them speaks TLS.
fn plain_url(entry: &Entry<'_>, wrong: impl Fn(&str) -> IniError) -> Result<Option<String>, IniError> {
    let url = entry.value.trim_end_matches('/');
    if url.is_empty() {
        return Ok(None);
    }
    match url.strip_prefix("http://") {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(Some(url.to_owned())),
        _ => Err(wrong("a URL like `http://169.254.169.254`")),
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    entry: &Entry<'_>,
    least: T,
    wrong: impl Fn(&str) -> IniError,
) -> Result<T, IniError> {
    let parsed = entry.value.parse().ok().filter(|number| *number >= least);
    parsed.ok_or_else(|| wrong(&format!("a number of at least {least}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn home(text: &str) -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("jetpack"));
        home.create().unwrap();
        durable::write(&home.jetpack_ini(), 0o640, text.as_bytes()).unwrap();
        (folder, home)
    }

    #[test]
    fn settings_are_read_and_unknown_keys_are_told() {
        let (_folder, home) = home(
            "[cycle_server]\nwebserver = http://127.0.0.1:8080\ntransport = https\n[converge]\n\
             retry_initial = 1\nscript_timeout = 90m\ncluster_init_root = ../ci\nretyr_max = 3\n\
             [metadata]\nprovider = azure\ntimeout = 250ms\nazure = http://127.0.0.1:81/\naws =\n",
        );
        let settings = Settings::load(&home).unwrap();
        assert_eq!(settings.webserver.as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(settings.transport, Some(Transport::Https));
        assert_eq!(settings.converge.retry.initial, Duration::from_secs(1));
        assert_eq!(settings.converge.retry.max, Duration::from_secs(300));
        assert_eq!(settings.converge.script_timeout, Duration::from_secs(5400));
        assert_eq!(settings.converge.cluster_init_root, home.root().join("../ci"));
        assert_eq!(
            settings.metadata,
            MetadataSettings {
                provider: MetadataProvider::Azure,
                timeout: Duration::from_millis(250),
                azure: Some("http://127.0.0.1:81".to_owned()),
                ..MetadataSettings::default()
            }
        );
        assert_eq!(settings.warnings.len(), 1);
        assert!(
            settings.warnings[0].contains("jetpack.ini:8: `retyr_max`"),
            "{:?}",
            settings.warnings
        );
    }

    #[test]
    fn a_wrong_value_names_file_line_and_key() {
        for (text, expected) in [
            (
                "[converge]\nretry_max = soon\n",
                "jetpack.ini:2: `soon` is not a number of seconds",
            ),
            (
                "[metadata]\nprovider = ibm\n",
                "jetpack.ini:2: `ibm` is not one of auto, azure, aws, gcp, openstack, none for `provider`",
            ),
            (
                "[metadata]\naws = https://h\n",
                "`https://h` is not a URL like `http://169.254.169.254` for `aws`",
            ),
            (
                "[converge]\nrecipes_memory_bytes = 1000\n",
                "`1000` is not a number of at least 134217728",
            ),
            ("[log]\nmax_files = 0\n", "`0` is not a number of at least 1"),
            (
                "[cycle_server]\ntransport = smoke\n",
                "one of auto, amqp, https for `transport`",
            ),
        ] {
            let (_folder, home) = home(text);
            let error = Settings::load(&home).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn update_keeps_what_it_does_not_know() {
        let (_folder, home) = home("[mine]\nx = 1\n");
        let values = [
            ("identity", "node_id", "abc"),
            ("identity", "cluster_name", "demo"),
        ];
        Settings::update(&home, &SystemClock, &values).unwrap();
        let settings = Settings::load(&home).unwrap();
        assert_eq!(settings.identity.node_id.as_deref(), Some("abc"));
        assert_eq!(settings.identity.cluster_name.as_deref(), Some("demo"));
        assert!(
            fs::read_to_string(home.jetpack_ini())
                .unwrap()
                .starts_with("[mine]\nx = 1\n")
        );
    }

    #[test]
    fn no_file_means_the_defaults() {
        let home = Home::at("/nowhere/at/all");
        assert_eq!(Settings::load(&home).unwrap(), Settings::defaults(&home));
    }
}
