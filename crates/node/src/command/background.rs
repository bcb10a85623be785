//! Programs that run while a daemon does other things.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::capture::Capture;
use super::{Command, CommandError, Ended, group};

/// A program that was started and leads a process group of its own. Dropping the handle leaves it running.
#[derive(Debug)]
pub struct Background {
    child: Child,
    command: Command,
    group: Pid,
    capture: Arc<Capture>,
}

impl Command {
    /// Starts the program and returns at once. Its time limit is for the caller to watch. Must be called
    /// within a `tokio` runtime.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<Background, CommandError> {
        let (child, capture) = self.spawn(|command| tokio::process::Command::from(command).spawn())?;
        // A process that has just been started has an id: nobody has waited for it yet.
        let group = Pid::from_raw(child.id().unwrap_or_default().cast_signed());
        // Nobody waits for the end of the output.
        let (ended, _) = std::sync::mpsc::channel();
        capture.start(ended);
        Ok(Background {
            child,
            command: self.clone(),
            group,
            capture,
        })
    }
}

impl Background {
    /// Its process id, which is also the id of its group.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// Waits for its end. May be dropped and called again.
    ///
    /// # Errors
    /// When the system does not say what became of it.
    pub async fn wait(&mut self) -> Result<Ended, CommandError> {
        self.exit_status().await.map(Ended::from_status)
    }

    /// Ends it with its process group: SIGTERM, then SIGKILL after the grace of the command. Returns when it is
    /// gone, or cannot be killed.
    ///
    /// # Errors
    /// When the system does not say what became of it.
    pub async fn terminate(&mut self) -> Result<Ended, CommandError> {
        if self.group.as_raw() <= 0 {
            return Ok(Ended::Stopped);
        }
        let deadline = Instant::now() + self.command.grace;
        group::terminate(self.group);
        let first = timeout_at(deadline, self.exit_status()).await;
        while group::is_alive(self.group) && Instant::now() < deadline {
            sleep(group::POLL).await;
        }
        if group::is_alive(self.group) {
            group::signal(self.group, Signal::SIGKILL);
        }
        let status = match first {
            Ok(status) => status?,
            Err(_) => match timeout(group::REAP, self.exit_status()).await {
                Ok(status) => status?,
                Err(_) => return Ok(Ended::Unkillable),
            },
        };
        // One that ended well although it was told to stop has done its work.
        Ok(match Ended::from_status(status) {
            ended @ Ended::Exited(_) => ended,
            _ => Ended::Stopped,
        })
    }

    /// The end of its output so far.
    pub fn tail(&self) -> String {
        self.capture.tail()
    }

    /// How long it has to end when told to.
    pub fn grace(&self) -> Duration {
        self.command.grace
    }

    async fn exit_status(&mut self) -> Result<ExitStatus, CommandError> {
        let program = &self.command.program;
        self.child.wait().await.map_err(|source| CommandError::Wait {
            program: program.clone(),
            source,
        })
    }
}
