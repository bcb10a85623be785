//! Scripts of a spec: which there are, and what they are given.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use node::command::Command;
use node::home::{HOME_VARIABLE, Home};
use protocol::ClusterInitSpec;
use sha2::{Digest, Sha256};

use crate::files::hex;

/// Runs Python scripts that do not name an interpreter.
const PYTHON: &str = "python3";

/// Tells a script of ours from other processes, to find it if the converge is killed.
pub(crate) const RUN_VARIABLE: &str = "JETPACK_SCRIPT_RUN";

/// The folder of a spec that a script is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Folder {
    /// `scripts`: they run in the order of their names.
    Scripts,
    /// `stages`: `install.sh` runs before the scripts of its spec, `activate.sh` after those of all specs.
    Stages,
}

impl Folder {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scripts => "scripts",
            Self::Stages => "stages",
        }
    }
}

/// The stage that installs software.
const INSTALL: &str = "install.sh";
/// The stage that starts services.
const ACTIVATE: &str = "activate.sh";

/// What the name of a file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not for running: `README.txt`, `.gitkeep`, scripts that were turned off by another ending.
    Ignored,
    /// A script.
    Runs,
    /// A script if it is executable; a module of another one if not.
    RunsIfExecutable,
    /// A script of Windows, which this system cannot run.
    Windows,
}

impl Kind {
    /// `path` is that below the spec's folder: `scripts/010-x.sh`.
    pub(crate) fn of(path: &str) -> Self {
        let Some((folder, name)) = path.split_once('/') else {
            return Self::Ignored;
        };
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
        match folder {
            "stages" if name == INSTALL || name == ACTIVATE => Self::Runs,
            "scripts" if name.starts_with('.') || name.contains('/') => Self::Ignored,
            "scripts" => match ending {
                Some("sh") => Self::Runs,
                Some("py") => Self::RunsIfExecutable,
                Some(ending)
                    if ["bat", "cmd", "exe", "ps1"].contains(&ending.to_ascii_lowercase().as_str()) =>
                {
                    Self::Windows
                }
                _ => Self::Ignored,
            },
            _ => Self::Ignored,
        }
    }
}

