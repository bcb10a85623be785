//! Values as leaves: the path to each, and patterns of paths.

use std::collections::BTreeMap;

use serde_json::Value;

/// The names from the top to a leaf. A name may hold any character, also `/`.
pub(crate) type Path = Vec<String>;

/// Every leaf of a tree: what is no section and no list, and those that are empty.
pub(crate) type Leaves = BTreeMap<Path, Value>;

/// Takes a tree apart. An element of a list has its position as its name.
pub(crate) fn leaves(tree: &Value) -> Leaves {
    let mut leaves = Leaves::new();
    take(tree, &mut Vec::new(), &mut leaves);
    leaves
}

fn take(value: &Value, path: &mut Path, leaves: &mut Leaves) {
    let mut step = |name: String, value: &Value| {
        path.push(name);
        take(value, path, leaves);
        path.pop();
    };
    match value {
        Value::Object(section) if !section.is_empty() => {
            for (name, value) in section {
                step(name.clone(), value);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (position, value) in list.iter().enumerate() {
                step(position.to_string(), value);
            }
        }
        _ => {
            leaves.insert(path.clone(), value.clone());
        }
    }
}

/// Whether a path fits a pattern: names with `/` between them. `*` stands for any text within one name, `**` as the
/// last name for anything below, also nothing.
pub(crate) fn fits(pattern: &str, path: &[String]) -> bool {
    let names: Vec<&str> = pattern.split('/').collect();
    let (names, open) = match names.split_last() {
        Some((&"**", names)) => (names, true),
        _ => (names.as_slice(), false),
    };
    (path.len() == names.len() || open && path.len() > names.len())
        && names.iter().zip(path).all(|(name, step)| glob(name, step))
}

fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A path for people.
pub(crate) fn show(path: &[String]) -> String {
    path.join("/")
}

#[test]
fn a_tree_is_taken_apart() {
    let tree = serde_json::json!({"a": {"b": [1, {"c": null}], "/": {}}, "d": []});
    let leaves = leaves(&tree);
    let shown: Vec<String> = leaves
        .iter()
        .map(|(path, value)| format!("{}={value}", show(path)))
        .collect();
    assert_eq!(shown, ["a//={}", "a/b/0=1", "a/b/1/c=null", "d=[]"]);
}

#[test]
fn patterns_fit_names_and_what_is_below() {
    let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    for (pattern, fit, misfit) in [
        ("a/b", "a/b", "a/b/c"),
        ("a/*", "a/b", "a"),
        ("a/**", "a/b/c", "b/a"),
        ("a/**", "a", "ab"),
        ("LEVEL*_SIZE", "LEVEL1_CACHE_SIZE", "LEVEL1_CACHE_ASSOC"),
        ("*/x", "a/x", "a/xx"),
    ] {
        assert!(fits(pattern, &path(fit)), "{pattern} {fit}");
        assert!(!fits(pattern, &path(misfit)), "{pattern} {misfit}");
    }
    assert!(fits("fs/*/kb", &["fs".into(), "/dev/vda,/".into(), "kb".into()]));
}
