//! node.json and properties.json, brought up to date with what the server says and what the machine is.

use facts::{Freshness, node_facts};
use link::join::Membership;
use node::clock::SystemClock;
use node::config::{Facts, NodeData, OVERRIDDEN};
use node::home::Home;
use node::properties::{self, Properties};
use node::settings::Settings;
use protocol::{MessageType, NodeConfiguration};

use crate::deliver;

/// Asks the machine and its cloud anew and writes both files. What the machine says is in the data, too.
///
/// # Errors
/// When node.json cannot be written. The properties are no reason to fail.
pub(crate) async fn refresh(
    home: &Home,
    membership: &Membership,
    configuration: &NodeConfiguration,
) -> anyhow::Result<(NodeData, Facts)> {
    let settings = Settings::load(home)?;
    let facts = node_facts(home, &settings.metadata, Freshness::Now).await;
    let data = membership.write_node_json(home, configuration, &facts)?;
    if data.get(OVERRIDDEN).is_some() {
        tracing::info!(
            "the machine itself says what the template sets; `jetpack config {OVERRIDDEN}` shows the values of the \
             template"
        );
    }
    if let Err(error) = refresh_properties(home, &data, &configuration.node_id) {
        terminal::warn(format_args!(
            "the properties of this node are not up to date: {}",
            terminal::chain(error.as_ref())
        ));
    }
    Ok((data, facts))
}

/// Fills in what Jetpack knows itself, and tells the server if that changes anything.
fn refresh_properties(home: &Home, data: &NodeData, node_id: &str) -> anyhow::Result<()> {
    let mut properties = Properties::open(home, &SystemClock)?;
    for warning in &properties.warnings {
        terminal::warn(warning);
    }
    properties.fill(&properties::known(data));
    properties.save()?;
    if !properties.is_sent(node_id) {
        let message = protocol::Properties {
            properties: properties.tree().clone(),
        };
        // Read anew: joining writes who the node is.
        let settings = Settings::load(home)?;
        deliver::keep(home, &settings, MessageType::Props, &message)?;
        properties.mark_sent(node_id)?;
    }
    Ok(())
}
