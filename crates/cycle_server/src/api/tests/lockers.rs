//! The locker over HTTP.

use std::path::Path;

use serde_json::json;
use testkit::{AZURE_ACCOUNT, AZURE_KEY, Azure, S3, S3_KEY_ID, S3_SECRET};

use crate::testing::{ADMIN, Answer, Bench, secret};

async fn put(bench: &Bench, path: &str, body: &'static str) -> Answer {
    let request = bench
        .request("PUT", &format!("/lockers/local/{path}"))
        .basic_auth(ADMIN.0, Some(ADMIN.1))
        .body(body);
    bench.send(request).await
}

#[tokio::test]
async fn what_is_put_can_be_read_listed_and_looked_at() {
    let bench = Bench::new().await;
    put(&bench, "projects/p/1.0.0/a b.txt", "hello").await.expect(201);
    let blob = bench
        .get("/lockers/local/projects/p/1.0.0/a%20b.txt")
        .await
        .expect(200);
    assert_eq!(blob.text, "hello");
    assert!(blob.headers.contains_key("etag"));
    let head = bench
        .call("HEAD", "/lockers/local/projects/p/1.0.0/a%20b.txt", None)
        .await
        .expect(200);
    assert_eq!(
        (
            head.headers["content-length"].to_str().unwrap(),
            head.text.as_str()
        ),
        ("5", "")
    );
    let list = bench
        .get("/lockers/local/?list=projects/p/")
        .await
        .expect(200)
        .json();
    assert_eq!(list, json!([{"path": "projects/p/1.0.0/a b.txt", "size": 5}]));
    bench
        .get("/lockers/local/projects/p/none")
        .await
        .expect(404)
        .error();
    bench.get("/lockers/other/x").await.expect(404).error();
    let lockers = bench.get("/lockers").await.expect(200).json();
    assert_eq!(lockers[0]["Name"], "local");
}

#[tokio::test]
async fn a_part_of_a_blob() {
    let bench = Bench::new().await;
    put(&bench, "x", "0123456789").await.expect(201);
    let part = |range: &'static str| {
        let request = bench
            .request("GET", "/lockers/local/x")
            .basic_auth(ADMIN.0, Some(ADMIN.1))
            .header("range", range);
        bench.send(request)
    };
    let middle = part("bytes=2-4").await.expect(206);
    assert_eq!(
        (
            middle.text.as_str(),
            middle.headers["content-range"].to_str().unwrap()
        ),
        ("234", "bytes 2-4/10")
    );
    assert_eq!(part("bytes=8-").await.expect(206).text, "89");
    part("bytes=10-").await.expect(416);
}

#[tokio::test]
async fn no_path_leaves_the_locker() {
    let bench = Bench::new().await;
    for path in [
        "..%2f..%2fstore.db",
        "a%2f..%2f..%2fstore.db",
        "%2fetc%2fpasswd",
        "a%00b",
        "a%5cb",
    ] {
        bench
            .get(&format!("/lockers/local/{path}"))
            .await
            .expect(400)
            .error();
        put(&bench, path, "x").await.expect(400).error();
    }
    bench.get("/lockers/local/?list=..%2f").await.expect(400);
    assert!(!Path::new(&bench.folder().join("locker")).join("a").exists());
}

#[tokio::test]
async fn a_node_reads_the_projects_of_its_specs_and_no_others() {
    let bench = Bench::started().await;
    for path in [
        "projects/tools/1.0.0/x",
        "blobs/tools/x",
        "projects/jobs/1.0.0/x",
        "projects/toolsmith/x",
    ] {
        put(&bench, path, "x").await.expect(201);
    }
    bench.join("head", &secret('a')).await.expect(200);
    let id = bench.node("head").await.id;
    let read = |path: &'static str| {
        let request = bench
            .request("GET", &format!("/lockers/local/{path}"))
            .basic_auth(id.clone(), Some(secret('a')));
        bench.send(request)
    };
    read("projects/tools/1.0.0/x").await.expect(200);
    read("blobs/tools/x").await.expect(200);
    read("projects/jobs/1.0.0/x").await.expect(403);
    read("projects/toolsmith/x").await.expect(403);
    read("projects/tools%2f..%2fjobs/1.0.0/x").await.expect(400);
    read("?list=projects/tools/").await.expect(200);
    read("?list=projects/").await.expect(403);
}

const CLOUD_TEMPLATE: &str = "
[cluster demo]
    [[node head]]
    MachineType = small
        [[[cluster-init bucket/tools:head]]]
        [[[cluster-init jobs:head:1.0.0]]]
    [[node other]]
    MachineType = small
        [[[cluster-init jobs:head:1.0.0]]]
";

/// A site with two lockers in object storage; that of Azure is the default.
async fn in_the_cloud(azure: &Azure, s3: &S3) -> Bench {
    let bench = Bench::with_settings(&format!(
        "default_locker = \"azure-storage\"\n\
         [lockers.azure-storage]\nurl = \"az://{AZURE_ACCOUNT}/cyclecloud/site\"\nendpoint = \"{}\"\n\
         account_key = \"{AZURE_KEY}\"\n\
         [lockers.bucket]\nurl = \"s3://cyclecloud\"\nendpoint = \"{}\"\naccess_key_id = \"{S3_KEY_ID}\"\n\
         secret_access_key = \"{S3_SECRET}\"\n\
         [lockers.through]\nurl = \"az://{AZURE_ACCOUNT}/cyclecloud/site\"\nendpoint = \"{}\"\n\
         account_key = \"{AZURE_KEY}\"\nredirect = false\n",
        azure.endpoint(),
        s3.endpoint(),
        azure.endpoint(),
    ))
    .await;
    bench.start(CLOUD_TEMPLATE).await;
    bench
}

