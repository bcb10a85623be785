//! Google Compute Engine: one tree, which stands below `gce` as in Ohai.

use reqwest::Method;
use serde_json::{Map, Value};

use super::cloud::CloudSection;
use super::http::{Error, Service};
use super::{section, text};

const PATH: &str = "/computeMetadata/v1/?recursive=true";
/// A request needs it, and so does an answer: another service does not know it.
const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");
const EXPECTED: &str = "the metadata of a machine of Google Compute Engine";

pub(super) async fn read(service: &Service) -> Result<Map<String, Value>, Error> {
    let answer = service.ask(Method::GET, PATH, &[FLAVOR]).await?;
    if answer
        .headers
        .get(FLAVOR.0)
        .is_none_or(|flavor| flavor != FLAVOR.1)
    {
        return Err(answer.unexpected(EXPECTED));
    }
    let tree = Value::Object(answer.object(EXPECTED)?);
    if !tree["instance"].is_object() {
        return Err(answer.unexpected(EXPECTED));
    }
    let mut cloud = CloudSection::of("gce");
    let interfaces = tree
        .pointer("/instance/networkInterfaces")
        .and_then(Value::as_array);
    for interface in interfaces.into_iter().flatten() {
        cloud.add_local(interface["ip"].as_str());
        for access in interface["accessConfigs"].as_array().into_iter().flatten() {
            cloud.add_public(access["externalIp"].as_str());
        }
    }
    cloud.set_hostnames(None, text(&tree, "/instance/hostname"));
    let cloud = cloud.finish();
    Ok(section([("gce", tree), ("cloud", cloud)]))
}
