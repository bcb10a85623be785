//! `jetpack condition`, form by form.

use serde_json::{Value, json};

use crate::home::{Home, NOT_RUNNING};

fn list(home: &Home) -> Vec<Value> {
    let run = home.run(&["condition", "list", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let mut list: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    for held in &mut list {
        let since = held.as_object_mut().unwrap().remove("since").unwrap();
        since.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    list
}

#[test]
fn every_option_is_sent_and_listed() {
    let home = Home::initialized();
    let full = json!({
        "name": "gpu", "status": "Error", "message": "2 of 8", "description": "all answer",
        "recommendations": "replace it", "details": "nvidia-smi: -1", "action_type": "GHR",
        "ghr_category": "Resource.Hpc.Unhealthy.HpcMissingGpu",
    });
    for line in [
        &[
            "condition",
            "set",
            "-n",
            "gpu",
            "-s",
            "Error",
            "-m",
            "2 of 8",
            "-d",
            "all answer",
            "-r",
            "replace it",
            "--details",
            "nvidia-smi: -1",
            "--action-type",
            "GHR",
            "--ghr-category",
            "Resource.Hpc.Unhealthy.HpcMissingGpu",
        ][..],
        &[
            "condition",
            "set",
            "--ghr-category=Resource.Hpc.Unhealthy.HpcMissingGpu",
            "--action-type=ghr",
            "--details=nvidia-smi: -1",
            "--recommendations=replace it",
            "--description=all answer",
            "--message=2 of 8",
            "--status=ERROR",
            "--name=gpu",
        ],
    ] {
        let run = home.keeps(line, "condition", &full);
        assert_eq!(run.stderr, NOT_RUNNING);
        assert_eq!(list(&home), std::slice::from_ref(&full));
    }
}

#[test]
fn a_status_may_be_in_any_case_and_ok_ends_the_condition() {
    let home = Home::initialized();
    for (given, status) in [("na", "NA"), ("WARNING", "Warning"), ("error", "Error")] {
        let data = json!({"name": "disk", "status": status});
        home.keeps(
            &["condition", "set", "-n", "disk", "-s", given],
            "condition",
            &data,
        );
        assert_eq!(list(&home), [data]);
    }
    let text = home.run(&["condition", "list"]).stdout;
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["NAME", "STATUS", "SINCE", "MESSAGE"]);
    assert_eq!(lines[1][..2], ["disk", "Error"]);
    assert_eq!(lines.len(), 2);
    let ended = json!({"name": "disk", "status": "OK"});
    home.keeps(
        &["condition", "set", "-n", "disk", "-s", "ok"],
        "condition",
        &ended,
    );
    let run = home.run(&["condition", "list"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "", "this node has no conditions\n")
    );
    home.prints(&["condition", "list", "--json"], "[]\n");
    home.keeps(&["condition", "clear", "disk"], "condition", &ended);
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_with_it() {
    let home = Home::initialized();
    for (given, problem) in [
        (
            &["-n", "x", "-s", "bad"][..],
            "Error: invalid value 'bad' for '--status <STATUS>': `bad` is not one of NA, OK, Warning, Error",
        ),
        (
            &["-n", "", "-s", "OK"],
            "Error: invalid value '' for '--name <NAME>': the name `` is empty",
        ),
        (&["-n", "x"], "  --status <STATUS>"),
        (&["-s", "OK"], "  --name <NAME>"),
        (
            &["-n", "x", "-s", "OK", "--action-type", "GHR"],
            "  --ghr-category <CATEGORY>",
        ),
        (
            &["-n", "x", "-s", "OK", "--ghr-category", "a.b"],
            "  --action-type <TYPE>",
        ),
        (
            &[
                "-n",
                "x",
                "-s",
                "OK",
                "--action-type",
                "X",
                "--ghr-category",
                "a.b",
            ],
            "Error: invalid value 'X' for '--action-type <TYPE>'",
        ),
    ] {
        home.misused(&[&["condition", "set"], given].concat(), problem);
    }
    home.misused(&["condition", "clear"], "  <NAME>");
    assert_eq!(home.run(&["condition"]).code, 2);
}
