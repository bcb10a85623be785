//! What a converge works from.

use std::collections::BTreeMap;

use locker::Locker;
use node::command::Tee;
use node::config::NodeData;
use node::home::Home;
use node::identity::Machine;
use node::settings::ConvergeSettings;
use protocol::ClusterInitSpec;

use crate::Recipes;

/// Everything that a converge needs. `node.json` is written already: scripts read it.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Where the node keeps its things.
    pub home: &'a Home,
    /// Limits and places.
    pub settings: &'a ConvergeSettings,
    /// The machine that markers are bound to.
    pub machine: &'a Machine,
    /// The specs in the order in which their scripts run.
    pub specs: &'a [ClusterInitSpec],
    /// The lockers that the specs name.
    pub lockers: &'a BTreeMap<String, Locker>,
    /// What the node is configured to be.
    pub node: &'a NodeData,
    /// Who runs recipes; without, a run list is a failure.
    pub recipes: Option<&'a dyn Recipes>,
    /// What the user asked for.
    pub options: Options,
}

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Download the projects. Without, what is there is run.
    pub sync: bool,
    /// Run recipes.
    pub recipes: bool,
    /// Run scripts that succeeded before too.
    pub rerun_scripts: bool,
    /// Who else sees the output of scripts as it comes.
    pub tee: Option<Tee>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: true,
            recipes: true,
            rerun_scripts: false,
            tee: None,
        }
    }
}
