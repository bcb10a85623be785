//! How a locker behind a server is entered: credential and trust.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long object storage may be silent while it takes one piece of an upload.
const PART_TIMEOUT: Duration = Duration::from_secs(300);

/// What a locker needs to know of us. File lockers need nothing.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// What we show. None: for a server nothing; for object storage what the environment and the machine
    /// offer, as the tools of its vendor find it.
    pub credential: Option<Credential>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Where the object storage is, when it is not the vendor's: `https://host:port`, for an emulator of
    /// Azure with the account in the path.
    pub endpoint: Option<String>,
    /// Where Azure gives out tokens, when it is not the public cloud: of an application the authority host
    /// (`https://login.microsoftonline.us`), of a managed identity its endpoint. Without, the environment's
    /// `AZURE_AUTHORITY_HOST` and `IDENTITY_ENDPOINT` count, as for the vendor's own tools.
    pub authority: Option<String>,
    /// Region of S3; `us-east-1` when it is not given.
    pub region: Option<String>,
}

/// Something that proves who we are. What is secret in it is never printed.
#[derive(Debug, Clone)]
pub enum Credential {
    /// HTTP Basic, for lockers of an application server.
    Basic {
        /// Account name or node id.
        user: String,
        /// Password of the account, or secret of the node.
        password: SecretString,
    },
    /// Azure: a shared access signature of the container or the account, with or without `?` before it.
    Sas(SecretString),
    /// Azure: a key of the storage account, base64.
    AccountKey(SecretString),
    /// Azure: the managed identity of this machine.
    ManagedIdentity {
        /// Client id of a user-assigned identity.
        client_id: Option<String>,
    },
    /// Azure: an application with a secret.
    ServicePrincipal {
        /// Tenant.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
    },
    /// S3: an access key.
    AccessKey {
        /// Access key id.
        id: String,
        /// Secret access key.
        secret: SecretString,
        /// Session token of a temporary key.
        session_token: Option<SecretString>,
    },
    /// GCS: the key of a service account, the JSON text that the vendor gives out.
    ServiceAccount(SecretString),
    /// Nothing is shown: what is public can be read.
    Anonymous,
}

/// Whose certificates a client believes.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// The authorities of this machine.
    #[default]
    System,
    /// Only this authority; PEM, one certificate or several.
    Pinned(String),
    /// Anybody's. Only on a user's express wish.
    Anybody,
}

/// A trust that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The pinned authority is not one.
    #[error("there is no PEM certificate in the authority to trust")]
    NoCertificate,
    /// TLS could not be set up.
    #[error("the certificates to trust cannot be used")]
    Client(#[from] reqwest::Error),
}

impl Access {
    /// A credential under the machine's own trust.
    pub fn basic(user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            credential: Some(Credential::Basic {
                user: user.into(),
                password: password.into(),
            }),
            ..Self::default()
        }
    }

    /// A credential for object storage, under the machine's own trust.
    pub fn with(credential: Credential) -> Self {
        Self {
            credential: Some(credential),
            ..Self::default()
        }
    }

    /// The same access, believing only the authority `pem`.
    #[must_use]
    pub fn pinned(self, pem: impl Into<String>) -> Self {
        Self {
            trust: Trust::Pinned(pem.into()),
            ..self
        }
    }
}

/// Whether a credential may be sent to this URL: over https, or within this machine.
pub fn is_private(url: &reqwest::Url) -> bool {
    let is_loopback = |host: &str| {
        host == "localhost"
            || host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    };
    url.scheme() == "https" || url.host_str().is_some_and(is_loopback)
}

impl Credential {
    /// Adds HTTP Basic to a request. The other credentials sign each request in their own way.
    pub(crate) fn apply(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
            _ => request,
        }
    }
}

impl Trust {
    /// An HTTP client with this trust. It follows no redirect, so that a credential is never sent
    /// elsewhere, and gives up on answers that stay silent for a minute.
    ///
    /// # Errors
    /// When the pinned authority is not PEM, or TLS cannot be set up.
    pub fn client(&self) -> Result<reqwest::Client, TrustError> {
        Ok(self.builder()?.read_timeout(READ_TIMEOUT).build()?)
    }

    /// The same client without a limit on the silence of the server: while a large body is on its way
    /// it has nothing to say.
    pub(crate) fn upload_client(&self) -> Result<reqwest::Client, TrustError> {
        Ok(self.builder()?.build()?)
    }

    /// The client for pieces of uploads to object storage.
    pub(crate) fn part_client(&self) -> Result<reqwest::Client, TrustError> {
        Ok(self.builder()?.read_timeout(PART_TIMEOUT).build()?)
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, TrustError> {
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        Ok(match self {
            Self::System => builder,
            Self::Pinned(pem) => {
                let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())?;
                if certificates.is_empty() {
                    return Err(TrustError::NoCertificate);
                }
                builder.tls_certs_only(certificates)
            }
            Self::Anybody => builder.tls_danger_accept_invalid_certs(true),
        })
    }
}
