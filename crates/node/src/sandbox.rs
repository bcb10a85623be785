//! A copy of this machine that can be broken: an overlay of its root, which is gone with the last process in it.
//!
//! The program starts itself anew through `setpriv` and `unshare` (util-linux), in mount, UTS and PID namespaces of its
//! own, and there [`enter`]s the overlay. All that is written goes to a file system in memory that only these namespaces
//! know, so nothing of it is left when they end, however they end. Without root a user namespace is made too.
//!
//! It keeps accidents in, not attackers: the network is the machine's, and root is root.

use std::fs;
use std::io;
use std::os::unix::fs::{chroot, symlink};
use std::path::{Path, PathBuf};

use crate::command::{Command, CommandError, Ended, Stop};
use crate::home::{DEV, HARMLESS_DEVICES, Home, OWN_FILES, PROC, RESOLV_CONF, ROOT, RUN, SCRATCH, SYS, TMP};

/// A sandbox that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The system does not give namespaces to this user.
    #[error("cannot make a sandbox: {reason}")]
    Refused {
        /// What `unshare` said.
        reason: String,
    },
    /// A program of util-linux is missing.
    #[error("cannot make a sandbox")]
    Program(#[from] CommandError),
    /// A file system could not be mounted.
    #[error("cannot mount {what}: {reason}")]
    Mount {
        /// Which.
        what: String,
        /// What `mount` said.
        reason: String,
    },
    /// Every place that could be used holds something that the sandbox needs.
    #[error("cannot make a sandbox: none of {} can be used", SCRATCH.map(|path| format!("`{path}`")).join(", "))]
    NoPlace,
    /// The system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] durable::Error),
}

impl SandboxError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// The command that runs `program` in namespaces of its own, with our output. They end when it ends, and when we do.
///
/// # Errors
/// [`SandboxError::Refused`] when the system gives none.
pub fn command(program: &Path) -> Result<Command, SandboxError> {
    let base = || {
        let mut command = Command::new("setpriv")
            .inherit_environment()
            .arg("--pdeathsig")
            .arg("KILL")
            .arg("unshare")
            .arg("--mount")
            .arg("--propagation")
            .arg("private")
            .arg("--uts")
            .arg("--pid")
            .arg("--fork")
            .arg("--kill-child");
        if !nix::unistd::geteuid().is_root() {
            command = command.arg("--user").arg("--map-root-user");
        }
        command.arg("--")
    };
    let tried = base().arg("true").run(&Stop::new())?;
    if tried.ended != Ended::Exited(0) {
        return Err(SandboxError::Refused {
            reason: tried.tail.trim().to_owned(),
        });
    }
    Ok(base().arg(program).inherit_output())
}

/// Makes the overlay and goes into it. To be called in the namespaces of [`command`], before anything else runs.
///
/// In it the standard home and its cluster-init tree are empty, the folders `visible` are there to be read, and `program` is
/// the home's `jetpack`. `/proc` and `/sys` are not for writing, `/dev` has no disks, `/run` and `/tmp` are empty.
///
/// # Errors
/// When something cannot be mounted. The process is of no use then.
pub fn enter(visible: &[PathBuf], program: &Path) -> Result<(), SandboxError> {
    let needed = |place: &Path| {
        visible
            .iter()
            .map(PathBuf::as_path)
            .chain([program])
            .any(|path| path.starts_with(place))
    };
    let place = SCRATCH
        .map(Path::new)
        .into_iter()
        .find(|place| place.is_dir() && !needed(place))
        .ok_or(SandboxError::NoPlace)?;
    mount(&["-t", "tmpfs", "-o", "mode=0755"], "tmpfs", place)?;
    let root = place.join("root");
    for folder in ["upper", "work", "root"] {
        create(&place.join(folder))?;
    }
    let machine = Path::new(ROOT);
    if overlay(place, machine, &root, "").is_err() {
        by_folder(place, &root)?;
    }

    let home = Home::standard();
    let resolv_conf = fs::read(RESOLV_CONF).ok();
    for folder in [home.root(), &home.default_cluster_init()] {
        empty(&root, folder)?;
    }
    for folder in [RUN, TMP, DEV].map(Path::new) {
        empty(&root, folder)?;
    }
    devices(&root)?;
    let proc = inside(&root, Path::new(PROC));
    mount(&["-t", "proc"], "proc", &proc)?;
    let sys = proc.join("sys");
    bind(&sys, &sys, Some("ro,nosuid,nodev,noexec"))?;
    let sysfs = inside(&root, Path::new(SYS));
    // Without what is mounted in it, like control groups. A user namespace gives it only whole, and there the files are not
    // the user's to write.
    if mount(&["--bind"], SYS, &sysfs).is_err() {
        mount(&["--rbind"], SYS, &sysfs)?;
    }
    mount(&["-o", "remount,bind,ro,nosuid,nodev,noexec"], SYS, &sysfs)?;

    for folder in visible {
        let to = inside(&root, folder);
        create(&to)?;
        bind(folder, &to, Some("ro"))?;
    }
    let jetpack = inside(&root, &home.jetpack());
    create(jetpack.parent().unwrap_or(&root))?;
    durable::write(&jetpack, 0o755, b"")?;
    bind(program, &jetpack, None)?;
    if let Some(text) = resolv_conf {
        // It often is a link into `/run`, which is empty now.
        durable::write(&inside(&root, Path::new(RESOLV_CONF)), 0o644, &text)?;
    }
    chroot(&root).map_err(SandboxError::io("go into", &root))?;
    std::env::set_current_dir(ROOT).map_err(SandboxError::io("go into", &root))
}

