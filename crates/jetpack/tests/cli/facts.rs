//! `jetpack facts`, form by form. That the values are right is tested in the `facts` crate.

use crate::home::Home;

#[test]
fn a_single_value_is_printed_as_it_is() {
    Home::new().prints(&["facts", "os"], "linux\n");
    Home::new().prints(&["facts", "os", "os"], "linux\nlinux\n");
}

#[test]
fn as_json_a_single_value_stands_in_a_list_as_ohai_prints_it() {
    Home::new().prints(&["facts", "--json", "os"], "[\n  \"linux\"\n]\n");
    Home::new().prints(&["facts", "os", "--json"], "[\n  \"linux\"\n]\n");
}

#[test]
fn without_a_name_everything_is_one_section() {
    let run = Home::new().run(&["facts"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let facts: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(facts["os"], "linux");
}

#[test]
fn an_unknown_name_is_an_error_before_anything_is_printed() {
    let home = Home::new();
    for name in ["nosuch", "nosuch/os"] {
        home.fails(
            &["facts", "os", name],
            &format!(
                "Error: this machine has no attribute `{name}`\nHint: `jetpack facts --list` prints the names, \
                 `jetpack facts` all values\n"
            ),
        );
    }
    home.fails(
        &["facts", "os/nosuch"],
        "Error: this machine has no attribute `os/nosuch`\nHint: `jetpack facts --list` prints the names, \
         `jetpack facts` all values\n",
    );
}

#[test]
fn the_names_are_listed() {
    let run = Home::new().run(&["facts", "--list"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.lines().any(|line| line == "os"), "{run:?}");
    assert!(run.stdout.lines().is_sorted(), "{run:?}");
}
