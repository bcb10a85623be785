//! Clusters and nodes.

use serde_json::{Value, json};

use crate::site::Site;

fn nodes() -> Value {
    json!([
        {"Name": "scheduler", "Status": "Ready", "Phase": "ready", "InstanceId": "i-1", "PrivateIp": "10.0.0.4",
         "State": "Started", "TargetState": "Started", "Template": "scheduler", "MachineType": "A4",
         "Hostname": "ip-0a000004", "NodeId": "ab12"},
        {"Name": "execute-1", "Status": "Failed", "Phase": "cluster-init: demo/execute/scripts/010-x.sh",
         "InstanceId": "i-2", "State": "Started", "TargetState": "Started", "NodeId": "cd34",
         "StatusMessage": "Failed to execute cluster-init script `010-x.sh` in project `demo` (exit code 3)\nmake: no rule\n\nlast line\n"},
        {"Name": "spare", "Status": "Off"}
    ])
}

fn cluster() -> Value {
    json!({"Name": "demo", "State": "Started", "TargetState": "Started", "Nodes": nodes()})
}

const BLOCK: &str = "\
--------------
demo : started
--------------
Cluster nodes:
    scheduler: Ready i-1 10.0.0.4
    execute-1: Failed i-2 --
    spare: Off -- --
Total nodes: 3
";

#[test]
fn a_cluster_is_shown_as_a_block() {
    let site = Site::new();
    site.expect("GET /cloud/clusters/demo", 200, cluster());
    assert_eq!(site.run(&["show_cluster", "demo"]).success(), BLOCK);

    site.expect(
        "GET /cloud/clusters/my%20grid",
        200,
        json!({"Name": "my grid", "Nodes": []}),
    );
    assert_eq!(
        site.run(&["show_cluster", "my grid"]).success(),
        "-------------\nmy grid : off\n-------------\nTotal nodes: 0\n"
    );

    site.expect("GET /cloud/clusters", 200, json!([cluster(), cluster()]));
    assert_eq!(site.run(&["show_cluster"]).success(), format!("{BLOCK}{BLOCK}"));

    site.expect("GET /cloud/clusters/demo", 200, cluster());
    let long = site.run(&["show_cluster", "demo", "-l"]);
    assert!(
        long.success().contains(
            "    execute-1: Failed i-2 --\n        cluster-init: demo/execute/scripts/010-x.sh\n        \
             Failed to execute cluster-init script `010-x.sh` in project `demo` (exit code 3)\n        make: no rule\n"
        ),
        "{}",
        long.stdout
    );
}

#[test]
fn nodes_are_a_table_and_a_failed_one_has_its_reason_below() {
    let site = Site::new();
    site.expect("GET /cloud/api/nodes?cluster=demo", 200, nodes());
    assert_eq!(
        site.run(&["show_nodes", "-c", "demo"]).success(),
        "\
NAME       STATUS  PHASE                                        INSTANCE  IP
scheduler  Ready   ready                                        i-1       10.0.0.4
execute-1  Failed  cluster-init: demo/execute/scripts/010-x.sh  i-2
    Failed to execute cluster-init script `010-x.sh` in project `demo` (exit code 3)
    make: no rule
    last line
spare      Off
"
    );

    site.expect("GET /cloud/clusters", 200, json!([cluster()]));
    site.expect("GET /cloud/api/nodes/ab12", 200, json!({}));
    let run = site.run(&["show_nodes", "scheduler", "--states", "--long"]);
    let lines: Vec<Vec<&str>> = run
        .success()
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec![
                "CLUSTER", "NAME", "STATUS", "PHASE", "INSTANCE", "IP", "STATE", "TARGET", "TEMPLATE",
                "MACHINE", "TYPE", "HOSTNAME", "NODE", "ID"
            ],
            vec![
                "demo",
                "scheduler",
                "Ready",
                "ready",
                "i-1",
                "10.0.0.4",
                "Started",
                "Started",
                "scheduler",
                "A4",
                "ip-0a000004",
                "ab12"
            ],
        ]
    );
}

