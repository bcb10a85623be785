//! Running a program to its end.

use std::io;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::stop::Event;
use super::{Command, CommandError, Ended, Process, Stop, group};
use crate::clock::{Clock, Deadline, SystemClock};

/// How long the output may stay open after the program has ended. Then somebody whom it started has it
/// open, and will keep it so.
pub(super) const LINGER: Duration = Duration::from_millis(500);

/// What came of a program.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// How long it ran.
    pub duration: Duration,
    /// The end of its output.
    pub tail: String,
    /// A process that it started still has its output open. It loses it when we end.
    pub output_held: bool,
    /// Why its output could not be written to its log, if so.
    pub log_error: Option<io::Error>,
}

impl Command {
    /// Runs the program and waits for its end. It is ended, with its process group, at its deadline and when
    /// `stop` is requested: SIGTERM, then SIGKILL after its grace. What it leaves behind after an end
    /// of its own goes on: starting services is what scripts are for.
    ///
    /// # Errors
    /// When it cannot be started; how it ended is never an error.
    pub fn run(&self, stop: &Stop) -> Result<Outcome, CommandError> {
        let started = Instant::now();
        let (mut child, capture) = self.spawn_std()?;
        let (sender, events) = channel();
        let group = Pid::from_raw(child.id().cast_signed());
        capture.start(sender.clone());
        if let (Some(tell), Some(process)) = (&self.on_start, Process::of(group.as_raw())) {
            (tell.0)(&process);
        }
        watch(&child, sender.clone());
        let _subscription = stop.subscribe(sender);

        let mut run = Run::new(&child, events);
        let limit = self.time_limit.map(|limit| Deadline::after(&SystemClock, limit));
        let ended = run.finish(&mut child, limit.as_ref(), self)?;
        let duration = started.elapsed();
        let linger = Deadline::after(&SystemClock, LINGER);
        run.wait_for_output(&linger);
        Ok(Outcome {
            ended,
            duration,
            tail: capture.tail(),
            output_held: !run.output_ended,
            log_error: capture.log_error(),
        })
    }
}

enum Wake {
    Done,
    Stop,
    Late,
}

/// A program that runs.
pub(super) struct Run {
    group: Pid,
    events: Receiver<Event>,
    exited: bool,
    output_ended: bool,
}

impl Run {
    pub(super) fn new(child: &Child, events: Receiver<Event>) -> Self {
        Self {
            group: Pid::from_raw(child.id().cast_signed()),
            events,
            exited: false,
            output_ended: false,
        }
    }

    /// Waits for the end of the program, or makes it end.
    pub(super) fn finish(
        &mut self,
        child: &mut Child,
        limit: Option<&Deadline>,
        command: &Command,
    ) -> Result<Ended, CommandError> {
        let forced = match self.wait(limit, |run| run.exited) {
            Wake::Done => None,
            Wake::Stop => Some(Ended::Stopped),
            Wake::Late => Some(Ended::TimedOut),
        };
        if forced.is_some() {
            self.end(command.grace);
        }
        let status = if self.exited { Some(child.wait()) } else { None };
        match (forced, status) {
            (_, None) => Ok(Ended::Unkillable),
            (Some(forced), _) => Ok(forced),
            (None, Some(Ok(status))) => Ok(Ended::from_status(status)),
            (None, Some(Err(source))) => {
                let program = command.program.clone();
                Err(CommandError::Wait { program, source })
            }
        }
    }

    fn wait(&mut self, deadline: Option<&Deadline>, done: impl Fn(&Self) -> bool) -> Wake {
        loop {
            if done(self) {
                return Wake::Done;
            }
            match self.next(deadline) {
                Ok(Event::Exited) => self.exited = true,
                Ok(Event::OutputEnded) => self.output_ended = true,
                Ok(Event::StopRequested) => return Wake::Stop,
                // All senders are gone only when both threads have ended.
                Err(RecvTimeoutError::Disconnected) => self.exited = true,
                Err(RecvTimeoutError::Timeout) => return Wake::Late,
            }
        }
    }

    fn next(&self, deadline: Option<&Deadline>) -> Result<Event, RecvTimeoutError> {
        match deadline {
            Some(deadline) => self.events.recv_timeout(deadline.remaining(&SystemClock)),
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Ends the group. Its leader is not reaped yet, so the group's number still belongs to it.
    fn end(&mut self, grace: Duration) {
        let deadline = Deadline::after(&SystemClock, grace);
        group::terminate(self.group);
        while let Wake::Stop = self.wait(Some(&deadline), |run| run.exited) {}
        group::wait_until_empty(self.group, &deadline);
        group::signal(self.group, Signal::SIGKILL);
        let reap = Deadline::after(&SystemClock, group::REAP);
        while let Wake::Stop = self.wait(Some(&reap), |run| run.exited) {}
    }

    pub(super) fn wait_for_output(&mut self, deadline: &Deadline) {
        while !self.output_ended && !deadline.passed(&SystemClock as &dyn Clock) {
            if let Wake::Late = self.wait(Some(deadline), |run| run.output_ended) {
                return;
            }
        }
    }
}

/// Tells when the program has ended, and leaves it to be reaped.
pub(super) fn watch(child: &Child, sender: Sender<Event>) {
    let pid = Pid::from_raw(child.id().cast_signed());
    thread::spawn(move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), flags) == Err(nix::errno::Errno::EINTR) {}
        let _ = sender.send(Event::Exited);
    });
}
