//! Trees of configuration: dotted keys and merging, the same on both sides.

use serde_json::{Map, Value};

/// Finds the value at a dotted path such as `cyclecloud.cluster.name`.
///
/// At each level the longest run of steps that is a key wins, so that keys which contain dots
/// themselves (`zookeeper.connect`) are found. Members of lists are not addressed.
pub fn lookup<'a>(tree: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = tree.get(path) {
        return Some(value);
    }
    path.rmatch_indices('.')
        .find_map(|(dot, _)| match tree.get(&path[..dot]) {
            Some(Value::Object(below)) => lookup(below, &path[dot + 1..]),
            _ => None,
        })
}

/// Sets the value at a dotted path and makes the levels above it. A value that is not a tree is
/// replaced where the path goes through it.
pub fn set_dotted(tree: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            tree.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let below = tree.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            if let Value::Object(below) = below {
                set_dotted(below, rest, value);
            }
        }
    }
}

/// Merges `from` into `into`: trees are joined key by key, everything else is replaced.
pub fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(value)) => merge(below, value),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn lookup_follows_dots_and_keys_with_dots() {
        let tree = tree(json!({"a": {"b.c": {"d": 1}, "b": {"x": 2}}, "e.f": 3, "n": null}));
        assert_eq!(lookup(&tree, "a.b.c.d"), Some(&json!(1)));
        assert_eq!(lookup(&tree, "a.b.x"), Some(&json!(2)));
        assert_eq!(lookup(&tree, "e.f"), Some(&json!(3)));
        assert_eq!(lookup(&tree, "n"), Some(&Value::Null));
        assert_eq!(lookup(&tree, "a.b.y"), None);
        assert_eq!(lookup(&tree, "e.f.g"), None);
    }

    #[test]
    fn set_dotted_makes_levels() {
        let mut map = Map::new();
        set_dotted(&mut map, "a.b.c", json!(1));
        set_dotted(&mut map, "a.d", json!(2));
        assert_eq!(Value::Object(map), json!({"a": {"b": {"c": 1}, "d": 2}}));
    }

    #[test]
    fn merge_joins_trees_and_replaces_lists() {
        let mut into = tree(json!({"a": {"b": [1, 2], "c": 3}, "d": 4}));
        merge(&mut into, &tree(json!({"a": {"b": [9]}, "d": {"e": 5}})));
        assert_eq!(
            Value::Object(into),
            json!({"a": {"b": [9], "c": 3}, "d": {"e": 5}})
        );
    }
}