/// Lays what is written to `to` over `from`.
fn overlay(place: &Path, from: &Path, to: &Path, options: &str) -> Result<(), SandboxError> {
    let name = from.file_name().unwrap_or_default();
    let (upper, work) = (place.join("upper").join(name), place.join("work").join(name));
    for folder in [&upper, &work] {
        create(folder)?;
    }
    let layers = format!(
        "{options}lowerdir={},upperdir={},workdir={}",
        from.display(),
        upper.display(),
        work.display()
    );
    mount(&["-t", "overlay", "-o", &layers], "overlay", to)
}

/// The root folder by folder. In a user namespace a folder that others are mounted in cannot be laid under an overlay, and
/// the root always is one; those that are it too are there to be read only.
fn by_folder(place: &Path, root: &Path) -> Result<(), SandboxError> {
    let machine = Path::new(ROOT);
    for entry in fs::read_dir(machine).map_err(SandboxError::io("read", machine))? {
        let path = entry.map_err(SandboxError::io("read", machine))?.path();
        let to = inside(root, &path);
        if path.is_symlink() {
            let target = fs::read_link(&path).map_err(SandboxError::io("read", &path))?;
            symlink(target, &to).map_err(SandboxError::io("create", &to))?;
        } else if path.is_dir() {
            create(&to)?;
            if path == place {
                continue;
            }
            if overlay(place, &path, &to, "userxattr,").is_err() {
                mount(&["--rbind"], &path.display().to_string(), &to)?;
                // Of a user's own mounts none can be written that he could not write before.
                let _ = mount(&["-o", "remount,bind,ro"], &path.display().to_string(), &to);
            }
        }
    }
    Ok(())
}

/// A `/dev` without disks.
fn devices(root: &Path) -> Result<(), SandboxError> {
    for device in HARMLESS_DEVICES.map(Path::new) {
        if device.exists() {
            let to = inside(root, device);
            durable::write(&to, 0o666, b"")?;
            bind(device, &to, None)?;
        }
    }
    let dev = inside(root, Path::new(DEV));
    for (name, target) in OWN_FILES {
        let link = dev.join(name);
        symlink(target, &link).map_err(SandboxError::io("create", &link))?;
    }
    let shared = dev.join("shm");
    create(&shared)?;
    mount(&["-t", "tmpfs", "-o", "mode=1777"], "tmpfs", &shared)
}

/// Puts an empty file system over a folder of the overlay.
fn empty(root: &Path, folder: &Path) -> Result<(), SandboxError> {
    let to = inside(root, folder);
    create(&to)?;
    let mode = if folder == Path::new(TMP) {
        "mode=1777"
    } else {
        "mode=0755"
    };
    mount(&["-t", "tmpfs", "-o", mode], "tmpfs", &to)
}

/// Where an absolute path of the machine is in the overlay, seen from outside.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix(ROOT).unwrap_or(path))
}

fn bind(from: &Path, to: &Path, options: Option<&str>) -> Result<(), SandboxError> {
    let from = from.display().to_string();
    mount(&["--bind"], &from, to)?;
    match options {
        Some(options) => mount(&["-o", &format!("remount,bind,{options}")], &from, to),
        None => Ok(()),
    }
}

fn mount(options: &[&str], what: &str, to: &Path) -> Result<(), SandboxError> {
    let mut command = Command::new("mount").inherit_environment();
    for option in options {
        command = command.arg(*option);
    }
    let outcome = command.arg(what).arg(to).run(&Stop::new())?;
    if outcome.ended.success() {
        return Ok(());
    }
    Err(SandboxError::Mount {
        what: format!("`{what}` at `{}`", to.display()),
        reason: outcome.tail.trim().to_owned(),
    })
}

fn create(folder: &Path) -> Result<(), SandboxError> {
    Ok(durable::create_folder(folder, 0o755)?)
}
