//! Temporary files of processes that were killed while they wrote.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use node::home::Home;

/// Removes them where converges write. What cannot be removed stays: it is in nobody's way.
pub(crate) fn remove(home: &Home, root: &Path) {
    for folder in [home.run(), home.config(), root.to_owned()] {
        sweep(&folder, 0);
    }
    for folder in [home.markers(), crate::markers::beside(root)] {
        // PROJECT/SPEC/scripts
        sweep(&folder, 3);
    }
}

fn sweep(folder: &Path, depth: u32) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(durable::temporary_of);
        if owner.is_some_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)) {
            let _ = fs::remove_file(entry.path());
        } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&entry.path(), depth - 1);
        }
    }
}
