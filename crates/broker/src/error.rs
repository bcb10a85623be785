//! What can go wrong before the broker runs.

use std::io;
use std::path::{Path, PathBuf};

/// The broker could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused a file or folder of the message log.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder of the message log could not be made.
    #[error("cannot prepare the message log")]
    Folder(#[from] durable::Error),
    /// Another broker has the folder open; two writers would destroy it.
    #[error("`{path}` is used by another broker", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The system gave no thread for the writer of the log.
    #[error("cannot start the writer of the message log")]
    Thread {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no next connection.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
