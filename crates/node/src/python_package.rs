//! The node's Python: launchers in `system/embedded/bin` and the package `jetpack` in `system/embedded/lib/python`.
//!
//! The interpreter is the system's. The launcher makes `system/embedded` a virtual environment of it, so that what
//! projects install with pip stays there; see `dist/python`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::command::{Command, Stop};
use crate::home::{HOME_VARIABLE, Home};
use crate::installed::{make_folder, update};

const LAUNCHER: &str = include_str!("../../../dist/python/launcher.sh");
const PIP: &str = include_str!("../../../dist/python/pip.sh");

/// Modules of the package, but for `_version.py`.
const MODULES: [(&str, &str); 12] = [
    (
        "__init__.py",
        include_str!("../../../dist/python/jetpack/__init__.py"),
    ),
    ("_cli.py", include_str!("../../../dist/python/jetpack/_cli.py")),
    (
        "_embed.py",
        include_str!("../../../dist/python/jetpack/_embed.py"),
    ),
    ("_home.py", include_str!("../../../dist/python/jetpack/_home.py")),
    (
        "_runner.py",
        include_str!("../../../dist/python/jetpack/_runner.py"),
    ),
    (
        "autoscale.py",
        include_str!("../../../dist/python/jetpack/autoscale.py"),
    ),
    (
        "cluster_init.py",
        include_str!("../../../dist/python/jetpack/cluster_init.py"),
    ),
    (
        "config.py",
        include_str!("../../../dist/python/jetpack/config.py"),
    ),
    (
        "converge.py",
        include_str!("../../../dist/python/jetpack/converge.py"),
    ),
    ("log.py", include_str!("../../../dist/python/jetpack/log.py")),
    ("props.py", include_str!("../../../dist/python/jetpack/props.py")),
    ("util.py", include_str!("../../../dist/python/jetpack/util.py")),
];
const VERSION_MODULE: &str = "_version.py";

/// How long the launcher has to make the virtual environment; it takes a fraction of a second.
const PREPARATION: Duration = Duration::from_secs(60);

/// Writes the launchers `python`, `python3`, `pip`, `pip3` and the package, and lets the launcher make its environment.
/// Files that are as they should be are not touched; those of another version, and damaged ones, are replaced. A `pip`
/// that pip itself has put in the place of ours stays.
///
/// A machine without Python is no error: the launcher looks again whenever it is called.
///
/// # Errors
/// When a file or a folder cannot be written.
pub fn install(home: &Home) -> Result<(), durable::Error> {
    write(home)?;
    prepare(home);
    Ok(())
}

/// As [`install`], but the launcher makes its environment only when it is called. For homes that do not live long.
///
/// # Errors
/// As [`install`].
pub fn write(home: &Home) -> Result<(), durable::Error> {
    let bin = home.embedded_bin();
    let package = home.python_library().join("jetpack");
    make_folder(&bin)?;
    make_folder(&package)?;
    for name in ["python", "python3"] {
        update(&bin.join(name), 0o755, LAUNCHER)?;
    }
    for name in ["pip", "pip3"] {
        let path = bin.join(name);
        let is_ours = fs::read_to_string(&path).map_or(true, |text| text.contains("Written by Jetpack"));
        if is_ours {
            update(&path, 0o755, PIP)?;
        }
    }
    let version = format!(
        "\"\"\"Written at installation.\"\"\"\n\nVERSION = \"{}\"\n",
        crate::version()
    );
    for (name, text) in MODULES.into_iter().chain([(VERSION_MODULE, version.as_str())]) {
        update(&package.join(name), 0o644, text)?;
    }
    remove_others(&package)
}

/// Modules of an earlier version would still be found.
fn remove_others(package: &Path) -> Result<(), durable::Error> {
    let Ok(entries) = fs::read_dir(package) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let known = name == VERSION_MODULE || MODULES.iter().any(|(module, _)| name == *module);
        if !known && name.to_string_lossy().ends_with(".py") {
            durable::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whoever calls the launcher first makes the environment; somebody who may not write there could not.
fn prepare(home: &Home) {
    if has_interpreter(&home.embedded_bin()) {
        return;
    }
    let command = Command::new(home.embedded_bin().join("python"))
        .arg("-c")
        .arg("pass")
        .inherit_environment()
        .env(HOME_VARIABLE, home.root())
        .time_limit(PREPARATION);
    match command.run(&Stop::new()) {
        Ok(outcome) if outcome.ended.success() => {}
        Ok(outcome) => tracing::info!("the node has no Python yet: {}", outcome.tail.trim_end()),
        Err(error) => tracing::info!("the node has no Python yet: {error}"),
    }
}

/// Whether a link `python3.N` leads to a program that still exists.
fn has_interpreter(bin: &Path) -> bool {
    let Ok(entries) = fs::read_dir(bin) else {
        return false;
    };
    entries.flatten().any(|entry| {
        entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix("python3."))
            .is_some_and(|minor| minor.parse::<u32>().is_ok())
            && entry.path().exists()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn installed() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("a home/jetpack"));
        home.create().unwrap();
        install(&home).unwrap();
        (folder, home)
    }

    fn inodes(folder: &Path) -> Vec<(std::path::PathBuf, u64)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            found.push((entry.path(), entry.metadata().unwrap().ino()));
        }
        found.sort();
        found
    }

    #[test]
    fn a_second_installation_touches_nothing() {
        let (_folder, home) = installed();
        let package = home.python_library().join("jetpack");
        let before = (inodes(&package), inodes(&home.embedded_bin()));
        install(&home).unwrap();
        assert_eq!((inodes(&package), inodes(&home.embedded_bin())), before);
    }

    #[test]
    fn what_is_missing_damaged_or_of_another_version_is_replaced() {
        let (_folder, home) = installed();
        let package = home.python_library().join("jetpack");
        fs::remove_file(home.embedded_bin().join("python")).unwrap();
        durable::write(&package.join("config.py"), 0o644, b"half").unwrap();
        durable::write(&package.join("_version.py"), 0o644, b"VERSION = '0.0.1-1'\n").unwrap();
        durable::write(&package.join("gone.py"), 0o644, b"").unwrap();
        install(&home).unwrap();
        let mode = fs::metadata(home.embedded_bin().join("python")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o755);
        assert!(
            fs::read_to_string(package.join("config.py"))
                .unwrap()
                .contains("def get")
        );
        let version = fs::read_to_string(package.join("_version.py")).unwrap();
        assert!(
            version.contains(&format!("\"{}\"", crate::version())),
            "{version}"
        );
        assert!(!package.join("gone.py").exists());
    }

    #[test]
    fn a_pip_that_pip_has_installed_stays() {
        let (_folder, home) = installed();
        let pip = home.embedded_bin().join("pip3");
        durable::write(&pip, 0o755, b"#!/x/python3.11\nfrom pip import main\n").unwrap();
        fs::remove_file(home.embedded_bin().join("pip")).unwrap();
        install(&home).unwrap();
        assert!(fs::read_to_string(&pip).unwrap().contains("from pip"));
        assert!(home.embedded_bin().join("pip").exists());
    }
}
