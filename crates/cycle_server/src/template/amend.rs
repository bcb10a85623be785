//! Arrays that change while the cluster runs: attributes merged into one, and new ones made from others.

use protocol::{ShutdownPolicy, merge};
use serde_json::{Map, Value};

use super::definition::ArrayDefinition;
use super::error::TemplateError;
use super::parser::parse;
use super::resolve::{integer, resolve, set};
use super::syntax::{Kind, Template};
use super::value;

/// A value that an attribute of an array cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is `{found}`, expected {expected}")]
pub struct AmendError {
    key: String,
    found: String,
    expected: &'static str,
}

impl AmendError {
    fn new(key: &str, found: &Value, expected: &'static str) -> Self {
        Self {
            key: key.to_owned(),
            found: value::into_text(found),
            expected,
        }
    }
}

/// Merges attributes into an array: records and dotted keys are joined with what is there, everything else replaces it, null
/// takes it away. Keys in any case of letters.
///
/// # Errors
/// When an attribute that the server itself reads has a value that it cannot have. The array is not changed then.
pub fn amend(array: &mut ArrayDefinition, attributes: &Map<String, Value>) -> Result<(), AmendError> {
    let mut new = array.clone();
    for (key, value) in attributes {
        amend_one(&mut new, key, value)?;
    }
    *array = new;
    Ok(())
}

fn amend_one(array: &mut ArrayDefinition, key: &str, value: &Value) -> Result<(), AmendError> {
    let (head, rest) = match key.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (key, None),
    };
    if head.eq_ignore_ascii_case("Configuration") {
        return match (rest, value) {
            (Some(path), value) => {
                set_joined(&mut array.node.configuration, path, value);
                Ok(())
            }
            (None, Value::Object(tree)) => {
                for (path, value) in tree {
                    set_joined(&mut array.node.configuration, path, value);
                }
                Ok(())
            }
            (None, other) => Err(AmendError::new(key, other, "a record")),
        };
    }
    let is = |name: &str| key.eq_ignore_ascii_case(name);
    if is("MachineType") {
        array.node.machine_types = match value {
            Value::Array(types) => types.iter().map(value::into_text).collect(),
            one => value::into_text(one)
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect(),
        };
        array.node.machine_types.retain(|name| !name.is_empty());
    } else if is("MaxCount") {
        array.max_count = count(key, value)?;
    } else if is("MaxCoreCount") {
        array.max_core_count = count(key, value)?;
    } else if is("InitialCount") {
        array.initial_count = count(key, value)?.unwrap_or(0);
    } else if is("InitialCoreCount") {
        array.initial_core_count = count(key, value)?.unwrap_or(0);
    } else if is("KeepAlive") {
        array.node.keep_alive = match value::into_text(value).to_lowercase().as_str() {
            "true" => true,
            "false" | "" => false,
            _ => return Err(AmendError::new(key, value, "true or false")),
        };
    } else if is("ShutdownPolicy") {
        array.node.shutdown_policy = match value::into_text(value).to_lowercase().as_str() {
            "terminate" | "" => ShutdownPolicy::Terminate,
            "deallocate" => ShutdownPolicy::Deallocate,
            _ => return Err(AmendError::new(key, value, "`terminate` or `deallocate`")),
        };
    }
    set_joined(&mut array.node.attributes, key, value);
    Ok(())
}

/// [`set`], but records are joined with those that are there.
fn set_joined(tree: &mut Map<String, Value>, path: &str, value: &Value) {
    match (protocol::lookup(tree, path), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            let mut joined = old.clone();
            merge(&mut joined, new);
            set(tree, path, Value::Object(joined));
        }
        _ => set(tree, path, value.clone()),
    }
}

fn count(key: &str, value: &Value) -> Result<Option<u32>, AmendError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        value => match integer(value).map(u32::try_from) {
            Some(Ok(count)) => Ok(Some(count)),
            _ => Err(AmendError::new(key, value, "a whole number from 0")),
        },
    }
}

