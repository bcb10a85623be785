//! Machines on which both programs can run.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::compare::Looks;
use crate::exceptions::Setting;
use crate::leaves::leaves;

/// `nobody` and `nogroup` in Debian.
const NOBODY: u32 = 65_534;

/// Plugins that Ohai runs only when its configuration names them. Ours run by default, or by name.
const CONFIGURATION: &str = "ohai.optional_plugins = \
    [:Passwd, :Sessions, :Lspci, :Sysctl, :Interrupts, :IPC, :Selinux, :Grub2, :Lsscsi]\n";

/// The same environment for both. Ruby takes the encoding of files from the locale.
const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/nonexistent"),
    ("LC_ALL", "C.UTF-8"),
    ("TZ", "UTC"),
];

/// Another release of Debian than that of most machines, and of Ohai: the next one after the reference.
const SUITE: &str = "trixie";
/// What is installed there: both programs' sources of facts.
const PACKAGES: [&str; 7] = [
    "ohai", "ethtool", "iproute2", "lsscsi", "pciutils", "procps", "systemd",
];

/// Runs a command in a root, with kernel, processes and devices as a container has them, under another name. Its
/// arguments: the root, the folder that becomes `/mnt`, and the command. All mounts go with its namespace.
const IN_ROOT: &str = r#"
root=$1 folder=$2
shift 2
hostname node-7
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind "$folder" "$root/mnt"
chroot "$root" "$@"
"#;

/// Where programs are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the machine of the test, as root.
    HostAsRoot,
    /// On the machine of the test, as its user, or as nobody when that is root.
    HostAsUser,
    /// In the root of another release, as root.
    Root,
}

/// A machine on which both programs can run.
pub(crate) struct Machine {
    place: Place,
    /// Our program and the configuration of Ohai, where every user may read them.
    folder: TempDir,
}

impl Machine {
    /// Makes all that is needed. None when this process may not: it says what it may not.
    pub(crate) fn new(place: Place) -> Option<Self> {
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if place != Place::HostAsUser && !is_root {
            println!("not run: {place:?} needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let all = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        all(folder.path());
        std::fs::copy(env!("CARGO_BIN_EXE_jetpack"), folder.path().join("jetpack")).unwrap();
        durable::write(&folder.path().join("ohai.rb"), 0o644, CONFIGURATION.as_bytes()).unwrap();
        let script = include_bytes!("look.sh");
        durable::write(&folder.path().join("look.sh"), 0o755, script).unwrap();
        match place {
            Place::HostAsRoot | Place::HostAsUser => {
                output(script_of_project("need.sh").arg("ohai"));
            }
            Place::Root => {
                let namespaces = command("unshare")
                    .args(["--mount", "--pid", "--uts", "--fork", "true"])
                    .status();
                if !namespaces.unwrap().success() {
                    println!("not run: this sandbox allows no namespaces");
                    return None;
                }
                output(
                    script_of_project("debian-root.sh")
                        .arg(SUITE)
                        .arg(debian())
                        .args(PACKAGES),
                );
                let hosts = b"127.0.0.1 localhost\n10.1.2.7 node-7.hpc.example node-7\n";
                durable::write(&debian().join("etc/hosts"), 0o644, hosts).unwrap();
            }
        }
        let looks = folder.path().join("looks");
        std::fs::create_dir(&looks).unwrap();
        if place == Place::HostAsUser && is_root {
            std::os::unix::fs::chown(&looks, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Some(Self { place, folder })
    }

    /// Runs ours, `ohai`, and ours again.
    pub(crate) fn look(&self) -> (Looks, Setting) {
        let folder = self.folder.path();
        let mut command = match self.place {
            Place::HostAsRoot | Place::HostAsUser => {
                let mut command = command(folder.join("look.sh"));
                command.arg(folder);
                if self.place == Place::HostAsUser
                    && std::fs::metadata(folder.join("looks")).unwrap().uid() == NOBODY
                {
                    command.uid(NOBODY).gid(NOBODY);
                }
                command
            }
            Place::Root => {
                let mut command = command("unshare");
                command
                    .args(["--mount", "--pid", "--uts", "--fork", "--propagation", "private"])
                    .args(["sh", "-euc", IN_ROOT, "sh"])
                    .args([&debian(), folder])
                    .args(["/mnt/look.sh", "/mnt"]);
                command
            }
        };
        output(command.env_clear().envs(ENVIRONMENT).stdin(Stdio::null()));
        let looks = folder.join("looks");
        let read = |name: &str| std::fs::read_to_string(looks.join(name)).unwrap();
        let setting = Setting {
            ohai: major(&read("version")),
            reads_init: looks.join("reads-init").exists(),
            lacks: read("lacks").lines().map(str::to_owned).collect(),
        };
        let ohai: Value = serde_json::from_str(&read("ohai")).unwrap();
        let looks = Looks {
            before: leaves(&facts(&looks.join("before"))),
            ohai: leaves(&ohai),
            after: leaves(&facts(&looks.join("after"))),
        };
        (looks, setting)
    }
}

/// Our facts: a file of all that come by default, and one of each that comes by name.
fn facts(folder: &Path) -> Value {
    let read = |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let mut facts: Map<String, Value> = Map::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        match file.file_name().into_string().unwrap().as_str() {
            "default" => facts.extend(read(file.path()).as_object().unwrap().clone()),
            name => drop(facts.insert(name.to_owned(), read(file.path()))),
        }
    }
    facts.into()
}

/// The first number of a version such as `Ohai: 16.13.0`.
fn major(version: &str) -> u32 {
    let number = version.trim().rsplit(' ').next().unwrap();
    number.split('.').next().unwrap().parse().unwrap()
}

/// The root of the other release. It stays for the next run.
fn debian() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debian-{SUITE}"))
}

fn script_of_project(name: &str) -> Command {
    command(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../scripts")
            .join(name),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test starts the programs that it compares"
)]
fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// What a command prints. It has to succeed.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
