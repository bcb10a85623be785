//! `run/identity.json`: who this node is.
//!
//! The file is made once and bound to the machine. On a machine that was cloned from an image it is
//! another node's, and is moved aside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use durable::Recovered;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::{Clock, Deadline};
use crate::home::{Home, MACHINE_ID};
use crate::lock::{Lock, LockError};
use crate::random::{self, RandomError, hex};

const VERSION: u32 = 1;

/// The identity cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] durable::Error),
    /// A file of another machine is in the way.
    #[error("cannot move `{}` aside", path.display())]
    MoveAside {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process makes the identity and does not end.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No secret without randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The machine, by a hash of its system's id, which itself is not for others. None when the system has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Machine(Option<String>);

impl Machine {
    /// This machine.
    pub fn this() -> Self {
        Self::from_file(Path::new(MACHINE_ID))
    }

    /// A machine by the text of its id, for tests.
    pub fn named(id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"jetpack machine identity\n");
        hash.update(id.as_bytes());
        Self(Some(hex(&hash.finalize()[..16])))
    }

    fn from_file(path: &Path) -> Self {
        match fs::read_to_string(path) {
            // Images are shipped with the word in place of an id.
            Ok(id) if !id.trim().is_empty() && id.trim() != "uninitialized" => Self::named(id.trim()),
            _ => Self(None),
        }
    }

    /// Whether both are known and differ. Of an unknown machine nobody can tell.
    pub fn is_other_than(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Some(one), Some(two)) if one != two)
    }
}

/// Who this node is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The machine that the identity was made on.
    pub machine: Machine,
    /// What the node proves itself with. It is made here and bound to the node by the server.
    pub secret: SecretString,
    /// The secret that is to follow, while the server is being told.
    pub next: Option<SecretString>,
    /// When the secret was made; unknown for one of an older version.
    pub since: Option<Timestamp>,
    /// The id under which the node asked for its configuration.
    pub userdata: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    machine: Machine,
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    userdata: Option<String>,
}

/// An identity, and what happened on the way to it.
#[derive(Debug)]
pub struct Loaded {
    /// The identity; none when there is none for this machine.
    pub identity: Option<Identity>,
    /// For the log: a file that was moved aside, where to and why.
    pub warning: Option<String>,
}

impl Identity {
    /// Reads the identity of this node. One that belongs to another machine, or that cannot be understood,
    /// is moved aside.
    ///
    /// # Errors
    /// When the file can be neither read nor moved.
    pub fn load(home: &Home, machine: &Machine) -> Result<Loaded, IdentityError> {
        let path = home.identity();
        let nothing = |warning| Loaded {
            identity: None,
            warning,
        };
        Ok(match durable::recover_json::<Stored>(&path)? {
            Recovered::Absent => nothing(None),
            Recovered::MovedAside { to, error } => nothing(Some(format!(
                "{error}; it was moved to `{}` and the node needs a new identity",
                to.display()
            ))),
            Recovered::Read(stored) if stored.machine.is_other_than(machine) => {
                let to = path.with_extension("json.other-machine");
                fs::rename(&path, &to).map_err(|source| IdentityError::MoveAside { path, source })?;
                durable::sync_folder(&home.run())?;
                nothing(Some(format!(
                    "the identity is that of another machine, which this one was cloned from; it was moved to `{}`",
                    to.display()
                )))
            }
            Recovered::Read(stored) => Loaded {
                identity: Some(Self {
                    machine: stored.machine,
                    secret: stored.secret.into(),
                    next: stored.next.map(SecretString::from),
                    since: stored.since,
                    userdata: stored.userdata,
                }),
                warning: None,
            },
        })
    }

    /// The identity of this node, made if there is none, with the given userdata id. An existing secret
    /// stays: the server may have bound it already.
    ///
    /// # Errors
    /// When it cannot be read or written, or the system has no randomness.
    pub fn ensure(
        home: &Home,
        machine: &Machine,
        userdata: &str,
        clock: &dyn Clock,
    ) -> Result<(Self, Option<String>), IdentityError> {
        let _lock = lock(home, clock)?;
        let Loaded { identity, warning } = Self::load(home, machine)?;
        let identity = match identity {
            Some(found) if found.userdata.as_deref() == Some(userdata) => return Ok((found, warning)),
            Some(found) => Self {
                userdata: Some(userdata.to_owned()),
                ..found
            },
            None => Self {
                machine: machine.clone(),
                secret: random::secret()?,
                next: None,
                since: Some(clock.now()),
                userdata: Some(userdata.to_owned()),
            },
        };
        identity.save(home)?;
        Ok((identity, warning))
    }

    /// The identity with a secret that is to follow its own: made now, or by a run that was cut off. None when there is no identity.
    ///
    /// # Errors
    /// As [`Identity::ensure`].
    pub fn prepare_next(
        home: &Home,
        machine: &Machine,
        clock: &dyn Clock,
    ) -> Result<Option<(Self, SecretString)>, IdentityError> {
        let _lock = lock(home, clock)?;
        let Some(mut identity) = Self::load(home, machine)?.identity else {
            return Ok(None);
        };
        let next = match &identity.next {
            Some(next) => next.clone(),
            None => {
                let next = random::secret()?;
                identity.next = Some(next.clone());
                identity.save(home)?;
                next
            }
        };
        Ok(Some((identity, next)))
    }

