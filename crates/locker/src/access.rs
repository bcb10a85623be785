//! How a locker behind a server is entered: credential and trust.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What a locker needs to know of us. File lockers need nothing.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// User and password for HTTP Basic.
    pub credential: Option<Credential>,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// User and password. The password is never printed.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Account name or node id.
    pub user: String,
    /// Password of the account, or secret of the node.
    pub password: SecretString,
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
            credential: Some(Credential {
                user: user.into(),
                password: password.into(),
            }),
            trust: Trust::System,
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
    /// Adds HTTP Basic to a request.
    pub(crate) fn apply(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.basic_auth(&self.user, Some(self.password.expose_secret()))
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
