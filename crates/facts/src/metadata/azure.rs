//! Azure: one document, `GET /metadata/instance` of its Instance Metadata Service. It stands below `azure.metadata` as it
//! came: its `compute` and `network` are what scripts know from the documentation of the service.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::cloud::CloudSection;
use super::http::{Answer, Error, Service};
use super::section;

/// The version of the service that is asked for: the newest that all regions have.
const VERSION: &str = "2021-02-01";
const HEADERS: [(&str, &str); 1] = [("Metadata", "true")];
const EXPECTED: &str = "the metadata of an Azure machine";

pub(super) async fn read(service: &Service) -> Result<Map<String, Value>, Error> {
    let answer = match instance(service, VERSION).await {
        Err(Error::Status { status, body, url }) if status == StatusCode::BAD_REQUEST => {
            // A service that is older tells which versions it knows.
            let Some(version) = newest(&body) else {
                return Err(Error::Status { url, status, body });
            };
            instance(service, &version).await?
        }
        answer => answer?,
    };
    let document = Value::Object(answer.object(EXPECTED)?);
    if !document["compute"].is_object() {
        return Err(answer.unexpected(EXPECTED));
    }
    let cloud = cloud(&document);
    Ok(section([
        ("azure", json!({"metadata": document})),
        ("cloud", cloud),
    ]))
}

async fn instance(service: &Service, version: &str) -> Result<Answer, Error> {
    let path = format!("/metadata/instance?api-version={version}");
    service.ask(Method::GET, &path, &HEADERS).await
}

/// The newest version in `{"error": …, "newest-versions": ["2019-06-04", …]}`.
fn newest(body: &[u8]) -> Option<String> {
    let refusal: Value = serde_json::from_slice(body).ok()?;
    let versions = refusal.get("newest-versions")?.as_array()?;
    let is_version = |text: &&str| {
        text.chars()
            .all(|letter| letter.is_ascii_digit() || letter == '-')
    };
    let newest = versions
        .iter()
        .filter_map(Value::as_str)
        .filter(is_version)
        .max()?;
    Some(newest.to_owned())
}

fn cloud(document: &Value) -> Value {
    let mut cloud = CloudSection::of("azure");
    let interfaces = document.pointer("/network/interface").and_then(Value::as_array);
    for interface in interfaces.into_iter().flatten() {
        for family in ["/ipv4/ipAddress", "/ipv6/ipAddress"] {
            let addresses = interface.pointer(family).and_then(Value::as_array);
            for address in addresses.into_iter().flatten() {
                cloud.add_public(address["publicIpAddress"].as_str());
                cloud.add_local(address["privateIpAddress"].as_str());
            }
        }
    }
    cloud.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_another_shape_has_no_addresses() {
        for network in [
            json!(null),
            json!([1]),
            json!({"interface": {"ipv4": 1}}),
            json!({"interface": [1, {"ipv4": {"ipAddress": ["x", {"privateIpAddress": 4}]}}]}),
        ] {
            let document = json!({"compute": {}, "network": network});
            assert_eq!(cloud(&document), json!({"provider": "azure"}), "{document}");
        }
    }

    #[test]
    fn an_older_service_tells_its_versions() {
        let body = br#"{"error": "Bad request", "newest-versions": ["2019-06-04", "2019-03-11", "x/../y"]}"#;
        assert_eq!(newest(body).as_deref(), Some("2019-06-04"));
        assert_eq!(newest(b"<html>"), None);
        assert_eq!(newest(br#"{"newest-versions": []}"#), None);
    }
}
