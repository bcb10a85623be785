//! Log files in the form `YYYY-MM-DD HH:MM:SS,mmm LEVEL    message`, in UTC, bounded in bytes and in
//! number of files.
//!
//! Several processes may write to one file: each looks before it writes whether another has turned it over.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How grave a line is, in the words that readers of these logs know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who look for a fault.
    Debug,
    /// All is as it should be.
    Info,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

impl From<protocol::Level> for Level {
    fn from(level: protocol::Level) -> Self {
        match level {
            protocol::Level::Info => Self::Info,
            protocol::Level::Warn => Self::Warning,
            protocol::Level::Error => Self::Error,
        }
    }
}

/// How much a log may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one file.
    pub bytes: u64,
    /// Most files, with the one that is being written: `NAME`, `NAME.1`, `NAME.2` …
    pub files: u32,
}

impl Default for Limits {
    /// Five files of 4 MiB.
    fn default() -> Self {
        Self {
            bytes: 4 << 20,
            files: 5,
        }
    }
}

/// One line of a log, with its line end. Lines after the first are indented, so that no message can pass
/// for another; other control characters are shown as `\x1b` and the like.
pub fn line(time: Timestamp, level: Level, message: &str) -> String {
    let time = time.strftime("%Y-%m-%d %H:%M:%S,%3f");
    let mut line = format!("{time} {:<8} ", level.as_str());
    for c in message.trim_end().chars() {
        match c {
            '\n' => line.push_str("\n    "),
            '\t' => line.push(c),
            '\r' => {}
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

/// A log file that is turned over when it is full.
///
/// `&LogFile` is a [`Write`], one line or record a call, so that a `tracing` layer can write through it.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    limits: Limits,
    file: Mutex<Option<File>>,
}

impl LogFile {
    /// A log at `path`. The file is opened at the first line.
    pub fn new(path: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            path: path.into(),
            limits,
            file: Mutex::default(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one line.
    ///
    /// # Errors
    /// When the file cannot be written, for instance because the disk is full or belongs to root.
    pub fn write_line(&self, time: Timestamp, level: Level, message: &str) -> io::Result<()> {
        self.append(line(time, level, message).as_bytes())
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match slot.take() {
            Some(file) if is_at(&file, &self.path) => file,
            _ => self.open()?,
        };
        if self.is_full(&file, bytes.len())? {
            file = self.turn_over(bytes.len())?;
        }
        // One call, so that lines of several processes do not mix.
        let result = file.write_all(bytes);
        *slot = Some(file);
        result
    }

    fn open(&self) -> io::Result<File> {
        durable::append(&self.path, 0o640).map_err(|error| match error {
            durable::Error::Io { source, .. } => source,
            other => io::Error::other(other),
        })
    }

    fn is_full(&self, file: &File, more: usize) -> io::Result<bool> {
        let length = file.metadata()?.len();
        Ok(length > 0 && length + more as u64 > self.limits.bytes)
    }

    fn turn_over(&self, more: usize) -> io::Result<File> {
        let lock = File::create(self.numbered("lock"))?;
        lock.lock()?;
        let file = self.open()?;
        // Another process may have been first.
        if !self.is_full(&file, more)? {
            return Ok(file);
        }
        for number in (0..self.limits.files).rev() {
            let from = match number {
                0 => self.path.clone(),
                number => self.numbered(number),
            };
            let result = if number + 1 >= self.limits.files {
                fs::remove_file(&from)
            } else {
                fs::rename(&from, self.numbered(number + 1))
            };
            match result {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.open()
    }

    fn numbered(&self, suffix: impl std::fmt::Display) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{suffix}"));
        name.into()
    }
}

impl Write for &LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        "2026-11-23T09:08:07.0654Z".parse().unwrap()
    }

    #[test]
    fn a_line_has_the_known_form() {
        assert_eq!(
            line(time(), Level::Info, "Added user `ann`"),
            "2026-11-23 09:08:07,065 INFO     Added user `ann`\n"
        );
        assert_eq!(
            line(time(), Level::Warning, "a\n2026 ERROR b\x1b[0m\n"),
            "2026-11-23 09:08:07,065 WARNING  a\n    2026 ERROR b\\u{1b}[0m\n"
        );
    }

    #[test]
    fn a_log_is_bounded_in_bytes_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { bytes: 200, files: 3 };
        let (one, two) = (
            LogFile::new(folder.path().join("x.log"), limits),
            LogFile::new(folder.path().join("x.log"), limits),
        );
        for number in 0..100 {
            let log = if number % 3 == 0 { &one } else { &two };
            log.write_line(time(), Level::Info, &format!("line {number}"))
                .unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let all = read("x.log.2") + &read("x.log.1") + &read("x.log");
        assert!(all.ends_with("line 99\n"), "{all}");
        assert!(all.len() <= 600);
        assert!(!folder.path().join("x.log.3").exists());
        let numbers: Vec<u32> = all
            .lines()
            .map(|l| l.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{numbers:?}"
        );
    }
}