#[test]
fn a_node_is_shown_with_all_that_it_told() {
    let site = Site::new();
    let node = json!({"Name": "head", "Status": "Ready", "NodeId": "ab12", "ClusterName": "demo", "Conditions": [
        {"Name": "gpu", "Status": "Error", "Message": "no answer", "Since": "2026-11-24T10:00:00Z"}]});
    let mut told = node.clone();
    told["Properties"] = json!({"os": {"id": "debian"}, "a": [1]});
    told["Tests"] = json!({"demo:execute": {"passed": 4, "failed": 1, "errors": 0, "skipped": 2}});
    site.expect("GET /cloud/api/nodes?cluster=demo", 200, json!([node]));
    site.expect("GET /cloud/api/nodes/ab12", 200, told);
    let run = site.run(&["show_nodes", "head", "-c", "demo", "-l"]);
    let below: Vec<&str> = run.success().lines().skip(2).collect();
    assert_eq!(
        below,
        [
            "    gpu: Error no answer",
            "tests of demo:execute: 4 passed, 1 failed, 2 not run",
            "a = [1]",
            "os.id = debian"
        ]
    );
    site.expect("GET /cloud/api/nodes?cluster=demo", 200, json!([node]));
    assert_eq!(
        site.run(&["issues", "demo"]).success(),
        "CLUSTER  NODE  CONDITION  STATUS  SINCE                 MESSAGE\n\
         demo     head  gpu        Error   2026-11-24T10:00:00Z  no answer\n"
    );
    site.expect("GET /cloud/clusters", 200, json!([]));
    let none = site.run(&["issues"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
}

#[test]
fn nodes_as_json_are_the_records_of_the_server() {
    let site = Site::new();
    site.expect("GET /cloud/api/nodes?cluster=my+grid", 200, nodes());
    let run = site.run(&["show_nodes", "-c", "my grid", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(run.success()).unwrap(), nodes());
    site.expect("GET /cloud/api/nodes?cluster=demo", 200, json!([]));
    assert_eq!(
        site.run(&["show_nodes", "-c", "demo", "--format=json"]).success(),
        "[]\n"
    );
}

#[test]
fn a_node_or_cluster_that_is_not_there_is_named() {
    let site = Site::new();
    site.expect("GET /cloud/api/nodes?cluster=demo", 200, nodes());
    let run = site.run(&["show_nodes", "none", "-c", "demo"]);
    assert_eq!(run.failure(), "Error: the cluster `demo` has no node `none`\n");
    site.expect(
        "GET /cloud/clusters/none",
        404,
        json!({"error": "there is no cluster `none`"}),
    );
    assert_eq!(
        site.run(&["show_cluster", "none"]).failure(),
        "Error: there is no cluster `none`\n"
    );
    let run = site.run(&["show_cluster", ".."]);
    assert_eq!(run.failure(), "Error: cluster `..` starts with a dot or a dash\n");
}

#[test]
fn a_cluster_is_started_terminated_and_retried() {
    let site = Site::new();
    for (command, action, said) in [
        ("start_cluster", "startcluster", "Starting cluster demo....\n"),
        (
            "terminate_cluster",
            "terminatecluster",
            "Terminating cluster demo....\n",
        ),
        (
            "retry",
            "retry",
            "Retrying failed operations of cluster demo....\n",
        ),
    ] {
        site.expect_text(&format!("POST /cloud/actions/{action}/demo"), 200, "")
            .expect("GET /cloud/clusters/demo", 200, cluster());
        assert_eq!(site.run(&[command, "demo"]).success(), format!("{said}{BLOCK}"));
    }
}

#[test]
fn a_template_goes_to_the_server_with_its_parameters() {
    let site = Site::new();
    site.write("t.txt", "[cluster demo]\n[[node a]]\nx = 1 & 2 + ü\n");
    site.write("p.json", r#"{"A": "file", "B": [1]}"#);
    site.expect_text(
        "POST /cloud/api/import_cluster/demo",
        200,
        "Importing cluster demo....",
    )
    .expect("GET /cloud/clusters/demo", 200, cluster());
    let args = [
        "import_cluster",
        "-f",
        "t.txt",
        "-p",
        "p.json",
        "-P",
        "A=x=y",
        "-P",
        "N=2",
        "--force",
    ];
    assert_eq!(
        site.run(&args).success(),
        format!("Importing cluster demo....\n{BLOCK}")
    );
    let url = reqwest::Url::parse(&format!("form:?{}", site.bodies()[0])).unwrap();
    let fields: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("source", "standard"),
        ("cluster", "[cluster demo]\n[[node a]]\nx = 1 & 2 + ü\n"),
        ("file", "t.txt"),
        ("force", "true"),
        ("parameters", r#"{"A":"x=y","B":[1],"N":2}"#),
        ("parameters_format", "json"),
    ];
    assert_eq!(
        fields,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn what_is_wrong_with_a_template_is_told_as_the_server_tells_it() {
    let site = Site::new();
    site.write("t.txt", "[[node a]]\n");
    let problem = "t.txt:1:1: a file needs one section `[cluster NAME]`";
    site.expect_text("POST /cloud/api/import_cluster/demo", 400, problem);
    let run = site.run(&["import_cluster", "demo", "-f", "t.txt"]);
    assert_eq!(run.failure(), format!("Error: {problem}\n"));

    let run = site.run(&["import_cluster", "-f", "t.txt"]);
    assert!(
        run.failure()
            .contains("`t.txt` has no section `[cluster NAME]`\nHint: "),
        "{}",
        run.stderr
    );
    let run = site.run(&["import_cluster", "demo", "-f", "none.txt"]);
    assert!(run.failure().contains("cannot read `none.txt`"), "{}", run.stderr);
    site.write("p.json", "[1]");
    let run = site.run(&["import_cluster", "demo", "-f", "t.txt", "-p", "p.json"]);
    assert!(
        run.failure().contains("`p.json` is not a JSON object"),
        "{}",
        run.stderr
    );
    let run = site.run(&["import_cluster", "demo", "-f", "t.txt", "-P", "x"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
}

#[test]
fn nodes_are_managed_and_what_cannot_be_done_is_an_error() {
    let site = Site::new();
    site.expect(
        "POST /clusters/demo/nodes/terminate",
        202,
        json!({"operationId": "o", "nodes": [
            {"name": "a", "id": "1", "status": "OK"},
            {"name": "b", "id": "2", "status": "Error", "error": "the node `b` is kept alive: clear its KeepAlive first"},
        ]}),
    );
    let run = site.run(&["terminate_node", "demo", "a", "b"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "Terminating a....\n"));
    assert!(
        run.stderr.contains("Warning: the node `b` is kept alive"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("Error: 1 node was left as it is"),
        "{}",
        run.stderr
    );
    let body: Value = serde_json::from_str(site.bodies().last().unwrap()).unwrap();
    assert_eq!(body, json!({"names": ["a", "b"]}));
    for (command, step) in [
        ("start_node", "start"),
        ("deallocate_node", "deallocate"),
        ("remove_node", "remove"),
        ("reboot_node", "restart"),
        ("reimage_node", "reimage"),
    ] {
        let nodes = json!({"operationId": "o", "nodes": [{"name": "a", "id": "1", "status": "OK"}]});
        site.expect(&format!("POST /clusters/my%20grid/nodes/{step}"), 202, nodes);
        site.run(&[command, "my grid", "a"]).success();
    }
    assert_eq!(
        site.run(&["terminate_node", "demo"]).code,
        Some(2),
        "no node is not all nodes"
    );
}

#[test]
fn nodes_are_added_and_a_shortage_is_said() {
    let site = Site::new();
    let added = |count: u32, message: Value| json!({"operationId": "o", "sets": [{"added": count, "message": message}]});
    site.expect(
        "POST /clusters/demo/nodes/create",
        202,
        added(1, json!("1 of 2 nodes added: no room")),
    );
    site.expect(
        "GET /clusters/demo/nodes?operation=o",
        200,
        json!({"nodes": [{"Name": "execute-3", "Status": "Acquiring", "MachineType": "A4"}]}),
    );
    let run = site.run(&["add_node", "demo", "-t", "execute", "-c", "2", "-m", "A4"]);
    assert_eq!(run.code, Some(0));
    assert_eq!(
        run.stdout,
        "NAME       STATUS     MACHINE TYPE\nexecute-3  Acquiring  A4\n"
    );
    assert!(
        run.stderr.contains("1 of 2 nodes added: no room"),
        "{}",
        run.stderr
    );
    site.expect(
        "POST /clusters/demo/nodes/create",
        202,
        added(0, json!("0 of 1 nodes added: no room")),
    );
    site.expect("GET /clusters/demo/nodes?operation=o", 200, json!({"nodes": []}));
    let run = site.run(&["add_node", "demo", "-t", "execute"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("Error: 0 of 1 nodes added"), "{}", run.stderr);
}

#[test]
fn a_cluster_is_deleted_and_waited_for() {
    let site = Site::new();
    site.expect(
        "POST /cloud/actions/removecluster/demo?force=true",
        200,
        json!("Removing cluster demo....\n"),
    );
    let run = site.run(&["delete_cluster", "demo", "--force"]);
    assert_eq!(run.success(), "Removing cluster demo....\n");
    let with = |status: &str| {
        json!({"Name": "demo", "State": "Started", "TargetState": "Started",
               "Nodes": [{"Name": "a", "Status": status, "TargetState": "Started", "StatusMessage": "no room"}]})
    };
    site.expect("GET /cloud/clusters/demo", 200, with("Preparing"));
    site.expect("GET /cloud/clusters/demo", 200, with("Ready"));
    let run = site.run(&["cluster", "wait", "demo", "--ready"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stderr.contains("0 of 1 nodes are Ready"), "{}", run.stderr);
    site.expect("GET /cloud/clusters/demo", 200, with("Failed"));
    let run = site.run(&["cluster", "wait", "demo"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("the node `a` failed: no room"),
        "{}",
        run.stderr
    );
    site.expect("GET /cloud/clusters", 200, json!([]));
    site.run(&["cluster", "wait", "demo", "--terminated"]).success();
    site.expect("GET /cloud/clusters/demo", 200, with("Preparing"));
    let run = site.run(&["cluster", "wait", "demo", "--timeout", "0s"]);
    assert!(run.stderr.contains("0 of 1 nodes are Ready"), "{}", run.stderr);
    assert_eq!(run.code, Some(1));
}
