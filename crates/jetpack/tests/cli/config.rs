//! `jetpack config`, form by form.

use crate::home::Home;

fn home() -> Home {
    Home::configured(
        r#"{
            "cyclecloud": {
                "cluster": {"name": "demo", "id": 7},
                "hosts": {"standalone_dns": {"enabled": true}},
                "mounts": {"data": {"luns": [0, 1]}},
                "cluster_init_specs": [{"project": "slurm", "version": "4.0.1"}]
            },
            "roles": ["pbspro_server_role", "it's"],
            "slurm": {"autoscale": false, "version": "23.02", "user": null, "ratio": 1.5, "dotted.key": "x"},
            "empty": {},
            "LAMMPS_VERSION": "2024"
        }"#,
    )
}

#[test]
fn values_are_printed_as_python_prints_them() {
    let home = home();
    for (key, text) in [
        ("cyclecloud.cluster.name", "demo"),
        ("cyclecloud.cluster.id", "7"),
        ("cyclecloud.hosts.standalone_dns.enabled", "True"),
        ("slurm.autoscale", "False"),
        ("slurm.user", "None"),
        ("slurm.ratio", "1.5"),
        ("slurm.dotted.key", "x"),
        ("cyclecloud.mounts.data.luns", "[0, 1]"),
        ("roles", "['pbspro_server_role', \"it's\"]"),
        ("LAMMPS_VERSION", "2024"),
    ] {
        home.prints(&["config", key], &format!("{text}\n"));
    }
}

#[test]
fn a_default_is_printed_as_it_is_and_only_when_the_key_is_missing() {
    let home = home();
    for default in ["True", "null", "None", "0", "-1", "nan", "some text"] {
        home.prints(&["config", "no.such.key", default], &format!("{default}\n"));
    }
    home.prints(&["config", "no.such.key", ""], "\n");
    home.prints(&["config", "slurm.version", "other"], "23.02\n");
    home.prints(&["config", "slurm.user", "other"], "None\n");
}

#[test]
fn a_missing_key_is_an_error_with_nothing_on_stdout() {
    let home = home();
    home.fails(
        &["config", "a.b"],
        "Error: the key `a.b` was not found in the node configuration\n",
    );
    home.fails(
        &["config", "a.b", "--json"],
        "Error: the key `a.b` was not found in the node configuration\n",
    );
}

#[test]
fn json_is_indented_by_four_and_wraps_what_is_no_section() {
    let home = home();
    home.prints(
        &["config", "cyclecloud.cluster", "--json"],
        "{\n    \"name\": \"demo\",\n    \"id\": 7\n}\n",
    );
    home.prints(
        &["config", "--json", "cyclecloud.hosts.standalone_dns.enabled"],
        "{\n    \"cyclecloud.hosts.standalone_dns.enabled\": true\n}\n",
    );
    home.prints(
        &["config", "ef.limit_execute_skus", "notfound", "--json"],
        "{\n    \"ef.limit_execute_skus\": \"notfound\"\n}\n",
    );
    home.prints(
        &["config", "cyclecloud.cluster_init_specs", "--json"],
        "{\n    \"cyclecloud.cluster_init_specs\": [\n        {\n            \"project\": \"slurm\",\n            \
         \"version\": \"4.0.1\"\n        }\n    ]\n}\n",
    );
}

#[test]
fn sections_and_the_whole_tree_are_sorted_lines() {
    let home = home();
    home.prints(
        &["config", "slurm"],
        "slurm.autoscale = False\nslurm.dotted.key = x\nslurm.ratio = 1.5\nslurm.user = None\nslurm.version = 23.02\n",
    );
    let all = home.run(&["config"]);
    assert_eq!(all.code, 0);
    let lines: Vec<&str> = all.stdout.lines().collect();
    assert!(
        lines.is_sorted() && lines.contains(&"cyclecloud.cluster.name = demo"),
        "{lines:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_says_what_is_wrong_with_it() {
    Home::new().fails(
        &["config", "a", "default"],
        "Error: the node configuration `$HOME/config/node.json` does not exist yet\n",
    );
    Home::configured("{\"a\": {\"b\"").fails(
        &["config", "a"],
        "Error: the node configuration `$HOME/config/node.json` is truncated\n",
    );
    let run = Home::configured("[1]").run(&["config"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(
        run.stderr.contains("is not valid") && run.stderr.contains("line 1 column"),
        "{run:?}"
    );
}
