//! `run/converge-history.json`: the converges before the last one.

use durable::Recovered;
use node::home::Home;
use protocol::StepState;
use serde::{Deserialize, Serialize};

use crate::{Ledger, Status};

const VERSION: u32 = 1;

/// How many converges are kept.
const KEPT: usize = 20;

/// The converges before the last one, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    version: u32,
    /// How each ended. Scripts that were not run are left out.
    pub converges: Vec<Ledger>,
}

impl History {
    /// What the file says, for those who only look. One that cannot be understood counts as none: the next converge
    /// moves it aside.
    pub fn observe(home: &Home) -> Self {
        durable::read_json(&home.converge_history())
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Adds the converge that was the last one until now.
    pub(crate) fn add(home: &Home, last: &Ledger) -> Result<(), durable::Error> {
        let path = home.converge_history();
        let mut history = match durable::recover_json(&path)? {
            Recovered::Read(history) => history,
            Recovered::Absent => Self::default(),
            Recovered::MovedAside { to, error } => {
                tracing::warn!(
                    "{}; it was moved to `{}`",
                    node::trace::chain(&error),
                    to.display()
                );
                Self::default()
            }
        };
        let mut last = last.clone();
        if last.status == Status::Running {
            last.status = Status::Interrupted;
        }
        last.steps
            .retain(|step| !matches!(step.state, StepState::Planned | StepState::Skipped));
        // A converge that was killed between this and its own first entry has added it already.
        if history.converges.first() == Some(&last) {
            return Ok(());
        }
        history.version = VERSION;
        history.converges.insert(0, last);
        history.converges.truncate(KEPT);
        // After a power cut the last entries may be missing, which changes nothing.
        durable::write_json_unflushed(&path, 0o640, &history)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use node::identity::Machine;

    use super::*;

    #[test]
    fn the_newest_come_first_once_each_and_their_number_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("jetpack"));
        home.create().unwrap();
        for second in 0..30 {
            let now = Timestamp::from_second(second).unwrap();
            let ledger = Ledger::begin(None, &Machine::named("m"), "install", now);
            History::add(&home, &ledger).unwrap();
            History::add(&home, &ledger).unwrap();
        }
        let history = History::observe(&home);
        assert_eq!(history.converges.len(), KEPT);
        assert_eq!(history.converges[0].started.as_second(), 29);
        assert_eq!(history.converges[0].status, Status::Interrupted);
        assert_eq!(history.converges[1].started.as_second(), 28);
    }

    #[test]
    fn a_broken_history_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("jetpack"));
        home.create().unwrap();
        durable::write(&home.converge_history(), 0o640, b"{\"half").unwrap();
        assert_eq!(History::observe(&home), History::default());
        let ledger = Ledger::begin(None, &Machine::named("m"), "install", Timestamp::UNIX_EPOCH);
        History::add(&home, &ledger).unwrap();
        assert_eq!(History::observe(&home).converges.len(), 1);
    }
}
