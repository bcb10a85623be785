//! Which kinds of resources there are: the one source for those who check recipes and for those who apply them.

use serde::Serialize;
use serde_json::{Value, json};

use super::Platform;
use super::kinds;

/// What a value of a property may be. On the way here symbols are strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// A text, or a symbol.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Float,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// Names with values.
    Hash,
    /// A regular expression: `{"regexp": SOURCE, "options": "imx"}`.
    Regexp,
}

/// The value of a property that a recipe does not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum Default {
    /// There is none.
    None,
    /// The name of the resource.
    Name,
    /// A boolean.
    Boolean(bool),
    /// A number.
    Integer(i64),
    /// A text.
    String(&'static str),
    /// An empty list.
    EmptyArray,
    /// An empty hash.
    EmptyHash,
}

impl Default {
    /// As JSON; none when there is no default or it is the name.
    pub fn value(self) -> Option<Value> {
        match self {
            Self::None | Self::Name => None,
            Self::Boolean(value) => Some(value.into()),
            Self::Integer(value) => Some(value.into()),
            Self::String(value) => Some(value.into()),
            Self::EmptyArray => Some(json!([])),
            Self::EmptyHash => Some(json!({})),
        }
    }
}

/// Whether a recipe must set a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "actions")]
pub enum Required {
    /// Never.
    No,
    /// Always.
    Yes,
    /// For these actions.
    For(&'static [&'static str]),
}

/// A property of a kind.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Other names of it.
    pub aliases: &'static [&'static str],
    /// What its values may be; anything when there are none here.
    pub types: &'static [Type],
    /// What it is when it is not set. [`Default::Name`] makes it the name property.
    pub default: Default,
    /// The only values that are allowed, if they are limited.
    pub one_of: &'static [&'static str],
    /// Whether it must be set.
    pub required: Required,
    /// Whether its value is kept out of logs and reports.
    pub sensitive: bool,
    /// Whether it is set by whoever evaluates the recipe, never by the recipe.
    pub internal: bool,
}

impl Property {
    /// A property without default that takes values of these types.
    pub(crate) const fn new(name: &'static str, types: &'static [Type]) -> Self {
        Self {
            name,
            aliases: &[],
            types,
            default: Default::None,
            one_of: &[],
            required: Required::No,
            sensitive: false,
            internal: false,
        }
    }

    /// A text.
    pub(crate) const fn string(name: &'static str) -> Self {
        Self::new(name, &[Type::String])
    }

    /// A text or a number.
    pub(crate) const fn id(name: &'static str) -> Self {
        Self::new(name, &[Type::String, Type::Integer])
    }

    /// A whole number.
    pub(crate) const fn integer(name: &'static str) -> Self {
        Self::new(name, &[Type::Integer])
    }

    /// A text or a list of texts.
    pub(crate) const fn list(name: &'static str) -> Self {
        Self::new(name, &[Type::String, Type::Array])
    }

    /// Names with values.
    pub(crate) const fn hash(name: &'static str) -> Self {
        Self::new(name, &[Type::Hash])
    }

    /// `true` or `false`.
    pub(crate) const fn boolean(name: &'static str, default: bool) -> Self {
        Self::new(name, &[Type::Boolean]).or(Default::Boolean(default))
    }

    /// The property that takes the name of the resource when it is not set.
    pub(crate) const fn named(name: &'static str) -> Self {
        Self::string(name).or(Default::Name)
    }

    pub(crate) const fn or(mut self, default: Default) -> Self {
        self.default = default;
        self
    }

    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.one_of = values;
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = Required::Yes;
        self
    }

    pub(crate) const fn required_for(mut self, actions: &'static [&'static str]) -> Self {
        self.required = Required::For(actions);
        self
    }

    pub(crate) const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    pub(crate) const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }
}

/// Properties that every kind has. What is left of the common ones (guards, `retries`, `ignore_failure`, notifications)
/// is for whoever evaluates the recipe.
pub(crate) const COMMON: &[Property] = &[Property::boolean("sensitive", false)];

/// A name under which recipes declare a kind, and where.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Provides {
    /// The name.
    pub name: &'static str,
    /// The families of platforms for which it holds (`platform_family`); all when there are none here.
    pub platform_family: &'static [&'static str],
    /// The first major version of the platform for which it holds.
    pub from_version: Option<u32>,
    /// The first major version of the platform for which it does not hold any more.
    pub before_version: Option<u32>,
}

impl Provides {
    /// A name that holds everywhere.
    pub(crate) const fn everywhere(name: &'static str) -> Self {
        Self {
            name,
            platform_family: &[],
            from_version: None,
            before_version: None,
        }
    }

