//! Run lists of recipes, which this build cannot run.

use node::config::{NodeData, run_list};
use protocol::ConvergeFailure;

/// Fails when there are recipes to run: a node whose recipes did not run is not what its template says.
/// `cyclecloud.enable_chef = false` turns recipes off, as everywhere.
/// `of_specs` are those that the specs want.
pub(crate) fn check<'a>(
    node: &NodeData,
    of_specs: impl IntoIterator<Item = &'a str>,
) -> Result<(), Box<ConvergeFailure>> {
    let mut entries = node.get("run_list").map(run_list).unwrap_or_default();
    entries.extend(of_specs.into_iter().map(str::to_owned));
    if entries.is_empty() || !node.is_true("cyclecloud.enable_chef", true) {
        return Ok(());
    }
    Err(Box::new(ConvergeFailure {
        message: format!(
            "recipes are not supported by this build; the run list is `{}`",
            entries.join(", ")
        ),
        recommendation: Some(
            "set `cyclecloud.enable_chef = false` in the cluster template to go on without the recipes"
                .to_owned(),
        ),
        ..ConvergeFailure::default()
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(value: Value) -> NodeData {
        value.as_object().unwrap().clone().into()
    }

    #[test]
    fn a_run_list_is_a_failure_that_names_it() {
        let node = node(json!({"run_list": "recipe[a], role[b]"}));
        let failure = check(&node, []).unwrap_err();
        assert!(failure.message.ends_with("`recipe[a], role[b]`"), "{failure:?}");
    }

    #[test]
    fn recipes_that_are_turned_off_are_no_failure() {
        for off in [json!(false), json!("False")] {
            let node = node(json!({"run_list": ["recipe[a]"], "cyclecloud": {"enable_chef": off}}));
            check(&node, []).unwrap();
        }
        check(&node(json!({"run_list": []})), []).unwrap();
    }
}
