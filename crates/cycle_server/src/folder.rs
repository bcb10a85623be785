//! The server's folder: where everything is, and who may use it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The paths of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
}

/// `site.json`: says that the folder is complete. Written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Layout of the folder.
    pub version: u32,
    /// Names the site for ever.
    pub id: String,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process uses it.
    #[error("another `cycle_server` uses `{path}`", path = .0.display())]
    Locked(PathBuf),
    /// The lock cannot be had at all.
    #[error("cannot lock `{path}`", path = path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Folder {
    /// The folder of a server. Relative paths are made absolute, since nodes get some of them.
    ///
    /// # Errors
    /// When the working directory is gone.
    pub fn new(root: &Path) -> std::io::Result<Self> {
        Ok(Self {
            root: std::path::absolute(root)?,
        })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Says that the folder is complete.
    pub fn site(&self) -> PathBuf {
        self.root.join("site.json")
    }

    /// Says that somebody began to make the folder.
    pub fn beginning(&self) -> PathBuf {
        self.root.join(".initialising")
    }

    /// The database.
    pub fn store(&self) -> PathBuf {
        self.root.join("store.db")
    }

    /// Certificates and keys.
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The server's own locker.
    pub fn locker(&self) -> PathBuf {
        self.root.join("lockers").join(crate::app::LOCKER)
    }

    /// The log of the message broker.
    pub fn broker(&self) -> PathBuf {
        self.root.join("broker")
    }

    /// The machines of provider `process`.
    pub fn nodes(&self) -> PathBuf {
        self.root.join("nodes")
    }

    /// Logs of the server.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// What belongs to one run.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Says where a running server is.
    pub fn state(&self) -> PathBuf {
        self.run().join("cycle_server.json")
    }

    /// Takes the folder for this process, until the file is dropped or the process dies.
    ///
    /// # Errors
    /// [`FolderError::Locked`] when another process has it.
    pub fn lock(&self) -> Result<File, FolderError> {
        let path = self.root.join(".lock");
        let failed = |source| FolderError::Lock {
            path: path.clone(),
            source,
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(FolderError::Locked(self.root.clone())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