    /// Goes over to the secret that was prepared, which the server knows by now.
    ///
    /// # Errors
    /// As [`Identity::ensure`].
    pub fn adopt_next(
        home: &Home,
        machine: &Machine,
        clock: &dyn Clock,
    ) -> Result<Option<Self>, IdentityError> {
        let _lock = lock(home, clock)?;
        let Some(mut identity) = Self::load(home, machine)?.identity else {
            return Ok(None);
        };
        if let Some(next) = identity.next.take() {
            identity.secret = next;
            identity.since = Some(clock.now());
            identity.save(home)?;
        }
        Ok(Some(identity))
    }

    /// Writes the identity, for the node's own user only.
    ///
    /// # Errors
    /// When it cannot be written; the old one is untouched then.
    pub fn save(&self, home: &Home) -> Result<(), durable::Error> {
        let stored = Stored {
            version: VERSION,
            machine: self.machine.clone(),
            secret: self.secret.expose_secret().to_owned(),
            next: self.next.as_ref().map(|next| next.expose_secret().to_owned()),
            since: self.since,
            userdata: self.userdata.clone(),
        };
        durable::write_json(&home.identity(), 0o600, &stored)
    }
}

/// One at a time changes the identity.
fn lock(home: &Home, clock: &dyn Clock) -> Result<Lock, IdentityError> {
    let wait = Deadline::after(clock, Duration::from_secs(10));
    let path = home.run().join("identity.lock");
    Ok(Lock::wait(&path, "making the identity", clock, &wait)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::clock::SystemClock;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        (folder, home)
    }

    #[test]
    fn the_secret_is_made_once_and_private() {
        let (_folder, home) = home();
        let machine = Machine::named("m1");
        let (first, _) = Identity::ensure(&home, &machine, "u1", &SystemClock).unwrap();
        let (again, warning) = Identity::ensure(&home, &machine, "u2", &SystemClock).unwrap();
        assert_eq!(first.secret.expose_secret(), again.secret.expose_secret());
        assert_eq!(again.userdata.as_deref(), Some("u2"));
        assert_eq!(warning, None);
        assert_eq!(fs::metadata(home.identity()).unwrap().mode() & 0o777, 0o600);
        assert!(!format!("{again:?}").contains(again.secret.expose_secret()));
    }

    #[test]
    fn processes_that_race_agree_on_one_secret() {
        let (_folder, home) = home();
        let machine = Machine::named("m1");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let ensure = || Identity::ensure(&home, &machine, "u", &SystemClock).unwrap().0;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ensure)).collect();
            threads.into_iter().map(|t| t.join().unwrap().secret).collect()
        });
        assert!(
            secrets
                .iter()
                .all(|s| s.expose_secret() == secrets[0].expose_secret())
        );
    }

    #[test]
    fn a_prepared_secret_stays_until_it_is_adopted() {
        let (_folder, home) = home();
        let machine = Machine::named("m1");
        let (first, _) = Identity::ensure(&home, &machine, "u", &SystemClock).unwrap();
        let prepare = || {
            Identity::prepare_next(&home, &machine, &SystemClock)
                .unwrap()
                .unwrap()
        };
        let (prepared, next) = prepare();
        assert_eq!(prepared.secret.expose_secret(), first.secret.expose_secret());
        assert_eq!(
            prepare().1.expose_secret(),
            next.expose_secret(),
            "also after a crash"
        );
        let adopt = || {
            Identity::adopt_next(&home, &machine, &SystemClock)
                .unwrap()
                .unwrap()
        };
        for _ in 0..2 {
            let adopted = adopt();
            assert_eq!(adopted.secret.expose_secret(), next.expose_secret());
            assert!(adopted.next.is_none());
        }
    }

    #[test]
    fn a_clone_starts_anew() {
        let (_folder, home) = home();
        let (first, _) = Identity::ensure(&home, &Machine::named("m1"), "u", &SystemClock).unwrap();
        let (clone, warning) = Identity::ensure(&home, &Machine::named("m2"), "u", &SystemClock).unwrap();
        assert_ne!(first.secret.expose_secret(), clone.secret.expose_secret());
        assert!(warning.unwrap().contains("another machine"));
        assert!(home.run().join("identity.json.other-machine").exists());
    }

    #[test]
    fn a_machine_without_an_id_keeps_its_identity() {
        let (folder, home) = home();
        let unknown = Machine::from_file(&folder.path().join("none"));
        let (first, _) = Identity::ensure(&home, &Machine::named("m1"), "u", &SystemClock).unwrap();
        let loaded = Identity::load(&home, &unknown).unwrap().identity.unwrap();
        assert_eq!(first.secret.expose_secret(), loaded.secret.expose_secret());
    }

    #[test]
    fn a_broken_file_is_moved_aside_and_told() {
        let (_folder, home) = home();
        durable::write(&home.identity(), 0o600, b"{").unwrap();
        let loaded = Identity::load(&home, &Machine::default()).unwrap();
        assert!(loaded.identity.is_none());
        assert!(loaded.warning.unwrap().contains("identity.json.broken"));
    }
}
