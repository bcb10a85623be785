//! Unpacking archives of others: `.tar.gz`, `.tgz` and `.tar`. Whatever their entries say, they stay in their folder.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::{PathError, path};

/// Most entries of an archive.
const MAX_ENTRIES: usize = 200_000;
/// Most bytes of all files of an archive: 64 GiB.
const MAX_BYTES: u64 = 64 << 30;

/// An archive that cannot be unpacked. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is broken, or no archive at all.
    #[error("`{archive}` is no archive that can be read", archive = archive.display())]
    Broken {
        /// The archive.
        archive: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// An entry would land outside of the folder, or has a name that no file may have.
    #[error("an entry of `{archive}` cannot be unpacked", archive = archive.display())]
    Name {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with its name.
        #[source]
        source: PathError,
    },
    /// An entry is something that does not belong into an archive of files.
    #[error("the entry `{}` of `{archive}` {problem}", .entry.escape_debug(), archive = archive.display())]
    Entry {
        /// The archive.
        archive: PathBuf,
        /// Name of the entry.
        entry: String,
        /// What is wrong with it, to be read after its name.
        problem: String,
    },
    /// It has more than anybody packs in good faith.
    #[error("`{archive}` is larger than {limit}", archive = archive.display())]
    TooLarge {
        /// The archive.
        archive: PathBuf,
        /// The limit, with its unit.
        limit: String,
    },
    /// The system refused.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried: `read`, `create`, `write`, `rename`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder could not be made.
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

impl ArchiveError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Unpacks the archive `archive` as the folder `dest`, which must not exist or be empty: it appears in one step.
///
/// When everything is in one folder of the archive, as services for source code pack it, that folder is `dest`.
///
/// # Errors
/// [`ArchiveError`]: entries with `..`, absolute names, links that lead out, device files, sockets; a broken
/// archive; a full disk. Nothing is left then.
pub fn unpack(archive: &Path, dest: &Path) -> Result<(), ArchiveError> {
    let parent = match dest.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    durable::create_folder(parent, 0o755)?;
    let fresh = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(parent)
        .map_err(ArchiveError::io("create a folder in", parent))?;
    // Not `fresh` itself: it is only its owner's.
    let tree = fresh.path().join("tree");
    durable::create_folder(&tree, 0o755)?;
    Unpacking {
        archive,
        root: &tree,
        bytes: 0,
        links: BTreeSet::new(),
    }
    .run()?;
    let top = only_folder(&tree)?.unwrap_or(tree);
    // An empty folder gives way, one that holds something does not.
    fs::rename(&top, dest).map_err(ArchiveError::io("create", dest))?;
    Ok(durable::sync_folder(parent)?)
}

/// The only thing in a folder, when that is a folder.
fn only_folder(folder: &Path) -> Result<Option<PathBuf>, ArchiveError> {
    let entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(ArchiveError::io("read", folder))?;
    Ok(match entries.as_slice() {
        [only] if only.file_type().is_ok_and(|kind| kind.is_dir()) => Some(only.path()),
        _ => None,
    })
}

struct Unpacking<'a> {
    archive: &'a Path,
    root: &'a Path,
    bytes: u64,
    /// Links are never written through.
    links: BTreeSet<PathBuf>,
}

