//! What can go wrong with a locker. Every variant that concerns one names its URL and the path.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use crate::{PathError, TrustError};

/// A cause of any type.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// A locker could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no locker that we can open.
    #[error("the locker `{url}` {problem}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it, to be read after the URL.
        problem: String,
    },
    /// The folder of a file locker is not there or is no folder.
    #[error("the locker `{url}` cannot be opened")]
    Folder {
        /// The locker.
        url: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificate authority to trust is no PEM certificate, or TLS could not be set up.
    #[error("cannot set up TLS for the locker `{url}`")]
    Tls {
        /// The locker.
        url: String,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// A path that could leave its folder. Nothing was done.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The locker has no such blob, or there is no such locker.
    #[error("`{path}` is not in the locker `{locker}`")]
    NotFound {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
    },
    /// The locker itself is missing: its container, its bucket, or its name on the server.
    #[error("the locker `{locker}` does not exist")]
    NoLocker {
        /// The locker.
        locker: String,
    },
    /// The credential is missing, wrong, or not good for this path.
    #[error("the locker `{locker}` refused access{}{}", place("to", .path), sentence(.reason))]
    Unauthorised {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// The server's own words; may be empty.
        reason: String,
    },
    /// The locker's server cannot be reached, or the connection broke off and stayed broken.
    #[error("the locker `{locker}` cannot be reached{}", place("for", .path))]
    Away {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// What happened to the connection.
        #[source]
        source: Cause,
    },
    /// The server answered with an error of its own.
    #[error("the locker `{locker}` answered {status}{}{}", place("for", .path), sentence(.reason))]
    Server {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// HTTP status.
        status: u16,
        /// The server's own words; may be empty.
        reason: String,
    },
    /// What came is not what was announced. Nothing was kept.
    #[error("`{path}` in the locker `{locker}` has the {what} {actual}, expected {expected}")]
    Mismatch {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// `sha256`, `md5` or `size in bytes`.
        what: &'static str,
        /// What the manifest announced.
        expected: String,
        /// What the locker delivered.
        actual: String,
    },
    /// The blob is larger than the caller can take.
    #[error("`{path}` in the locker `{locker}` is larger than {limit} bytes")]
    TooLarge {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// The most that was allowed.
        limit: u64,
    },
    /// The range that was asked for is not within the blob.
    #[error("`{path}` in the locker `{locker}` has only {size} bytes")]
    Range {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// Size of the blob in bytes.
        size: u64,
    },
    /// A manifest, or another file of ours in the locker, is not valid.
    #[error("`{path}` in the locker `{locker}` is not valid")]
    Invalid {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// Line, column and what was expected.
        #[source]
        source: Cause,
    },
    /// The project is not in the locker.
    #[error(
        "failed to find project `{project}`{} in the locker `{locker}` at `{path}`",
        .version.as_ref().map(|version| format!(" version `{version}`")).unwrap_or_default()
    )]
    NoProject {
        /// The locker.
        locker: String,
        /// Name of the project.
        project: String,
        /// The version; none when the locker holds no version at all.
        version: Option<String>,
        /// Where its manifest should be.
        path: String,
    },
    /// The project has no such spec.
    #[error("the project `{project}` version `{version}` in the locker `{locker}` has no spec `{spec}`")]
    NoSpec {
        /// The locker.
        locker: String,
        /// Name of the project.
        project: String,
        /// Its version.
        version: String,
        /// The spec that was asked for.
        spec: String,
    },
    /// The storage of the locker failed.
    #[error("the locker `{locker}` failed{}", place("at", .path))]
    Storage {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// What the storage said.
        #[source]
        source: Cause,
    },
    /// Whoever gave us the bytes to store broke off. The blob is as it was.
    #[error("the upload of `{path}` to the locker `{locker}` broke off")]
    Upload {
        /// The locker.
        locker: String,
        /// Path within it.
        path: String,
        /// What the sender's side said.
        #[source]
        source: Cause,
    },
    /// A file on this machine could not be read or written.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file on this machine could not be written safely.
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

impl Error {
    /// Whether the blob, its project or its locker does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::NoLocker { .. } | Self::NoProject { .. } | Self::NoSpec { .. }
        )
    }

    /// Whether trying again later, with nothing changed, could help.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Server { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether there is no room for what was to be written here.
    pub fn is_disk_full(&self) -> bool {
        let is_full = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            )
        };
        let mut cause: Option<&(dyn StdError + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref::<io::Error>().is_some_and(is_full) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// The same error of a call that fails with "not found" only when the locker itself is missing.
    pub(crate) fn of_locker(self) -> Self {
        match self {
            Self::NotFound { locker, .. } => Self::NoLocker { locker },
            error => error,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// The path within a locker; nothing when it is about the locker as a whole.
fn place(word: &str, path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!(" {word} `{path}`")
    }
}

fn sentence(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}
