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

/// Whether the process leads a process group and no session.
fn leads_group(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(Path::new(PROC).join(pid.to_string()).join("stat")) else {
        return false;
    };
    // "PID (NAME) STATE PARENT GROUP SESSION …", where NAME may hold anything.
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let mut number = || fields.next().and_then(|field| field.parse::<i32>().ok());
    number();
    number();
    let (group, session) = (number(), number());
    group == Some(pid) && session != Some(pid)
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

    /// The processes that lead a process group, have not opened a session of their own, and were started with this
    /// variable in their environment: programs that [`super::Command`] started, but no service that went into the
    /// background. Processes of others, whose environment cannot be read, are left out.
    pub fn started_with(variable: &str, value: &str) -> Vec<Self> {
        let wanted = format!("{variable}={value}");
        let Ok(processes) = fs::read_dir(PROC) else {
            return Vec::new();
        };
        let pids = processes
            .flatten()
            .filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| leads_group(*pid))
            .filter(|pid| {
                let environment = fs::read(Path::new(PROC).join(pid.to_string()).join("environ"));
                environment.is_ok_and(|environment| {
                    environment
                        .split(|byte| *byte == 0)
                        .any(|entry| entry == wanted.as_bytes())
                })
            })
            .filter_map(Self::of)
            .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Ended, Stop};

    #[test]
    fn a_program_is_found_by_its_environment_and_its_service_is_not() {
        const VARIABLE: &str = "JETPACK_PROCESS_TEST";
        let folder = tempfile::tempdir().unwrap();
        let (value, end) = (folder.path().display().to_string(), folder.path().join("end"));
        let found = std::sync::Arc::new(std::sync::Mutex::new(None));
        let (seen, wanted, ending) = (std::sync::Arc::clone(&found), value.clone(), end.clone());
        let outcome = Command::new("setsid")
            .inherit_environment()
            .env(VARIABLE, &value)
            .arg("--fork")
            .arg("--wait")
            .arg("sh")
            .arg("-c")
            .arg(format!("while [ ! -e '{}' ]; do sleep 0.01; done", end.display()))
            .on_start(move |process| {
                let all = Process::started_with(VARIABLE, &wanted);
                *seen.lock().unwrap() = Some((process.clone(), all));
                durable::write(&ending, 0o600, b"").unwrap();
            })
            .run(&Stop::new())
            .unwrap();
        assert_eq!(outcome.ended, Ended::Exited(0), "{}", outcome.tail);
        let (process, all) = found.lock().unwrap().take().unwrap();
        assert_eq!(all, [process]);
        assert!(Process::started_with(VARIABLE, &value).is_empty());
    }
}
