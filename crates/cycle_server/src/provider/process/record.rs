//! What is known of a machine when the server comes back.

use std::path::Path;

use durable::Recovered;
use serde::{Deserialize, Serialize};

use super::procfs::Process;

const FILE: &str = "machine.json";
const VERSION: u32 = 1;

/// `machine.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) stage: Stage,
    /// The daemon that was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) process: Option<Process>,
}

/// How far a machine got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// Its home is being made.
    Making,
    /// It is complete.
    Made,
    /// It is complete and off.
    Stopped,
    /// It is being taken away.
    Deleting,
}

impl Record {
    pub(super) fn new(stage: Stage) -> Self {
        Self {
            version: VERSION,
            stage,
            process: None,
        }
    }

    /// The record of a machine; none when it never got one. One that cannot be read is moved aside, and the
    /// machine counts as made: its processes are found without it.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, durable::Error> {
        match durable::recover_json(&folder.join(FILE))? {
            Recovered::Read(record) => Ok(Some(record)),
            Recovered::Absent => Ok(None),
            Recovered::MovedAside { to, error } => {
                tracing::warn!(
                    error = terminal::chain(&error),
                    "the record of a machine cannot be read and is now `{}`",
                    to.display()
                );
                Ok(Some(Self::new(Stage::Made)))
            }
        }
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), durable::Error> {
        durable::write_json(&folder.join(FILE), 0o640, self)
    }
}
