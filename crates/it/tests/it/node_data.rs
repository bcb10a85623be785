//! What a node says of itself, its machine and its cluster: `jetpack config`, properties, and files for other software.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;
use testkit::{Cloud, FakeMetadata, Mood, Node, Program, Site, azure_document, refusing_url, wait_for};

const TEMPLATE: &str = "[cluster demo]
[[node head]]
[[[configuration]]]
cyclecloud.enable_chef = false
run_list = role[scheduler], recipe[slurm::login]
hostname = by-template
slurm.version = 23.11
kernel.tuning = nvidia
";

fn config(head: &Node, key: &str) -> String {
    let run = head.jetpack(&["config", key]);
    run.success().trim_end_matches('\n').to_owned()
}

fn properties(head: &Node) -> Value {
    serde_json::from_str(&head.read("config/properties.json")).unwrap()
}

/// What the server knows of the node's properties.
fn told(site: &Site) -> Value {
    let record = site.request("GET", "/cloud/api/nodes/head?cluster=demo", None);
    record.json()["Properties"].clone()
}

#[test]
fn a_node_knows_its_machine_its_cloud_and_its_cluster() {
    let site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    let record = site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let hostname = hostname.trim().split('.').next().unwrap().to_owned();
    for (key, expected) in [
        ("cyclecloud.node.name", "head"),
        ("cyclecloud.node.id", record["NodeId"].as_str().unwrap()),
        ("cyclecloud.config.username", record["NodeId"].as_str().unwrap()),
        ("cyclecloud.config.web_server", site.url()),
        ("cyclecloud.cluster.start_count", "1"),
        ("cyclecloud.cluster.user.name", site.admin().0),
        ("cyclecloud.instance.hostname", &hostname),
        ("hostname", &hostname),
        ("cyclecloud.overridden.hostname", "by-template"),
        ("kernel.name", "Linux"),
        ("kernel.tuning", "nvidia"),
        ("slurm.version", "23.11"),
        ("roles", "['scheduler']"),
        ("recipes", "['slurm::login']"),
        ("cyclecloud.home", head.home.to_str().unwrap()),
    ] {
        assert_eq!(config(&head, key), expected, "{key}");
    }
    let connection: Value = serde_json::from_str(&head.read("config/connection.json")).unwrap();
    assert_eq!(
        config(&head, "cyclecloud.config.password"),
        connection["password"]
    );
    for file in ["config/node.json", "config/properties.json"] {
        assert_eq!(
            fs::metadata(head.home.join(file)).unwrap().mode() & 0o777,
            0o640,
            "{file}"
        );
    }
}

