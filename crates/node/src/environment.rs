//! Shell files through which other software finds this node: `system/bin/cyclecloud-env.sh`,
//! `system/bootstrap/cron_wrapper.sh`, and `/etc/profile.d/cyclecloud.{sh,csh}` for login shells; see `dist`.

use std::path::Path;

use crate::home::{Home, Root, SYSTEM_PATH};
use crate::installed::{make_folder, update};

const ENVIRONMENT: &str = include_str!("../../../dist/system/bin/cyclecloud-env.sh");
const CRON_WRAPPER: &str = include_str!("../../../dist/system/bootstrap/cron_wrapper.sh");
const PROFILE: &str = include_str!("../../../dist/profile.d/cyclecloud.sh");
const CSH_PROFILE: &str = include_str!("../../../dist/profile.d/cyclecloud.csh");

/// Writes the files of the home that are missing or different.
///
/// # Errors
/// When a file or a folder cannot be written.
pub fn install(home: &Home) -> Result<(), durable::Error> {
    for (path, mode, text) in [
        (home.environment_script(), 0o644, ENVIRONMENT),
        (home.cron_wrapper(), 0o755, CRON_WRAPPER),
    ] {
        make_folder(path.parent().unwrap_or(home.root()))?;
        update(&path, mode, &fill(text, home))?;
    }
    Ok(())
}

/// Writes the files for login shells that are missing or different: of a machine that is one node, as root, and where
/// there are such files. Nodes that share a machine are nobody's default.
///
/// # Errors
/// When a file cannot be written.
pub fn install_profile(home: &Home, root: &Root) -> Result<(), durable::Error> {
    let folder = root.profile_folder();
    if home.is_default() && nix::unistd::geteuid().is_root() && folder.is_dir() {
        write_profile(home, &folder)?;
    }
    Ok(())
}

fn write_profile(home: &Home, folder: &Path) -> Result<(), durable::Error> {
    update(&folder.join("cyclecloud.sh"), 0o644, &fill(PROFILE, home))?;
    update(&folder.join("cyclecloud.csh"), 0o644, &fill(CSH_PROFILE, home))
}

