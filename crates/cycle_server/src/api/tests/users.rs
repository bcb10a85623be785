//! Accounts over HTTP.

use serde_json::json;

use crate::testing::{ADMIN, Bench, secret};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtYXh3Rf0l5JXHmPWsMkEDbGk2v0rL8RoeUO8YQh2jD alice@laptop";

#[tokio::test]
async fn an_account_is_made_changed_and_deleted() {
    let bench = Bench::new().await;
    let new = json!({"Name": "alice", "Password": "a password", "FullName": "Alice L.", "PublicKeys": [format!("{KEY}\n")]});
    let user = bench
        .call("POST", "/cloud/api/users", Some(new.clone()))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&user["Uid"], &user["NodeAccess"], &user["NodeUser"]),
        (&json!(20_001), &json!(true), &json!(false))
    );
    assert_eq!(user["Keys"][0]["PublicKey"], KEY);
    let again = bench
        .call("POST", "/cloud/api/users", Some(new))
        .await
        .expect(409);
    assert!(again.error().contains("`alice`"));
    let taken = json!({"Uid": 20_000});
    let taken = bench
        .call("PUT", "/cloud/api/users/alice", Some(taken))
        .await
        .expect(409);
    assert!(taken.error().contains("`admin`"), "{}", taken.text);
    for (change, word) in [
        (json!({"Uid": 0}), "uid"),
        (json!({"PublicKeys": ["ssh-rsa x"]}), "damaged"),
        (json!({"FullName": "a:b"}), "colon"),
        (json!({"Password": ""}), "password"),
        (json!({"Nonsense": 1}), "Nonsense"),
    ] {
        let answer = bench
            .call("PUT", "/cloud/api/users/alice", Some(change))
            .await
            .expect(400);
        assert!(answer.error().contains(word), "{}", answer.text);
    }
    let fingerprint = user["Keys"][0]["Fingerprint"].as_str().unwrap();
    let quoted: String = fingerprint.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let path = format!("/cloud/api/users/alice/keys/{quoted}");
    let user = bench.call("DELETE", &path, None).await.expect(200).json();
    assert_eq!(user["Keys"], json!([]));
    bench.call("DELETE", &path, None).await.expect(400);
    let added = json!({"PublicKey": KEY});
    bench
        .call("POST", "/cloud/api/users/alice/keys", Some(added))
        .await
        .expect(200);

    let asks = || {
        bench
            .request("GET", "/lockers")
            .basic_auth("alice", Some("a password"))
    };
    bench.send(asks()).await.expect(403);
    bench
        .call("PUT", "/cloud/api/users/alice", Some(json!({"Disabled": true})))
        .await
        .expect(200);
    bench.send(asks()).await.expect(401);
    bench
        .call("DELETE", "/cloud/api/users/alice", None)
        .await
        .expect(204);
    bench.get("/cloud/api/users/alice").await.expect(404);
}

#[tokio::test]
async fn nobody_locks_himself_out_and_bad_names_are_refused() {
    let bench = Bench::new().await;
    let own = format!("/cloud/api/users/{}", ADMIN.0);
    bench.call("DELETE", &own, None).await.expect(409);
    bench
        .call("PUT", &own, Some(json!({"Disabled": true})))
        .await
        .expect(409);
    bench
        .call("PUT", &own, Some(json!({"Administrator": false})))
        .await
        .expect(409);
    for name in ["root", "../x", "", "a b"] {
        let new = json!({"Name": name, "Password": "x"});
        bench
            .call("POST", "/cloud/api/users", Some(new))
            .await
            .expect(400);
    }
    let nobody = bench.request("GET", "/cloud/api/users");
    bench.send(nobody).await.expect(401);
}

#[tokio::test]
async fn a_node_learns_its_users() {
    let bench = Bench::started().await;
    let change = json!({"PublicKeys": [KEY], "FullName": "The Boss"});
    bench
        .call("PUT", "/cloud/api/users/admin", Some(change))
        .await
        .expect(200);
    let configuration = bench.join("head", &secret('a')).await.expect(200).json();
    assert_eq!(
        configuration["users"],
        json!([{"fullName": "The Boss", "isAdmin": true, "isOwner": true, "name": "admin",
            "publicKeys": [format!("{KEY}\n")], "uid": 20_000}])
    );
    let user = &configuration["configuration"]["cyclecloud"]["cluster"]["user"];
    assert_eq!(
        user,
        &json!({"name": "admin", "uid": 20_000, "gid": 20_000, "full_name": "The Boss", "disabled": false,
            "public_key": KEY})
    );
}
