//! A booted machine that a test may break: a small Debian with systemd in a container, gone when the test ends.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set for what runs in the container.
const INSIDE: &str = "JETPACK_BOOTED";
const SUITE: &str = "bookworm";
/// What the tests need of the machine.
const PACKAGES: [&str; 22] = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "libpam-systemd",
    "iproute2",
    "procps",
    "cron",
    "locales",
    "git",
    "kmod",
    "e2fsprogs",
    "xfsprogs",
    "sudo",
    "tzdata",
    "ca-certificates",
    "fdisk",
    "dnf",
    "createrepo-c",
    "rpm",
    "python3-venv",
    "ruby",
];

/// Whether this process is a test in the container. If not, the test `name` of the same binary is run in one, and its
/// failure is ours. A test that needs a machine of its own begins so, and returns when the answer is no.
///
/// Needs root and a kernel that gives namespaces; without them the test does not run, and says so.
///
/// # Panics
/// When the test fails in the container, or the container cannot be made.
pub fn in_booted_machine(name: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    if !nix::unistd::geteuid().is_root() {
        return not_run("booting a container needs root");
    }
    let namespaces = command("unshare")
        .args(["--mount", "--pid", "--net", "--fork", "true"])
        .status();
    if !namespaces.is_ok_and(|status| status.success()) {
        return not_run("this sandbox allows no namespaces");
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let root = root();
    run(command(scripts.join("debian-root.sh"))
        .arg(SUITE)
        .arg(&root)
        .args(PACKAGES));
    run(command(scripts.join("debian-boot.sh"))
        .arg(&root)
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"]));
    false
}

/// Beside the programs, so that it is made once.
fn root() -> PathBuf {
    let test = env::current_exe().unwrap();
    // target/PROFILE/deps/TEST
    test.ancestors()
        .nth(3)
        .unwrap()
        .join("tmp")
        .join(format!("booted-{SUITE}"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{:?}: {}\n{said}",
        command.get_program(),
        output.status
    );
}

#[expect(clippy::print_stdout, reason = "a test that does not run says so")]
fn not_run(why: &str) -> bool {
    println!("not run: {why}");
    false
}

#[expect(clippy::disallowed_methods, reason = "the test starts its machine")]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}
