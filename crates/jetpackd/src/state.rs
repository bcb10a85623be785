//! What the daemon must still know after a restart.

use durable::Recovered;
use jiff::Timestamp;
use node::home::Home;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
const FILE_MODE: u32 = 0o640;

/// `run/jetpackd.json`: how far this life of the node is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    version: u32,
    /// The life that the rest belongs to.
    pub(crate) cluster_session_id: String,
    /// Whether the node is converged, and nobody asked for another converge since.
    pub(crate) converged: bool,
    /// Converges that failed in a row.
    #[serde(default)]
    pub(crate) failures: u32,
    /// The boot of the machine in which it was converged last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
}

impl Progress {
    /// The progress of this life; a new life starts from nothing.
    pub(crate) fn load(home: &Home, cluster_session_id: &str) -> Result<Self, durable::Error> {
        let known: Option<Self> = recover(&home.jetpackd_state())?;
        Ok(known
            .filter(|known| known.cluster_session_id == cluster_session_id)
            .unwrap_or_else(|| Self {
                version: VERSION,
                cluster_session_id: cluster_session_id.to_owned(),
                converged: false,
                failures: 0,
                boot: None,
            }))
    }

    /// Whether the machine was started anew since it was converged. False when nobody knows.
    pub(crate) fn is_of_earlier_boot(&self, boot: Option<&str>) -> bool {
        match (self.boot.as_deref(), boot) {
            (Some(then), Some(now)) => then != now,
            _ => false,
        }
    }

    pub(crate) fn save(&self, home: &Home) -> Result<(), durable::Error> {
        durable::write_json(&home.jetpackd_state(), FILE_MODE, self)
    }
}

/// `run/terminated.json`: the server has ended this life of the node. No converge follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terminated {
    version: u32,
    cluster_session_id: String,
    /// The server's words.
    pub(crate) reason: String,
    time: Timestamp,
    /// What had to run before the end has run, and the server is told.
    #[serde(default = "yes")]
    pub(crate) confirmed: bool,
}

/// Files of earlier versions were written when nothing was left to do.
fn yes() -> bool {
    true
}

impl Terminated {
    /// Notes the end.
    pub(crate) fn save(
        home: &Home,
        cluster_session_id: &str,
        reason: &str,
        time: Timestamp,
    ) -> Result<Self, durable::Error> {
        let terminated = Self {
            version: VERSION,
            cluster_session_id: cluster_session_id.to_owned(),
            reason: reason.to_owned(),
            time,
            confirmed: false,
        };
        durable::write_json(&home.terminated(), FILE_MODE, &terminated)?;
        Ok(terminated)
    }

    /// Notes that nothing is left to do.
    pub(crate) fn confirm(&mut self, home: &Home) -> Result<(), durable::Error> {
        self.confirmed = true;
        durable::write_json(&home.terminated(), FILE_MODE, self)
    }

    /// Whether this life was ended.
    pub(crate) fn load(home: &Home, cluster_session_id: &str) -> Result<Option<Self>, durable::Error> {
        let known: Option<Self> = recover(&home.terminated())?;
        Ok(known.filter(|known| known.cluster_session_id == cluster_session_id))
    }
}

/// The one word of `run/converge.json` that matters to the daemon.
#[derive(Debug, Deserialize)]
struct Ledger {
    status: String,
}

/// Whether the converge that ended last ended well, as it wrote itself.
pub(crate) fn last_converge_succeeded(home: &Home) -> bool {
    match durable::read_json::<Ledger>(&home.converge_ledger()) {
        Ok(Some(ledger)) => ledger.status == "ready",
        Ok(None) => false,
        Err(error) => {
            // The next converge moves it aside and writes another.
            tracing::warn!("{}", terminal::chain(&error));
            false
        }
    }
}

fn recover<T: DeserializeOwned>(path: &std::path::Path) -> Result<Option<T>, durable::Error> {
    Ok(match durable::recover_json(path)? {
        Recovered::Read(value) => Some(value),
        Recovered::Absent => None,
        Recovered::MovedAside { to, error } => {
            tracing::warn!("{}; it was moved to `{}`", terminal::chain(&error), to.display());
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("jetpack"));
        home.create().unwrap();
        (folder, home)
    }

    #[test]
    fn progress_belongs_to_one_life_of_the_node() {
        let (_folder, home) = home();
        let mut progress = Progress::load(&home, "one").unwrap();
        assert!(!progress.converged);
        progress.converged = true;
        progress.save(&home).unwrap();
        assert!(Progress::load(&home, "one").unwrap().converged);
        assert!(!Progress::load(&home, "two").unwrap().converged);
    }

    #[test]
    fn a_boot_is_an_earlier_one_only_when_both_are_known() {
        let (_folder, home) = home();
        let mut progress = Progress::load(&home, "one").unwrap();
        assert!(!progress.is_of_earlier_boot(Some("b")));
        progress.boot = Some("a".to_owned());
        assert!(progress.is_of_earlier_boot(Some("b")));
        assert!(!progress.is_of_earlier_boot(Some("a")) && !progress.is_of_earlier_boot(None));
    }

    #[test]
    fn the_end_of_one_life_is_not_that_of_the_next() {
        let (_folder, home) = home();
        let mut ended = Terminated::save(&home, "one", "idle", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(Terminated::load(&home, "one").unwrap().unwrap().reason, "idle");
        assert!(!Terminated::load(&home, "one").unwrap().unwrap().confirmed);
        ended.confirm(&home).unwrap();
        assert!(Terminated::load(&home, "one").unwrap().unwrap().confirmed);
        assert_eq!(Terminated::load(&home, "two").unwrap(), None);
    }

    #[test]
    fn a_state_file_that_cannot_be_read_counts_as_none() {
        let (_folder, home) = home();
        durable::write(&home.jetpackd_state(), 0o640, b"{\"half").unwrap();
        assert!(!Progress::load(&home, "one").unwrap().converged);
        assert!(home.run().join("jetpackd.json.broken").exists());
    }
}
