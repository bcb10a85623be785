//! Amazon EC2: a tree of leaves, read with a session token (IMDSv2), which stands below `ec2` with the names that Ohai
//! gives them, and what the identity document of the instance adds to it.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};

use super::cloud::CloudSection;
use super::http::{Error, Service};
use super::section;

const TOKEN: &str = "/latest/api/token";
const TIME_TO_LIVE: (&str, &str) = ("X-aws-ec2-metadata-token-ttl-seconds", "60");
const TOKEN_HEADER: &str = "X-aws-ec2-metadata-token";
const IDENTITY: &str = "/latest/dynamic/instance-identity/document";
const LEAVES: &str = "/latest/meta-data/";

/// What is in no node's data: credentials.
const SECRETS: [&str; 2] = ["iam/security-credentials/", "identity-credentials/"];
/// A leaf whose lines are elements of a list.
const LISTS: [&str; 1] = ["security-groups"];
/// A folder that stays a section of its own.
const INTERFACES: &str = "network/interfaces/macs/";
/// A leaf that holds JSON.
const IAM_INFO: &str = "iam/info";

/// Longest token.
const MAX_TOKEN: usize = 1024;
/// Most requests, and deepest folder: a service that leads in circles comes to an end.
const MAX_REQUESTS: usize = 500;
const MAX_DEPTH: usize = 10;

pub(super) async fn read(service: &Service) -> Result<Map<String, Value>, Error> {
    let answer = service.ask(Method::PUT, TOKEN, &[TIME_TO_LIVE]).await?;
    let token = answer.text().trim().to_owned();
    let is_token = !token.is_empty()
        && token.len() <= MAX_TOKEN
        && token
            .chars()
            .all(|letter| letter.is_ascii_graphic() && letter != '<');
    if !is_token {
        return Err(answer.unexpected("a session token of EC2"));
    }
    let mut reader = Reader {
        service,
        token,
        requests: 0,
    };
    let mut ec2 = Map::new();
    reader.leaves(&mut ec2).await?;
    if !ec2.contains_key("instance_id") {
        return Err(Error::Unexpected {
            url: LEAVES.to_owned(),
            expected: "the metadata of an EC2 instance",
        });
    }
    if let Some(identity) = reader.get(IDENTITY).await?
        && let Ok(identity) = serde_json::from_str::<Value>(&identity)
    {
        for (from, to) in [
            ("accountId", "account_id"),
            ("availabilityZone", "availability_zone"),
            ("region", "region"),
        ] {
            if let Some(value) = identity.get(from).filter(|value| value.is_string()) {
                ec2.insert(to.to_owned(), value.clone());
            }
        }
    }
    let text = |name: &str| ec2.get(name).and_then(Value::as_str);
    let mut cloud = CloudSection::of("ec2");
    cloud.add_public(text("public_ipv4"));
    cloud.add_local(text("local_ipv4"));
    cloud.set_hostnames(text("public_hostname"), text("local_hostname"));
    let cloud = cloud.finish();
    Ok(section([("ec2", ec2.into()), ("cloud", cloud)]))
}

struct Reader<'a> {
    service: &'a Service,
    token: String,
    requests: usize,
}

impl Reader<'_> {
    /// What is at a path; none when nothing is.
    async fn get(&mut self, path: &str) -> Result<Option<String>, Error> {
        self.requests += 1;
        let headers = [(TOKEN_HEADER, self.token.as_str())];
        match self.service.ask(Method::GET, path, &headers).await {
            Ok(answer) => Ok(Some(answer.text())),
            // Folders list leaves that are not there.
            Err(Error::Status { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all leaves.
    async fn leaves(&mut self, ec2: &mut Map<String, Value>) -> Result<(), Error> {
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let Some(names) = self.get(&format!("{LEAVES}{folder}")).await? else {
                continue;
            };
            for name in names.lines().filter(|name| is_name(name)) {
                // Public keys are listed as `0=NAME`; the folder is `0/`.
                let name = match name.split_once('=') {
                    Some((number, _)) => format!("{number}/"),
                    None => name.to_owned(),
                };
                let path = format!("{folder}{name}");
                if SECRETS.iter().any(|secret| path.starts_with(secret)) || self.requests >= MAX_REQUESTS {
                    continue;
                }
                if path.ends_with('/') {
                    if path.matches('/').count() <= MAX_DEPTH {
                        folders.push(path);
                    }
                } else if let Some(text) = self.get(&format!("{LEAVES}{path}")).await? {
                    insert(ec2, &path, &text);
                }
            }
        }
        Ok(())
    }
}

/// A name in a listing that leads down, and nowhere else.
fn is_name(name: &str) -> bool {
    let bare = name.trim_end_matches('/');
    !bare.is_empty() && bare != "." && bare != ".." && !bare.contains(['/', '?', '#', ' ', '<'])
}

/// Puts a leaf where Ohai has it: `placement/region` is `placement_region`, what is known of an interface stands below
/// `network_interfaces_macs` and its address.
fn insert(ec2: &mut Map<String, Value>, path: &str, text: &str) {
    let underscored = |path: &str| path.replace(['-', '/'], "_");
    if let Some((address, leaf)) = path
        .strip_prefix(INTERFACES)
        .and_then(|rest| rest.split_once('/'))
    {
        let all = section_of(ec2, &underscored(INTERFACES.trim_end_matches('/')));
        if let Some(interface) = all.and_then(|all| section_of(all, address)) {
            interface.insert(underscored(leaf), text.into());
        }
    } else if path == IAM_INFO {
        if let (Ok(info), Some(iam)) = (serde_json::from_str(text), section_of(ec2, "iam")) {
            iam.insert("info".to_owned(), info);
        }
    } else if LISTS.contains(&path) {
        let lines: Vec<Value> = text.lines().map(Value::from).collect();
        ec2.insert(underscored(path), lines.into());
    } else {
        ec2.insert(underscored(path), text.into());
    }
}

/// The section of this name; made if there is none, in place of a leaf that should not be there.
fn section_of<'a>(tree: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    let place = tree.entry(name).or_insert(Value::Null);
    if !place.is_object() {
        *place = Map::new().into();
    }
    place.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_in_the_place_of_a_section_gives_way() {
        let mut ec2 = Map::new();
        insert(&mut ec2, "network-interfaces-macs", "x");
        insert(&mut ec2, "network/interfaces/macs/0e:49/local-ipv4s", "10.0.0.4");
        insert(&mut ec2, "iam", "x");
        insert(&mut ec2, "iam/info", "{}");
        insert(&mut ec2, "iam/info", "not JSON");
        assert_eq!(
            Value::from(ec2),
            serde_json::json!({
                "network_interfaces_macs": {"0e:49": {"local_ipv4s": "10.0.0.4"}},
                "iam": {"info": {}},
            })
        );
    }

    #[test]
    fn names_of_a_listing_lead_nowhere_else() {
        for good in ["ami-id", "placement/", "0=my-key", "0e:49:61:0f:c3:11/"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "/", "..", "../", "a/b", "<html>", "x?y", "a b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
