//! Asking the metadata services of clouds, each of which is played by a real HTTP server that knows its rules.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failure is a failed test, also in helpers"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use facts::Machine;
use facts::metadata::{Outcome, discover};
use node::settings::{MetadataProvider, MetadataSettings};
use serde_json::{Map, Value, json};
use testkit::{Cloud, FakeMetadata, Mood, azure_document, refusing_url, wait_for};

/// No test waits so long; it is there so that a slow machine changes no outcome.
const LONG: Duration = Duration::from_secs(60);
/// For services that never answer.
const SHORT: Duration = Duration::from_millis(200);

fn settings() -> MetadataSettings {
    MetadataSettings {
        timeout: LONG,
        ..MetadataSettings::default()
    }
}

/// Asks from a machine that has no firmware, so that only those services are asked that the settings name.
async fn ask(settings: &MetadataSettings) -> Outcome {
    let root = tempfile::tempdir().unwrap();
    discover(settings, &Machine::at(root.path())).await
}

async fn found(settings: &MetadataSettings) -> (String, Map<String, Value>) {
    match ask(settings).await {
        Outcome::Found(metadata) => (metadata.provider, metadata.attributes),
        outcome => panic!("{outcome:?}"),
    }
}

async fn failure(settings: &MetadataSettings) -> String {
    match ask(settings).await {
        Outcome::Silent { failures, certain } => {
            assert!(certain, "the settings name it");
            failures
                .iter()
                .map(|(cloud, error)| format!("{cloud}: {error}"))
                .collect::<Vec<_>>()
                .join("; ")
        }
        outcome => panic!("{outcome:?}"),
    }
}

fn leaves(leaves: &[(&str, &str)]) -> BTreeMap<String, String> {
    leaves
        .iter()
        .map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
        .collect()
}

fn gcp() -> Cloud {
    Cloud::Gcp(json!({
        "instance": {
            "hostname": "n1.c.demo.internal",
            "machineType": "projects/1/machineTypes/c2-standard-60",
            "networkInterfaces": [{"ip": "10.128.0.2", "accessConfigs": [{"externalIp": "34.1.2.3"}, {"externalIp": ""}]}],
        },
        "project": {"projectId": "demo"},
    }))
}

#[tokio::test]
async fn azure_is_told_as_its_document_says() {
    let fake = FakeMetadata::azure("Standard_HB120rs_v3");
    let settings = MetadataSettings {
        azure: Some(fake.url().to_owned()),
        ..settings()
    };
    let (provider, attributes) = found(&settings).await;
    assert_eq!(provider, "azure");
    assert_eq!(
        attributes["azure"],
        json!({"metadata": azure_document("Standard_HB120rs_v3")})
    );
    assert_eq!(
        attributes["azure"]["metadata"]["compute"]["resourceGroupName"],
        "demo-größe"
    );
    assert_eq!(
        attributes["cloud"],
        json!({
            "provider": "azure",
            "public_ipv4_addrs": ["20.1.2.3"],
            "public_ipv4": "20.1.2.3",
            "local_ipv4_addrs": ["10.0.0.4"],
            "local_ipv4": "10.0.0.4",
        })
    );
    assert_eq!(fake.requests(), ["GET /metadata/instance?api-version=2021-02-01"]);
}

