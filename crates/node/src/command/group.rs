//! Process groups.

use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::clock::{Clock, Deadline, SystemClock};
use crate::home::PROC;

/// How often a group is looked at that should end.
pub(super) const POLL: Duration = Duration::from_millis(20);
/// How long a process has to vanish after SIGKILL.
pub(super) const REAP: Duration = Duration::from_secs(5);

/// Sends a signal to all members. That there are none left is fine.
pub(super) fn signal(group: Pid, signal: Signal) {
    let _ = killpg(group, signal);
}

/// Asks all members to end; those that are stopped are woken up to hear it.
pub(super) fn terminate(group: Pid) {
    signal(group, Signal::SIGTERM);
    signal(group, Signal::SIGCONT);
}

/// Whether a member still lives. Zombies do not.
pub(super) fn is_alive(group: Pid) -> bool {
    let Ok(processes) = fs::read_dir(PROC) else {
        return false;
    };
    processes.flatten().any(|process| {
        // "PID (NAME) STATE PARENT GROUP …", where NAME may hold anything.
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else {
            return false;
        };
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let state = fields.next();
        let of_group = fields.nth(1).and_then(|field| field.parse().ok()) == Some(group.as_raw());
        of_group && !matches!(state, Some("Z" | "X"))
    })
}

/// Waits until no member lives or the deadline has passed.
pub(super) fn wait_until_empty(group: Pid, deadline: &Deadline) {
    while is_alive(group) && !deadline.passed(&SystemClock as &dyn Clock) {
        thread::sleep(POLL);
    }
}
