//! Sockets with names of any length.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Calls `work` with a short name of the socket at `path`, good for the time of the call.
///
/// The address of a socket holds 107 bytes at most (unix(7)), and homes may be deeper than that. The name goes
/// through the open folder instead.
///
/// # Errors
/// When the folder cannot be opened, and what `work` fails with.
pub fn with_short_name<T>(path: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(folder)?;
    work(
        &Path::new(crate::home::OPEN_FILES)
            .join(folder.as_raw_fd().to_string())
            .join(name),
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_below_a_deep_folder_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep".repeat(40));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("test.sock");
        UnixListener::bind(&path).expect_err("the plain name is too long, or this test tests nothing");
        let listener = with_short_name(&path, |name| UnixListener::bind(name)).unwrap();
        assert!(path.exists());
        let mut client = with_short_name(&path, |name| UnixStream::connect(name)).unwrap();
        client.write_all(b"x").unwrap();
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn a_folder_that_is_missing_is_not_found() {
        let error = with_short_name(Path::new("/nowhere/at/all.sock"), |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
