//! The node's Python: the launcher, pip, and the package `jetpack`, with the real interpreter of this machine.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::home::Home;

/// A node whose Python is installed and whose `bin/jetpack` is the program under test.
pub(crate) fn node() -> Home {
    let home = Home::initialized();
    symlink(env!("CARGO_BIN_EXE_jetpack"), home.path().join("bin/jetpack")).unwrap();
    node::python_package::install(&node::home::Home::at(home.path())).unwrap();
    home
}

fn embedded(home: &Home, program: &str) -> Command {
    command(&home.path().join("system/embedded/bin").join(program))
}

fn command(program: &Path) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test starts the program that it tests"
    )]
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Demands success and gives stdout.
#[track_caller]
fn said(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{command:?}\n{stdout}{stderr}");
    stdout
}

#[test]
fn the_package_does_what_its_tests_say() {
    let home = node();
    let tests = said(
        embedded(&home, "python")
            .args(["-B", "-m", "unittest", "discover", "-s"])
            .arg(repository("dist/python/tests"))
            .env("CYCLECLOUD_HOME", home.path())
            .arg("-v"),
    );
    assert_eq!(tests, "");
}

#[test]
fn lines_of_public_projects_work_as_they_stand() {
    let home = node();
    home.write("config/node.json", r#"{"roles": ["scheduler"]}"#);
    home.write("config/properties.json", r#"{"cyclecloud": {"owner": "ann"}}"#);
    let python = |code: &str| said(embedded(&home, "python").args(["-c", code]));
    assert_eq!(
        python("import jetpack.config; print(jetpack.config.get('roles', []))"),
        "['scheduler']\n"
    );
    assert_eq!(
        python("from jetpack import props; print(props.get(\"cyclecloud.owner\"))"),
        "ann\n"
    );
    python("import jetpack.converge as jc; jc._send_installation_status('warning')");
    let outbox = home.path().join("run/outbox");
    assert!(std::fs::read_dir(outbox).unwrap().count() > 0);
}

#[test]
fn the_launcher_knows_its_home_and_keeps_what_the_caller_set() {
    let home = node();
    let print = "import os; print(os.environ['CYCLECLOUD_HOME'], os.environ.get('PYTHONPATH'))";
    let mut python3 = embedded(&home, "python3");
    python3.args(["-c", print]).env("PYTHONPATH", "/mine");
    assert_eq!(said(&mut python3), format!("{} /mine\n", home.path().display()));
    let link = home.path().join("elsewhere");
    symlink(home.path().join("system/embedded/bin/python"), &link).unwrap();
    assert_eq!(
        said(command(&link).args(["-c", print])),
        format!("{} None\n", home.path().display())
    );
    let failed = embedded(&home, "python")
        .args(["-c", "import sys; sys.exit(3)"])
        .status();
    assert_eq!(failed.unwrap().code(), Some(3));
}

#[test]
fn a_script_may_name_the_launcher_and_a_module_in_its_first_line() {
    let home = node();
    let script = |name: &str, text: &str| {
        let path = home.path().join(name);
        let line = format!("#!{}/system/embedded/bin/python", home.path().display());
        durable::write(&path, 0o755, format!("{line}{text}").as_bytes()).unwrap();
        path
    };
    let path = script("plain", "\nimport sys, jetpack\nprint(sys.argv[1:])\n");
    assert_eq!(said(command(&path).arg("a b")), "['a b']\n");
    // The system gives `-m unittest` as one argument.
    let path = script(
        "test_it.py",
        " -m unittest\nimport unittest\nclass T(unittest.TestCase):\n    def test_x(self): print('ran')\n",
    );
    assert_eq!(
        said(command(Path::new("./test_it.py")).current_dir(path.parent().unwrap())),
        "ran\n"
    );
}

#[test]
fn a_launcher_that_stands_first_on_the_path_does_not_find_itself() {
    let home = node();
    let bin = home.path().join("system/embedded/bin");
    for entry in std::fs::read_dir(&bin).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let mut python = embedded(&home, "python3");
    python.args(["-c", "import jetpack.util"]).env("PATH", path);
    said(&mut python);
}

#[test]
fn what_pip_installs_stays_below_the_home_and_is_found() {
    let home = node();
    // The smallest wheel there is: a module and what pip wants to know of it. No network, no build.
    let wheel = home.path().join("tiny_tool-1.0-py3-none-any.whl");
    let make = "import sys, zipfile
z = zipfile.ZipFile(sys.argv[1], 'w')
z.writestr('tiny_tool.py', 'def main(): print(\"tiny\")\\n')
i = 'tiny_tool-1.0.dist-info/'
z.writestr(i + 'METADATA', 'Metadata-Version: 2.1\\nName: tiny-tool\\nVersion: 1.0\\n')
z.writestr(i + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
z.writestr(i + 'entry_points.txt', '[console_scripts]\\ntiny-tool = tiny_tool:main\\n')
z.writestr(i + 'RECORD', 'tiny_tool.py,,\\n' + i + 'METADATA,,\\n' + i + 'WHEEL,,\\n' + i + 'RECORD,,\\n')
z.close()";
    said(embedded(&home, "python").args(["-c", make]).arg(&wheel));
    let install = [
        "install",
        "--no-index",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ];
    said(
        embedded(&home, "pip")
            .args(install)
            .arg(&wheel)
            .env("HOME", home.path()),
    );
    let found = said(embedded(&home, "python").args(["-c", "import tiny_tool; print(tiny_tool.__file__)"]));
    assert!(
        found.starts_with(home.path().join("system/embedded/lib").to_str().unwrap()),
        "{found}"
    );
    assert_eq!(said(&mut embedded(&home, "tiny-tool")), "tiny\n");
    // Another installation of ours leaves it where it is.
    node::python_package::install(&node::home::Home::at(home.path())).unwrap();
    said(embedded(&home, "python").args(["-c", "import tiny_tool, jetpack.config"]));
}

#[test]
fn initialize_installs_the_python_of_the_node() {
    let home = Home::new();
    // Nobody listens there, so the node joins later.
    home.run(&[
        "initialize",
        "--url",
        "http://127.0.0.1:9",
        "--userdata",
        "0123456789abcdef0123456789abcdef",
    ]);
    let print = "import jetpack; print(jetpack.__version__)";
    let version = said(embedded(&home, "python").args(["-c", print]));
    assert_eq!(version, home.run(&["--version"]).stdout);
}
