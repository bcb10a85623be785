//! Recorded files of machines, laid out below a folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What comes by name only and is read from files, so that a recording has it.
pub(crate) const ON_DEMAND: [&str; 5] = ["grub2", "interrupts", "ipc", "pci", "scsi"];

/// Where the recordings are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/roots")
}

/// Lays the files of a recording out below a folder, and returns their paths.
pub(crate) fn unpack(name: &str, root: &Path) -> Vec<PathBuf> {
    let recording = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
    let mut paths = Vec::new();
    for part in format!("\n{recording}").split("\n@@ ").skip(1) {
        let (head, text) = part.split_once('\n').unwrap_or((part, ""));
        let (path, target) = match head.split_once(" -> ") {
            Some((path, target)) => (path, Some(target)),
            None => (head, None),
        };
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match target {
            Some(target) => symlink(target, &path).unwrap(),
            // The split took the end of the last line.
            None => write(&path, format!("{text}\n")),
        }
        paths.push(path);
    }
    paths
}

#[expect(clippy::disallowed_methods, reason = "no state that a power cut may not take")]
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).unwrap();
}