/// Puts the places in, which stand between double quotes.
fn fill(text: &str, home: &Home) -> String {
    let mut quoted = String::new();
    for letter in home.root().to_string_lossy().chars() {
        if matches!(letter, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    text.replace("@HOME@", &quoted)
        .replace("@SYSTEM_PATH@", SYSTEM_PATH)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    use super::*;
    use crate::command::{Command, Ended, Stop};

    /// Those that every machine has; bash is `sh` on others.
    const SHELLS: [&str; 3] = ["sh", "bash", "dash"];

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("a $home/jetpack"));
        home.create().unwrap();
        install(&home).unwrap();
        (folder, home)
    }

    /// What a shell says, with this `PATH` and nothing else in its environment.
    fn shell(shell: &str, path: Option<&str>, script: &str) -> String {
        let mut command = Command::new(which(shell)).arg("-euc").arg(script);
        if let Some(path) = path {
            command = command.env("PATH", path);
        }
        let outcome = command.run(&Stop::new()).unwrap();
        assert!(outcome.ended.success(), "{shell}: {script}: {}", outcome.tail);
        outcome.tail
    }

    fn which(program: &str) -> PathBuf {
        SYSTEM_PATH
            .split(':')
            .map(|folder| Path::new(folder).join(program))
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("`{program}` is not installed"))
    }

    fn the_default() -> Home {
        let home = Home::at(crate::home::DEFAULT_HOME);
        assert!(home.is_default());
        home
    }

    fn quoted(path: &Path) -> String {
        format!("'{}'", path.display())
    }

    #[test]
    fn every_shell_gets_the_environment_of_scripts_and_no_folder_twice() {
        let (_folder, home) = home();
        let (bin, python) = (home.bin(), home.embedded_bin());
        let (bin, python) = (bin.display(), python.display());
        let source = format!(". {}", quoted(&home.environment_script()));
        for name in SHELLS {
            let said = shell(
                name,
                Some("/usr/bin:/bin"),
                &format!("{source}; echo \"$CYCLECLOUD_HOME|$JETPACK_HOME|$CYCLECLOUD_BOOTSTRAP|$PATH\""),
            );
            let root = home.root().display();
            let bootstrap = home.bootstrap();
            assert_eq!(
                said,
                format!(
                    "{root}|{root}|{}|{bin}:/usr/bin:/bin:{python}\n",
                    bootstrap.display()
                ),
                "{name}"
            );
            for path in [
                format!("/usr/bin:{bin}:{bin}:/bin"),
                format!("{python}:/usr/bin:/bin:{bin}"),
                format!("{bin}:{python}:/usr/bin:/bin"),
            ] {
                let said = shell(name, Some(&path), &format!("{source}; {source}; echo \"$PATH\""));
                assert_eq!(said, format!("{bin}:/usr/bin:/bin:{python}\n"), "{name}: {path}");
            }
            let said = shell(name, Some(""), &format!("{source}; echo \"$PATH\""));
            assert_eq!(said, format!("{bin}:{SYSTEM_PATH}:{python}\n"), "{name}");
        }
    }

    #[test]
    fn commands_from_cron_find_jetpack_and_their_exit_code_passes_through() {
        let (_folder, home) = home();
        durable::write(
            &home.jetpack(),
            0o755,
            b"#!/bin/sh\necho \"jetpack $*\"\nexit 3\n",
        )
        .unwrap();
        let run = |args: &[&str]| {
            let mut command = Command::new(home.cron_wrapper()).env("PATH", "/usr/bin:/bin");
            for arg in args {
                command = command.arg(*arg);
            }
            command.run(&Stop::new()).unwrap()
        };
        let outcome = run(&["jetpack", "log", "a b"]);
        assert_eq!(
            (outcome.ended, outcome.tail.as_str()),
            (Ended::Exited(3), "jetpack log a b\n")
        );
        assert_eq!(run(&["true"]).ended, Ended::Exited(0));
        let outcome = run(&["no-such-program"]);
        assert_eq!(outcome.ended, Ended::Exited(127), "{}", outcome.tail);
        assert_eq!(run(&[]).ended, Ended::Exited(2));
    }

    #[test]
    fn login_shells_find_the_programs_last() {
        let (folder, home) = home();
        let root = Root::at(folder.path());
        let profiles = root.profile_folder();
        durable::create_folder(&profiles, 0o755).unwrap();
        write_profile(&home, &profiles).unwrap();
        let (root, bin) = (home.root().display(), home.bin());
        let bin = bin.display();
        let source = format!(". {}", quoted(&profiles.join("cyclecloud.sh")));
        for name in SHELLS {
            let said = shell(
                name,
                Some("/usr/bin:/bin"),
                &format!("{source}; {source}; echo \"$CYCLECLOUD_HOME|$PATH\""),
            );
            assert_eq!(said, format!("{root}|/usr/bin:/bin:{bin}\n"), "{name}");
            let other = format!("CYCLECLOUD_HOME=/other; {source}; echo \"$CYCLECLOUD_HOME\"");
            assert_eq!(shell(name, Some("/bin"), &other), "/other\n", "{name}");
        }
        let text = fs::read_to_string(profiles.join("cyclecloud.sh")).unwrap();
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("export PATH="))
                .count(),
            1
        );
    }

    #[test]
    fn the_c_shell_finds_the_programs_too_and_does_not_complain() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("a home"));
        home.create().unwrap();
        write_profile(&home, folder.path()).unwrap();
        let source = quoted(&folder.path().join("cyclecloud.csh"));
        let tcsh = |path: &str, script: &str| {
            let command = Command::new(which("tcsh"))
                .arg("-fc")
                .arg(script)
                .env("PATH", path);
            command.run(&Stop::new()).unwrap().tail
        };
        let (root, bin) = (home.root().display(), home.bin());
        let bin = bin.display();
        assert_eq!(
            tcsh(
                "/usr/bin:/bin",
                &format!("source {source}; source {source}; echo \"${{CYCLECLOUD_HOME}}|${{PATH}}\"")
            ),
            format!("{root}|/usr/bin:/bin:{bin}\n")
        );
        fs::remove_dir(home.bin()).unwrap();
        assert_eq!(
            tcsh("/usr/bin:/bin", &format!("source {source}; echo \"${{PATH}}\"")),
            "/usr/bin:/bin\n"
        );
    }

    #[test]
    fn the_profile_is_only_that_of_a_machine_that_is_one_node() {
        let (folder, home) = home();
        let root = Root::at(folder.path());
        durable::create_folder(&root.profile_folder(), 0o755).unwrap();
        install_profile(&home, &root).unwrap();
        assert_eq!(fs::read_dir(root.profile_folder()).unwrap().count(), 0);
        install_profile(&the_default(), &Root::at("/nowhere")).unwrap();
        install_profile(&the_default(), &root).unwrap();
        let written = fs::read_dir(root.profile_folder()).unwrap().count();
        assert_eq!(written, if nix::unistd::geteuid().is_root() { 2 } else { 0 });
    }

    #[test]
    fn a_second_installation_touches_nothing_and_mends_what_was_damaged() {
        let (_folder, home) = home();
        let before = fs::metadata(home.environment_script()).unwrap().ino();
        durable::write(&home.cron_wrapper(), 0o644, b"half").unwrap();
        install(&home).unwrap();
        assert_eq!(fs::metadata(home.environment_script()).unwrap().ino(), before);
        let wrapper = fs::metadata(home.cron_wrapper()).unwrap();
        assert_eq!(wrapper.mode() & 0o777, 0o755);
    }
}
