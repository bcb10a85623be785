//! `jetpack completions`.

use crate::home::Home;

#[test]
fn every_shell_learns_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let run = home.run(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{shell}");
        for command in ["autoscale", "converge", "keepalive", "users"] {
            assert!(run.stdout.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn bash_takes_the_script_and_completes_with_it() {
    let home = Home::new();
    home.write("jetpack.bash", &home.run(&["completions", "bash"]).stdout);
    #[expect(
        clippy::disallowed_methods,
        reason = "the shell tries what the program printed"
    )]
    let output = std::process::Command::new("bash")
        .args(["--norc", "-c"])
        .arg(
            "set -e; source \"$0\"; COMP_WORDS=(jetpack keep); COMP_CWORD=1; COMP_LINE='jetpack keep'; \
             _jetpack jetpack keep jetpack; echo \"${COMPREPLY[@]}\"",
        )
        .arg(home.path().join("jetpack.bash"))
        .output()
        .unwrap();
    assert_eq!(
        (
            String::from_utf8_lossy(&output.stdout).as_ref(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        ("keepalive\n", "")
    );
}

#[test]
fn a_shell_that_is_not_known_is_a_usage_error() {
    let run = Home::new().run(&["completions", "tcsh"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("bash, zsh, fish"), "{run:?}");
}
