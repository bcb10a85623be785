//! One key of a JSON text, found without building the tree around it.
//!
//! Scripts ask for one key at a time, thousands of times. Most of the time of such a question would go into
//! making and freeing a tree of which one leaf is wanted.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The value at a dotted path, as [`protocol::lookup`] finds it in the tree of the same text; none when there is none.
/// The whole text is checked all the same.
///
/// # Errors
/// When the text is not one JSON object.
pub(crate) fn seek(text: &str, path: &str) -> serde_json::Result<Option<Value>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Section(path))?;
    deserializer.end()?;
    Ok(found)
}

/// An object in which the rest of a path is looked up.
#[derive(Clone, Copy)]
struct Section<'p>(&'p str);

/// What a key has to do with a path: it is all of it, the first so many bytes before a dot, or nothing.
enum Step {
    End,
    Below(usize),
    Beside,
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        // Of several keys that lead to a value the longest counts; of equal keys the last.
        let mut best = (0, None);
        while let Some(step) = members.next_key_seed(Key(self.0))? {
            let (length, found) = match step {
                Step::End => (self.0.len(), Some(members.next_value()?)),
                Step::Below(length) => (length, members.next_value_seed(Rest(&self.0[length + 1..]))?),
                Step::Beside => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if length == best.0 || (found.is_some() && length > best.0) || best.1.is_none() {
                best = (length, found);
            }
        }
        Ok(best.1)
    }
}

/// A key, compared and not kept.
struct Key<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Step;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Step, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Step;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Step, E> {
        Ok(match self.0.strip_prefix(key) {
            Some("") => Step::End,
            Some(rest) if rest.starts_with('.') => Step::Below(key.len()),
            _ => Step::Beside,
        })
    }
}

/// The value of a key that begins the path: the rest is looked up in it if it is an object.
struct Rest<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Rest<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rest<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Section(self.0).visit_map(members)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn the_longest_key_that_leads_to_a_value_counts() {
        let text =
            r#"{"a": {"b.c": {"d": 1}, "b": {"x": 2, "c": {"d": 9, "e": 3}}}, "a.b": {"x": 7}, "n": null}"#;
        for (path, expected) in [
            ("a.b.c.d", Some(json!(1))),
            ("a.b.c.e", Some(json!(3))),
            ("a.b.x", Some(json!(7))),
            ("a.b", Some(json!({"x": 7}))),
            ("n", Some(json!(null))),
            ("n.x", None),
            ("a.b.c.d.e", None),
            ("", None),
        ] {
            assert_eq!(seek(text, path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let text = r#"{"a": {"b": 1}, "a": 2, "c": 1, "c": 2}"#;
        assert_eq!(seek(text, "a.b").unwrap(), None);
        assert_eq!(seek(text, "c").unwrap(), Some(json!(2)));
    }

    #[test]
    fn what_stands_behind_the_key_is_checked_too() {
        for text in [
            r#"{"a": 1"#,
            r#"{"a": 1} x"#,
            r#"{"a": 1, "b": [}"#,
            "[1]",
            "1",
            "",
        ] {
            seek(text, "a").unwrap_err();
        }
        assert!(seek(r#"{"a": 1, "b": "#, "a").unwrap_err().is_eof());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("(a|b|a\\.b|b\\.a|a\\.a)", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_lookup_in_the_tree_finds(value in any_json(), path in "(a|b)(\\.(a|b)){0,4}") {
            let tree = Map::from_iter([("a".to_owned(), value.clone()), ("a.b".to_owned(), value)]);
            let text = serde_json::to_string(&tree).unwrap();
            // Through the text, so that both see the same floats.
            let tree: Map<String, Value> = serde_json::from_str(&text).unwrap();
            let found = seek(&text, &path).unwrap();
            prop_assert_eq!(found.as_ref(), protocol::lookup(&tree, &path));
        }
    }
}