impl Unpacking<'_> {
    fn run(&mut self) -> Result<(), ArchiveError> {
        let file = File::open(self.archive).map_err(ArchiveError::io("read", self.archive))?;
        let mut file = BufReader::new(file);
        let start = io::BufRead::fill_buf(&mut file).map_err(ArchiveError::io("read", self.archive))?;
        let reader: Box<dyn Read> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut archive = Archive::new(reader);
        let broken = |source| ArchiveError::Broken {
            archive: self.archive.to_owned(),
            source,
        };
        let mut count = 0;
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(|source| self.broken(source))?;
            count += 1;
            if count > MAX_ENTRIES {
                return Err(self.too_large(format!("{MAX_ENTRIES} entries")));
            }
            self.entry(&mut entry)?;
        }
        if count == 0 {
            let empty = io::Error::new(io::ErrorKind::UnexpectedEof, "it holds nothing");
            return Err(self.broken(empty));
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), ArchiveError> {
        let kind = entry.header().entry_type();
        // Comments for all entries, such as the commit that was packed.
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        // `./` at the beginning is how `tar` names what is below the current folder.
        let plain = name.trim_start_matches("./").trim_end_matches('/');
        if plain.is_empty() || plain == "." {
            return Ok(());
        }
        let dest = self.join(plain)?;
        if !kind.is_dir() && fs::symlink_metadata(&dest).is_ok() {
            return Err(self.wrong(&name, "is there twice"));
        }
        match kind {
            EntryType::Directory => self.folder(&dest, &name),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.bytes = self.bytes.saturating_add(entry.size());
                if self.bytes > MAX_BYTES {
                    return Err(self.too_large(format!("{} GiB", MAX_BYTES >> 30)));
                }
                let mode = entry.header().mode().unwrap_or(0o644);
                let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
                self.above(&dest, &name)?;
                self.file(entry, &dest, mode)
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let target = String::from_utf8_lossy(&target).into_owned();
                self.above(&dest, &name)?;
                self.symlink(&target, &dest, &name)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let target = String::from_utf8_lossy(&target).into_owned();
                let source = self.join(target.trim_start_matches("./"))?;
                self.above(&source, &name)?;
                self.above(&dest, &name)?;
                let is_file = fs::symlink_metadata(&source).is_ok_and(|metadata| metadata.is_file());
                if !is_file {
                    return Err(self.wrong(
                        &name,
                        format!("is a link to `{target}`, which is no file before it"),
                    ));
                }
                fs::hard_link(&source, &dest).map_err(ArchiveError::io("create", &dest))
            }
            EntryType::Block | EntryType::Char => Err(self.wrong(&name, "is a device file")),
            EntryType::Fifo => Err(self.wrong(&name, "is a named pipe")),
            kind => Err(self.wrong(&name, format!("is of the kind {kind:?}, which is not known"))),
        }
    }

    fn join(&self, name: &str) -> Result<PathBuf, ArchiveError> {
        path::join(self.root, name).map_err(|source| ArchiveError::Name {
            archive: self.archive.to_owned(),
            source,
        })
    }

    fn folder(&self, dest: &Path, name: &str) -> Result<(), ArchiveError> {
        self.above(dest, name)?;
        match fs::symlink_metadata(dest) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(self.wrong(name, "is there twice, once not as a folder")),
            Err(_) => Ok(durable::create_folder(dest, 0o755)?),
        }
    }

    /// Makes the folders above an entry. None of them is a link.
    fn above(&self, dest: &Path, name: &str) -> Result<(), ArchiveError> {
        let Some(parent) = dest.parent() else {
            return Ok(());
        };
        if parent.ancestors().any(|folder| self.links.contains(folder)) {
            return Err(self.wrong(name, "is below a link"));
        }
        Ok(durable::create_folder(parent, 0o755)?)
    }

    fn file(&self, content: &mut impl Read, dest: &Path, mode: u32) -> Result<(), ArchiveError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(dest)
            .map_err(ArchiveError::io("create", dest))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = content.read(&mut buffer).map_err(|source| self.broken(source))?;
            if count == 0 {
                return file.sync_all().map_err(ArchiveError::io("write", dest));
            }
            io::Write::write_all(&mut file, &buffer[..count]).map_err(ArchiveError::io("write", dest))?;
        }
    }

    /// A link that stays in the folder, whatever other links it leads over: it goes up first and then only down. The
    /// folders above it are real, so up is where it seems to be; and every other link on its way down stays too.
    fn symlink(&mut self, target: &str, dest: &Path, name: &str) -> Result<(), ArchiveError> {
        let out = || self.wrong(name, format!("is a link out of the archive, to `{target}`"));
        let below = dest.strip_prefix(self.root).unwrap_or(dest);
        let mut depth = below.components().count().saturating_sub(1);
        let mut goes_down = false;
        for component in Path::new(target).components() {
            match component {
                Component::CurDir => {}
                Component::Normal(_) => goes_down = true,
                Component::ParentDir if !goes_down && depth > 0 => depth -= 1,
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(out()),
            }
        }
        if target.is_empty() || target.contains('\0') {
            return Err(out());
        }
        symlink(target, dest).map_err(ArchiveError::io("create", dest))?;
        self.links.insert(dest.to_owned());
        Ok(())
    }

    fn broken(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Broken {
            archive: self.archive.to_owned(),
            source,
        }
    }

    fn wrong(&self, entry: &str, problem: impl Into<String>) -> ArchiveError {
        ArchiveError::Entry {
            archive: self.archive.to_owned(),
            entry: entry.to_owned(),
            problem: problem.into(),
        }
    }

    fn too_large(&self, limit: String) -> ArchiveError {
        ArchiveError::TooLarge {
            archive: self.archive.to_owned(),
            limit,
        }
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