/// One script of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The project.
    pub project: String,
    /// Its version, if it is known.
    pub version: Option<String>,
    /// The spec.
    pub spec: String,
    /// Where in the spec it is.
    pub folder: Folder,
    /// The file's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl Script {
    /// The script of a spec at `path` below the spec's folder; none when that is no place of scripts.
    pub(crate) fn at(root: &Path, spec: &ClusterInitSpec, path: &str) -> Option<Self> {
        let (folder, name) = path.split_once('/')?;
        let folder = [Folder::Scripts, Folder::Stages]
            .into_iter()
            .find(|known| known.as_str() == folder)?;
        Some(Self {
            project: spec.project.clone(),
            version: spec.version.clone(),
            spec: spec.spec.clone(),
            folder,
            name: name.to_owned(),
            path: root.join(&spec.project).join(&spec.spec).join(path),
        })
    }

    /// The scripts of a spec on this machine, in no order; also those of Windows.
    pub(crate) fn list(root: &Path, spec: &ClusterInitSpec) -> io::Result<Vec<Self>> {
        let mut scripts = Vec::new();
        for folder in [Folder::Scripts, Folder::Stages] {
            let path = root.join(&spec.project).join(&spec.spec).join(folder.as_str());
            let entries = match fs::read_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let name = entry?.file_name();
                let Some(path) = name.to_str().map(|name| format!("{}/{name}", folder.as_str())) else {
                    continue;
                };
                let Some(script) = Self::at(root, spec, &path).filter(|script| script.path.is_file()) else {
                    continue;
                };
                let runs = match Kind::of(&path) {
                    Kind::Ignored => false,
                    Kind::Runs | Kind::Windows => true,
                    Kind::RunsIfExecutable => script.is_executable()?,
                };
                if runs {
                    scripts.push(script);
                }
            }
        }
        Ok(scripts)
    }

    /// Names the script to people: `demo/execute/scripts/010-pull.sh`.
    pub fn step(&self) -> String {
        format!(
            "{}/{}/{}/{}",
            self.project,
            self.spec,
            self.folder.as_str(),
            self.name
        )
    }

    /// Whether only Windows can run it.
    pub(crate) fn is_for_windows(&self) -> bool {
        Kind::of(&format!("{}/{}", self.folder.as_str(), self.name)) == Kind::Windows
    }

    /// Whether it runs after the scripts of all specs.
    pub(crate) fn is_deferred(&self) -> bool {
        self.folder == Folder::Stages && self.name == ACTIVATE
    }

    /// Sorts the scripts of one spec into the order in which they run: the stage that installs, then the scripts by the
    /// bytes of their names, then the stage that activates.
    pub(crate) fn sort(scripts: &mut [Self]) {
        scripts.sort_by(|a, b| {
            let key = |script: &Self| (script.is_deferred(), script.folder == Folder::Scripts);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
    }

    pub(crate) fn is_executable(&self) -> io::Result<bool> {
        Ok(fs::metadata(&self.path)?.permissions().mode() & 0o111 != 0)
    }

    /// SHA-256 of its content.
    pub(crate) fn sha256(&self) -> io::Result<String> {
        sum(&self.path)
    }

    /// The script as it is started: in its own folder, with the documented environment.
    pub(crate) fn command(&self, home: &Home, root: &Path) -> Command {
        let spec = root.join(&self.project).join(&self.spec);
        let command = if self.needs_python() {
            Command::new(PYTHON).arg(&self.path)
        } else {
            Command::new(&self.path)
        };
        environment(
            command,
            home,
            root,
            &self.project,
            self.version.as_deref(),
            &self.spec,
        )
        .current_dir(spec.join(self.folder.as_str()))
    }

    /// Without a first line for the system it would be taken for a script of the shell.
    fn needs_python(&self) -> bool {
        let mut start = [0; 2];
        self.name.ends_with(".py")
            && File::open(&self.path)
                .and_then(|mut file| file.read_exact(&mut start))
                .is_ok()
            && start != *b"#!"
    }
}

/// SHA-256 of the content of a file, hex.
pub(crate) fn sum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// Gives a program the environment that scripts of a spec have: what a login would set, a `PATH` with `jetpack`, and the
/// documented variables `CYCLECLOUD_*`. `root` is that of the cluster-init tree.
pub fn environment(
    command: Command,
    home: &Home,
    root: &Path,
    project: &str,
    version: Option<&str>,
    spec: &str,
) -> Command {
    let command = with_user(command.inherit_environment());
    let inherited = command.get_env("PATH").map(OsString::from);
    let path = home.search_path(inherited.as_ref().and_then(|path| path.to_str()));
    let folder = root.join(project);
    command
        .env("PATH", path)
        .env("CYCLECLOUD_PROJECT_NAME", project)
        .env("CYCLECLOUD_PROJECT_VERSION", version.unwrap_or_default())
        .env("CYCLECLOUD_SPEC_NAME", spec)
        .env("CYCLECLOUD_SPEC_PATH", folder.join(spec))
        .env("CYCLECLOUD_PROJECT_PATH", folder)
        .env(HOME_VARIABLE, home.root())
        .env("CYCLECLOUD_BOOTSTRAP", home.bootstrap())
}

/// Adds what a login would set and a service does not have. Scripts use `$HOME` and `$SHELL`.
fn with_user(mut command: Command) -> Command {
    let Ok(Some(user)) = nix::unistd::User::from_uid(nix::unistd::geteuid()) else {
        return command;
    };
    for (name, value) in [
        ("HOME", user.dir.into_os_string()),
        ("SHELL", user.shell.into_os_string()),
        ("USER", OsString::from(&user.name)),
        ("LOGNAME", OsString::from(&user.name)),
    ] {
        if command.get_env(name).is_none() && !value.is_empty() {
            command = command.env(name, value);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ClusterInitSpec {
        ClusterInitSpec {
            project: "p".to_owned(),
            spec: "s".to_owned(),
            version: None,
            locker: "l".to_owned(),
            optional: false,
        }
    }

    fn names(root: &Path) -> Vec<String> {
        let mut scripts = Script::list(root, &spec()).unwrap();
        Script::sort(&mut scripts);
        scripts.iter().map(Script::step).collect()
    }

    #[test]
    fn only_scripts_are_listed_and_in_lexical_order() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("p/s/scripts");
        fs::create_dir_all(folder.join("disabled.sh")).unwrap();
        for (name, mode) in [
            ("zz-custom.sh", 0o755),
            ("100-b.sh", 0o644),
            ("20-a.sh", 0o755),
            ("A.sh", 0o755),
            ("50-run.py", 0o755),
            ("60-windows.BAT", 0o644),
            ("helper.py", 0o644),
            ("README.txt", 0o755),
            (".gitkeep", 0o644),
            (".DS_Store", 0o644),
            (".hidden.sh", 0o755),
            ("30-c.sh-unused", 0o755),
            ("40-d.sh.obsolete_by_95", 0o755),
            ("none", 0o755),
        ] {
            durable::write(&folder.join(name), mode, b"").unwrap();
        }
        std::os::unix::fs::symlink("20-a.sh", folder.join("70-link.sh")).unwrap();
        std::os::unix::fs::symlink("missing", folder.join("80-dangling.sh")).unwrap();
        let expected = [
            "100-b.sh",
            "20-a.sh",
            "50-run.py",
            "60-windows.BAT",
            "70-link.sh",
            "A.sh",
            "zz-custom.sh",
        ];
        assert_eq!(
            names(root.path()),
            expected.map(|name| format!("p/s/scripts/{name}"))
        );
    }

    #[test]
    fn stages_are_two_and_frame_the_scripts() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "stages/activate.sh",
            "stages/install.sh",
            "stages/other.sh",
            "scripts/0.sh",
        ] {
            let path = root.path().join("p/s").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            durable::write(&path, 0o755, b"").unwrap();
        }
        assert_eq!(
            names(root.path()),
            [
                "p/s/stages/install.sh",
                "p/s/scripts/0.sh",
                "p/s/stages/activate.sh"
            ]
        );
    }

    #[test]
    fn a_spec_without_scripts_has_none() {
        let root = tempfile::tempdir().unwrap();
        assert!(Script::list(root.path(), &spec()).unwrap().is_empty());
    }
}
