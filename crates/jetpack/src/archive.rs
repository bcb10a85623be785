//! Archives of logs, for people who help.
//!
//! Memory and size are bounded whatever is archived, links are not followed, and what holds a secret stays out.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::fcntl::OFlag;
use secrecy::{ExposeSecret, SecretString};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// How much is archived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of one file only the last so many bytes: they are what a log is read for.
    pub(crate) file_bytes: u64,
    /// Of all files. Below what the server takes, however little can be compressed.
    pub(crate) bytes: u64,
    /// Number of files.
    pub(crate) files: usize,
    /// Folders in folders.
    pub(crate) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            bytes: 480 << 20,
            files: 10_000,
            depth: 32,
        }
    }
}

/// Files of a node that hold secrets, or may: the node's own credential, passwords of clusters, keys.
const SECRET_NAMES: [&str; 6] = [
    "auth.json",
    "configuration.json",
    "connection.json",
    "identity.json",
    "jetpack.ini",
    "node.json",
];
/// How much is read at a time.
const PIECE: usize = 64 << 10;
/// What the files of private keys begin with, in PEM.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// An archive that is being written.
pub(crate) struct Archive<'a> {
    zip: ZipWriter<File>,
    limits: Limits,
    bytes: u64,
    files: usize,
    /// No file that holds one of them gets in.
    secrets: &'a [SecretString],
    /// What is not in the archive and why, in words.
    left_out: Vec<String>,
}

impl<'a> Archive<'a> {
    /// An empty one.
    pub(crate) fn new(file: File, limits: Limits, secrets: &'a [SecretString]) -> Self {
        Self {
            zip: ZipWriter::new(file),
            limits,
            bytes: 0,
            files: 0,
            secrets,
            left_out: Vec::new(),
        }
    }

    /// Adds a text of our own.
    pub(crate) fn add_text(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        self.zip
            .start_file(name, options(None))
            .and_then(|()| Ok(self.zip.write_all(text.as_bytes())?))
            .context("cannot write the archive")
    }

