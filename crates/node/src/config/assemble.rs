//! How node.json is put together.
//!
//! It is put together in the order of precedence of Chef, where a later one wins:
//!
//! 1. the configuration from the server, `[[[configuration]]]` of the template among it (Chef's *normal* attributes),
//! 2. what the machine is: facts and the metadata of its cloud (Chef's *automatic* attributes),
//! 3. what the node itself knows: places in its home, its address, its credential.
//!
//! Sections are joined key by key. A value of the template that had to give way to another one stays readable below
//! [`OVERRIDDEN`].

use std::path::Path;

use protocol::{lookup, set_dotted};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::NodeData;
use crate::home::Home;

/// Where values of the configuration are that other values of the same key have taken the place of:
/// `cyclecloud.overridden.hostname` is the `hostname` that the template sets.
pub const OVERRIDDEN: &str = "cyclecloud.overridden";

/// What the node knows about itself and adds to what it was told.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Version of Jetpack.
    pub version: String,
    /// Short host name.
    pub hostname: Option<String>,
    /// First address that is not loopback.
    pub ipv4: Option<String>,
    /// What the machine is, and what its cloud says of it, in the schema of Ohai.
    pub automatic: Map<String, Value>,
}

/// What software on the node reaches the server with.
#[derive(Debug, Clone)]
pub struct Credential {
    /// URL of the server, for a server that does not say its own.
    pub url: String,
    /// The node's id.
    pub username: String,
    /// The node's secret.
    pub password: SecretString,
}

impl NodeData {
    /// The configuration that the server gave, with everything that the node adds to it: facts and metadata win over the
    /// configuration, and what the node itself knows wins over both. See the page of this module
    /// for what takes precedence.
    pub fn assemble(
        configuration: &Map<String, Value>,
        home: &Home,
        facts: &Facts,
        credential: &Credential,
    ) -> Self {
        let mut tree = configuration.clone();
        let mut overridden = Map::new();
        join(&mut tree, facts.automatic.clone(), &mut overridden);
        join(
            &mut tree,
            own(configuration, home, facts, credential),
            &mut overridden,
        );
        if !overridden.is_empty() {
            set_dotted(&mut tree, OVERRIDDEN, overridden.into());
        }
        Self(tree)
    }
}

/// What the node itself knows.
fn own(
    configuration: &Map<String, Value>,
    home: &Home,
    facts: &Facts,
    credential: &Credential,
) -> Map<String, Value> {
    let mut own = Map::new();
    let path = |path: &Path| Value::String(path.display().to_string());
    let password = credential.password.expose_secret();
    for (key, value) in [
        ("cyclecloud.home", path(home.root())),
        ("cyclecloud.bootstrap", path(&home.bootstrap())),
        ("cyclecloud.chefstate", path(&home.chefstate())),
        ("cyclecloud.jetpack.version", facts.version.as_str().into()),
        ("cyclecloud.jetpack.executable", path(&home.jetpack())),
        ("cyclecloud.config.username", credential.username.as_str().into()),
        ("cyclecloud.config.password", password.into()),
        ("jetpack.downloads", path(&home.downloads())),
    ] {
        set_dotted(&mut own, key, value);
    }
    if lookup(configuration, "cyclecloud.config.web_server").is_none() {
        let url = credential.url.as_str().into();
        set_dotted(&mut own, "cyclecloud.config.web_server", url);
    }
    for (value, key, top) in [
        (&facts.hostname, "cyclecloud.instance.hostname", "hostname"),
        (&facts.ipv4, "cyclecloud.instance.ipv4", "ipaddress"),
    ] {
        if let Some(value) = value {
            set_dotted(&mut own, key, value.as_str().into());
            // What the machine as a whole says of its names and addresses takes more into account.
            if facts.automatic.get(top).is_none_or(Value::is_null) {
                own.insert(top.to_owned(), value.as_str().into());
            }
        }
    }
    let public = ["cloud.public_hostname", "cloud.public_ipv4"];
    if let Some(public) = public.iter().find_map(|key| lookup(&facts.automatic, key)) {
        set_dotted(&mut own, "cyclecloud.instance.public_hostname", public.clone());
    }
    let (mut roles, mut recipes) = (Vec::new(), Vec::new());
    for entry in configuration.get("run_list").map(run_list).unwrap_or_default() {
        let name = |kind: &str| Some(entry.strip_prefix(kind)?.strip_suffix(']')?.to_owned());
        match (name("role["), name("recipe[")) {
            (Some(role), _) => roles.push(Value::from(role)),
            (None, Some(recipe)) => recipes.push(Value::from(recipe)),
            // A bare name is a recipe.
            (None, None) => recipes.push(Value::from(entry)),
        }
    }
    own.insert("roles".to_owned(), roles.into());
    own.insert("recipes".to_owned(), recipes.into());
    own
}