    /// A name that holds for these families.
    pub(crate) const fn on(name: &'static str, platform_family: &'static [&'static str]) -> Self {
        Self {
            platform_family,
            ..Self::everywhere(name)
        }
    }

    pub(crate) const fn from(mut self, version: u32) -> Self {
        self.from_version = Some(version);
        self
    }

    pub(crate) const fn before(mut self, version: u32) -> Self {
        self.before_version = Some(version);
        self
    }

    /// Whether it holds for a platform. A version that is not known holds for the newest.
    pub fn holds(&self, platform: &Platform) -> bool {
        let family =
            self.platform_family.is_empty() || self.platform_family.contains(&platform.family.as_str());
        let major = platform.major().unwrap_or(u32::MAX);
        family
            && self.from_version.is_none_or(|from| from <= major)
            && self.before_version.is_none_or(|before| major < before)
    }
}

/// A kind of resource.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Kind {
    /// Its own name, as it stands in logs.
    pub name: &'static str,
    /// The names under which recipes declare it, its own among them.
    pub provides: &'static [Provides],
    /// What can be done with it. `nothing` can be done with every kind and is not among them.
    pub actions: &'static [&'static str],
    /// What is done when the recipe does not say.
    pub default_action: &'static str,
    /// Its properties, without those that all kinds have.
    pub properties: &'static [Property],
    /// The property whose value comes as bytes beside the JSON, in [`super::Request::body`].
    pub body: Option<&'static str>,
    /// Whether applying it twice does it twice: commands.
    pub repeats: bool,
}

impl Kind {
    /// A kind of one name.
    pub(crate) const fn new(
        name: &'static str,
        provides: &'static [Provides],
        actions: &'static [&'static str],
        properties: &'static [Property],
    ) -> Self {
        Self {
            name,
            provides,
            actions,
            default_action: actions[0],
            properties,
            body: None,
            repeats: false,
        }
    }

    pub(crate) const fn default_action(mut self, action: &'static str) -> Self {
        self.default_action = action;
        self
    }

    pub(crate) const fn body(mut self, property: &'static str) -> Self {
        self.body = Some(property);
        self
    }

    pub(crate) const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// A property by its name or another name of it.
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        let fits = |property: &&'static Property| property.name == name || property.aliases.contains(&name);
        self.properties.iter().chain(COMMON).find(fits)
    }

    /// The property that takes the name of the resource when it is not set.
    pub fn name_property(&self) -> Option<&'static Property> {
        self.properties
            .iter()
            .find(|property| property.default == Default::Name)
    }
}

/// All kinds.
pub fn catalogue() -> impl Iterator<Item = &'static Kind> {
    kinds::ALL.iter().map(|definition| &definition.kind)
}

/// The kind that a name means on a platform: the last that holds only there, else the one that holds everywhere.
pub fn find(name: &str, platform: &Platform) -> Option<&'static Kind> {
    definition(name, platform).map(|definition| &definition.kind)
}

pub(crate) fn definition(name: &str, platform: &Platform) -> Option<&'static kinds::Definition> {
    let offers = |definition: &kinds::Definition, special: bool| {
        definition.kind.provides.iter().any(|provides| {
            provides.name == name
                && provides.platform_family.is_empty() != special
                && provides.holds(platform)
        })
    };
    let by = |special| {
        kinds::ALL
            .iter()
            .copied()
            .find(|definition| offers(definition, special))
    };
    by(true).or_else(|| by(false))
}

/// The names that are most like one that does not exist.
pub(crate) fn closest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.map(|candidate| (distance(name, candidate), candidate));
    let (distance, candidate) = distances.min()?;
    (distance <= 2.max(name.len() / 4)).then_some(candidate)
}

/// How many characters must be added, taken away or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_is_consistent() {
        let mut names = BTreeSet::new();
        for kind in catalogue() {
            assert!(names.insert(kind.name), "{} is there twice", kind.name);
            assert!(kind.actions.contains(&kind.default_action) || kind.default_action == "nothing");
            assert!(kind.provides.iter().any(|provides| provides.name == kind.name));
            let mut properties = BTreeSet::new();
            for property in kind.properties.iter().chain(COMMON) {
                for name in property.aliases.iter().chain([&property.name]) {
                    assert!(properties.insert(*name), "{}: {name} is there twice", kind.name);
                }
                if let Required::For(actions) = property.required {
                    for action in actions {
                        assert!(kind.actions.contains(action), "{}: no action {action}", kind.name);
                    }
                }
            }
            let of_name = kind.properties.iter().filter(|p| p.default == Default::Name);
            assert!(of_name.count() <= 1, "{} has two name properties", kind.name);
        }
        serde_json::to_string(&catalogue().collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn a_name_that_is_nearly_right_is_found() {
        let names = || ["directory", "file", "package"].into_iter();
        assert_eq!(closest("directroy", names()), Some("directory"));
        assert_eq!(closest("pakage", names()), Some("package"));
        assert_eq!(closest("weather", names()), None);
    }
}
