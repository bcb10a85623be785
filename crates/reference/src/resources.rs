//! The page of what recipes may declare, made from the catalogue of resources.

use std::fmt::Write;

use converge::resource::{Kind, Property, PropertyDefault, Provides, Required, Type, catalogue};

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "<!-- Made by `cargo xtask generate` from the catalogue of resources. -->\n# Resources of recipes\n\n\
         The names, defaults and behaviour are those of Chef Infra 18, and of the community's cookbooks for what is theirs. Every \
         resource also has `sensitive`, the action `nothing`, and what Chef gives to all: guards, `retries`, `ignore_failure`, \
         notifications.\n\n",
    );
    let mut kinds: Vec<&Kind> = catalogue().collect();
    kinds.sort_by_key(|kind| kind.name);
    let names: Vec<_> = kinds
        .iter()
        .map(|kind| format!("[`{0}`](#{0})", kind.name))
        .collect();
    let _ = writeln!(page, "{}", names.join(" · "));
    for kind in kinds {
        section(&mut page, kind);
    }
    page
}

fn section(page: &mut String, kind: &Kind) {
    let _ = writeln!(page, "\n## {}\n", kind.name);
    let own = Provides {
        name: kind.name,
        platform_family: &[],
        from_version: None,
        before_version: None,
    };
    let others: Vec<_> = kind
        .provides
        .iter()
        .filter(|provides| is_other(provides, &own))
        .map(offer)
        .collect();
    if !others.is_empty() {
        let _ = writeln!(page, "Also {}.\n", others.join(", "));
    }
    let actions: Vec<_> = kind
        .actions
        .iter()
        .map(|action| {
            format!(
                "`:{action}`{}",
                if *action == kind.default_action {
                    " (default)"
                } else {
                    ""
                }
            )
        })
        .collect();
    let nothing = if kind.default_action == "nothing" {
        "; the default is `:nothing`"
    } else {
        ""
    };
    let _ = writeln!(page, "Actions: {}{nothing}.", actions.join(", "));
    let properties: Vec<_> = kind
        .properties
        .iter()
        .filter(|property| !property.internal)
        .collect();
    if properties.is_empty() {
        return;
    }
    page.push_str("\n| property | takes | default |\n|---|---|---|\n");
    for property in properties {
        let aliases = property
            .aliases
            .iter()
            .map(|alias| format!(", `{alias}`"))
            .collect::<String>();
        let _ = writeln!(
            page,
            "| `{}`{aliases} | {} | {} |",
            property.name,
            takes(property),
            default(property)
        );
    }
}

fn is_other(provides: &Provides, own: &Provides) -> bool {
    provides.name != own.name || !provides.platform_family.is_empty()
}

/// Another name, and where it holds: `` `package` on rhel from 8 ``.
fn offer(provides: &Provides) -> String {
    let mut text = format!("`{}`", provides.name);
    if !provides.platform_family.is_empty() {
        let _ = write!(text, " on {}", provides.platform_family.join(" and "));
    }
    if let Some(version) = provides.from_version {
        let _ = write!(text, " from {version}");
    }
    if let Some(version) = provides.before_version {
        let _ = write!(text, " before {version}");
    }
    text
}

fn takes(property: &Property) -> String {
    if !property.one_of.is_empty() {
        let values: Vec<_> = property.one_of.iter().map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    let types: Vec<_> = property.types.iter().map(|kind| name(*kind)).collect();
    if types.is_empty() {
        "anything".to_owned()
    } else {
        types.join(", ")
    }
}

fn name(kind: Type) -> &'static str {
    match kind {
        Type::String => "String",
        Type::Integer => "Integer",
        Type::Float => "Float",
        Type::Boolean => "true, false",
        Type::Array => "Array",
        Type::Hash => "Hash",
        Type::Regexp => "Regexp",
    }
}

fn default(property: &Property) -> String {
    match (property.required, property.default) {
        (Required::Yes, _) => "required".to_owned(),
        (Required::For(actions), _) => {
            let actions: Vec<_> = actions.iter().map(|action| format!("`:{action}`")).collect();
            format!("required for {}", actions.join(", "))
        }
        (Required::No, PropertyDefault::Name) => "the name".to_owned(),
        (Required::No, default) => default
            .value()
            .map(|value| format!("`{value}`").replace('\n', "\\n"))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_shown_with_its_names_actions_and_properties() {
        let page = page();
        assert!(
            page.contains("\n## dnf_package\n\nAlso `package` on fedora, `package` on rhel from 8,"),
            "{page}"
        );
        assert!(page.contains("Actions: `:create` (default), `:delete`."));
        assert!(page.contains("| `owner`, `user` | String, Integer |  |"));
        assert!(page.contains("| `to` | String | required for `:create` |"));
        assert!(
            !page.contains("`source_path`"),
            "what recipes do not set is not shown"
        );
    }
}
