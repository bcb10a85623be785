//! The machine that is looked at.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::OFlag;
use node::clock::{Clock, SystemClock};
use node::rooted;

/// Where programs are, beside what the environment says.
const PROGRAM_FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// How much of a file is read. The longest is the list of all packages.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// A machine as its files below a root: this one, or the recorded files of another.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
    live: bool,
    now: Timestamp,
}

impl Machine {
    /// The machine on which the program runs.
    pub fn this() -> Self {
        Self {
            root: PathBuf::from("/"),
            live: true,
            now: SystemClock.now(),
        }
    }

    /// A machine of which there are only files, for instance a root that was made for a container. What only the
    /// running kernel knows is not among its facts.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            live: false,
            now: SystemClock.now(),
        }
    }

    /// When it is looked at.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether the running kernel may be asked.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Where a file of the machine is. Symbolic links on the way to it lead to where they lead on the machine itself.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        if self.root == Path::new("/") {
            return PathBuf::from(path);
        }
        rooted::target(&self.root, Path::new(path))
    }

    /// The bytes of a file, if it is too long its first ones; none when it cannot be read, or is no file: a pipe may
    /// wait for its other end, a device may never end.
    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(self.path(path))
            .ok()?;
        let length = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(MOST_BYTES)).ok()?);
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The text of a file; none when it cannot be read. Bytes that are not UTF-8 are replaced.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        Some(
            String::from_utf8(self.bytes(path)?)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    /// The text of a file of one value, without the white space around it.
    pub(crate) fn read_value(&self, path: &str) -> Option<String> {
        self.read(path).map(|text| text.trim().to_owned())
    }

    /// Whether there is anything at a path.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Names of what is in a folder, sorted; none when it cannot be read.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.path(path)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = folder
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Where a symbolic link points to, as written in it.
    pub(crate) fn link(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        let folder = self.path(path.parent()?.to_str()?);
        fs::read_link(folder.join(path.file_name()?)).ok()
    }

    /// Whether a program of this name is installed.
    pub(crate) fn has_program(&self, name: &str) -> bool {
        let from_environment = if self.live {
            std::env::var("PATH").ok()
        } else {
            None
        };
        from_environment
            .iter()
            .flat_map(|path| path.split(':'))
            .chain(PROGRAM_FOLDERS)
            .filter(|folder| folder.starts_with('/'))
            .any(|folder| self.path(&format!("{folder}/{name}")).is_file())
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine of these files, and the folder that holds them.
    #[expect(clippy::disallowed_methods, reason = "no state that a power cut may not take")]
    pub(crate) fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let machine = Machine::at(root.path());
        (root, machine)
    }

    #[test]
    fn links_of_another_machine_do_not_lead_out_of_it() {
        let (root, machine) = machine(&[("/usr/lib/os-release", "inside"), ("/etc/x", "")]);
        symlink("/usr/lib/os-release", root.path().join("etc/absolute")).unwrap();
        symlink("../../../../../usr/lib/os-release", root.path().join("etc/above")).unwrap();
        symlink("/usr", root.path().join("folder")).unwrap();
        symlink("loop", root.path().join("loop")).unwrap();
        for path in ["/etc/absolute", "/etc/above", "/folder/lib/os-release"] {
            assert_eq!(machine.read(path).as_deref(), Some("inside"), "{path}");
        }
        assert_eq!(machine.read("/loop"), None);
        assert_eq!(
            machine.link("/etc/absolute"),
            Some(PathBuf::from("/usr/lib/os-release"))
        );
        assert!(!machine.exists("/etc/passwd"));
    }

    #[test]
    fn what_is_no_file_is_not_read_and_what_is_too_long_in_part() {
        let (root, machine) = machine(&[("/etc/long", "")]);
        fs::File::options()
            .write(true)
            .open(root.path().join("etc/long"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        assert_eq!(machine.bytes("/etc/long").unwrap().len() as u64, MOST_BYTES);
        nix::unistd::mkfifo(&root.path().join("etc/pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        for path in ["/etc/pipe", "/etc", "/etc/nothing"] {
            assert_eq!(machine.bytes(path), None, "{path}");
        }
        assert_eq!(Machine::this().bytes("/dev/zero"), None);
    }

    #[test]
    fn programs_are_found_where_programs_are() {
        let (_root, machine) = machine(&[("/usr/sbin/dmidecode", ""), ("/opt/bin/docker", "")]);
        assert!(machine.has_program("dmidecode"));
        assert!(!machine.has_program("docker"));
        assert!(!machine.has_program("sh"));
    }
}
