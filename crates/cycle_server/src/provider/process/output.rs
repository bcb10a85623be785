//! Output of daemons, in files of bounded size.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Where the older part of an output goes.
pub(super) fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// The last bytes of a file, from the start of a line when there is one.
pub(super) fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if start > 0
        && let Some(line) = bytes.iter().position(|byte| *byte == b'\n')
    {
        bytes.drain(..=line);
    }
    Ok(bytes)
}

/// Moves the output aside when it is larger than `limit`, and keeps its last `limit` bytes there. The
/// daemon writes on at the start of the same file, which it has opened for appending: it has no pipe to a
/// server that may be gone.
pub(super) fn cap(path: &Path, limit: u64) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > limit => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let kept = tail(path, limit)?;
    durable::write(&older(path), 0o640, &kept).map_err(io::Error::other)?;
    fs::OpenOptions::new().write(true).open(path)?.set_len(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_output_is_kept_in_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.out");
        cap(&path, 10).unwrap();
        durable::write(&path, 0o600, b"one\ntwo\nthree\nfour\n").unwrap();
        cap(&path, 12).unwrap();
        assert_eq!(fs::read(older(&path)).unwrap(), b"three\nfour\n");
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        durable::write(&path, 0o600, b"five\n").unwrap();
        cap(&path, 12).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"five\n");
    }
}
