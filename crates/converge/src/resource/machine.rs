//! The machine that is brought to a state: this one, or a folder in its place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::{Gid, Group, Uid, User};
use node::rooted;

use super::error::Cause;

/// A machine as the files below a root.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
    names: Arc<Mutex<Names>>,
}

/// Users and groups, as long as their files do not change: each of many files names them.
#[derive(Debug, Default)]
struct Names {
    accounts: Table<Account>,
    groups: Table<Members>,
}

/// The lines of one file.
#[derive(Debug)]
struct Table<T> {
    /// Which file it was: its number, its length, its time of change to the nanosecond.
    stamp: Option<(u64, u64, i64, i64)>,
    lines: Arc<Vec<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            stamp: None,
            lines: Arc::default(),
        }
    }
}

impl<T> Table<T> {
    fn refreshed(&mut self, path: &Path, parse: impl Fn(&str) -> Option<T>) -> Arc<Vec<T>> {
        let stamp = fs::metadata(path)
            .ok()
            .map(|now| (now.ino(), now.len(), now.ctime(), now.ctime_nsec()));
        if stamp.is_none() || stamp != self.stamp {
            let bytes = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            *self = Self {
                stamp,
                lines: Arc::new(text.lines().filter_map(parse).collect()),
            };
        }
        Arc::clone(&self.lines)
    }
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) comment: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// A line of group(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) name: String,
    pub(crate) gid: u32,
    pub(crate) members: Vec<String>,
}

impl Machine {
    /// The machine on which the program runs.
    pub fn this() -> Self {
        Self::at("/")
    }

    /// A folder in its place, for tests and images. Programs are still those of this machine, and what needs the
    /// running system - packages, services - is refused.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            names: Arc::default(),
        }
    }

    /// Whether it is the machine on which the program runs.
    pub(crate) fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a path of the machine is. Symbolic links on the way lead to where they lead on the machine itself; the
    /// last step is not followed.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        if self.is_live() {
            return path.to_owned();
        }
        rooted::place(&self.root, path)
    }

    /// Where a path of the machine leads to when all symbolic links are followed.
    pub(crate) fn target(&self, path: impl AsRef<Path>) -> PathBuf {
        if self.is_live() {
            let path = path.as_ref();
            return fs::canonicalize(path).unwrap_or_else(|_| follow_all(path));
        }
        rooted::target(&self.root, path.as_ref())
    }

    /// The path that those on the machine see.
    pub(crate) fn seen(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.root) {
            Ok(below) if !self.is_live() => Path::new("/").join(below),
            _ => path.to_owned(),
        }
    }

    /// The text of a file; none when it cannot be read. Bytes that are not UTF-8 are replaced.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    /// Whether there is anything at a path.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.target(path).exists()
    }

    /// Where a program is, in the folders of `PATH` and those where programs of the system are.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let path = std::env::var("PATH").unwrap_or_default();
        let folders = path
            .split(':')
            .chain(["/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]);
        folders
            .filter(|folder| folder.starts_with('/'))
            .map(|folder| Path::new(folder).join(name))
            .find(|path| path.is_file())
    }

    /// All users in the file of the machine.
    pub(crate) fn accounts(&self) -> Arc<Vec<Account>> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.accounts.refreshed(&self.target("/etc/passwd"), account)
    }

    /// All groups in the file of the machine.
    pub(crate) fn groups(&self) -> Arc<Vec<Members>> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.groups.refreshed(&self.target("/etc/group"), members)
    }

    /// A user by his name: in the machine's file, then wherever this machine looks.
    pub(crate) fn account(&self, name: &str) -> Option<Account> {
        let known = self
            .accounts()
            .iter()
            .find(|account| account.name == name)
            .cloned();
        known.or_else(|| {
            let user = User::from_name(name).ok().flatten().filter(|_| self.is_live())?;
            Some(Account {
                name: user.name,
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
                comment: user.gecos.to_string_lossy().into_owned(),
                home: user.dir.display().to_string(),
                shell: user.shell.display().to_string(),
            })
        })
    }

    /// A group by its name, as [`Machine::account`].
    pub(crate) fn group(&self, name: &str) -> Option<Members> {
        let text = self.read("/etc/group").unwrap_or_default();
        let known = text.lines().filter_map(members).find(|group| group.name == name);
        known.or_else(|| {
            let group = Group::from_name(name).ok().flatten().filter(|_| self.is_live())?;
            Some(Members {
                name: group.name,
                gid: group.gid.as_raw(),
                members: group.mem,
            })
        })
    }

    /// The number of a user who is given by name or number.
    pub(crate) fn uid(&self, user: &str) -> Result<u32, Cause> {
        let known = self.account(user).map(|account| account.uid);
        known
            .or_else(|| user.parse().ok())
            .ok_or_else(|| Cause::NoUser(user.to_owned()))
    }

    /// The number of a group that is given by name or number.
    pub(crate) fn gid(&self, group: &str) -> Result<u32, Cause> {
        let known = self.group(group).map(|group| group.gid);
        known
            .or_else(|| group.parse().ok())
            .ok_or_else(|| Cause::NoGroup(group.to_owned()))
    }

    /// The name of a user, else the number.
    pub(crate) fn user_name(&self, uid: u32) -> String {
        let known = self
            .accounts()
            .iter()
            .find(|account| account.uid == uid)
            .map(|account| account.name.clone());
        let known = known.or_else(|| {
            let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            user.filter(|_| self.is_live()).map(|user| user.name)
        });
        known.unwrap_or_else(|| uid.to_string())
    }

    /// The name of a group, else the number.
    pub(crate) fn group_name(&self, gid: u32) -> String {
        let known = self
            .groups()
            .iter()
            .find(|group| group.gid == gid)
            .map(|group| group.name.clone());
        let known = known.or_else(|| {
            let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
            group.filter(|_| self.is_live()).map(|group| group.name)
        });
        known.unwrap_or_else(|| gid.to_string())
    }
}

/// Follows symbolic links at the end of a path of which the last target may be missing.
fn follow_all(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..rooted::MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    let mut next = || fields.next().unwrap_or_default().to_owned();
    Some(Account {
        name,
        uid,
        gid,
        comment: next(),
        home: next(),
        shell: next(),
    })
}

fn members(line: &str) -> Option<Members> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or_default().split(',');
    Some(Members {
        name,
        gid,
        members: members
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_below_a_root_stay_below_it() {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine::at(root.path());
        fs::create_dir_all(root.path().join("srv/data")).unwrap();
        symlink("/srv", root.path().join("link")).unwrap();
        symlink("/srv/data/x", root.path().join("file")).unwrap();
        assert_eq!(machine.path("/link/data/y"), root.path().join("srv/data/y"));
        assert_eq!(machine.path("/file"), root.path().join("file"));
        assert_eq!(machine.target("/file"), root.path().join("srv/data/x"));
        assert_eq!(machine.seen(&root.path().join("srv")), Path::new("/srv"));
        assert_eq!(machine.path("/../../etc"), root.path().join("etc"));
    }

    #[test]
    fn users_and_groups_are_read_from_the_files() {
        assert_eq!(
            account("jo:x:1000:100:Jo,,,:/home/jo:/bin/sh").unwrap().shell,
            "/bin/sh"
        );
        assert_eq!(members("adm:x:4:syslog,jo").unwrap().members, ["syslog", "jo"]);
        assert_eq!(account("+::::::"), None);
    }
}