#[tokio::test]
async fn an_older_service_of_azure_is_asked_in_its_version() {
    let fake = FakeMetadata::azure("Standard_D2s_v5");
    fake.set_mood(Mood::Knows("2019-06-04"));
    let settings = MetadataSettings {
        azure: Some(fake.url().to_owned()),
        ..settings()
    };
    found(&settings).await;
    assert_eq!(
        fake.requests()[1],
        "GET /metadata/instance?api-version=2019-06-04"
    );
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn aws_is_read_with_a_token_and_without_credentials() {
    let tree = leaves(&[
        ("ami-id", "ami-0abcdef1234567890"),
        ("iam/info", r#"{"Code": "Success"}"#),
        ("iam/security-credentials/role", "SECRET"),
        (
            "identity-credentials/ec2/security-credentials/ec2-instance",
            "SECRET",
        ),
        ("instance-id", "i-1234567890abcdef0"),
        ("instance-type", "hpc6a.48xlarge"),
        ("local-hostname", "ip-10-0-0-4.ec2.internal"),
        ("local-ipv4", "10.0.0.4"),
        (
            "network/interfaces/macs/0e:49:61:0f:c3:11/local-ipv4s",
            "10.0.0.4",
        ),
        ("placement/availability-zone", "us-east-2b"),
        ("public-hostname", "ec2-3-1-2-3.compute.amazonaws.com"),
        ("public-ipv4", "3.1.2.3"),
        ("public-keys/0/openssh-key", "ssh-rsa AAAA größe"),
        ("security-groups", "default\nhpc"),
    ]);
    let identity =
        json!({"accountId": "123456789012", "region": "us-east-2", "availabilityZone": "us-east-2b"});
    let fake = FakeMetadata::start(Cloud::Aws(tree, identity));
    let settings = MetadataSettings {
        aws: Some(fake.url().to_owned()),
        ..settings()
    };
    let (provider, attributes) = found(&settings).await;
    assert_eq!(provider, "aws");
    assert_eq!(
        attributes["ec2"],
        json!({
            "account_id": "123456789012",
            "ami_id": "ami-0abcdef1234567890",
            "availability_zone": "us-east-2b",
            "iam": {"info": {"Code": "Success"}},
            "instance_id": "i-1234567890abcdef0",
            "instance_type": "hpc6a.48xlarge",
            "local_hostname": "ip-10-0-0-4.ec2.internal",
            "local_ipv4": "10.0.0.4",
            "network_interfaces_macs": {"0e:49:61:0f:c3:11": {"local_ipv4s": "10.0.0.4"}},
            "placement_availability_zone": "us-east-2b",
            "public_hostname": "ec2-3-1-2-3.compute.amazonaws.com",
            "public_ipv4": "3.1.2.3",
            "public_keys_0_openssh_key": "ssh-rsa AAAA größe",
            "region": "us-east-2",
            "security_groups": ["default", "hpc"],
        })
    );
    assert_eq!(
        attributes["cloud"]["public_hostname"],
        "ec2-3-1-2-3.compute.amazonaws.com"
    );
    assert_eq!(attributes["cloud"]["provider"], "ec2");
    assert!(
        !fake
            .requests()
            .iter()
            .any(|request| request.contains("credentials"))
    );
}

#[tokio::test]
async fn google_and_openstack_have_their_sections_without_secrets() {
    let google = FakeMetadata::start(gcp());
    let (provider, attributes) = found(&MetadataSettings {
        gcp: Some(google.url().to_owned()),
        ..settings()
    })
    .await;
    assert_eq!(provider, "gcp");
    assert_eq!(attributes["gce"]["project"]["projectId"], "demo");
    assert_eq!(
        attributes["cloud"],
        json!({
            "provider": "gce",
            "local_hostname": "n1.c.demo.internal",
            "public_ipv4_addrs": ["34.1.2.3"],
            "public_ipv4": "34.1.2.3",
            "local_ipv4_addrs": ["10.128.0.2"],
            "local_ipv4": "10.128.0.2",
        })
    );

    let document = json!({"uuid": "d8e0", "name": "n1", "admin_pass": "hush", "random_seed": "x", "hostname": "n1.novalocal"});
    let openstack = FakeMetadata::start(Cloud::Openstack(
        document,
        leaves(&[("local-ipv4", "192.168.0.7")]),
    ));
    let (provider, attributes) = found(&MetadataSettings {
        openstack: Some(openstack.url().to_owned()),
        ..settings()
    })
    .await;
    assert_eq!(provider, "openstack");
    assert_eq!(
        attributes["openstack"],
        json!({
            "uuid": "d8e0",
            "name": "n1",
            "hostname": "n1.novalocal",
            "provider": "openstack",
            "local_ipv4": "192.168.0.7",
        })
    );
    assert_eq!(attributes["cloud"]["local_hostname"], "n1.novalocal");
    assert_eq!(attributes["cloud"]["local_ipv4"], "192.168.0.7");
}

#[tokio::test]
async fn the_preferred_cloud_wins_although_another_one_is_quicker() {
    let (azure, google) = (FakeMetadata::azure("Standard_D2s_v5"), FakeMetadata::start(gcp()));
    azure.set_mood(Mood::Silent);
    let settings = MetadataSettings {
        azure: Some(azure.url().to_owned()),
        gcp: Some(google.url().to_owned()),
        ..settings()
    };
    let asked = tokio::spawn(async move { found(&settings).await });
    // The one has answered by now, or is about to; the other one has not.
    tokio::task::spawn_blocking(move || {
        wait_for("both to be asked", || {
            let asked = !azure.requests().is_empty() && !google.requests().is_empty();
            asked.then_some(()).ok_or("not yet")
        });
        azure.set_mood(Mood::Good);
        (azure, google)
    })
    .await
    .unwrap();
    let (provider, _) = asked.await.unwrap();
    assert_eq!(provider, "azure");
}

#[tokio::test]
async fn a_cloud_that_never_answers_leaves_the_place_to_the_next() {
    let (azure, google) = (FakeMetadata::azure("Standard_D2s_v5"), FakeMetadata::start(gcp()));
    azure.set_mood(Mood::Silent);
    let mut settings = MetadataSettings {
        azure: Some(azure.url().to_owned()),
        gcp: Some(google.url().to_owned()),
        timeout: SHORT,
        ..settings()
    };
    // What answers in time stays answered while the others are waited for.
    let (provider, _) = found(&settings).await;
    assert_eq!(provider, "gcp");
    settings.gcp = None;
    assert_eq!(
        failure(&settings).await,
        format!(
            "azure: `{}/metadata/instance?api-version=2021-02-01` did not answer within 200 ms",
            azure.url()
        )
    );
}

#[tokio::test]
async fn what_is_no_metadata_is_refused_with_a_reason() {
    let fake = FakeMetadata::azure("Standard_D2s_v5");
    let settings = MetadataSettings {
        azure: Some(fake.url().to_owned()),
        ..settings()
    };
    let not_azure = "is not the metadata of an Azure machine";
    for (mood, expected) in [
        (
            Mood::Says(200, "text/html", b"<html>Log in</html>".to_vec()),
            not_azure,
        ),
        (
            Mood::Says(200, "application/json", b"{\"compute\": {\"vmSi".to_vec()),
            not_azure,
        ),
        (Mood::Says(200, "application/json", b"[]".to_vec()), not_azure),
        (
            Mood::Says(200, "application/json", b"{\"compute\": 1}".to_vec()),
            not_azure,
        ),
        (
            Mood::Says(200, "application/json", b"{\"a\": \"\xff\"}".to_vec()),
            not_azure,
        ),
        (
            Mood::Says(200, "application/json", vec![b' '; 3 << 20]),
            "is larger than 1024 KiB",
        ),
        (
            Mood::Says(404, "text/plain", Vec::new()),
            "answered 404 Not Found",
        ),
        (
            Mood::Says(400, "text/plain", b"?".to_vec()),
            "answered 400 Bad Request",
        ),
        (
            Mood::Redirects("http://127.0.0.1:1/".to_owned()),
            "answered 302 Found",
        ),
        (Mood::Cut, "cannot read `http://"),
    ] {
        fake.set_mood(mood.clone());
        let failure = failure(&settings).await;
        assert!(failure.contains(expected), "{mood:?}: {failure}");
        assert!(
            failure.contains("/metadata/instance?api-version=2021-02-01`"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn pages_of_another_service_pass_for_no_cloud() {
    let page = Mood::Says(200, "text/html", b"<html>Log in</html>".to_vec());
    for (cloud, expected) in [
        (
            Cloud::Aws(BTreeMap::new(), Value::Null),
            "is not a session token of EC2",
        ),
        (gcp(), "is not the metadata of a machine of Google Compute Engine"),
        (
            Cloud::Openstack(json!({}), BTreeMap::new()),
            "is not the metadata of an OpenStack machine",
        ),
    ] {
        let fake = FakeMetadata::start(cloud.clone());
        fake.set_mood(page.clone());
        let mut settings = settings();
        let url = Some(fake.url().to_owned());
        match cloud {
            Cloud::Aws(..) => settings.aws = url,
            Cloud::Gcp(_) => settings.gcp = url,
            _ => settings.openstack = url,
        }
        let failure = failure(&settings).await;
        assert!(failure.contains(expected), "{failure}");
    }
}

#[tokio::test]
async fn nobody_there_is_told() {
    let url = refusing_url();
    let settings = MetadataSettings {
        azure: Some(url.clone()),
        ..settings()
    };
    let failure = failure(&settings).await;
    assert!(
        failure.starts_with(&format!("azure: cannot read `{url}/metadata")),
        "{failure}"
    );
}

#[tokio::test]
async fn a_busy_service_is_asked_again_and_not_for_ever() {
    let fake = FakeMetadata::azure("Standard_D2s_v5");
    let mut settings = MetadataSettings {
        azure: Some(fake.url().to_owned()),
        ..settings()
    };
    fake.set_mood(Mood::Busy(2));
    found(&settings).await;
    assert_eq!(fake.requests().len(), 3);
    fake.set_mood(Mood::Busy(u32::MAX));
    settings.timeout = Duration::from_millis(100);
    let failure = failure(&settings).await;
    assert!(failure.contains("answered 429 Too Many Requests"), "{failure}");
}

#[tokio::test]
async fn who_is_not_to_be_asked_is_not_asked() {
    let fake = FakeMetadata::azure("Standard_D2s_v5");
    let none = MetadataSettings {
        provider: MetadataProvider::None,
        azure: Some(fake.url().to_owned()),
        ..settings()
    };
    assert!(matches!(ask(&none).await, Outcome::NoCloud));
    let google = FakeMetadata::start(gcp());
    let forced = MetadataSettings {
        provider: MetadataProvider::Gcp,
        azure: Some(fake.url().to_owned()),
        gcp: Some(google.url().to_owned()),
        ..settings()
    };
    assert_eq!(found(&forced).await.0, "gcp");
    assert!(fake.requests().is_empty());
    // Without firmware, and with nothing set, there is nobody to ask.
    assert!(matches!(ask(&settings()).await, Outcome::NoCloud));
}
