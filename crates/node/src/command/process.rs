//! Processes that may have outlived whoever started them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::group;
use crate::clock::{Deadline, SystemClock};
use crate::home::PROC;

/// One process for ever: numbers of processes are used again, but not with the same start in the same boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Ticks from the boot of the machine to its start.
    start: u64,
    /// The boot.
    boot: String,
}

impl Process {
    /// The process that has this number now; none when there is none or it is a zombie.
    pub fn of(pid: i32) -> Option<Self> {
        let proc = Path::new(PROC);
        let boot = fs::read_to_string(proc.join("sys/kernel/random/boot_id")).unwrap_or_default();
        let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
        // "PID (NAME) STATE …": the start is the 22nd field, and NAME may hold anything.
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let state = fields.next()?;
        let start = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then(|| Self {
            pid,
            start,
            boot: boot.trim().to_owned(),
        })
    }

    /// Whether it still lives.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends it, if it still lives, with the process group that it leads: SIGTERM, then SIGKILL after `grace`.
    /// Returns whether it is gone.
    pub fn terminate(&self, grace: Duration) -> bool {
        if !self.is_alive() {
            return true;
        }
        let id = Pid::from_raw(self.pid);
        group::terminate(id);
        group::wait_until_empty(id, &Deadline::after(&SystemClock, grace));
        group::signal(id, Signal::SIGKILL);
        group::wait_until_empty(id, &Deadline::after(&SystemClock, group::REAP));
        !self.is_alive()
    }
}