async fn put_to(bench: &Bench, path: &str, body: &'static str) -> Answer {
    let request = bench
        .request("PUT", &format!("/lockers/{path}"))
        .basic_auth(ADMIN.0, Some(ADMIN.1))
        .body(body);
    bench.send(request).await
}

#[tokio::test]
async fn blobs_of_object_storage_are_read_there_and_written_through_the_server() {
    let (azure, s3) = (Azure::start(), S3::start());
    let bench = in_the_cloud(&azure, &s3).await;
    let lockers = bench.get("/lockers").await.expect(200).json();
    let names: Vec<_> = lockers
        .as_array()
        .unwrap()
        .iter()
        .map(|locker| &locker["Name"])
        .collect();
    assert_eq!(names, ["azure-storage", "bucket", "local", "through"]);
    assert_eq!(
        lockers[0]["Storage"],
        format!("az://{AZURE_ACCOUNT}/cyclecloud/site")
    );
    assert_eq!(lockers[0]["Default"], true);

    for (locker, storage) in [("azure-storage", azure.endpoint()), ("bucket", s3.endpoint())] {
        let strange = format!("/lockers/{locker}/blobs/a%20b/%c3%bc+.txt");
        put_to(&bench, &strange["/lockers/".len()..], "strange")
            .await
            .expect(201);
        assert_eq!(bench.get(&strange).await.expect(200).text, "strange");
        let path = format!("/lockers/{locker}/projects/tools/1.0.0/a.txt");
        put_to(&bench, &path["/lockers/".len()..], "hello")
            .await
            .expect(201);
        let head = bench.call("HEAD", &path, None).await.expect(200);
        assert_eq!(head.headers["content-length"], "5");
        let list = bench
            .get(&format!("/lockers/{locker}/?list=projects"))
            .await
            .expect(200)
            .json();
        assert_eq!(list, json!([{"path": "projects/tools/1.0.0/a.txt", "size": 5}]));

        // Our client follows redirects, and does not take the credential along.
        let blob = bench.get(&path).await.expect(200);
        assert_eq!(blob.text, "hello");
        let answer = bench.unfollowed(&path).await.expect(307);
        let location = answer.headers["location"].to_str().unwrap();
        assert!(location.starts_with(&storage), "{location}");
        assert!(
            !location.contains(AZURE_KEY) && !location.contains(S3_SECRET),
            "{location}"
        );
        assert_eq!(answer.headers["cache-control"], "private, max-age=600");

        bench.call("DELETE", &path, None).await.expect(204);
        bench.call("DELETE", &path, None).await.expect(404);
        bench.get(&path).await.expect(404);
    }
    put_to(&bench, "through/blobs/x", "hello").await.expect(201);
    let through = bench.unfollowed("/lockers/through/blobs/x").await.expect(200);
    assert_eq!(through.text, "hello");
}

#[tokio::test]
async fn a_node_learns_of_the_lockers_of_its_specs_and_is_signed_no_other_blobs() {
    let (azure, s3) = (Azure::start(), S3::start());
    let bench = in_the_cloud(&azure, &s3).await;
    for version in ["1.9.0", "1.10.0"] {
        let path = format!("bucket/projects/tools/{version}/manifest.json");
        put_to(&bench, &path, "{}").await.expect(201);
    }
    for path in [
        "azure-storage/projects/jobs/x",
        "azure-storage/projects/tools/x",
        "bucket/projects/jobs/x",
    ] {
        put_to(&bench, path, "x").await.expect(201);
    }
    let head = bench.join("head", &secret('a')).await.expect(200).json();
    let lockers: Vec<_> = head["lockers"].as_object().unwrap().keys().collect();
    assert_eq!(lockers, ["azure-storage", "bucket"]);
    assert_eq!(head["cluster_init_specs"][0]["version"], "1.10.0");
    assert_eq!(head["cluster_init_specs"][0]["locker"], "bucket");
    assert_eq!(head["cluster_init_specs"][1]["locker"], "azure-storage");
    let other = bench.join("other", &secret('b')).await.expect(200).json();
    let lockers: Vec<_> = other["lockers"].as_object().unwrap().keys().collect();
    assert_eq!(lockers, ["azure-storage"]);

    let id = bench.node("head").await.id;
    let read = |path: &'static str| {
        let request = bench.request("GET", &format!("/lockers/{path}"));
        bench.send(request.basic_auth(id.clone(), Some(secret('a'))))
    };
    read("bucket/projects/tools/1.10.0/manifest.json")
        .await
        .expect(200);
    read("azure-storage/projects/jobs/x").await.expect(200);
    for path in [
        "bucket/projects/jobs/x",
        "azure-storage/projects/tools/x",
        "through/projects/jobs/x",
        "local/projects/jobs/x",
        "azure-storage/issues/x",
    ] {
        read(path).await.expect(403);
    }
    let delete = bench.request("DELETE", "/lockers/azure-storage/projects/jobs/x");
    let delete = delete.basic_auth(id.clone(), Some(secret('a')));
    bench.send(delete).await.expect(403);
}
