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

/// One script of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The project.
    pub project: String,
    /// Its version, if it is known.
    pub version: Option<String>,
    /// The spec.
    pub spec: String,
    /// The file's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl Script {
    /// The scripts of a spec in the order in which they run: that of the bytes of their names.
    ///
    /// These are the files `*.sh`, and `*.py` that are executable: a Python file that is not is a module of
    /// another script. Everything else is not for running: `README.txt`, `.gitkeep`, scripts that were turned off by
    /// another ending, folders.
    pub(crate) fn list(root: &Path, spec: &ClusterInitSpec) -> io::Result<Vec<Self>> {
        let folder = root.join(&spec.project).join(&spec.spec).join("scripts");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut scripts = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let script = Self {
                project: spec.project.clone(),
                version: spec.version.clone(),
                spec: spec.spec.clone(),
                name: name.to_owned(),
                path: path.clone(),
            };
            let runs = match path.extension().and_then(|ending| ending.to_str()) {
                _ if name.starts_with('.') || !path.is_file() => false,
                Some("sh") => true,
                Some("py") => script.is_executable()?,
                _ => false,
            };
            if runs {
                scripts.push(script);
            }
        }
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scripts)
    }

    /// Names the script to people: `demo/execute/scripts/010-pull.sh`.
    pub fn step(&self) -> String {
        format!("{}/{}/scripts/{}", self.project, self.spec, self.name)
    }

    pub(crate) fn is_executable(&self) -> io::Result<bool> {
        Ok(fs::metadata(&self.path)?.permissions().mode() & 0o111 != 0)
    }

    /// SHA-256 of its content.
    pub(crate) fn sha256(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex(&hash.finalize())),
                length => hash.update(&buffer[..length]),
            }
        }
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
        .current_dir(spec.join("scripts"))
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
            ("helper.py", 0o644),
            ("README.txt", 0o755),
            (".gitkeep", 0o644),
            (".hidden.sh", 0o755),
            ("30-c.sh-unused", 0o755),
            ("40-d.sh.obsolete_by_95", 0o755),
            ("none", 0o755),
        ] {
            durable::write(&folder.join(name), mode, b"").unwrap();
        }
        let scripts = Script::list(root.path(), &spec()).unwrap();
        let names: Vec<_> = scripts.iter().map(|script| script.name.as_str()).collect();
        assert_eq!(
            names,
            ["100-b.sh", "20-a.sh", "50-run.py", "A.sh", "zz-custom.sh"]
        );
        assert_eq!(scripts[0].step(), "p/s/scripts/100-b.sh");
    }

    #[test]
    fn a_spec_without_scripts_has_none() {
        let root = tempfile::tempdir().unwrap();
        assert!(Script::list(root.path(), &spec()).unwrap().is_empty());
    }
}
