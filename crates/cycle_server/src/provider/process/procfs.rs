//! Processes as `/proc` shows them.
//!
//! A pid alone names nothing for long: the system gives it to the next one. Together with the start time
//! it does, until the machine boots; the environment tells boots apart.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The variable that every process of a node inherits.
pub(super) const HOME_VARIABLE: &str = "CYCLECLOUD_HOME";

/// Between two looks at something that ends soon.
const LOOK: Duration = Duration::from_millis(20);

/// How long killed processes may take to vanish.
const KILL_TIME: Duration = Duration::from_secs(10);

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Clock ticks from boot to its start.
    started: u64,
}

impl Process {
    /// The process that has this pid now; none when there is none or only its exit code is left.
    pub(super) fn now(pid: i32) -> Option<Self> {
        let (started, _) = stat(pid)?;
        Some(Self { pid, started })
    }

    pub(super) fn is_alive(self) -> bool {
        Self::now(self.pid) == Some(self)
    }

    /// Whether it is alive and of the node with this home.
    pub(super) fn belongs_to(self, home: &Path) -> bool {
        self.is_alive() && has_home(self.pid, home)
    }

    /// Asks it to end.
    pub(super) fn terminate(self) {
        if self.is_alive() {
            // It may have ended since, which is what is wanted.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGTERM);
        }
    }

    /// Ends it and its process group.
    pub(super) fn kill_group(self) {
        if self.is_alive() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// Start time and process group.
fn stat(pid: i32) -> Option<(u64, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    match fields.as_slice() {
        ["Z" | "X", ..] => None,
        // Fields 3, 5 and 22 of proc(5).
        fields => Some((fields.get(19)?.parse().ok()?, fields.get(2)?.parse().ok()?)),
    }
}

fn has_home(pid: i32, home: &Path) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        // Gone, or another user's.
        return false;
    };
    environment.split(|byte| *byte == 0).any(|entry| {
        entry
            .strip_prefix(HOME_VARIABLE.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            .is_some_and(|value| value == home.as_os_str().as_bytes())
    })
}

/// All processes of the node with this home. This server and what it was started from are none of them, even when
/// somebody started it from a shell that looks at the node.
pub(super) fn all_of(home: &Path) -> Vec<Process> {
    let ours = own_line();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| !ours.contains(pid) && has_home(*pid, home))
        .filter_map(Process::now)
        .collect()
}

/// This process, its parent, and so on.
fn own_line() -> Vec<i32> {
    let mut line = Vec::new();
    let mut next = i32::try_from(std::process::id()).ok();
    while let Some(pid) = next.filter(|pid| *pid > 1 && !line.contains(pid)) {
        line.push(pid);
        next = parent(pid);
    }
    line
}

fn parent(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    // Field 4 of proc(5).
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// A daemon of this home that nobody wrote down: it leads its process group and runs this program.
pub(super) fn daemon_of(home: &Path, program: &Path) -> Option<Process> {
    all_of(home).into_iter().find(|process| {
        let leads = stat(process.pid).is_some_and(|(_, group)| group == process.pid);
        let command = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        // A script is the second word, after its interpreter.
        leads
            && command
                .split(|byte| *byte == 0)
                .take(2)
                .any(|word| word == program.as_os_str().as_bytes())
    })
}

/// Waits until all of them are gone; false when one is not by then.
pub(super) async fn wait_gone(processes: &[Process], most: Duration) -> bool {
    let deadline = Instant::now() + most;
    while processes.iter().any(|process| process.is_alive()) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

/// Kills every process of the node, also those that leave children behind while it is at work. Returns how
/// many cannot be killed.
pub(super) async fn kill_all_of(home: &Path) -> usize {
    let deadline = Instant::now() + KILL_TIME;
    loop {
        let left = all_of(home);
        if left.is_empty() || Instant::now() >= deadline {
            return left.len();
        }
        for process in &left {
            if process.is_alive() {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
        }
        wait_gone(&left, LOOK * 5).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time_too() {
        let own = Process::now(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.is_alive());
        let other = Process {
            started: own.started + 1,
            ..own
        };
        assert!(!other.is_alive());
        assert!(!own.belongs_to(Path::new("/no/such/home")));
    }
}
