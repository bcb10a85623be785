//! `os_release`: what the distribution says of itself. Format: os-release(5).

use serde_json::{Map, Value};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["os_release"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let mut section = Map::new();
    for (key, value) in machine
        .read("/etc/os-release")
        .iter()
        .flat_map(|text| entries(text))
    {
        let value = if key == "ID_LIKE" {
            value.split(' ').filter(|word| !word.is_empty()).collect()
        } else {
            value.into()
        };
        section.insert(key.to_lowercase(), value);
    }
    facts.insert("os_release".to_owned(), section.into());
}

/// The assignments of a file in the syntax of a shell, in its order: comments are left out, quotes and backslashes
/// resolved.
pub(super) fn entries(text: &str) -> impl Iterator<Item = (&str, String)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        let name = !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        name.then(|| (key, unquote(value)))
    })
}

fn unquote(value: &str) -> String {
    let single = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    if let Some(text) = single {
        return text.to_owned();
    }
    let double = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut text = String::new();
    let mut rest = double.unwrap_or(value).chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => text.extend(rest.next()),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn quotes_comments_and_lists() {
        let (_root, machine) = machine(&[(
            "/etc/os-release",
            "# of Rocky\nNAME=\"Rocky Linux\"\n\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='9.4'\n\
             HOME_URL=\"https://x/?a=b\"\nODD=\"a \\\"b\\\" \\$c\"\nnot an assignment\n=x\nEMPTY=\n",
        )]);
        let mut facts = Map::new();
        collect(&machine, &mut facts);
        assert_eq!(
            Value::from(facts),
            json!({"os_release": {
                "name": "Rocky Linux",
                "id_like": ["rhel", "centos", "fedora"],
                "version_id": "9.4",
                "home_url": "https://x/?a=b",
                "odd": "a \"b\" $c",
                "empty": "",
            }})
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_trouble(text in "\\PC*") {
            for (key, _) in entries(&text) {
                prop_assert!(!key.is_empty());
            }
        }
    }
}
