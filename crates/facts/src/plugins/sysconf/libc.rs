//! Which release of the GNU C library a machine has.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use crate::machine::Machine;

/// Major and minor number.
pub(super) type Version = (u32, u32);

/// Where the library is.
const PATHS: [&str; 5] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/lib/libc.so.6",
];

/// It has two million bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The release, as the library says in the first line of what it prints when it is run as a program:
/// `GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.`
pub(super) fn version(machine: &Machine) -> Option<Version> {
    let path = PATHS.iter().find(|path| machine.exists(path))?;
    let file = File::open(machine.path(path)).ok()?;
    find(BufReader::with_capacity(64 * 1024, file.take(MOST_BYTES)))
}

fn find(mut library: impl BufRead) -> Option<Version> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if library.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let found = line.ends_with(b".\n").then(|| version_of(&line)).flatten();
        if found.is_some() {
            return found;
        }
    }
}

fn version_of(line: &[u8]) -> Option<Version> {
    // Other bytes stand before the text.
    let line = String::from_utf8_lossy(line);
    let (_, banner) = line.rsplit_once("GNU C Library ")?;
    let (_, version) = banner.trim_end_matches(['.', '\n']).rsplit_once(" version ")?;
    let (major, minor) = version.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_banner_stands_among_other_bytes() {
        let library = b"\x7fELF\n.\n\xff\0GNU C Library (GNU libc) stable release version 2.28.\nCopyright\n";
        assert_eq!(find(library.as_slice()), Some((2, 28)));
        let development = b"\0GNU C Library (GNU libc) development release version 2.40.9000.\n";
        assert_eq!(find(development.as_slice()), Some((2, 40)));
        assert_eq!(find(b"GNU C Library version 2.28".as_slice()), None);
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(file in "(GNU C Library | version |[0-9.\\n]|\\PC){0,40}") {
            find(file.as_bytes());
        }
    }
}