/// The entries of a run list: a list, or a text with commas.
pub fn run_list(value: &Value) -> Vec<String> {
    let texts: Vec<&str> = match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => text.split(',').collect(),
        _ => Vec::new(),
    };
    let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
    texts.map(str::to_owned).collect()
}

/// Joins what takes precedence into a tree, and collects the values that had to give way. An unknown value, null, takes
/// the place of none.
fn join(tree: &mut Map<String, Value>, stronger: Map<String, Value>, overridden: &mut Map<String, Value>) {
    for (key, value) in stronger {
        match (tree.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(value)) => {
                let mut lost = Map::new();
                join(below, value, &mut lost);
                if !lost.is_empty() {
                    match overridden.get_mut(&key) {
                        Some(Value::Object(known)) => known.extend(lost),
                        _ => {
                            overridden.insert(key, lost.into());
                        }
                    }
                }
            }
            (Some(_), Value::Null) => {}
            (Some(there), value) if *there == value => {}
            (Some(there), value) => {
                let lost = std::mem::replace(there, value);
                // What gave way twice was ours the second time.
                overridden.entry(key).or_insert(lost);
            }
            (None, value) => {
                tree.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn credential() -> Credential {
        Credential {
            url: "http://s".to_owned(),
            username: "id".to_owned(),
            password: "hush".into(),
        }
    }

    fn assemble(given: Value, automatic: Value) -> NodeData {
        let facts = Facts {
            version: "1.2.3".to_owned(),
            hostname: Some("n1".to_owned()),
            ipv4: None,
            automatic: automatic.as_object().unwrap().clone(),
        };
        NodeData::assemble(given.as_object().unwrap(), &Home::at("/h"), &facts, &credential())
    }

    #[test]
    fn the_node_adds_what_it_knows() {
        let data = assemble(
            json!({"cyclecloud": {"cluster": {"name": "demo"}}, "run_list": "role[a], recipe[b::c],d"}),
            json!({}),
        );
        for (key, value) in [
            ("cyclecloud.cluster.name", json!("demo")),
            ("cyclecloud.home", json!("/h")),
            ("cyclecloud.bootstrap", json!("/h/system/bootstrap")),
            ("cyclecloud.jetpack.executable", json!("/h/bin/jetpack")),
            ("cyclecloud.instance.hostname", json!("n1")),
            ("cyclecloud.config.username", json!("id")),
            ("cyclecloud.config.password", json!("hush")),
            ("cyclecloud.config.web_server", json!("http://s")),
            (
                "jetpack.downloads",
                json!("/h/system/chef/cache/jetpack/downloads"),
            ),
            ("hostname", json!("n1")),
            ("roles", json!(["a"])),
            ("recipes", json!(["b::c", "d"])),
        ] {
            assert_eq!(data.get(key), Some(&value), "{key}");
        }
        assert_eq!(data.get("ipaddress"), None);
        assert_eq!(data.get(OVERRIDDEN), None);
        assert!(!format!("{data:?}").contains("hush"));
    }

    #[test]
    fn facts_win_and_what_the_template_set_stays_readable() {
        let data = assemble(
            json!({
                "hostname": "by template",
                "kernel": {"release": "1", "modules": ["x"]},
                "docker": {"images": ["a"]},
                "cpu": 4,
                "domain": "example.com",
                "platform": "debian",
                "cyclecloud": {"home": "/other", "config": {"web_server": "http://said"}},
            }),
            json!({
                "hostname": "ip-0A",
                "kernel": {"release": "6.1", "name": "Linux"},
                "docker": {"version": "27"},
                "cpu": {"total": 2},
                "domain": null,
                "platform": "debian",
                "cloud": {"public_ipv4": "20.0.0.1"},
            }),
        );
        for (key, value) in [
            ("hostname", json!("ip-0A")),
            ("cyclecloud.overridden.hostname", json!("by template")),
            (
                "kernel",
                json!({"release": "6.1", "modules": ["x"], "name": "Linux"}),
            ),
            ("cyclecloud.overridden.kernel", json!({"release": "1"})),
            ("docker", json!({"images": ["a"], "version": "27"})),
            ("cpu.total", json!(2)),
            ("cyclecloud.overridden.cpu", json!(4)),
            ("domain", json!("example.com")),
            ("cyclecloud.home", json!("/h")),
            ("cyclecloud.overridden.cyclecloud.home", json!("/other")),
            ("cyclecloud.config.web_server", json!("http://said")),
            ("cyclecloud.instance.hostname", json!("n1")),
            ("cyclecloud.instance.public_hostname", json!("20.0.0.1")),
        ] {
            assert_eq!(data.get(key), Some(&value), "{key}");
        }
        assert_eq!(
            data.get("cyclecloud.overridden.platform"),
            None,
            "both say the same"
        );
    }
}
