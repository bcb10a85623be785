//! A converge whose configuration finds no room.

use std::process::Command;

use crate::home::{Home, Run};

#[test]
fn a_configuration_that_finds_no_room_is_named_and_the_old_one_stays() {
    let home = Home::joined("[]");
    home.write("config/node.json", r#"{"old": true}"#);
    // A file system of its own below the home, seen by this shell alone.
    let script = "set -e
        cp -a \"$1/config\" \"$1/kept\"; mount -t tmpfs -o size=128k tmpfs \"$1/config\"; cp -a \"$1/kept/.\" \"$1/config\"
        dd if=/dev/zero of=\"$1/config/fill\" bs=4k 2>/dev/null || true
        set +e
        \"$2\" converge --cluster-init; echo \"ended $?\"; cat \"$1/config/node.json\"; ls -A \"$1/config\"
        rm \"$1/config/fill\"
        \"$2\" converge --cluster-init; echo \"ended $?\"; grep -c cluster \"$1/config/node.json\"";
    #[expect(
        clippy::disallowed_methods,
        reason = "the test starts the program that it tests"
    )]
    let mut shell = Command::new("unshare");
    let output = shell
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(home.path())
        .arg(env!("CARGO_BIN_EXE_jetpack"))
        .env("CYCLECLOUD_HOME", home.path())
        .output()
        .unwrap();
    let run = Run::from(output);
    let (full, rest) = run
        .stdout
        .split_once("ended 1\n")
        .unwrap_or_else(|| panic!("{run:?}"));
    assert!(full.contains("configure: started"), "{run:?}");
    assert!(rest.starts_with(r#"{"old": true}"#), "{run:?}");
    assert!(!rest.contains(".new"), "nothing half-written is left: {run:?}");
    assert!(rest.contains("ended 0\n"), "{run:?}");
    let error = run
        .stderr
        .lines()
        .find(|line| line.starts_with("Error: "))
        .unwrap_or_default();
    assert!(
        error.contains("config/node.json`") && error.contains("No space left on device"),
        "{run:?}"
    );
}
