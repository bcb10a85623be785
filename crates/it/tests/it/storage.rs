//! Projects in object storage: written through the server, read by nodes from the storage itself.

use testkit::{AZURE_ACCOUNT, AZURE_KEY, Azure, Project, S3, S3_KEY_ID, S3_SECRET, Site, wait_for};

const SCRIPT: &str = "#!/bin/sh
set -e
jetpack download data.bin . --project tools
cp data.bin \"$CYCLECLOUD_HOME/fetched\"
";

/// A site whose default locker is in Azure, with a second one in S3.
fn site(azure: &Azure, s3: &S3) -> Site {
    let mut site = Site::initialised();
    let settings = format!(
        "default_locker = \"azure-storage\"\n\
         [lockers.azure-storage]\nurl = \"az://{AZURE_ACCOUNT}/cyclecloud\"\nendpoint = \"{}\"\naccount_key_file = \"azure.key\"\n\
         [lockers.bucket]\nurl = \"s3://cyclecloud/team\"\nendpoint = \"{}\"\naccess_key_id = \"{S3_KEY_ID}\"\n\
         secret_access_key = \"{S3_SECRET}\"\n",
        azure.endpoint(),
        s3.endpoint()
    );
    site.write_settings("azure.key", AZURE_KEY);
    site.write_settings("cycle_server.toml", &settings);
    site.start();
    site.configure();
    site
}

#[test]
fn nodes_read_projects_from_azure_and_s3_and_download_nothing_twice() {
    let (azure, s3) = (Azure::start(), S3::start());
    let site = site(&azure, &s3);
    let mut tools = Project::new(site.folder(), "tools");
    tools
        .script("default", "010-fetch.sh", SCRIPT)
        .blob("data.bin", "from azure");
    let uploaded = site.cyclecloud_in(tools.folder(), &["project", "upload"]);
    assert!(
        uploaded.success().ends_with("Upload complete!\n"),
        "{uploaded:#?}"
    );
    let mut more = Project::new(site.folder(), "more");
    more.script(
        "default",
        "010-mark.sh",
        "#!/bin/sh\ntouch \"$CYCLECLOUD_HOME/marked\"\n",
    );
    site.cyclecloud_in(more.folder(), &["project", "upload", "bucket"])
        .success();
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default]]]\n[[[cluster-init bucket/more:default]]]\n",
    );
    site.wait_status("demo", "head", "Ready");
    let head = site.node("demo", "head");
    assert_eq!(head.read("fetched"), "from azure");
    assert!(head.home.join("marked").exists());
    let configuration = head.read("run/configuration.json");
    assert!(!configuration.contains(AZURE_KEY) && !configuration.contains(S3_SECRET));

    // All content of the blob is here: the node needs the manifest and nothing else.
    let blob = format!("az://{AZURE_ACCOUNT}/cyclecloud/projects/tools/blobs/data.bin");
    let removed = site.cyclecloud(&["locker", "rm", "azure-storage/projects/tools/blobs/data.bin"]);
    assert!(
        removed.success().contains("projects/tools/blobs/data.bin"),
        "{blob}"
    );
    let dest = site.folder().join("again");
    let again = head.jetpack(&[
        "download",
        "data.bin",
        dest.to_str().unwrap(),
        "--project",
        "tools",
    ]);
    again.success();
    assert_eq!(std::fs::read_to_string(&dest).unwrap(), "from azure");
}

#[test]
fn a_locker_that_is_away_is_named_and_its_nodes_wait() {
    let (azure, s3) = (Azure::start(), S3::start());
    let site = site(&azure, &s3);
    let mut tools = Project::new(site.folder(), "tools");
    tools.script("default", "010-x.sh", "#!/bin/sh\n");
    site.cyclecloud_in(tools.folder(), &["project", "upload"])
        .success();
    drop(azure);
    let upload = site.cyclecloud_in(tools.folder(), &["project", "upload"]);
    assert!(upload.failure().contains("azure-storage"), "{upload:#?}");
    assert!(!upload.stderr.contains(AZURE_KEY), "{upload:#?}");
    site.start_cluster(
        "demo",
        "[cluster demo]\n[[node head]]\n[[[cluster-init tools:default:1.0.0]]]\n",
    );
    let record = wait_for("the node to say what is wrong", || {
        let record = site
            .records("demo")
            .into_iter()
            .next()
            .ok_or("there is no node")?;
        match record["StatusMessage"].as_str() {
            Some(message) if message.contains("tools") => Ok(record.clone()),
            _ => Err(format!("{record:#}")),
        }
    });
    let message = record["StatusMessage"].as_str().unwrap();
    assert!(message.contains("azure-storage"), "{message}");
    assert_ne!(record["Status"], "Ready");
}
