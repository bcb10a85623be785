//! What can be set about provider `process`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settings of [`super::ProcessProvider`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Holds one folder for each machine.
    pub folder: PathBuf,
    /// The program `jetpack`.
    pub jetpack: PathBuf,
    /// The program `jetpackd`.
    pub jetpackd: PathBuf,
    /// How long a daemon may take to stop before it is killed.
    pub grace: Duration,
    /// How long `jetpack initialize` may take.
    pub initialize_deadline: Duration,
    /// Pause before a dead daemon is started again; doubled each time.
    pub restart_initial: Duration,
    /// The longest such pause.
    pub restart_max: Duration,
    /// A daemon that ran this long died of something new: its pause starts anew.
    pub healthy_after: Duration,
    /// Bytes of a daemon's output that are kept, twice.
    pub output_limit: u64,
    /// How often output and adopted daemons are looked at.
    pub check_interval: Duration,
}

impl ProcessSettings {
    /// The defaults, with the programs of the folder `programs`.
    pub fn new(folder: impl Into<PathBuf>, programs: &Path) -> Self {
        Self {
            folder: folder.into(),
            jetpack: programs.join("jetpack"),
            jetpackd: programs.join("jetpackd"),
            grace: Duration::from_secs(10),
            initialize_deadline: Duration::from_secs(60),
            restart_initial: Duration::from_secs(1),
            restart_max: Duration::from_secs(60),
            healthy_after: Duration::from_secs(60),
            output_limit: 1024 * 1024,
            check_interval: Duration::from_millis(250),
        }
    }

    /// The defaults, with the programs that lie beside the one that runs.
    ///
    /// # Errors
    /// When the system does not tell where that is.
    pub fn beside_executable(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let executable = std::env::current_exe()?;
        let programs = executable
            .parent()
            .ok_or_else(|| io::Error::other("the program has no folder"))?;
        Ok(Self::new(folder, programs))
    }
}
