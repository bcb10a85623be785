//! The server's log: on stderr, and in a file that does not grow without bound.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

/// Bytes after which a new file is begun.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// Old files that are kept.
const MAX_FILES: u32 = 4;

/// Sends what the program traces to stderr and to `cycle_server.log` in a folder.
///
/// # Errors
/// When the file cannot be opened or the filter is not one.
pub fn start(folder: &Path, filter: &str) -> anyhow::Result<()> {
    use anyhow::Context;
    let file = CappedFile::open(folder.join("cycle_server.log"), MAX_BYTES)
        .with_context(|| format!("cannot write the log in `{}`", folder.display()))?;
    let filter = EnvFilter::try_new(filter).with_context(|| format!("`log` cannot be `{filter}`"))?;
    let writer = io::stderr.and(SharedFile(Arc::new(Mutex::new(file))));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(writer)
        .try_init()
        .map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}

/// A file that is renamed and begun anew when it is full.
#[derive(Debug)]
struct CappedFile {
    path: PathBuf,
    file: File,
    size: u64,
    most: u64,
}

impl CappedFile {
    fn open(path: PathBuf, most: u64) -> io::Result<Self> {
        let file = durable::append(&path, 0o640).map_err(io::Error::other)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            size,
            most,
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        let old = |number: u32| {
            let mut path = self.path.clone().into_os_string();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        };
        for number in (1..MAX_FILES).rev() {
            match fs::rename(old(number), old(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, old(1))?;
        self.file = durable::append(&self.path, 0o640).map_err(io::Error::other)?;
        self.size = 0;
        Ok(())
    }
}

impl Write for CappedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size >= self.most {
            self.turn()?;
        }
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[derive(Debug, Clone)]
struct SharedFile(Arc<Mutex<CappedFile>>);

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full disk must not take the lines on stderr away.
        let _ = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for SharedFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_are_bounded_in_size_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = CappedFile::open(folder.path().join("x.log"), 10).unwrap();
        for number in 0..20 {
            file.write_all(format!("line number {number}\n").as_bytes())
                .unwrap();
        }
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1 + MAX_FILES as usize);
        let newest = fs::read_to_string(folder.path().join("x.log")).unwrap();
        assert_eq!(newest, "line number 19\n");
    }
}
