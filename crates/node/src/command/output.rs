//! Running a program whose output is what is wanted.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::run::{LINGER, Run, watch};
use super::stop::Event;
use super::{Command, CommandError, Ended, Stop};
use crate::clock::{Deadline, SystemClock};

/// What a program said.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// The number of the process that it was.
    pub pid: u32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Command {
    /// Runs the program with an input and waits for its end, as [`Command::run`]. Its two outputs are kept apart, at most
    /// `most` bytes of each: what is more is read and lost.
    ///
    /// # Errors
    /// When it cannot be started; how it ended is never an error.
    pub fn output(&self, input: Vec<u8>, most: usize, stop: &Stop) -> Result<Output, CommandError> {
        let mut child = self.launch(
            |command| {
                let stdin = if input.is_empty() {
                    Stdio::null()
                } else {
                    Stdio::piped()
                };
                command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
                Ok(())
            },
            |mut command| command.spawn(),
        )?;
        let pid = child.id();
        let (sender, events) = channel();
        if let Some(mut pipe) = child.stdin.take() {
            // A program need not read its input.
            thread::spawn(move || drop(pipe.write_all(&input)));
        }
        // The last of the two to end says so.
        let open = Arc::new(sender.clone());
        let stdout = keep(child.stdout.take(), most, Arc::clone(&open));
        let stderr = keep(child.stderr.take(), most, open);
        watch(&child, sender.clone());
        let _subscription = stop.subscribe(sender);
        let mut run = Run::new(&child, events);
        let limit = self.time_limit.map(|limit| Deadline::after(&SystemClock, limit));
        let ended = run.finish(&mut child, limit.as_ref(), self)?;
        run.wait_for_output(&Deadline::after(&SystemClock, LINGER));
        let taken =
            |kept: &Mutex<Vec<u8>>| std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Output {
            ended,
            pid,
            stdout: taken(&stdout),
            stderr: taken(&stderr),
        })
    }
}

/// A program that was started and not waited for yet. Dropping it leaves it running.
#[derive(Debug)]
pub struct Running {
    child: Child,
    command: Command,
}

impl Command {
    /// Starts the program and returns at once. Its output is lost.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(&self) -> Result<Running, CommandError> {
        let child = self.launch(
            |command| {
                command.stdout(Stdio::null()).stderr(Stdio::null());
                Ok(())
            },
            |mut command| command.spawn(),
        )?;
        Ok(Running {
            child,
            command: self.clone(),
        })
    }
}

impl Running {
    /// Its process id, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, at most for `limit`; then it is ended, as it is when `stop` is requested.
    ///
    /// # Errors
    /// When the system does not say what became of it.
    pub fn wait(mut self, limit: Option<Duration>, stop: &Stop) -> Result<Ended, CommandError> {
        let (sender, events) = channel();
        watch(&self.child, sender.clone());
        let _subscription = stop.subscribe(sender);
        let limit = limit.map(|limit| Deadline::after(&SystemClock, limit));
        Run::new(&self.child, events).finish(&mut self.child, limit.as_ref(), &self.command)
    }
}

/// Reads a pipe to its end on a thread of its own. Somebody whom the program started may keep it open for ever: what has come
/// by then can be taken at any time.
fn keep(
    pipe: Option<impl Read + Send + 'static>,
    most: usize,
    open: Arc<Sender<Event>>,
) -> Arc<Mutex<Vec<u8>>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&kept);
    thread::spawn(move || {
        let mut buffer = vec![0; 32 << 10];
        if let Some(mut pipe) = pipe {
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => {
                        let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                        let room = most.saturating_sub(kept.len()).min(length);
                        kept.extend_from_slice(&buffer[..room]);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
        if let Some(sender) = Arc::into_inner(open) {
            let _ = sender.send(Event::OutputEnded);
        }
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new("sh").inherit_environment().arg("-c").arg(script)
    }

    #[test]
    fn both_outputs_and_the_input_are_kept_apart() {
        let output = shell("cat; echo error >&2; exit 3");
        let output = output.output(b"input".to_vec(), 1 << 20, &Stop::new()).unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (&b"input"[..], &b"error\n"[..])
        );
        assert_eq!(output.ended, Ended::Exited(3));
    }

    #[test]
    fn a_program_can_be_waited_for_later() {
        let running = shell("exit 4").begin().unwrap();
        assert!(running.id() > 0);
        assert_eq!(running.wait(None, &Stop::new()).unwrap(), Ended::Exited(4));
        let running = shell("sleep 1000").begin().unwrap();
        let ended = running
            .wait(Some(Duration::from_millis(50)), &Stop::new())
            .unwrap();
        assert_eq!(ended, Ended::TimedOut);
    }

    #[test]
    fn what_is_too_much_is_lost_and_blocks_nobody() {
        let output = shell("head -c 1000000 /dev/zero; echo end >&2").output(Vec::new(), 10, &Stop::new());
        let output = output.unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.as_slice()),
            (10, &b"end\n"[..])
        );
    }

    #[test]
    fn a_program_that_runs_for_too_long_is_ended_with_what_it_said() {
        let command = shell("echo begun; sleep 1000").time_limit(Duration::from_millis(300));
        let output = command.output(Vec::new(), 1 << 20, &Stop::new()).unwrap();
        assert_eq!(
            (output.ended, output.stdout.as_slice()),
            (Ended::TimedOut, &b"begun\n"[..])
        );
    }
}