/// A new array that extends others of the template, abstract ones too, as `[[nodearray NAME]]` with `Extends` in it would.
///
/// # Errors
/// As [`resolve`], for instance for a parent that the template does not have.
pub fn derive(
    template: &str,
    cluster_name: &str,
    parameters: &Map<String, Value>,
    name: &str,
    extends: &[String],
) -> Result<ArrayDefinition, TemplateError> {
    let mut parsed = parse("template", template)?;
    let text = format!(
        "[cluster x]\n[[nodearray {name}]]\nExtends = {}\n",
        extends.join(", ")
    );
    let addition = parse("the definition of an autoscaler", &text)?;
    let section = cluster_section(addition).and_then(|section| section.sections.into_iter().next());
    let cluster = parsed
        .sections
        .iter_mut()
        .find(|section| section.kind == Kind::Cluster);
    if let (Some(cluster), Some(mut section)) = (cluster, section) {
        if extends.is_empty() {
            section.attributes.clear();
        }
        cluster.sections.push(section);
    }
    let definition = resolve(&parsed, cluster_name, parameters)?;
    definition
        .arrays
        .into_iter()
        .rfind(|array| array.node.name == name)
        .ok_or_else(|| TemplateError::outside("the array has no definition"))
}

fn cluster_section(template: Template) -> Option<super::syntax::Section> {
    template
        .sections
        .into_iter()
        .find(|section| section.kind == Kind::Cluster)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = "
[cluster demo]
    [[node defaults]]
    Region = here
    [[nodearray base]]
    Abstract = true
    MachineType = $Type
        [[[configuration]]]
        a.b = 1
        [[[cluster-init tools:base:1.0.0]]]
    [[nodearray execute]]
    Extends = base
    MaxCount = 4
[parameters p]
    [[parameter Type]]
    DefaultValue = small
";

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn derived(extends: &[&str]) -> Result<ArrayDefinition, TemplateError> {
        let extends: Vec<String> = extends.iter().map(|name| (*name).to_owned()).collect();
        derive(TEMPLATE, "demo", &Map::new(), "gpu", &extends)
    }

    #[test]
    fn a_new_array_has_what_its_parents_have() {
        let array = derived(&["base"]).unwrap();
        assert_eq!(array.node.name, "gpu");
        assert_eq!(array.node.machine_types, ["small"]);
        assert_eq!(array.node.cluster_init[0].project, "tools");
        assert_eq!(array.node.attributes["Region"], json!("here"));
        assert_eq!(derived(&["base", "execute"]).unwrap().max_count, Some(4));
        assert_eq!(derived(&[]).unwrap().node.attributes["Region"], json!("here"));
        assert!(derived(&["nope"]).unwrap_err().to_string().contains("`nope`"));
    }

    #[test]
    fn any_attribute_is_merged() {
        let mut array = derived(&["execute"]).unwrap();
        let new = json!({"machinetype": ["big", "small"], "Configuration": {"a": {"c": 2}}, "Configuration.x.y": "z",
            "maxcount": 9, "Tags": {"k": "v"}, "shutdownpolicy": "Deallocate", "region": null});
        amend(&mut array, &map(new)).unwrap();
        assert_eq!(array.node.machine_types, ["big", "small"]);
        assert_eq!(
            Value::Object(array.node.configuration.clone()),
            json!({"a": {"b": 1, "c": 2}, "x": {"y": "z"}})
        );
        assert_eq!(array.max_count, Some(9));
        assert_eq!(array.node.shutdown_policy, ShutdownPolicy::Deallocate);
        assert_eq!(array.node.attributes["Tags"], json!({"k": "v"}));
        assert!(!array.node.attributes.contains_key("Region"));
        let before = array.clone();
        let wrong = json!({"Tags": 1, "MaxCount": "many"});
        let error = amend(&mut array, &map(wrong)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`MaxCount` is `many`, expected a whole number from 0"
        );
        assert_eq!(array, before);
    }
}