    /// Adds a file, or a folder with all that is in it, under its own name. What cannot be read is left out.
    ///
    /// # Errors
    /// When `root` itself cannot be read, or the archive cannot be written.
    pub(crate) fn add_tree(&mut self, root: &Path) -> anyhow::Result<()> {
        let cannot_read = || format!("cannot read `{}`", root.display());
        // What the user named may be a link.
        let real = fs::canonicalize(root).with_context(cannot_read)?;
        let name = real
            .file_name()
            .map_or_else(|| "root".into(), |name| name.to_string_lossy());
        let name = name.into_owned();
        let metadata = fs::metadata(&real).with_context(cannot_read)?;
        if !metadata.is_dir() {
            return self.add_file(&real, &name);
        }
        let entries = fs::read_dir(&real).with_context(cannot_read)?;
        // The deepest first, so that what is named last is at the end of the list and comes next.
        let mut waiting = children(entries, &name, 1);
        while let Some((path, name, depth)) = waiting.pop() {
            // Of the entry itself, not of what a link points to.
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) => {
                    self.leave_out(&path, &error);
                    continue;
                }
            };
            if kind.is_symlink() {
                self.leave_out(&path, &"it is a link");
            } else if kind.is_dir() && depth >= self.limits.depth {
                self.leave_out(&path, &"it is too deep in folders");
            } else if kind.is_dir() {
                match fs::read_dir(&path) {
                    Ok(entries) => waiting.extend(children(entries, &name, depth + 1)),
                    Err(error) => self.leave_out(&path, &error),
                }
            } else if kind.is_file() {
                self.add_file(&path, &name)?;
            } else {
                self.leave_out(&path, &"it is no file");
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &str) -> anyhow::Result<()> {
        if is_secret_name(path) {
            self.leave_out(path, &"it may hold secrets");
            return Ok(());
        }
        if self.files >= self.limits.files {
            self.leave_out(path, &format!("the archive has {} files", self.files));
            return Ok(());
        }
        let (mut file, metadata) = match open(path) {
            Ok(opened) => opened,
            Err(error) => {
                self.leave_out(path, &error);
                return Ok(());
            }
        };
        // One that grows is taken as long as it is now.
        let length = metadata.len().min(self.limits.file_bytes);
        let start = metadata.len() - length;
        if self.bytes + length > self.limits.bytes {
            self.leave_out(path, &format!("the archive has {} MiB", self.bytes >> 20));
            return Ok(());
        }
        match self.holds_secret(&mut file, start, length) {
            Ok(None) => {}
            Ok(Some(what)) => {
                self.leave_out(path, &format!("it holds {what}"));
                return Ok(());
            }
            Err(error) => {
                self.leave_out(path, &error);
                return Ok(());
            }
        }
        if start > 0 {
            self.leave_out(
                path,
                &format!("only its last {} MiB are in the archive", length >> 20),
            );
        }
        self.zip
            .start_file(
                name,
                options(metadata.modified().ok().and_then(|time| time.try_into().ok())),
            )
            .with_context(|| format!("cannot write `{name}` to the archive"))?;
        self.files += 1;
        self.bytes += length;
        // What a disk error cuts short is still worth having.
        if let Err(error) = file.seek(SeekFrom::Start(start)) {
            self.leave_out(path, &error);
            return Ok(());
        }
        let mut copied = 0;
        let mut piece = vec![0; PIECE];
        while copied < length {
            let want = usize::try_from(length - copied).unwrap_or(PIECE).min(PIECE);
            match file.read(&mut piece[..want]) {
                // It was cut while we read.
                Ok(0) => break,
                Ok(count) => {
                    self.zip
                        .write_all(&piece[..count])
                        .context("cannot write the archive")?;
                    copied += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.leave_out(path, &format!("its end, from byte {}: {error}", start + copied));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Which secret the part of the file holds that would get into the archive.
    fn holds_secret(&self, file: &mut File, start: u64, length: u64) -> io::Result<Option<&'static str>> {
        let secrets = self
            .secrets
            .iter()
            .map(|secret| secret.expose_secret().as_bytes());
        let wanted: Vec<(&[u8], &str)> = secrets
            .filter(|secret| !secret.is_empty())
            .map(|secret| (secret, "the secret of this node"))
            .chain([(PRIVATE_KEY, "a private key")])
            .collect();
        let longest = wanted.iter().map(|(bytes, _)| bytes.len()).max().unwrap_or(1);
        file.seek(SeekFrom::Start(start))?;
        let mut file = file.take(length);
        // The end of a piece stays in front of the next one: a secret may stand across.
        let mut window: Vec<u8> = Vec::with_capacity(PIECE + longest);
        let mut piece = vec![0; PIECE];
        loop {
            let count = match file.read(&mut piece) {
                Ok(0) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            window.extend_from_slice(&piece[..count]);
            for (bytes, what) in &wanted {
                if window.windows(bytes.len()).any(|part| part == *bytes) {
                    return Ok(Some(what));
                }
            }
            window.drain(..window.len().saturating_sub(longest - 1));
        }
    }

    fn leave_out(&mut self, path: &Path, why: &dyn std::fmt::Display) {
        self.left_out.push(format!("{}: {why}", path.display()));
    }

    /// What is not in the archive and why, one text for each file or folder.
    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Completes the archive. Gives its file and the number of files in it, without ours.
    pub(crate) fn finish(self) -> anyhow::Result<(File, usize)> {
        let file = self.zip.finish().context("cannot write the archive")?;
        Ok((file, self.files))
    }
}

/// The entries of a folder with their names in the archive, in the order of their names from the end.
fn children(entries: fs::ReadDir, name: &str, depth: usize) -> Vec<(PathBuf, String, usize)> {
    let mut children: Vec<_> = entries
        .flatten()
        .map(|entry| {
            let below = format!("{name}/{}", entry.file_name().to_string_lossy());
            (entry.path(), below, depth)
        })
        .collect();
    children.sort_by(|a, b| b.cmp(a));
    children
}

/// Whether a file is one of those that hold secrets, or a copy that was moved aside or is being written.
fn is_secret_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of_ours = SECRET_NAMES.iter().any(|secret| name.starts_with(secret));
    of_ours || name.starts_with(".new-")
}

/// Opens a file that is one: neither a link nor, waiting for a writer, a pipe.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    Ok((file, metadata))
}

fn options(modified: Option<Timestamp>) -> SimpleFileOptions {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(0o640);
    match modified.and_then(date_time) {
        Some(time) => options.last_modified_time(time),
        None => options,
    }
}

/// In UTC: the format has no time zone.
fn date_time(time: Timestamp) -> Option<DateTime> {
    let time = time.to_zoned_datetime(TimeZone::UTC);
    let part = |part: i8| u8::try_from(part).ok();
    DateTime::from_date_and_time(
        u16::try_from(time.year()).ok()?,
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("logs")).unwrap();
            Self { folder }
        }

        fn write(&self, path: &str, text: &[u8]) {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            durable::write(&path, 0o644, text).unwrap();
        }

        /// The files of the archive, and what was left out without the folder.
        fn archive(&self, path: &str, limits: Limits) -> (BTreeMap<String, Vec<u8>>, Vec<String>) {
            let file = tempfile::tempfile().unwrap();
            let secrets = ["s3cr3t".to_owned().into()];
            let mut archive = Archive::new(file, limits, &secrets);
            archive.add_tree(&self.folder.path().join(path)).unwrap();
            let prefix = format!("{}/", self.folder.path().canonicalize().unwrap().display());
            let left_out = archive.left_out().iter();
            let left_out = left_out.map(|line| line.replace(&prefix, "")).collect();
            let (file, count) = archive.finish().unwrap();
            let mut zip = zip::ZipArchive::new(file).unwrap();
            let mut files = BTreeMap::new();
            for index in 0..zip.len() {
                let mut entry = zip.by_index(index).unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                files.insert(entry.name().unwrap().into_owned(), bytes);
            }
            assert_eq!(files.len(), count);
            (files, left_out)
        }
    }

