//! Man pages, section 1.

use clap::Command;
use clap_mangen::Man;

/// File name and text of the man page of a command: `jetpack-config.1`.
pub(crate) fn page(command: &Command) -> (String, Vec<u8>) {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = man.render(&mut text);
    (man.get_filename(), text)
}
