//! Where everything is on the node.
//!
//! All absolute paths of the node side are written here and nowhere else. With `CYCLECLOUD_HOME`
//! set, everything moves with it, so that several nodes can live on one machine.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The environment variable that names the home.
pub const HOME_VARIABLE: &str = "CYCLECLOUD_HOME";
/// The group whose members may read the node's data.
pub const GROUP: &str = "cyclecloud";

pub(crate) const DEFAULT_HOME: &str = "/opt/cycle/jetpack";
const DEFAULT_CLUSTER_INIT: &str = "/mnt/cluster-init";
/// The files that this process has open, by number (proc(5)).
pub(crate) const OPEN_FILES: &str = "/proc/self/fd";
pub(crate) const MACHINE_ID: &str = "/etc/machine-id";
pub(crate) const PROC: &str = "/proc";
pub(crate) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Runs scripts that do not name an interpreter.
pub const SHELL: &str = "/bin/sh";
/// The time zone of the machine, as tzfile(5).
pub const LOCAL_TIME: &str = "/etc/localtime";
/// The users of the machine (passwd(5)).
pub const USERS: &str = "/etc/passwd";
/// The groups of the machine (group(5)).
pub const GROUPS: &str = "/etc/group";

/// What login shells read, below the root.
const PROFILE_FOLDER: &str = "etc/profile.d";

/// The `PATH` of scripts when the program itself was started without one.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The root folder of the machine, for the few files of ours that are outside of the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// That of this machine.
    pub fn this() -> Self {
        Self(PathBuf::from("/"))
    }

    /// Another folder in its place, for tests and images.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// Where login shells look for files to source.
    pub fn profile_folder(&self) -> PathBuf {
        self.0.join(PROFILE_FOLDER)
    }
}