    fn names(files: &BTreeMap<String, Vec<u8>>) -> Vec<&str> {
        files.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_folder_is_archived_with_everything_below_it_and_nothing_beside_it() {
        let bench = Bench::new();
        bench.write("logs/jetpack.log", b"one\ntwo\n");
        bench.write("logs/cluster-init/p/s/scripts/1.out", b"\xff\0");
        bench.write("secret", b"x");
        symlink(
            bench.folder.path().join("secret"),
            bench.folder.path().join("logs/link"),
        )
        .unwrap();
        symlink(bench.folder.path(), bench.folder.path().join("logs/up")).unwrap();
        nix::unistd::mkfifo(
            &bench.folder.path().join("logs/pipe"),
            nix::sys::stat::Mode::S_IRUSR,
        )
        .unwrap();
        let (files, left_out) = bench.archive("logs", Limits::default());
        assert_eq!(
            names(&files),
            ["logs/cluster-init/p/s/scripts/1.out", "logs/jetpack.log"]
        );
        assert_eq!(files["logs/jetpack.log"], b"one\ntwo\n");
        assert_eq!(files["logs/cluster-init/p/s/scripts/1.out"], b"\xff\0");
        assert_eq!(
            left_out,
            [
                "logs/link: it is a link",
                "logs/pipe: it is no file",
                "logs/up: it is a link"
            ]
        );
    }

    #[test]
    fn a_single_file_and_a_link_to_the_folder_can_be_named() {
        let bench = Bench::new();
        bench.write("logs/a.log", b"x");
        assert_eq!(
            names(&bench.archive("logs/a.log", Limits::default()).0),
            ["a.log"]
        );
        symlink("logs", bench.folder.path().join("link")).unwrap();
        assert_eq!(names(&bench.archive("link", Limits::default()).0), ["logs/a.log"]);
    }

    #[test]
    fn files_with_secrets_stay_out() {
        let bench = Bench::new();
        for name in SECRET_NAMES {
            bench.write(&format!("config/{name}"), b"{}");
        }
        bench.write("config/identity.json.other-machine", b"{}");
        bench.write("config/site.pem", b"-----BEGIN RSA PRIVATE KEY-----\nxyz");
        bench.write("config/ca.pem", b"-----BEGIN CERTIFICATE-----\nxyz");
        bench.write("config/a-script-said-it.out", b"password s3cr3t\n");
        // Across two pieces.
        let mut long = vec![b'x'; PIECE - 3];
        long.extend_from_slice(b"s3cr3t");
        bench.write("config/long.out", &long);
        let (files, left_out) = bench.archive("config", Limits::default());
        assert_eq!(names(&files), ["config/ca.pem"]);
        assert_eq!(left_out.len(), SECRET_NAMES.len() + 4);
        for line in [
            "config/node.json: it may hold secrets",
            "config/site.pem: it holds a private key",
            "config/long.out: it holds the secret of this node",
        ] {
            assert!(left_out.iter().any(|said| said == line), "{left_out:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_its_size() {
        let bench = Bench::new();
        bench.write("logs/a", &[b'a'; 100]);
        bench.write("logs/b", b"0123456789");
        bench.write("logs/c", &[b'c'; 100]);
        bench.write("logs/d", &[b'd'; 100]);
        let limits = Limits {
            file_bytes: 60,
            bytes: 130,
            ..Limits::default()
        };
        let (files, left_out) = bench.archive("logs", limits);
        assert_eq!(names(&files), ["logs/a", "logs/b", "logs/c"]);
        assert_eq!((files["logs/a"].len(), files["logs/b"].len()), (60, 10));
        assert_eq!(left_out.len(), 3, "{left_out:?}");
        assert_eq!(left_out[2], "logs/d: the archive has 0 MiB");
        let limits = Limits {
            files: 1,
            ..Limits::default()
        };
        assert_eq!(names(&bench.archive("logs", limits).0), ["logs/a"]);
        bench.write("deep/1/2/3/4/x", b"x");
        bench.write("deep/1/y", b"y");
        let limits = Limits {
            depth: 3,
            ..Limits::default()
        };
        let (files, left_out) = bench.archive("deep", limits);
        assert_eq!(names(&files), ["deep/1/y"]);
        assert_eq!(left_out, ["deep/1/2/3: it is too deep in folders"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let bench = Bench::new();
        let secrets = [];
        let mut archive = Archive::new(tempfile::tempfile().unwrap(), Limits::default(), &secrets);
        let error = archive.add_tree(&bench.folder.path().join("none")).unwrap_err();
        assert!(format!("{error:#}").ends_with("none`: No such file or directory (os error 2)"));
    }
}