#[test]
fn what_the_cloud_says_reaches_scripts_and_the_server() {
    let mut site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    let missing = head.jetpack(&["config", "azure.metadata.compute.vmSize"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));

    let fake = FakeMetadata::azure("Standard_HB120rs_v3");
    let mut ini = fs::OpenOptions::new()
        .append(true)
        .open(head.home.join("config/jetpack.ini"))
        .unwrap();
    writeln!(ini, "\n[metadata]\nazure = {}", fake.url()).unwrap();
    head.jetpack(&["converge"]).success();
    assert_eq!(
        config(&head, "azure.metadata.compute.vmSize"),
        "Standard_HB120rs_v3"
    );
    assert_eq!(
        config(&head, "azure.metadata.compute.tags"),
        "ClusterId:demo;Name:scheduler"
    );
    assert_eq!(config(&head, "cloud.local_ipv4"), "10.0.0.4");
    assert_eq!(config(&head, "cyclecloud.instance.public_hostname"), "20.1.2.3");
    let facts = head.jetpack(&["facts", "cloud/provider", "azure.metadata.compute.vmSize"]);
    assert_eq!(facts.success(), "azure\nStandard_HB120rs_v3\n");
    let other = head.jetpack(&["facts", "gce"]);
    assert!(other.failure().contains("no attribute `gce`"), "{other:?}");
    let whole = head.jetpack(&["config", "azure.metadata", "--json"]);
    let whole: Value = serde_json::from_str(whole.success()).unwrap();
    assert_eq!(
        whole,
        azure_document("Standard_HB120rs_v3"),
        "as the service has it"
    );

    let tree = properties(&head);
    assert_eq!(tree["azure"]["vm_size"], "Standard_HB120rs_v3");
    assert_eq!(tree["cyclecloud"]["cluster"], "demo");
    assert_eq!(tree["cyclecloud"]["owner"], site.admin().0);
    assert_eq!(tree["cyclecloud"]["url"], site.url());
    assert!(
        tree["os"]["id"].is_string() && tree["vm"]["hostname"].is_string(),
        "{tree}"
    );
    wait_for("the server to know the properties", || {
        let told = told(&site);
        if told == tree { Ok(()) } else { Err(told) }
    });

    // Nothing has changed: nothing is written, and a proxy would see nothing of it.
    let before = fs::metadata(head.home.join("config/properties.json"))
        .unwrap()
        .ino();
    let asked = fake.requests().len();
    Program::new("jetpack")
        .args(["converge"])
        .env("CYCLECLOUD_HOME", &head.home)
        .env("http_proxy", refusing_url())
        .env("no_proxy", site.url().trim_start_matches("http://"))
        .run()
        .success();
    assert_eq!(fake.requests().len(), asked + 1);
    let after = fs::metadata(head.home.join("config/properties.json"))
        .unwrap()
        .ino();
    assert_eq!(after, before);
    let log = head.read("logs/jetpack.log");
    assert!(!log.contains("going on with what the cloud"), "{log}");

    // The machine was resized; later the service does not answer.
    fake.set_cloud(Cloud::Azure(azure_document("Standard_HB176rs_v4")));
    head.jetpack(&["converge"]).success();
    wait_for("the server to know the new size", || {
        let told = told(&site);
        if told["azure"]["vm_size"] == "Standard_HB176rs_v4" {
            Ok(())
        } else {
            Err(told)
        }
    });
    fake.set_mood(Mood::Says(404, "text/html", b"<html>".to_vec()));
    head.jetpack(&["converge"]).success();
    assert_eq!(
        config(&head, "azure.metadata.compute.vmSize"),
        "Standard_HB176rs_v4"
    );
    let log = head.read("logs/jetpack.log");
    assert!(
        log.contains("going on with what the cloud of this machine said last"),
        "{log}"
    );

    // The server is away: the machine is asked all the same, and the server is told later.
    site.stop();
    fake.set_mood(Mood::Good);
    fake.set_cloud(Cloud::Azure(azure_document("Standard_D4s_v5")));
    let run = head.jetpack(&["converge"]);
    run.success();
    assert!(run.stderr.contains("as it was last fetched"), "{run:?}");
    assert_eq!(config(&head, "azure.metadata.compute.vmSize"), "Standard_D4s_v5");
    site.start();
    wait_for("the server to know the last size", || {
        let told = told(&site);
        if told["azure"]["vm_size"] == "Standard_D4s_v5" {
            Ok(())
        } else {
            Err(told)
        }
    });
}

#[test]
fn other_software_finds_the_environment_of_scripts() {
    let site = Site::new();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    let wrapper = head.home.join("system/bootstrap/cron_wrapper.sh");
    let run = Program::at(&wrapper)
        .args(["jetpack", "config", "cyclecloud.node.name"])
        .env("PATH", "/usr/bin:/bin")
        .run();
    assert_eq!(run.success(), "head\n");
    let run = Program::at(&wrapper)
        .args(["jetpack", "config", "no.such.key"])
        .env("PATH", "/usr/bin:/bin")
        .run();
    assert_eq!(run.code, Some(1), "{run:?}");
    let script = format!(
        ". '{}'; python -c 'from jetpack import props; print(props.get(\"cyclecloud.cluster\"))'",
        head.home.join("system/bin/cyclecloud-env.sh").display()
    );
    let run = Program::at("/bin/sh".as_ref())
        .args(["-c", &script])
        .env("PATH", "/bin")
        .run();
    assert_eq!(run.success(), "demo\n");
}
