//! Facts and metadata together, as node.json has them.

use std::net::Ipv4Addr;

use node::config::Facts;
use node::home::Home;
use node::host;
use node::identity;
use node::instance_metadata;
use node::settings::{MetadataProvider, MetadataSettings};
use serde_json::{Map, Value};

use crate::collect::{Selection, collect};
use crate::machine::Machine;
use crate::metadata::{self, Outcome};

/// Whether the cloud is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Ask it now. While it does not answer, what it said last holds.
    Now,
    /// What it said last is good enough; it is asked only if it never was.
    Last,
}

/// What this machine is and what its cloud says of it. A machine that cannot tell all of it is still a node: what goes
/// wrong is logged and left out.
pub async fn node_facts(home: &Home, settings: &MetadataSettings, freshness: Freshness) -> Facts {
    let machine = Machine::this();
    let mut automatic = local(&machine).await;
    let (hostname, ipv4) = (text(&automatic, "hostname"), text(&automatic, "ipaddress"));
    let own = identity::Machine::this();
    automatic.extend(of_cloud(home, settings, &machine, &own, freshness).await);
    Facts {
        version: node::version(),
        hostname: hostname.or_else(host::short_hostname),
        ipv4: ipv4
            .filter(|address| address.parse::<Ipv4Addr>().is_ok())
            .or_else(|| host::first_ipv4().map(|address| address.to_string())),
        automatic,
    }
}

async fn local(machine: &Machine) -> Map<String, Value> {
    let machine = machine.clone();
    // A file server that is gone is waited for.
    let facts = tokio::task::spawn_blocking(move || collect(&machine, Selection::Default)).await;
    facts.unwrap_or_else(|error| {
        tracing::warn!("the facts of this machine are not known: {error}");
        Map::new()
    })
}

fn text(facts: &Map<String, Value>, name: &str) -> Option<String> {
    facts.get(name).and_then(Value::as_str).map(str::to_owned)
}

async fn of_cloud(
    home: &Home,
    settings: &MetadataSettings,
    machine: &Machine,
    own: &identity::Machine,
    freshness: Freshness,
) -> Map<String, Value> {
    let known = match instance_metadata::load(home, own) {
        Ok(loaded) => {
            if let Some(warning) = loaded.warning {
                tracing::warn!("{warning}");
            }
            loaded.metadata
        }
        Err(error) => {
            tracing::warn!("{}", node::trace::chain(&error));
            None
        }
    };
    let known = known.filter(|known| {
        settings.provider != MetadataProvider::None
            && metadata::is_candidate(settings, machine, &known.provider)
    });
    let known = match (known, freshness) {
        (Some(known), Freshness::Last) => return known.attributes,
        (known, _) => known,
    };
    let kept = match metadata::discover(settings, machine).await {
        Outcome::Found(found) => {
            if let Err(error) = instance_metadata::save(home, own, &found) {
                tracing::warn!("{}", node::trace::chain(&error));
            }
            return found.attributes;
        }
        Outcome::NoCloud => {
            if let Err(error) = instance_metadata::forget(home) {
                tracing::warn!("{}", node::trace::chain(&error));
            }
            return Map::new();
        }
        Outcome::Silent { failures, certain } => {
            let reasons: Vec<_> = failures
                .iter()
                .map(|(cloud, error)| format!("{cloud}: {}", node::trace::chain(error)))
                .collect();
            let reasons = reasons.join("; ");
            match &known {
                Some(_) => {
                    tracing::warn!("{reasons}; going on with what the cloud of this machine said last");
                }
                None if certain => tracing::warn!("the metadata of this machine is not known: {reasons}"),
                None => tracing::info!("this machine is in no known cloud: {reasons}"),
            }
            known
        }
    };
    kept.map(|kept| kept.attributes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::{FakeMetadata, Mood, azure_document};

    use super::*;

    const LONG: std::time::Duration = std::time::Duration::from_secs(60);

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        (folder, home)
    }

    fn settings(fake: &FakeMetadata) -> MetadataSettings {
        MetadataSettings {
            azure: Some(fake.url().to_owned()),
            timeout: LONG,
            ..MetadataSettings::default()
        }
    }

    async fn size(home: &Home, settings: &MetadataSettings, own: &str, freshness: Freshness) -> Value {
        let (machine, own) = (Machine::at(home.root()), identity::Machine::named(own));
        let found = of_cloud(home, settings, &machine, &own, freshness).await;
        found.get("azure").map_or(Value::Null, |azure| {
            azure["metadata"]["compute"]["vmSize"].clone()
        })
    }

    #[tokio::test]
    async fn what_the_cloud_said_last_holds_while_it_does_not_answer() {
        let (_folder, home) = home();
        let fake = FakeMetadata::azure("Standard_D2s_v5");
        let settings = settings(&fake);
        assert_eq!(
            size(&home, &settings, "a", Freshness::Now).await,
            "Standard_D2s_v5"
        );
        fake.set_cloud(testkit::Cloud::Azure(azure_document("Standard_D4s_v5")));
        assert_eq!(
            size(&home, &settings, "a", Freshness::Last).await,
            "Standard_D2s_v5"
        );
        assert_eq!(fake.requests().len(), 1, "it is not asked again");
        assert_eq!(
            size(&home, &settings, "a", Freshness::Now).await,
            "Standard_D4s_v5"
        );
        fake.set_mood(Mood::Says(404, "text/plain", Vec::new()));
        assert_eq!(
            size(&home, &settings, "a", Freshness::Now).await,
            "Standard_D4s_v5"
        );
        assert_eq!(
            size(&home, &settings, "clone", Freshness::Last).await,
            Value::Null,
            "it was said of another machine"
        );
        let none = MetadataSettings {
            provider: MetadataProvider::None,
            ..settings.clone()
        };
        assert_eq!(size(&home, &none, "a", Freshness::Last).await, Value::Null);
        assert!(!home.instance_metadata().exists());
    }

    #[tokio::test]
    async fn a_damaged_file_costs_one_more_question() {
        let (_folder, home) = home();
        let fake = FakeMetadata::azure("Standard_D2s_v5");
        std::fs::File::create(home.instance_metadata()).unwrap();
        assert_eq!(
            size(&home, &settings(&fake), "a", Freshness::Last).await,
            "Standard_D2s_v5"
        );
        assert!(home.run().join("metadata.json.broken").exists());
        assert_eq!(fake.requests().len(), 1);
    }

    #[tokio::test]
    async fn facts_of_this_machine_come_with_its_metadata() {
        let (_folder, home) = home();
        let fake = FakeMetadata::azure("Standard_D2s_v5");
        let facts = node_facts(&home, &settings(&fake), Freshness::Now).await;
        assert_eq!(facts.automatic["cloud"]["local_ipv4"], json!("10.0.0.4"));
        assert_eq!(facts.automatic["kernel"]["name"], json!("Linux"));
        assert_eq!(facts.hostname, host::short_hostname());
    }
}
