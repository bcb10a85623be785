//! Import, start, status.

use serde_json::{Value, json};

use crate::testing::{Bench, TEMPLATE};

#[tokio::test]
async fn a_template_with_an_error_says_where() {
    let bench = Bench::new().await;
    let answer = bench
        .import("[cluster demo]\n[[nodde head]]\n", false)
        .await
        .expect(400);
    assert!(answer.error().starts_with("demo.txt:2:"), "{}", answer.error());
    bench.get("/cloud/clusters/demo").await.expect(404);
}

#[tokio::test]
async fn a_cluster_is_replaced_only_by_force() {
    let bench = Bench::new().await;
    let answer = bench.import(TEMPLATE, false).await.expect(200);
    assert!(answer.text.starts_with("Importing cluster demo...."));
    let before = bench.node("head").await.id;
    let refused = bench.import(TEMPLATE, false).await.expect(409);
    assert!(refused.error().contains("force"));
    bench.import(TEMPLATE, true).await.expect(200);
    assert_eq!(bench.node("head").await.id, before);
}

#[tokio::test]
async fn parameters_that_are_no_object_are_refused() {
    let bench = Bench::new().await;
    let request = bench
        .request("POST", "/cloud/api/import_cluster/demo")
        .basic_auth(crate::testing::ADMIN.0, Some(crate::testing::ADMIN.1))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("cluster=%5Bcluster+demo%5D&parameters=%5B1%5D");
    assert!(
        bench
            .send(request)
            .await
            .expect(400)
            .error()
            .contains("parameters")
    );
}

#[tokio::test]
async fn an_imported_cluster_has_no_state_until_it_starts() {
    let bench = Bench::new().await;
    bench.import(TEMPLATE, false).await.expect(200);
    let status = bench.get("/clusters/demo/status").await.expect(200).json();
    assert_eq!(status.get("state"), None);
    assert_eq!(
        status["nodearrays"][0]["buckets"][0]["invalidReason"],
        "NotActivated"
    );
    let summary = bench.get("/cloud/clusters/demo").await.expect(200).json();
    assert_eq!(summary["Nodes"][0]["Status"], "Off");
    bench
        .call("POST", "/cloud/actions/startcluster/nope", None)
        .await
        .expect(404);
    bench
        .call("POST", "/cloud/actions/startcluster/demo", None)
        .await
        .expect(200);
    let status = bench.get("/clusters/demo/status").await.json();
    assert_eq!(
        (&status["state"], &status["targetState"]),
        (&json!("Starting"), &json!("Started"))
    );
}

#[tokio::test]
async fn status_has_all_that_autoscalers_insist_on() {
    let bench = Bench::started().await;
    let status = bench
        .get("/clusters/demo/status?nodes=True")
        .await
        .expect(200)
        .json();
    let names: Vec<&Value> = status["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["Name"])
        .collect();
    assert_eq!(names, ["execute-1", "execute-2"], "array nodes only");
    let array = &status["nodearrays"][0];
    for key in ["Region", "SubnetId", "Configuration", "MachineType"] {
        assert!(array["nodearray"].get(key).is_some(), "{key}");
    }
    let bucket = &array["buckets"][0];
    for key in [
        "activeCount",
        "activeCoreCount",
        "availableCount",
        "availableCoreCount",
        "bucketId",
        "definition",
        "familyConsumedCoreCount",
        "familyQuotaCoreCount",
        "maxCount",
        "maxCoreCount",
        "placementGroups",
        "regionalConsumedCoreCount",
        "regionalQuotaCoreCount",
        "valid",
        "virtualMachine",
    ] {
        assert!(bucket.get(key).is_some(), "{key}");
    }
    assert_eq!(bucket["valid"], true);
    assert_eq!(
        (
            &bucket["activeCount"],
            &bucket["availableCount"],
            &bucket["maxCount"]
        ),
        (&json!(2), &json!(2), &json!(4))
    );
    assert_eq!(bucket["virtualMachine"]["vcpuCount"], 1);
    for key in [
        "Name",
        "NodeId",
        "Template",
        "MachineType",
        "Status",
        "TargetState",
        "Hostname",
        "PrivateIp",
    ] {
        assert!(status["nodes"][0].get(key).is_some(), "{key}");
    }
    assert!(status["nodes"][0]["Configuration"].is_object());
    let plain = bench.get("/clusters/demo/status").await.json();
    assert_eq!(plain.get("nodes"), None);
    assert_eq!(
        bucket["bucketId"],
        plain["nodearrays"][0]["buckets"][0]["bucketId"]
    );
}

#[tokio::test]
async fn what_does_not_exist_is_said_as_json() {
    let bench = Bench::new().await;
    assert!(
        bench
            .get("/clusters/nope/status")
            .await
            .expect(404)
            .error()
            .contains("`nope`")
    );
    bench.get("/nothing/here").await.expect(404).error();
    bench
        .call("DELETE", "/cloud/clusters", None)
        .await
        .expect(405)
        .error();
}
