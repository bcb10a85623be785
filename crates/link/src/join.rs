//! How a node learns who it is, and where that is kept.
//!
//! The first fetch of the configuration binds the node's secret to it; every later one refreshes. What was
//! fetched last is kept, so that a node can start while the server is away.

use std::fs;
use std::io;
use std::path::PathBuf;

use durable::Recovered;
use node::clock::Clock;
use node::config::{ConfigError, Credential, Facts, NodeData};
use node::connection::Connection;
use node::home::Home;
use node::identity::{Identity, IdentityError, Machine};
use node::settings::{Settings, SettingsError};
use protocol::NodeConfiguration;
use serde::{Deserialize, Serialize};

use crate::amqp::Target;
use crate::https::{self, ServerApi};
use crate::outbox::Sender;
use crate::tls;

const VERSION: u32 = 1;

/// A node that could not join.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `jetpack initialize` was not run here, or its files are gone.
    #[error("this node was not initialized: {missing}")]
    NotInitialized {
        /// What is missing.
        missing: String,
    },
    /// The server did not give the configuration.
    #[error(transparent)]
    Server(#[from] https::Error),
    /// The CA certificate is not one.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Who the node is cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What the administrator set cannot be read or written.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// node.json cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another file cannot be read or written.
    #[error(transparent)]
    File(#[from] durable::Error),
    /// The CA certificate cannot be read.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether a later try may succeed without anybody doing anything here.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Server(error) if error.is_away())
    }

    /// Whether the server knows no such node, or another one by this id.
    pub fn is_refused(&self) -> bool {
        matches!(
            self,
            Self::Server(https::Error::Refused { .. } | https::Error::Unauthorised { .. })
        )
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    userdata: String,
    configuration: NodeConfiguration,
}

/// What this node needs to talk to its server: everything that `jetpack initialize` has left.
#[derive(Debug, Clone)]
pub struct Membership {
    /// URL of the server.
    pub url: String,
    /// The pinned CA (PEM), if there is one.
    pub ca: Option<Vec<u8>>,
    /// Who the node is.
    pub identity: Identity,
    /// The id of this start of the machine.
    pub userdata: String,
}

impl Membership {
    /// Reads what is there. Warnings of the identity go to the log.
    ///
    /// # Errors
    /// [`Error::NotInitialized`] when something is missing, and when a file cannot be read.
    pub fn load(home: &Home, settings: &Settings, machine: &Machine) -> Result<Self, Error> {
        let missing = |what: &str| Error::NotInitialized {
            missing: what.to_owned(),
        };
        let url = settings
            .webserver
            .clone()
            .ok_or_else(|| missing(&format!("no `webserver` in `{}`", home.jetpack_ini().display())))?;
        let loaded = Identity::load(home, machine)?;
        if let Some(warning) = loaded.warning {
            tracing::warn!("{warning}");
        }
        let identity = loaded
            .identity
            .ok_or_else(|| missing(&format!("no identity in `{}`", home.identity().display())))?;
        let userdata = identity
            .userdata
            .clone()
            .ok_or_else(|| missing(&format!("no userdata id in `{}`", home.identity().display())))?;
        Ok(Self {
            url,
            ca: read_ca(home)?,
            identity,
            userdata,
        })
    }

    /// Fetches the CA when only its fingerprint is known yet.
    ///
    /// # Errors
    /// When the server is away or has another CA.
    pub async fn pin(&mut self, home: &Home, settings: &Settings) -> Result<(), Error> {
        let (None, Some(fingerprint)) = (&self.ca, &settings.ca_fingerprint) else {
            return Ok(());
        };
        let pem = https::fetch_ca(&self.url, fingerprint).await?;
        durable::write(&home.ca_certificate(), 0o644, &pem)?;
        self.ca = Some(pem);
        Ok(())
    }

    /// The server, called with the secret alone.
    ///
    /// # Errors
    /// When the URL or the CA is not usable.
    pub fn joining_api(&self) -> Result<ServerApi, Error> {
        let credential = https::Credential::Bearer(self.identity.secret.clone());
        Ok(ServerApi::new(&self.url, self.ca.as_deref(), credential)?)
    }

    /// The server, called as the node that this one has become.
    ///
    /// # Errors
    /// When the URL or the CA is not usable.
    pub fn api(&self, node_id: &str) -> Result<ServerApi, Error> {
        let credential = https::Credential::Basic {
            user: node_id.to_owned(),
            password: self.identity.secret.clone(),
        };
        Ok(ServerApi::new(&self.url, self.ca.as_deref(), credential)?)
    }

    /// Replaces the node's secret: it is written down, told to the server, and only then used. Wherever this is cut off, the next
    /// call goes on, and the server takes both for an hour.
    ///
    /// # Errors
    /// When the server is away or a file cannot be written; the old secret holds then.
    pub async fn rotate(
        &mut self,
        home: &Home,
        machine: &Machine,
        clock: &dyn Clock,
        node_id: &str,
    ) -> Result<(), Error> {
        let missing = || Error::NotInitialized {
            missing: format!("no identity in `{}`", home.identity().display()),
        };
        let (identity, next) = Identity::prepare_next(home, machine, clock)?.ok_or_else(missing)?;
        self.identity = identity;
        match self.api(node_id)?.renew_secret(&next).await {
            // An earlier call was cut off so long ago that the old one holds no more.
            Err(https::Error::Unauthorised { .. }) => {
                let mut with_next = self.clone();
                with_next.identity.secret = next.clone();
                with_next.api(node_id)?.renew_secret(&next).await?;
            }
            result => result?,
        }
        self.identity = Identity::adopt_next(home, machine, clock)?.ok_or_else(missing)?;
        // Others read the credential from `config/connection.json`.
        if let Some(configuration) = self.last_known(home)? {
            self.keep(home, clock, &configuration)?;
        }
        Ok(())
    }

    /// The AMQP listener for this node, if the server has one.
    ///
    /// # Errors
    /// When the URL or the CA is not usable.
    pub fn target(&self, configuration: &NodeConfiguration) -> Result<Option<Target>, Error> {
        let Some(amqp) = configuration.amqp.clone() else {
            return Ok(None);
        };
        let api = self.joining_api()?;
        let own = api.url().host_str().unwrap_or_default().trim_matches(['[', ']']);
        Ok(Some(Target {
            node_id: configuration.node_id.clone(),
            cluster: configuration.cluster_name.clone(),
            secret: self.identity.secret.clone(),
            host: amqp.host.clone().unwrap_or_else(|| own.to_owned()),
            ca: match &amqp.ca {
                Some(ca) => Some(ca.clone().into_bytes()),
                None => self.ca.clone(),
            },
            amqp,
        }))
    }

    /// Fetches the configuration and keeps it: `run/configuration.json`, `config/connection.json` and the section
    /// `identity` of `config/jetpack.ini`. node.json is written by [`Membership::write_node_json`].
    ///
    /// # Errors
    /// As the server answers, and when a file cannot be written. Joining again is harmless.
    pub async fn join(&self, home: &Home, clock: &dyn Clock) -> Result<NodeConfiguration, Error> {
        let configuration = self.joining_api()?.fetch_configuration(&self.userdata).await?;
        self.keep(home, clock, &configuration)?;
        Ok(configuration)
    }

    /// The data of this node: what the server gave, what the machine is, and what the node adds.
    pub fn node_data(&self, home: &Home, configuration: &NodeConfiguration, facts: &Facts) -> NodeData {
        let credential = Credential {
            url: self.url.clone(),
            username: configuration.node_id.clone(),
            password: self.identity.secret.clone(),
        };
        NodeData::assemble(&configuration.configuration, home, facts, &credential)
    }

    /// Writes `config/node.json`, the [`Membership::node_data`].
    ///
    /// # Errors
    /// When it cannot be written; the old one is untouched then.
    pub fn write_node_json(
        &self,
        home: &Home,
        configuration: &NodeConfiguration,
        facts: &Facts,
    ) -> Result<NodeData, Error> {
        let data = self.node_data(home, configuration, facts);
        data.save(home)?;
        Ok(data)
    }

    /// Keeps a configuration as [`Membership::join`] does.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn keep(
        &self,
        home: &Home,
        clock: &dyn Clock,
        configuration: &NodeConfiguration,
    ) -> Result<(), Error> {
        let saved = Saved {
            version: VERSION,
            userdata: self.userdata.clone(),
            configuration: configuration.clone(),
        };
        durable::write_json(&home.node_configuration(), 0o640, &saved)?;
        Connection {
            url: self.url.clone(),
            username: configuration.node_id.clone(),
            password: self.identity.secret.clone(),
            cluster: configuration.cluster_name.clone(),
        }
        .save(home)?;
        let known = Settings::load(home)?.identity;
        let fields = [
            ("cluster_name", &known.cluster_name, &configuration.cluster_name),
            ("node_id", &known.node_id, &configuration.node_id),
            ("node_name", &known.node_name, &configuration.node_name),
            ("instance_id", &known.instance_id, &configuration.instance_id),
            (
                "cluster_session_id",
                &known.cluster_session_id,
                &configuration.cluster_session_id,
            ),
        ];
        let changed: Vec<_> = fields
            .iter()
            .filter(|(_, known, value)| known.as_ref() != Some(*value))
            .map(|(key, _, value)| ("identity", *key, value.as_str()))
            .collect();
        if !changed.is_empty() {
            Settings::update(home, clock, &changed)?;
        }
        Ok(())
    }

    /// The configuration that was fetched last in this life of the node; none when there is none. A file that
    /// cannot be understood is moved aside.
    ///
    /// # Errors
    /// When the file can be neither read nor moved.
    pub fn last_known(&self, home: &Home) -> Result<Option<NodeConfiguration>, Error> {
        Ok(
            match durable::recover_json::<Saved>(&home.node_configuration())? {
                Recovered::Read(saved) => (saved.userdata == self.userdata).then_some(saved.configuration),
                Recovered::Absent => None,
                Recovered::MovedAside { to, error } => {
                    tracing::warn!(
                        "{}; it was moved to `{}`",
                        node::trace::chain(&error),
                        to.display()
                    );
                    None
                }
            },
        )
    }
}

/// Who speaks, by the section `identity` of the settings.
pub fn sender(settings: &Settings) -> Sender {
    let identity = settings.identity.clone();
    Sender {
        cluster_name: identity.cluster_name.unwrap_or_default(),
        node_id: identity.node_id.unwrap_or_default(),
        instance_id: identity.instance_id.unwrap_or_default(),
        cluster_session_id: identity.cluster_session_id.unwrap_or_default(),
    }
}

/// Who speaks, by what the server said.
pub fn sender_of(configuration: &NodeConfiguration) -> Sender {
    Sender {
        cluster_name: configuration.cluster_name.clone(),
        node_id: configuration.node_id.clone(),
        instance_id: configuration.instance_id.clone(),
        cluster_session_id: configuration.cluster_session_id.clone(),
    }
}

fn read_ca(home: &Home) -> Result<Option<Vec<u8>>, Error> {
    let path = home.ca_certificate();
    match fs::read(&path) {
        Ok(pem) => Ok(Some(pem)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
    }
}
