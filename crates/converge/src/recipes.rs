//! Recipes: what a node is to run, and who runs them.
//!
//! This crate applies resources; whoever evaluates recipes uses it for that, and is known here as [`Recipes`] only.

use std::path::PathBuf;

use async_trait::async_trait;
use node::config::{NodeData, run_list};
use protocol::{ClusterInitSpec, ConvergeFailure, RecipesReport};

use crate::Plan;

/// Where a spec's cookbooks, roles and data bags are, below its folder.
pub const CHEF_FOLDER: &str = "chef";
/// What every node runs first and last.
const FIRST: &str = "recipe[cyclecloud]";
const LAST: &str = "recipe[cluster_init]";

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Recipes and roles in their order.
    pub run_list: Vec<String>,
    /// The folders of the specs that have cookbooks, roles or data bags. What comes later wins.
    pub folders: Vec<PathBuf>,
}

/// Recipes that did not come to their end.
#[derive(Debug)]
pub enum RecipesError {
    /// They failed.
    Failed(Box<ConvergeFailure>),
    /// They were told to stop.
    Stopped,
}

/// Somebody who runs recipes.
#[async_trait]
pub trait Recipes: std::fmt::Debug + Send + Sync {
    /// Runs them.
    ///
    /// # Errors
    /// When one fails, or when they are told to stop.
    async fn converge(&self, wanted: &Wanted) -> Result<(), RecipesError>;

    /// Whether they have deferred blocks to the end.
    fn has_deferred(&self) -> bool;

    /// Runs those blocks.
    ///
    /// # Errors
    /// As [`Recipes::converge`].
    async fn deferred(&self) -> Result<(), RecipesError>;

    /// What they have done so far.
    fn report(&self) -> RecipesReport;
}

/// What the node and its specs want: nothing when they want nothing, or when `cyclecloud.enable_chef` is false. `of_specs` are
/// the entries of the specs.
///
/// # Errors
/// When there are recipes and nobody runs them: a node whose recipes did not run is not what its template says.
pub(crate) fn wanted<'a>(
    plan: &Plan<'_>,
    of_specs: impl IntoIterator<Item = &'a str>,
    specs: &[ClusterInitSpec],
) -> Result<Option<Wanted>, Box<ConvergeFailure>> {
    let Some(run_list) = entries(plan.node, of_specs) else {
        return Ok(None);
    };
    if plan.recipes.is_none() {
        return Err(Box::new(ConvergeFailure {
            message: format!(
                "recipes are not supported by this build; the run list is `{}`",
                run_list[1..run_list.len() - 1].join(", ")
            ),
            recommendation: Some(
                "set `cyclecloud.enable_chef = false` in the cluster template to go on without the recipes"
                    .to_owned(),
            ),
            ..ConvergeFailure::default()
        }));
    }
    let root = &plan.settings.cluster_init_root;
    let folders = specs
        .iter()
        .map(|spec| root.join(&spec.project).join(&spec.spec).join(CHEF_FOLDER));
    Ok(Some(Wanted {
        run_list,
        folders: folders.filter(|folder| folder.is_dir()).collect(),
    }))
}

fn entries<'a>(node: &NodeData, of_specs: impl IntoIterator<Item = &'a str>) -> Option<Vec<String>> {
    let mut entries = node.get("run_list").map(run_list).unwrap_or_default();
    entries.extend(of_specs.into_iter().map(str::to_owned));
    if entries.is_empty() || !node.is_true("cyclecloud.enable_chef", true) {
        return None;
    }
    let mut all = vec![FIRST.to_owned()];
    all.extend(
        entries
            .into_iter()
            .filter(|entry| entry != FIRST && entry != LAST),
    );
    all.push(LAST.to_owned());
    Some(all)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(value: Value) -> NodeData {
        value.as_object().unwrap().clone().into()
    }

    #[test]
    fn what_every_node_runs_is_around_what_this_one_runs() {
        let node = node(json!({"run_list": "recipe[a], recipe[cyclecloud], role[b]"}));
        let entries = entries(&node, ["recipe[c]"]).unwrap();
        let expected = [
            "recipe[cyclecloud]",
            "recipe[a]",
            "role[b]",
            "recipe[c]",
            "recipe[cluster_init]",
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn recipes_can_be_turned_off() {
        for off in [json!(false), json!("False")] {
            let node = node(json!({"run_list": ["recipe[a]"], "cyclecloud": {"enable_chef": off}}));
            assert_eq!(entries(&node, []), None);
        }
        assert_eq!(entries(&node(json!({"run_list": []})), []), None);
    }
}
