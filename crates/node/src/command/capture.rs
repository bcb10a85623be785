//! Taking in what a program says.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::capped::CappedFile;
use super::stop::Event;
use super::{Command, CommandError};

type Show = dyn Fn(&[u8]) + Send + Sync;

/// Somebody who is shown the output of a program as it comes.
#[derive(Clone)]
pub struct Tee(Arc<Show>);

impl Tee {
    /// Calls `show` with each piece of the output.
    pub fn new(show: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(show))
    }

    /// Shows a piece of output.
    pub fn show(&self, bytes: &[u8]) {
        (self.0)(bytes);
    }
}

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tee")
    }
}

#[derive(Debug, Default)]
struct Kept {
    tail: Vec<u8>,
    /// Whether `tail` is only the end.
    cut: bool,
    log_error: Option<io::Error>,
}

#[derive(Debug)]
struct Source {
    pipe: PipeReader,
    file: Option<CappedFile>,
    tee: Option<Tee>,
}

/// The output of one program: read by a thread of its own until the last process that has it open is gone.
#[derive(Debug)]
pub(super) struct Capture {
    source: Mutex<Option<Source>>,
    tail_bytes: usize,
    kept: Mutex<Kept>,
}

impl Capture {
    pub(super) fn open(command: &Command) -> Result<(Arc<Self>, PipeWriter), CommandError> {
        let file = match &command.log {
            Some((path, max)) => {
                Some(
                    CappedFile::create(path, *max).map_err(|source| CommandError::Log {
                        path: path.clone(),
                        source,
                    })?,
                )
            }
            None => None,
        };
        let (pipe, writer) = io::pipe().map_err(|source| CommandError::Spawn {
            program: command.program.clone(),
            source,
        })?;
        let capture = Self {
            source: Mutex::new(Some(Source {
                pipe,
                file,
                tee: command.tee.clone(),
            })),
            tail_bytes: command.tail_bytes,
            kept: Mutex::default(),
        };
        Ok((Arc::new(capture), writer))
    }

    /// Starts to read.
    pub(super) fn start(self: &Arc<Self>, ended: Sender<Event>) {
        let taken = self.source.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Source {
            mut pipe,
            mut file,
            tee,
        }) = taken
        else {
            return;
        };
        let capture = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = vec![0; 32 << 10];
            loop {
                let bytes = match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => &buffer[..length],
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(_) => break,
                };
                // A full disk must not stop the program: it goes on, its output is lost.
                let error = file.as_mut().and_then(|file| file.write(bytes).err());
                if error.is_some() {
                    file = None;
                }
                capture.keep(bytes, error);
                if let Some(tee) = &tee {
                    (tee.0)(bytes);
                }
            }
            let _ = ended.send(Event::OutputEnded);
        });
    }

    fn keep(&self, bytes: &[u8], error: Option<io::Error>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.tail.extend_from_slice(bytes);
        if kept.tail.len() > self.tail_bytes {
            let excess = kept.tail.len() - self.tail_bytes;
            kept.tail.drain(..excess);
            kept.cut = true;
        }
        if error.is_some() {
            kept.log_error = error;
        }
    }

    /// The end of the output so far, from the start of a line if there is one.
    pub(super) fn tail(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tail = kept.tail.as_slice();
        if kept.cut
            && let Some(end) = tail.iter().position(|byte| *byte == b'\n')
            && end + 1 < tail.len()
        {
            tail = &tail[end + 1..];
        }
        String::from_utf8_lossy(tail).into_owned()
    }

    pub(super) fn log_error(&self) -> Option<io::Error> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.log_error.take()
    }
}
