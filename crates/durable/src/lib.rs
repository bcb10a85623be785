//! Files written as if power fails.
//!
//! Every state file of every program goes through [`write`]: a reader finds the old content or the
//! new one, never half of it, whatever happens in between. The crate must not know what the files
//! mean.

pub mod failpoint;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, `rename`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not the JSON that it should be.
    #[error("`{path}` is not valid", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Replaces the content of `path` in one step: a temporary file in the same folder, flushed to the
/// disk, renamed over it, and the folder flushed. The file gets exactly the permission bits `mode`.
///
/// # Errors
/// [`Error::Io`] with the path; the old content is untouched then.
pub fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    replace(path, mode, bytes, true)?;
    failpoint::reached("renamed");
    sync_folder(parent(path))
}

/// As [`write()`], but nothing waits for the disk: whoever reads finds the old content or the new one, also after
/// the writer was killed; after a power cut he may find either, or none. For what is worth nothing then.
///
/// # Errors
/// As [`write()`].
pub fn write_unflushed(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    replace(path, mode, bytes, false)
}

/// [`write_unflushed()`] of a value as indented JSON with a line end.
///
/// # Errors
/// As [`write_json()`].
pub fn write_json_unflushed(path: &Path, mode: u32, value: &impl Serialize) -> Result<(), Error> {
    write_unflushed(path, mode, &json(path, value)?)
}

/// Prefix of the names of temporary files.
const TEMPORARY: &str = ".new-";

/// The process that made a temporary file of this name, which it will rename; none when it is no such file. When the
/// process is gone nobody needs the file.
pub fn temporary_of(name: &str) -> Option<i32> {
    name.strip_prefix(TEMPORARY)?.split_once('-')?.0.parse().ok()
}

fn replace(path: &Path, mode: u32, bytes: &[u8], flush: bool) -> Result<(), Error> {
    let folder = parent(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(&format!("{TEMPORARY}{}-", std::process::id()))
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(Error::io("create a file in", folder))?;
    let written = temporary
        .write_all(bytes)
        // The umask may have taken bits away.
        .and_then(|()| temporary.as_file().set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| {
            if flush {
                temporary.as_file().sync_all()
            } else {
                Ok(())
            }
        });
    written.map_err(Error::io("write", path))?;
    failpoint::reached("written");
    temporary
        .persist(path)
        .map_err(|error| Error::io("write", path)(error.error))?;
    Ok(())
}

/// [`write()`] of a value as indented JSON with a line end.
///
/// # Errors
/// As [`write()`]; a value that has no JSON form is [`Error::Json`].
pub fn write_json(path: &Path, mode: u32, value: &impl Serialize) -> Result<(), Error> {
    write(path, mode, &json(path, value)?)
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a JSON file; none when it does not exist.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Json`] when it is not a `T`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| Error::Json {
            path: path.to_owned(),
            source,
        })
}

/// What became of a state file that was asked for.
#[derive(Debug)]
pub enum Recovered<T> {
    /// It was read.
    Read(T),
    /// There is none.
    Absent,
    /// It could not be understood and was moved aside, so that work can go on.
    MovedAside {
        /// Where it is now.
        to: PathBuf,
        /// Why it was moved.
        error: Error,
    },
}

/// Reads a state file. One that is not a `T` is renamed to `NAME.broken`, for somebody to look at, and never
/// stops the program.
///
/// # Errors
/// [`Error::Io`] when the file can be neither read nor moved.
pub fn recover_json<T: DeserializeOwned>(path: &Path) -> Result<Recovered<T>, Error> {
    match read_json(path) {
        Ok(Some(value)) => Ok(Recovered::Read(value)),
        Ok(None) => Ok(Recovered::Absent),
        Err(error @ Error::Json { .. }) => {
            let mut to = path.as_os_str().to_owned();
            to.push(".broken");
            let to = PathBuf::from(to);
            fs::rename(path, &to).map_err(Error::io("rename", path))?;
            sync_folder(parent(path))?;
            Ok(Recovered::MovedAside { to, error })
        }
        Err(error) => Err(error),
    }
}

/// Makes a folder and those above it, with the permission bits `mode` for the ones that it makes.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn create_folder(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(Error::io("create", path))
}

/// Removes a file and flushes its folder. Nothing to remove is success.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", path)(error)),
    }
}

/// Opens a file for appending and makes it, with the permission bits `mode`, when there is none.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn append(path: &Path, mode: u32) -> Result<File, Error> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(mode)
        .open(path)
        .map_err(Error::io("write", path))
}

/// Flushes a file that was written with [`write_unflushed()`], and its name.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn flush(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::io("write", path))?;
    sync_folder(parent(path))
}

/// Flushes a folder to the disk, so that names made, renamed or removed in it stay so.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io("write", folder))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn write_replaces_content_and_sets_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write(&path, 0o600, b"one").unwrap();
        write(&path, 0o640, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/state.json");
        let error = write(&path, 0o600, b"x").unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn an_unreadable_state_file_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write(&path, 0o600, b"{\"half").unwrap();
        assert!(matches!(
            recover_json::<Vec<u8>>(&path).unwrap(),
            Recovered::MovedAside { .. }
        ));
        assert!(folder.path().join("state.json.broken").exists());
        assert!(matches!(
            recover_json::<Vec<u8>>(&path).unwrap(),
            Recovered::Absent
        ));
    }

    #[test]
    fn temporary_files_name_their_process() {
        assert_eq!(temporary_of(".new-123-AbCdEf"), Some(123));
        assert_eq!(temporary_of(".new-AbCdEf"), None);
        assert_eq!(temporary_of("new-123-x"), None);
    }

    #[test]
    fn removing_nothing_is_success() {
        let folder = tempfile::tempdir().unwrap();
        remove(&folder.path().join("none")).unwrap();
    }
}
