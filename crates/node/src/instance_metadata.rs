//! `run/metadata.json`: what the cloud of this machine said of it last, for the time while it does not answer.

use durable::Recovered;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::home::Home;
use crate::identity::Machine;

const VERSION: u32 = 1;

/// What a cloud says of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceMetadata {
    /// Name of the cloud, as in the setting `[metadata] provider`.
    pub provider: String,
    /// Attributes in the schema of Ohai, by their top-level names: `azure`, `cloud`.
    pub attributes: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    machine: Machine,
    metadata: InstanceMetadata,
}

/// What was kept.
#[derive(Debug, PartialEq)]
pub struct Loaded {
    /// None when nothing was kept of this machine.
    pub metadata: Option<InstanceMetadata>,
    /// For the log: a file that could not be understood, and where it was moved to.
    pub warning: Option<String>,
}

/// Reads what was kept. What was said of another machine, which this one was cloned from, does not hold.
///
/// # Errors
/// When the file can be neither read nor moved aside.
pub fn load(home: &Home, machine: &Machine) -> Result<Loaded, durable::Error> {
    let none = |warning| Loaded {
        metadata: None,
        warning,
    };
    Ok(
        match durable::recover_json::<Stored>(&home.instance_metadata())? {
            Recovered::Read(stored) if stored.machine.is_other_than(machine) => none(None),
            Recovered::Read(stored) => Loaded {
                metadata: Some(stored.metadata),
                warning: None,
            },
            Recovered::Absent => none(None),
            Recovered::MovedAside { to, error } => none(Some(format!(
                "{}; it was moved to `{}`",
                crate::trace::chain(&error),
                to.display()
            ))),
        },
    )
}

/// Keeps what was said. What is kept already is not written again.
///
/// # Errors
/// When it cannot be written; the old file is untouched then.
pub fn save(home: &Home, machine: &Machine, metadata: &InstanceMetadata) -> Result<(), durable::Error> {
    let known = durable::read_json::<Stored>(&home.instance_metadata());
    if let Ok(Some(known)) = known
        && known.machine == *machine
        && known.metadata == *metadata
    {
        return Ok(());
    }
    let stored = Stored {
        version: VERSION,
        machine: machine.clone(),
        metadata: metadata.clone(),
    };
    durable::write_json(&home.instance_metadata(), 0o640, &stored)
}

/// Forgets what was said: the machine is in no cloud.
///
/// # Errors
/// When the file cannot be removed.
pub fn forget(home: &Home) -> Result<(), durable::Error> {
    durable::remove(&home.instance_metadata())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use serde_json::json;

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        (folder, home)
    }

    fn metadata() -> InstanceMetadata {
        InstanceMetadata {
            provider: "azure".to_owned(),
            attributes: json!({"cloud": {"provider": "azure"}})
                .as_object()
                .unwrap()
                .clone(),
        }
    }

    #[test]
    fn what_was_said_of_this_machine_is_kept_and_of_its_image_is_not() {
        let (_folder, home) = home();
        let machine = Machine::named("a");
        save(&home, &machine, &metadata()).unwrap();
        assert_eq!(load(&home, &machine).unwrap().metadata, Some(metadata()));
        assert_eq!(load(&home, &Machine::named("b")).unwrap().metadata, None);
        let file = fs::metadata(home.instance_metadata()).unwrap();
        assert_eq!(file.mode() & 0o777, 0o640);
        save(&home, &machine, &metadata()).unwrap();
        assert_eq!(fs::metadata(home.instance_metadata()).unwrap().ino(), file.ino());
        save(&home, &Machine::named("b"), &metadata()).unwrap();
        assert_eq!(
            load(&home, &Machine::named("b")).unwrap().metadata,
            Some(metadata())
        );
        forget(&home).unwrap();
        forget(&home).unwrap();
        assert_eq!(load(&home, &machine).unwrap().metadata, None);
    }

    #[test]
    fn a_damaged_file_is_moved_aside_and_told() {
        let (_folder, home) = home();
        durable::write(&home.instance_metadata(), 0o640, b"{\"version\"").unwrap();
        let loaded = load(&home, &Machine::default()).unwrap();
        assert_eq!(loaded.metadata, None);
        assert!(loaded.warning.unwrap().contains("metadata.json.broken"));
    }
}
