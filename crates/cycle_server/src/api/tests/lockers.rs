//! The locker over HTTP.

use std::path::Path;

use serde_json::json;

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
