//! OpenStack: its own document, `meta_data.json`, and the addresses from the leaves that it has in common with EC2. Both
//! stand below `openstack`; Ohai has only the leaves.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};

use super::cloud::CloudSection;
use super::http::{Error, Service};
use super::section;

const DOCUMENT: &str = "/openstack/latest/meta_data.json";
const EXPECTED: &str = "the metadata of an OpenStack machine";
/// Members of the document that are secrets.
const SECRETS: [&str; 2] = ["admin_pass", "random_seed"];
/// The leaves, below `/latest/meta-data/`.
const LEAVES: [&str; 7] = [
    "instance-id",
    "instance-type",
    "local-hostname",
    "local-ipv4",
    "placement/availability-zone",
    "public-hostname",
    "public-ipv4",
];

pub(super) async fn read(service: &Service) -> Result<Map<String, Value>, Error> {
    let answer = service.ask(Method::GET, DOCUMENT, &[]).await?;
    let mut openstack = answer.object(EXPECTED)?;
    if !openstack.get("uuid").is_some_and(Value::is_string) {
        return Err(answer.unexpected(EXPECTED));
    }
    openstack.retain(|name, _| !SECRETS.contains(&name.as_str()));
    openstack.insert("provider".to_owned(), "openstack".into());
    for leaf in LEAVES {
        match service
            .ask(Method::GET, &format!("/latest/meta-data/{leaf}"), &[])
            .await
        {
            Ok(answer) if !answer.body.is_empty() => {
                openstack.insert(leaf.replace(['-', '/'], "_"), answer.text().trim().into());
            }
            Ok(_) => {}
            Err(Error::Status { status, .. }) if status == StatusCode::NOT_FOUND => {}
            // Not every site has them, and the document alone says what the machine is.
            Err(_) => break,
        }
    }
    let text = |name: &str| openstack.get(name).and_then(Value::as_str);
    let mut cloud = CloudSection::of("openstack");
    cloud.add_public(text("public_ipv4"));
    cloud.add_local(text("local_ipv4"));
    cloud.set_hostnames(
        text("public_hostname"),
        text("local_hostname").or(text("hostname")),
    );
    let cloud = cloud.finish();
    Ok(section([("openstack", openstack.into()), ("cloud", cloud)]))
}