/// Folders that every system has and that little is in: one of them becomes the place of a sandbox.
pub(crate) const SCRATCH: [&str; 4] = ["/mnt", "/media", "/srv", "/tmp"];
pub(crate) const ROOT: &str = "/";
pub(crate) const DEV: &str = "/dev";
pub(crate) const SYS: &str = "/sys";
pub(crate) const TMP: &str = "/tmp";
/// What runs now, and its sockets.
pub(crate) const RUN: &str = "/run";
/// Links of `/dev` and what they lead to (proc(5)).
pub(crate) const OWN_FILES: [(&str, &str); 4] = [
    ("fd", OPEN_FILES),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
pub(crate) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Devices that programs may expect and that can do no harm.
pub(crate) const HARMLESS_DEVICES: [&str; 6] = [
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

/// A folder of the home that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The system refused.
    #[error("cannot create `{}`", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The folder with everything that belongs to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home that `CYCLECLOUD_HOME` names, else `/opt/cycle/jetpack`. A relative path is taken from the
    /// current folder.
    ///
    /// # Errors
    /// When the current folder is needed and cannot be told.
    pub fn from_environment() -> io::Result<Self> {
        Self::from_variable(std::env::var_os(HOME_VARIABLE))
    }

    fn from_variable(value: Option<OsString>) -> io::Result<Self> {
        match value {
            Some(root) if !root.is_empty() => Ok(Self::at(std::path::absolute(root)?)),
            _ => Ok(Self::at(DEFAULT_HOME)),
        }
    }

    /// The home of a machine that nobody has told otherwise: `/opt/cycle/jetpack`.
    pub fn standard() -> Self {
        Self::at(DEFAULT_HOME)
    }

    /// The home at a given place.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        // Components drop a slash at the end, which would break the comparison with the default.
        Self {
            root: root.into().components().collect(),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it is the one of a machine that is one node.
    pub fn is_default(&self) -> bool {
        self.root == Path::new(DEFAULT_HOME)
    }

    /// Programs: `bin`.
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// What the node is configured to be: `config`.
    pub fn config(&self) -> PathBuf {
        self.root.join("config")
    }

    /// Logs: `logs`.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// State that must survive a lost ephemeral disk: `run`.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The administrator's hooks for events: `scripts`.
    pub fn scripts(&self) -> PathBuf {
        self.root.join("scripts")
    }

    /// Parts of Jetpack itself: `system`.
    pub fn system(&self) -> PathBuf {
        self.root.join("system")
    }

    /// Scratch folder of projects, known to them as `CYCLECLOUD_BOOTSTRAP`.
    pub fn bootstrap(&self) -> PathBuf {
        self.system().join("bootstrap")
    }

    /// Where scripts find the Python that knows the `jetpack` module.
    pub fn embedded_bin(&self) -> PathBuf {
        self.system().join("embedded/bin")
    }

    /// Where the `jetpack` module of that Python is.
    pub fn python_library(&self) -> PathBuf {
        self.system().join("embedded/lib/python")
    }

    /// The environment of scripts, for others to source.
    pub fn environment_script(&self) -> PathBuf {
        self.system().join("bin/cyclecloud-env.sh")
    }

    /// Runs a command from cron in that environment.
    pub fn cron_wrapper(&self) -> PathBuf {
        self.bootstrap().join("cron_wrapper.sh")
    }

    /// What recipes keep between two converges, known to them as `cyclecloud.chefstate`.
    pub fn chefstate(&self) -> PathBuf {
        self.system().join("chef/state")
    }

    /// Where recipes put what they download, known to them as `jetpack.downloads`.
    pub fn downloads(&self) -> PathBuf {
        self.system().join("chef/cache/jetpack/downloads")
    }

    /// The command-line tool, as other software calls it.
    pub fn jetpack(&self) -> PathBuf {
        self.bin().join("jetpack")
    }

    /// The administrator's settings.
    pub fn jetpack_ini(&self) -> PathBuf {
        self.config().join("jetpack.ini")
    }

    /// Address and credential of the server, for other software.
    pub fn connection(&self) -> PathBuf {
        self.config().join("connection.json")
    }

    /// The merged data of the node, which `jetpack config` shows.
    pub fn node_json(&self) -> PathBuf {
        self.config().join("node.json")
    }

    /// What the machine and its cluster are in a few words, which `jetpack props` shows.
    pub fn properties(&self) -> PathBuf {
        self.config().join("properties.json")
    }

    /// What of the properties is Jetpack's own, and what the server knows of them.
    pub fn properties_state(&self) -> PathBuf {
        self.run().join("properties.json")
    }

    /// Held while the properties change.
    pub fn properties_lock(&self) -> PathBuf {
        self.run().join("properties.lock")
    }

    /// The certificate of the server's authority.
    pub fn ca_certificate(&self) -> PathBuf {
        self.config().join("ca.pem")
    }

    /// Who the node is.
    pub fn identity(&self) -> PathBuf {
        self.run().join("identity.json")
    }

    /// The configuration as it was last fetched, for a start without the server.
    pub fn node_configuration(&self) -> PathBuf {
        self.run().join("configuration.json")
    }

    /// What the cloud of this machine said of it last.
    pub fn instance_metadata(&self) -> PathBuf {
        self.run().join("metadata.json")
    }

    /// Messages that wait to be delivered.
    pub fn outbox(&self) -> PathBuf {
        self.run().join("outbox")
    }

    /// `run/cache`: content that was downloaded from lockers.
    pub fn locker_cache(&self) -> PathBuf {
        self.run().join("cache")
    }

    /// How the last converge went.
    pub fn converge_ledger(&self) -> PathBuf {
        self.run().join("converge.json")
    }

    /// The converges before the last one.
    pub fn converge_history(&self) -> PathBuf {
        self.run().join("converge-history.json")
    }

    /// Held by the one converge that is at work.
    pub fn converge_lock(&self) -> PathBuf {
        self.run().join("converge.lock")
    }

    /// The script that a converge runs at this moment, for the case that the converge is killed.
    pub fn running_script(&self) -> PathBuf {
        self.run().join("script.json")
    }

    /// Held by the one daemon.
    pub fn jetpackd_lock(&self) -> PathBuf {
        self.run().join("jetpackd.lock")
    }

    /// Where the daemon listens for the command-line tool.
    pub fn jetpackd_socket(&self) -> PathBuf {
        self.run().join("jetpackd.sock")
    }

    /// How the daemon stands.
    pub fn jetpackd_state(&self) -> PathBuf {
        self.run().join("jetpackd.json")
    }

    /// That the server has ended this life of the node.
    pub fn terminated(&self) -> PathBuf {
        self.run().join("terminated.json")
    }

    /// Until when HealthCheck leaves the node alone.
    pub fn keepalive(&self) -> PathBuf {
        self.run().join("keepalive.json")
    }

    /// The conditions that the node has reported and that hold.
    pub fn conditions(&self) -> PathBuf {
        self.run().join("conditions.json")
    }

    /// Held while the conditions change.
    pub fn conditions_lock(&self) -> PathBuf {
        self.run().join("conditions.lock")
    }

    /// What is to run before the node goes.
    pub fn run_on_shutdown(&self) -> PathBuf {
        self.run().join("run_on_shutdown.json")
    }

    /// Held while that changes.
    pub fn run_on_shutdown_lock(&self) -> PathBuf {
        self.run().join("run_on_shutdown.lock")
    }

    /// How far the running of it is.
    pub fn run_on_shutdown_progress(&self) -> PathBuf {
        self.run().join("run_on_shutdown.progress.json")
    }

    /// Output of an action that runs before the node goes: `logs/run_on_shutdown/NAME.out`.
    pub fn run_on_shutdown_log(&self, name: &str) -> PathBuf {
        self.logs().join("run_on_shutdown").join(format!("{name}.out"))
    }

    /// Copies of the markers of scripts that succeeded, bound to the machine.
    pub fn markers(&self) -> PathBuf {
        self.run().join("cluster-init")
    }

    /// What recipes have done, as Chef says it.
    pub fn chef_client_log(&self) -> PathBuf {
        self.logs().join("chef-client.log")
    }

    /// What recipes keep: backups, downloads, unpacked cookbooks.
    pub fn chef(&self) -> PathBuf {
        self.system().join("chef")
    }

    /// Log of the command-line tool and of converges.
    pub fn jetpack_log(&self) -> PathBuf {
        self.logs().join("jetpack.log")
    }

    /// Log of the daemon.
    pub fn jetpackd_log(&self) -> PathBuf {
        self.logs().join("jetpackd.log")
    }

    /// Log of the first steps of a node.
    pub fn initialize_log(&self) -> PathBuf {
        self.logs().join("initialize.log")
    }

    /// Output of a cluster-init script: `logs/cluster-init/PROJECT/SPEC/FOLDER/NAME.out`, where the folder is that of
    /// the script in its spec, mostly `scripts`.
    pub fn script_log(&self, project: &str, spec: &str, folder: &str, script: &str) -> PathBuf {
        let mut path = self.logs();
        path.extend(["cluster-init", project, spec, folder]);
        path.join(format!("{script}.out"))
    }

    /// The file that ties a cluster-init tree to the home. Without it the tree is new, or its disk was lost.
    pub fn tree_tie(root: &Path) -> PathBuf {
        root.join(".tree")
    }

    /// Root of the cluster-init tree, if the settings do not name another: `/mnt/cluster-init` for the
    /// default home, else a folder beside the home.
    pub fn default_cluster_init(&self) -> PathBuf {
        if self.is_default() {
            return DEFAULT_CLUSTER_INIT.into();
        }
        self.root.parent().unwrap_or(&self.root).join("cluster-init")
    }

    /// The search path of scripts: our `bin` first, so that they find `jetpack`; the folder of the embedded
    /// Python last, so that it does not hide the system's.
    pub fn search_path(&self, inherited: Option<&str>) -> OsString {
        let inherited = inherited.filter(|path| !path.is_empty()).unwrap_or(SYSTEM_PATH);
        let mut path = self.bin().into_os_string();
        path.push(":");
        path.push(inherited);
        path.push(":");
        path.push(self.embedded_bin());
        path
    }

    /// Makes the folders that are missing. As root, and with a group `cyclecloud` on the machine, folders
    /// with the node's data belong to that group and so does every file made in them later.
    ///
    /// # Errors
    /// [`HomeError::Create`] with the folder; those that were made before it stay.
    pub fn create(&self) -> Result<Skeleton, HomeError> {
        let group = data_group();
        let mut skeleton = Skeleton { made: Vec::new() };
        for (path, private) in [
            (self.root.clone(), false),
            (self.bin(), false),
            (self.config(), true),
            (self.logs(), true),
            (self.run(), true),
            (self.scripts(), true),
            (self.system(), false),
            (self.bootstrap(), false),
            (self.chefstate(), false),
        ] {
            let result = skeleton.make(&path, private, group);
            result.map_err(|source| HomeError::Create { path, source })?;
        }
        Ok(skeleton)
    }
}

/// The folders that [`Home::create`] made, for a caller that has to take them back.
#[derive(Debug)]
pub struct Skeleton {
    made: Vec<PathBuf>,
}

impl Skeleton {
    fn make(&mut self, path: &Path, private: bool, group: Option<u32>) -> io::Result<()> {
        let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            match fs::DirBuilder::new().mode(0o750).create(folder) {
                Ok(()) => self.made.push(folder.to_owned()),
                // Another process makes the same home.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            // The umask may have taken bits away, and the folders above are for everybody.
            let mode = if private && folder == path { 0o750 } else { 0o755 };
            fs::set_permissions(folder, Permissions::from_mode(mode))?;
        }
        if let (true, Some(group)) = (private, group) {
            let metadata = fs::metadata(path)?;
            // Only what still belongs to root's own group: another group is the administrator's choice.
            if metadata.gid() == 0 {
                chown(path, None, Some(group))?;
                // Set-group-id: files made here inherit the group.
                fs::set_permissions(path, Permissions::from_mode(metadata.mode() & 0o777 | 0o2000))?;
            }
        }
        Ok(())
    }

    /// Removes again what was made, as far as it is still empty.
    pub fn remove(self) {
        for folder in self.made.iter().rev() {
            // A folder that somebody put something into stays.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// The group for the node's data: none when we are not root or the machine has no such group.
fn data_group() -> Option<u32> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let group = nix::unistd::Group::from_name(GROUP).ok()??;
    Some(group.gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_default_home_has_its_documented_places() {
        let home = Home::from_variable(None).unwrap();
        assert_eq!(home.node_json(), Path::new("/opt/cycle/jetpack/config/node.json"));
        assert_eq!(home.default_cluster_init(), Path::new("/mnt/cluster-init"));
        assert_eq!(
            home.script_log("slurm", "default", "scripts", "00-x.sh"),
            Path::new("/opt/cycle/jetpack/logs/cluster-init/slurm/default/scripts/00-x.sh.out")
        );
        assert_eq!(Home::at("/opt/cycle/jetpack/"), home);
    }

    #[test]
    fn everything_moves_with_the_variable() {
        let home = Home::from_variable(Some("/srv/n1/jetpack".into())).unwrap();
        assert_eq!(home.default_cluster_init(), Path::new("/srv/n1/cluster-init"));
        assert_eq!(home.identity(), Path::new("/srv/n1/jetpack/run/identity.json"));
        let relative = Home::from_variable(Some("n1".into())).unwrap();
        assert!(relative.root().is_absolute());
    }

    #[test]
    fn scripts_find_jetpack_first_and_the_embedded_python_last() {
        let home = Home::at("/h");
        assert_eq!(
            home.search_path(Some("/usr/bin")),
            "/h/bin:/usr/bin:/h/system/embedded/bin"
        );
        assert!(
            home.search_path(Some(""))
                .to_str()
                .unwrap()
                .contains(":/usr/bin:")
        );
    }

    #[test]
    fn the_skeleton_is_private_where_data_is_and_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("node/jetpack"));
        let skeleton = home.create().unwrap();
        assert_eq!(mode(&home.config()), 0o750);
        assert_eq!(mode(&home.run()), 0o750);
        assert_eq!(mode(&home.bin()), 0o755);
        assert!(home.create().unwrap().made.is_empty(), "nothing is made twice");
        fs::File::create(home.logs().join("kept.log")).unwrap();
        skeleton.remove();
        assert!(!home.config().exists());
        assert!(home.logs().join("kept.log").exists());
    }

    #[test]
    fn a_home_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::File::create(folder.path().join("file")).unwrap();
        let error = Home::at(folder.path().join("file/home")).create().unwrap_err();
        assert!(error.to_string().contains("file/home"), "{error}");
    }
}
