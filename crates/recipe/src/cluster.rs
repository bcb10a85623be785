//! The other nodes, as recipes see them.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

/// What a node lets others know of it.
pub type Attributes = Map<String, Value>;

/// Whoever knows the nodes of this node's cluster. Called on the thread of the recipes, which waits.
pub trait Cluster: Debug + Send + Sync {
    /// The nodes that let others know of them. With a role or recipe it may leave out those that do not have it.
    ///
    /// # Errors
    /// When it cannot be told. Recipes that ask then fail.
    fn search(&self, role: Option<&str>, recipe: Option<&str>) -> Result<Vec<Attributes>, ClusterError>;

    /// Lets others know these attributes of this node.
    ///
    /// # Errors
    /// When they do not get to know them. Recipes that ask for it then fail.
    fn store(&self, attributes: Attributes) -> Result<(), ClusterError>;
}

/// The nodes of the cluster could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClusterError(#[source] Box<dyn Error + Send + Sync>);

impl ClusterError {
    /// Because of this.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// A cluster that is known to nobody but this process: that of a node without a server.
#[derive(Debug, Default)]
pub struct Alone {
    others: Vec<Attributes>,
    own: Mutex<Option<Attributes>>,
}

impl Alone {
    /// With these other nodes.
    pub fn with(others: Vec<Attributes>) -> Self {
        Self {
            others,
            own: Mutex::default(),
        }
    }
}

impl Cluster for Alone {
    fn search(&self, _: Option<&str>, _: Option<&str>) -> Result<Vec<Attributes>, ClusterError> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(own.iter().chain(&self.others).cloned().collect())
    }

    fn store(&self, attributes: Attributes) -> Result<(), ClusterError> {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(attributes);
        Ok(())
    }
}

/// A cluster that is looked at and not changed: what this node would let others know only its own recipes get to see.
#[derive(Debug)]
pub(crate) struct Pretended<'a> {
    pub(crate) cluster: &'a dyn Cluster,
    pub(crate) own: &'a Attributes,
}

impl Pretended<'_> {
    pub(crate) fn search(
        &self,
        role: Option<&str>,
        recipe: Option<&str>,
    ) -> Result<Vec<Attributes>, ClusterError> {
        let mut nodes = self.cluster.search(role, recipe)?;
        let id = node_id(self.own);
        nodes.retain(|node| id.is_none() || node_id(node) != id);
        nodes.push(self.own.clone());
        Ok(nodes)
    }
}

fn node_id(attributes: &Attributes) -> Option<&Value> {
    attributes.get("cyclecloud")?.get("node")?.get("id")
}
