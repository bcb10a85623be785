//! What the cloud of a machine says of it: instance metadata, by HTTP from an address of the local link.
//!
//! One file for each cloud. All that may be the machine's are asked at the same time, with one deadline, so that a
//! machine in no cloud does not wait long; the order of preference decides between several that answer, and not who is
//! quicker. Credentials are left where they are.

use futures_util::{StreamExt as _, stream};
use node::instance_metadata::InstanceMetadata;
use node::settings::{MetadataProvider, MetadataSettings};
use serde_json::{Map, Value};

use crate::machine::Machine;

mod aws;
mod azure;
mod cloud;
mod evidence;
mod gcp;
mod http;
mod openstack;

use evidence::Evidence;
pub use http::Error;
use http::Service;

/// Where all clouds have their service: an address of the link, which no router passes on.
const LINK_LOCAL: &str = "169.254.169.254";
/// What Google calls it. The name is not looked up: whoever answers look-ups could send the machine elsewhere.
const GOOGLE: &str = "metadata.google.internal";

/// The top-level names of what clouds say, sorted: `cloud` is the same for all of them.
pub const ATTRIBUTES: [&str; 5] = ["azure", "cloud", "ec2", "gce", "openstack"];

/// A cloud that machines can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cloud {
    Azure,
    Aws,
    Gcp,
    Openstack,
}

impl Cloud {
    /// In order of preference.
    const ALL: [Self; 4] = [Self::Azure, Self::Aws, Self::Gcp, Self::Openstack];

    fn name(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Openstack => "openstack",
        }
    }

    fn configured(self, settings: &MetadataSettings) -> Option<&str> {
        let url = match self {
            Self::Azure => &settings.azure,
            Self::Aws => &settings.aws,
            Self::Gcp => &settings.gcp,
            Self::Openstack => &settings.openstack,
        };
        url.as_deref()
    }

    fn url(self, settings: &MetadataSettings) -> String {
        let host = if self == Self::Gcp { GOOGLE } else { LINK_LOCAL };
        let usual = || format!("http://{host}");
        self.configured(settings).map_or_else(usual, str::to_owned)
    }

    async fn read(self, service: &Service) -> Result<Map<String, Value>, Error> {
        match self {
            Self::Azure => azure::read(service).await,
            Self::Aws => aws::read(service).await,
            Self::Gcp => gcp::read(service).await,
            Self::Openstack => openstack::read(service).await,
        }
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Outcome {
    /// A cloud has answered.
    Found(InstanceMetadata),
    /// There was nobody to ask: the machine is in no cloud, or the administrator does not want it.
    NoCloud,
    /// None of those asked has answered as a cloud does: their names, in order of preference, and why.
    Silent {
        /// Each with its reason.
        failures: Vec<(&'static str, Error)>,
        /// Whether the machine is known to be in one of them, by its firmware or its settings.
        certain: bool,
    },
}

/// Which clouds are asked, in order of preference, and whether the machine is known to be in one of them.
fn candidates(settings: &MetadataSettings, machine: &Machine) -> (Vec<Cloud>, bool) {
    let one = |cloud| (vec![cloud], true);
    match settings.provider {
        MetadataProvider::None => return (Vec::new(), false),
        MetadataProvider::Azure => return one(Cloud::Azure),
        MetadataProvider::Aws => return one(Cloud::Aws),
        MetadataProvider::Gcp => return one(Cloud::Gcp),
        MetadataProvider::Openstack => return one(Cloud::Openstack),
        MetadataProvider::Auto => {}
    }
    let evidence = evidence::of(machine);
    let mut certain = matches!(evidence, Evidence::Cloud(_));
    let mut clouds = Vec::new();
    for cloud in Cloud::ALL {
        let configured = cloud.configured(settings).is_some();
        certain |= configured;
        let likely = match evidence {
            Evidence::Cloud(named) => named == cloud,
            Evidence::SomeVirtualMachine => true,
            Evidence::None => false,
        };
        if configured || likely {
            clouds.push(cloud);
        }
    }
    (clouds, certain)
}

/// Asks the clouds that this machine may be in.
pub async fn discover(settings: &MetadataSettings, machine: &Machine) -> Outcome {
    let (clouds, certain) = candidates(settings, machine);
    if clouds.is_empty() {
        return Outcome::NoCloud;
    }
    let client = match http::client() {
        Ok(client) => client,
        Err(error) => {
            let failures = vec![(clouds[0].name(), error)];
            return Outcome::Silent { failures, certain };
        }
    };
    // Asked all at once, answered in this order: one comes only after those before it have failed.
    let mut answers = stream::iter(clouds)
        .map(|cloud| {
            let service = Service::new(client.clone(), cloud.url(settings), settings.timeout);
            async move { (cloud, cloud.read(&service).await) }
        })
        .buffered(Cloud::ALL.len());
    let mut failures = Vec::new();
    while let Some((cloud, answer)) = answers.next().await {
        match answer {
            Ok(attributes) => {
                return Outcome::Found(InstanceMetadata {
                    provider: cloud.name().to_owned(),
                    attributes,
                });
            }
            Err(error) => failures.push((cloud.name(), error)),
        }
    }
    Outcome::Silent { failures, certain }
}

/// Whether what a cloud said last still counts: the settings may name another one by now.
pub(crate) fn is_candidate(settings: &MetadataSettings, machine: &Machine, provider: &str) -> bool {
    let (clouds, _) = candidates(settings, machine);
    clouds.iter().any(|cloud| cloud.name() == provider)
}

/// The text at a path of keys; none when it is missing, no text, or empty.
fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str().filter(|text| !text.is_empty())
}

fn section(entries: [(&str, Value); 2]) -> Map<String, Value> {
    entries
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
