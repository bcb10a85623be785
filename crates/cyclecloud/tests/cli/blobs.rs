//! `cyclecloud locker`: blobs of a locker of the server, of Azure and of S3.

use serde_json::json;
use testkit::{AZURE_ACCOUNT, AZURE_KEY, Azure, S3, S3_KEY_ID, S3_SECRET};

use crate::site::Site;

#[test]
fn lockers_are_listed_with_the_storage_behind_them() {
    let site = Site::new();
    let lockers = json!([
        {"Name": "azure-storage", "Url": "http://x/lockers/azure-storage", "Storage": "az://acct/cyclecloud", "Default": true},
        {"Name": "local", "Url": "http://x/lockers/local"},
    ]);
    let expect = || site.expect("GET /lockers", 200, lockers.clone());
    expect();
    assert_eq!(
        site.run(&["locker", "list"]).success(),
        "azure-storage (az://acct/cyclecloud)\nlocal (http://x/lockers/local)\n"
    );
    expect();
    assert_eq!(site.run(&["locker", "ls"]).success(), site_list());
    expect();
    assert_eq!(
        site.run(&["locker", "show", "azure-storage"]).success(),
        "Name: azure-storage\nUrl: http://x/lockers/azure-storage\nStorage: az://acct/cyclecloud\nDefault: true\n"
    );
    expect();
    assert_eq!(
        site.run(&["locker", "show", "none"]).failure(),
        "Error: there is no locker `none`\nHint: the lockers of this server are: `azure-storage`, `local`\n"
    );
}

fn site_list() -> &'static str {
    "azure-storage (az://acct/cyclecloud)\nlocal (http://x/lockers/local)\n"
}

/// Puts, lists, gets and removes below `target`, which is a locker and prints itself as `printed`.
fn everything(site: &Site, target: &str, printed: &str, expect: impl Fn()) {
    let run = |args: &[&str]| {
        expect();
        site.run(args)
    };
    let at = |path: &str| format!("{target}/{path}");
    site.write("a.txt", "hello");
    site.write("tree/b/c.txt", "c");
    site.write("tree/d.txt", "dd");
    let put = run(&["locker", "put", "a.txt", &at("blobs/demo/")]);
    assert_eq!(put.success(), format!("{printed}/blobs/demo/a.txt\n"));
    let put = run(&["locker", "put", "a.txt", &at("top")]);
    assert_eq!(put.success(), format!("{printed}/top\n"));
    let put = run(&["locker", "put", "-r", "tree", &at("blobs/tree")]);
    assert_eq!(
        put.success(),
        format!("{printed}/blobs/tree/b/c.txt\n{printed}/blobs/tree/d.txt\n")
    );
    let put = run(&["locker", "put", "-r", "tree", &at("blobs/tree")]);
    put.success();

    assert_eq!(run(&["locker", "ls", target]).success(), "blobs/\ntop\n");
    assert_eq!(
        run(&["locker", "ls", "-l", &at("blobs/tree/")]).success(),
        "                 b/\n              2  d.txt\n"
    );
    assert_eq!(
        run(&["locker", "ls", "--recursive", &at("blobs")]).success(),
        "demo/a.txt\ntree/b/c.txt\ntree/d.txt\n"
    );
    assert_eq!(run(&["locker", "ls", &at("top")]).success(), "top\n");
    let none = run(&["locker", "ls", &at("none")]);
    assert_eq!(
        none.failure(),
        format!("Error: there is nothing at `{target}/none`\n")
    );

    assert_eq!(
        run(&["locker", "get", &at("blobs/demo/a.txt"), "copy"]).success(),
        "copy (5 bytes)\n"
    );
    assert_eq!(site.read("copy"), "hello");
    assert_eq!(
        run(&["locker", "get", "-r", &at("blobs/tree"), "back"]).success(),
        "back/b/c.txt (1 bytes)\nback/d.txt (2 bytes)\n"
    );
    assert_eq!(site.read("back/b/c.txt"), "c");
    let folder = run(&["locker", "get", &at("blobs/tree/")]);
    assert!(folder.failure().contains("is a folder: `--recursive`"));
    assert!(
        run(&["locker", "get", &at("none")])
            .failure()
            .contains("`none` is not in the locker")
    );
    let bad = run(&["locker", "get", &at("../x")]);
    assert!(bad.failure().contains("the path `../x` has a step `.` or `..`"));

    assert_eq!(
        run(&["locker", "rm", &at("top")]).success(),
        format!("{printed}/top\n")
    );
    assert!(
        run(&["locker", "rm", &at("top")])
            .failure()
            .contains("`top` is not in the locker")
    );
    assert!(
        run(&["locker", "rm", target])
            .failure()
            .contains("is a whole locker")
    );
    assert!(
        run(&["locker", "rm", &at("blobs/")])
            .failure()
            .contains("is a folder")
    );
    run(&["locker", "rm", "-r", &at("blobs")]).success();
    assert_eq!(run(&["locker", "ls", target]).success(), "");
}

#[test]
fn blobs_of_a_locker_of_the_server() {
    let site = Site::new();
    let printed = format!("{}/lockers/local", site.url());
    everything(&site, "local", &printed, || {
        site.expect_lockers();
    });
}

#[test]
fn blobs_of_azure() {
    let site = Site::without_configuration();
    let azure = Azure::start();
    let url = format!("az://{AZURE_ACCOUNT}/cyclecloud");
    site.write(
        "config.ini",
        &format!(
            "[pogo storage]\ntype = az\nmatches = {url}\naccount_key = {AZURE_KEY}\nendpoint = {}\n",
            azure.endpoint()
        ),
    );
    everything(&site, &url, &url, || {});
}

#[test]
fn blobs_of_s3() {
    let site = Site::without_configuration();
    let s3 = S3::start();
    site.write(
        "config.ini",
        &format!(
            "[pogo storage]\ntype = s3\nmatches = s3://cyclecloud\naccess_key = {S3_KEY_ID}\nsecret_key = {S3_SECRET}\n\
             endpoint = {}\n",
            s3.endpoint()
        ),
    );
    everything(&site, "s3://cyclecloud", "s3://cyclecloud", || {});
}

#[test]
fn what_is_no_place_in_a_locker_is_refused() {
    let site = Site::new();
    let refused = |target: &str| site.run(&["locker", "ls", target]).failure().to_owned();
    assert!(refused("ftp://x/y").contains("`ftp://x/y` is no place in a locker"));
    assert!(refused("/x").contains("names no locker"));
    assert!(refused("az://acct").contains("names no container"));
    site.expect_lockers();
    assert!(refused("none/x").contains("there is no locker `none`"));
    let missing = site.run(&["locker", "put", "none.txt", "local/x"]);
    assert!(missing.failure().contains("cannot read `none.txt`"));
}
