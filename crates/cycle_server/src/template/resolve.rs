//! From the template as written to the cluster that it means.

use std::collections::BTreeMap;

use protocol::ShutdownPolicy;
use serde_json::{Map, Value};

use super::definition::{ArrayDefinition, ClusterDefinition, NodeDefinition, SpecReference};
use super::error::{Position, TemplateError};
use super::inherit::{DEFAULTS, Family, owner};
use super::lexer::short;
use super::parameters::Scope;
use super::syntax::{Attribute, Kind, Section, Template};
use super::value;

/// Where specs that were picked on the form run: after those of the file.
const ADDITIONAL_SPEC_ORDER: i64 = 10_000;

/// Attributes that are text whatever they look like: commas make no list, and 1.10 is not 1.1.
const TEXTUAL: [&str; 11] = [
    "Category",
    "CloudInit",
    "Comment",
    "Description",
    "IconUrl",
    "Label",
    "Locker",
    "Name",
    "Project",
    "Spec",
    "Version",
];

/// Applies parameters and inheritance. The same input gives the same definition.
///
/// # Errors
/// The first of: a required parameter without a value, a value of the wrong type, a parameter that the template
/// does not know, given or referred to; a parent that does not exist or extends its child; an expression where
/// its value would matter; a count that is no count.
pub fn resolve(
    template: &Template,
    cluster_name: &str,
    parameters: &Map<String, Value>,
) -> Result<ClusterDefinition, TemplateError> {
    let scope = Scope::new(template, cluster_name, parameters)?;
    let resolver = Resolver {
        file: &template.file,
        scope: &scope,
    };
    let Some(cluster) = template.cluster() else {
        return Err(TemplateError::outside("the template has no cluster"));
    };
    resolver.check_references(cluster, &owner(cluster))?;
    for section in template.sections.iter().chain(&cluster.sections) {
        if matches!(section.kind, Kind::NodeRef | Kind::Environment) {
            return Err(TemplateError::at(
                &template.file,
                section.position,
                format!(
                    "found `{}`, expected nodes and node arrays only: this kind of section is not supported",
                    section.header()
                ),
            ));
        }
    }

    let mut attributes = Attributes::default();
    resolver.apply(&mut attributes, cluster, &owner(cluster))?;
    let mut definition = ClusterDefinition {
        name: cluster_name.to_owned(),
        template: cluster.name().to_owned(),
        max_count: resolver.count(&attributes, "MaxCount")?,
        max_core_count: resolver.count(&attributes, "MaxCoreCount")?,
        attributes: attributes.tree(),
        parameters: scope.values(),
        ..ClusterDefinition::default()
    };

    let family = Family::new(&template.file, &scope, cluster);
    for section in family.members().iter().copied() {
        // An abstract section may have a parent that does not exist, too.
        let line = family.line(section)?;
        if section.name().eq_ignore_ascii_case(DEFAULTS) || resolver.is_abstract(section)? {
            continue;
        }
        let (node, attributes) = resolver.node(section, &line)?;
        if section.kind == Kind::Node {
            definition.nodes.push(node);
            continue;
        }
        definition.arrays.push(ArrayDefinition {
            node,
            initial_count: resolver.count(&attributes, "InitialCount")?.unwrap_or(0),
            initial_core_count: resolver.count(&attributes, "InitialCoreCount")?.unwrap_or(0),
            max_count: resolver.count(&attributes, "MaxCount")?,
            max_core_count: resolver.count(&attributes, "MaxCoreCount")?,
            dynamic: false,
            group_size: None,
        });
    }
    Ok(definition)
}

/// Evaluated attributes in the order in which they first appeared, with their places.
#[derive(Default)]
struct Attributes(Vec<(String, Value, Position)>);

impl Attributes {
    fn set(&mut self, key: &str, value: Value, position: Position) {
        match self
            .0
            .iter_mut()
            .find(|(name, _, _)| name.eq_ignore_ascii_case(key))
        {
            Some(entry) => (entry.1, entry.2) = (value, position),
            None => self.0.push((key.to_owned(), value, position)),
        }
    }

    /// None for an attribute that is absent or undefined.
    fn get(&self, key: &str) -> Option<(&Value, Position)> {
        self.0
            .iter()
            .find(|(name, value, _)| name.eq_ignore_ascii_case(key) && !value.is_null())
            .map(|(_, value, position)| (value, *position))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key)
            .map(|(value, _)| value::into_text(value))
            .filter(|text| !text.is_empty())
    }

    /// Dotted keys become trees; what is undefined is left out.
    fn tree(&self) -> Map<String, Value> {
        let mut tree = Map::new();
        for (key, value, _) in &self.0 {
            set(&mut tree, key, value.clone());
        }
        tree
    }
}

/// [`protocol::set_dotted`] with keys in any case of letters, and null to remove.
pub(super) fn set(tree: &mut Map<String, Value>, path: &str, value: Value) {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let key = tree
        .keys()
        .find(|key| key.eq_ignore_ascii_case(head))
        .map_or(head, String::as_str)
        .to_owned();
    match rest {
        None if value.is_null() => {
            tree.shift_remove(&key);
        }
        None => {
            tree.insert(key, value);
        }
        Some(rest) => {
            if value.is_null() && !tree.get(&key).is_some_and(Value::is_object) {
                return;
            }
            let below = tree.entry(key).or_insert_with(|| Value::Object(Map::new()));
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            if let Value::Object(below) = below {
                set(below, rest, value);
            }
        }
    }
}

struct Resolver<'a> {
    file: &'a str,
    scope: &'a Scope<'a>,
}

impl<'a> Resolver<'a> {
    fn check_references(&self, section: &Section, owner_name: &str) -> Result<(), TemplateError> {
        for attribute in &section.attributes {
            self.scope.check_references(attribute, owner_name)?;
        }
        for below in &section.sections {
            match below.kind {
                Kind::Parameters | Kind::Parameter => {}
                Kind::Node | Kind::NodeArray => self.check_references(below, &owner(below))?,
                _ => self.check_references(below, owner_name)?,
            }
        }
        Ok(())
    }

    fn is_abstract(&self, section: &Section) -> Result<bool, TemplateError> {
        match section.attribute("Abstract") {
            None => Ok(false),
            Some(attribute) => {
                let value = self.scope.evaluate(attribute, &owner(section))?;
                self.boolean(&value, attribute.value_position)
            }
        }
    }

    /// Evaluates the section's own attributes, lists and records over what is there.
    fn apply(
        &self,
        attributes: &mut Attributes,
        section: &Section,
        owner: &str,
    ) -> Result<(), TemplateError> {
        self.apply_each(attributes, std::slice::from_ref(&section), owner)
    }

    /// Only the last value of a key is evaluated: what is replaced does not matter.
    fn apply_each(
        &self,
        attributes: &mut Attributes,
        line: &[&Section],
        owner: &str,
    ) -> Result<(), TemplateError> {
        let mut last: Vec<&Attribute> = Vec::new();
        for attribute in line.iter().flat_map(|section| &section.attributes) {
            let key = &attribute.key;
            if ["Extends", "Abstract"]
                .iter()
                .any(|own| key.eq_ignore_ascii_case(own))
            {
                continue;
            }
            match last.iter_mut().find(|other| other.key.eq_ignore_ascii_case(key)) {
                Some(other) => *other = attribute,
                None => last.push(attribute),
            }
        }
        for attribute in last {
            let textual = TEXTUAL.iter().any(|key| attribute.key.eq_ignore_ascii_case(key));
            let value = if textual {
                self.scope.evaluate_text(attribute, owner)?
            } else {
                self.scope.evaluate(attribute, owner)?
            };
            attributes.set(&attribute.key, value, attribute.value_position);
        }
        for below in line.iter().flat_map(|section| &section.sections) {
            if !matches!(below.kind, Kind::List | Kind::Record) {
                continue;
            }
            let mut record = Attributes::default();
            self.apply(&mut record, below, owner)?;
            let record = Value::Object(record.tree());
            let value = match (below.kind, attributes.get(below.name())) {
                (Kind::List, Some((Value::Array(list), _))) => {
                    let mut list = list.clone();
                    list.push(record);
                    Value::Array(list)
                }
                (Kind::List, _) => Value::Array(vec![record]),
                _ => record,
            };
            attributes.set(below.name(), value, below.position);
        }
        Ok(())
    }

    /// A node, and its attributes with their places.
    fn node(
        &self,
        section: &Section,
        line: &[&Section],
    ) -> Result<(NodeDefinition, Attributes), TemplateError> {
        let owner = owner(section);
        let mut attributes = Attributes::default();
        self.apply_each(&mut attributes, line, &owner)?;
        let machine_types = match attributes.get("MachineType") {
            Some((Value::Array(types), _)) => types.iter().map(value::into_text).collect(),
            Some((one, _)) => vec![value::into_text(one)],
            None => Vec::new(),
        };
        let flag = |key, default| match attributes.get(key) {
            Some((value, position)) => self.boolean(value, position),
            None => Ok(default),
        };
        let node = NodeDefinition {
            name: section.name().to_owned(),
            machine_types,
            configuration: self.configuration(line, &owner)?,
            cluster_init: self.specs(line, &attributes, &owner)?,
            keep_alive: flag("KeepAlive", false)?,
            shutdown_policy: self.shutdown_policy(&attributes)?,
            start_automatically: flag("StartAutomatically", true)?,
            volumes: self.named(line, Kind::Volume, &owner)?,
            network_interfaces: self.named(line, Kind::NetworkInterface, &owner)?,
            input_endpoints: self.named(line, Kind::InputEndpoint, &owner)?,
            attributes: attributes.tree(),
        };
        Ok((node, attributes))
    }

    fn configuration(&self, line: &[&Section], owner: &str) -> Result<Map<String, Value>, TemplateError> {
        let mut last: Vec<(String, &Attribute)> = Vec::new();
        for section in of_kind(line, Kind::Configuration) {
            for attribute in &section.attributes {
                let path = match section.name() {
                    "" => attribute.key.clone(),
                    prefix => format!("{prefix}.{}", attribute.key),
                };
                match last
                    .iter_mut()
                    .find(|(other, _)| other.eq_ignore_ascii_case(&path))
                {
                    Some(entry) => entry.1 = attribute,
                    None => last.push((path, attribute)),
                }
            }
        }
        let mut tree = Map::new();
        for (path, attribute) in last {
            set(&mut tree, &path, self.scope.evaluate(attribute, owner)?);
        }
        Ok(tree)
    }

    /// Sections of one kind, joined by name.
    fn joined<'s>(&self, line: &[&'s Section], kind: Kind) -> Vec<(&'s str, Vec<&'s Section>)> {
        let mut joined: Vec<(&str, Vec<&Section>)> = Vec::new();
        for section in of_kind(line, kind) {
            match joined
                .iter_mut()
                .find(|(name, _)| name.eq_ignore_ascii_case(section.name()))
            {
                Some((_, sections)) => sections.push(section),
                None => joined.push((section.name(), vec![section])),
            }
        }
        joined
    }

    fn named(
        &self,
        line: &[&Section],
        kind: Kind,
        owner: &str,
    ) -> Result<BTreeMap<String, Map<String, Value>>, TemplateError> {
        self.joined(line, kind)
            .into_iter()
            .map(|(name, sections)| {
                let mut attributes = Attributes::default();
                self.apply_each(&mut attributes, &sections, owner)?;
                Ok((name.to_owned(), attributes.tree()))
            })
            .collect()
    }

    fn specs(
        &self,
        line: &[&Section],
        node: &Attributes,
        owner: &str,
    ) -> Result<Vec<SpecReference>, TemplateError> {
        let mut specs = Vec::new();
        for (name, sections) in self.joined(line, Kind::ClusterInit) {
            let mut attributes = Attributes::default();
            self.apply_each(&mut attributes, &sections, owner)?;
            let position = sections
                .last()
                .map(|section| section.position)
                .unwrap_or_default();
            specs.push(self.spec(name, attributes, 0, position, node)?);
        }
        if let Some((value, position)) = node.get("AdditionalClusterInitSpecs") {
            match value {
                Value::Object(picked) => {
                    for (name, record) in picked {
                        let mut attributes = Attributes::default();
                        for (key, value) in record.as_object().into_iter().flatten() {
                            attributes.set(key, value.clone(), position);
                        }
                        specs.push(self.spec(name, attributes, ADDITIONAL_SPEC_ORDER, position, node)?);
                    }
                }
                Value::String(text) if text.is_empty() => {}
                other => {
                    return self.wrong(other, position, "a record of cluster-init specs");
                }
            }
        }
        specs.sort_by_key(|(order, _)| *order);
        Ok(specs.into_iter().map(|(_, spec)| spec).collect())
    }

    /// A spec and its place in the order.
    fn spec(
        &self,
        name: &str,
        attributes: Attributes,
        default_order: i64,
        position: Position,
        node: &Attributes,
    ) -> Result<(i64, SpecReference), TemplateError> {
        let (prefix, rest) = match name.split_once('/') {
            Some((locker, rest)) => (Some(locker), rest),
            None => (None, name),
        };
        let mut words = rest.splitn(3, ':').map(str::trim).map(str::to_owned);
        let mut from_name = (words.next(), words.next(), words.next());
        if from_name.1.is_none() {
            // A free name: the attributes say what it stands for.
            from_name = (None, None, None);
        }
        let expected = "`[[[cluster-init PROJECT:SPEC:VERSION]]]` or the attributes `Project` and `Spec`";
        let Some(project) = attributes.text("Project").or(from_name.0) else {
            return Err(TemplateError::at(
                self.file,
                position,
                format!("found the cluster-init `{}`, expected {expected}", short(name)),
            ));
        };
        let spec = attributes
            .text("Spec")
            .or(from_name.1)
            .unwrap_or_else(|| "default".to_owned());
        let version = attributes
            .text("Version")
            .or(from_name.2)
            .filter(|version| !version.is_empty());
        let locker = attributes
            .text("Locker")
            .or(prefix.filter(|_| rest.contains(':')).map(str::to_owned))
            .or_else(|| node.text("Locker"));
        for (what, name) in [
            ("project", Some(&project)),
            ("spec", Some(&spec)),
            ("version", version.as_ref()),
            ("locker", locker.as_ref()),
        ] {
            if let Some(name) = name
                && let Err(error) = protocol::check_name(what, name)
            {
                return Err(TemplateError::at(
                    self.file,
                    position,
                    format!("found a name that cannot be used, expected {expected}: {error}"),
                ));
            }
        }
        let order = match attributes.get("Order") {
            None => default_order,
            Some((value, position)) => match integer(value) {
                Some(order) => order,
                None => return self.wrong(value, position, "an integer"),
            },
        };
        let optional = match attributes.get("Optional") {
            Some((value, position)) => self.boolean(value, position)?,
            None => false,
        };
        Ok((
            order,
            SpecReference {
                project,
                spec,
                version,
                locker,
                optional,
                attributes: attributes.tree(),
            },
        ))
    }

    fn shutdown_policy(&self, attributes: &Attributes) -> Result<ShutdownPolicy, TemplateError> {
        match attributes.get("ShutdownPolicy") {
            None => Ok(ShutdownPolicy::Terminate),
            Some((value, position)) => match value::into_text(value).to_lowercase().as_str() {
                "terminate" => Ok(ShutdownPolicy::Terminate),
                "deallocate" => Ok(ShutdownPolicy::Deallocate),
                _ => self.wrong(value, position, "`terminate` or `deallocate`"),
            },
        }
    }

    fn count(&self, attributes: &Attributes, key: &str) -> Result<Option<u32>, TemplateError> {
        match attributes.get(key) {
            None => Ok(None),
            Some((Value::String(text), _)) if text.is_empty() => Ok(None),
            Some((value, position)) => match integer(value).map(u32::try_from) {
                Some(Ok(count)) => Ok(Some(count)),
                _ => self.wrong(value, position, &format!("`{key}` to be a whole number from 0")),
            },
        }
    }

    fn boolean(&self, value: &Value, position: Position) -> Result<bool, TemplateError> {
        match value {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            other => self.wrong(other, position, "true or false"),
        }
    }

    fn wrong<T>(&self, value: &Value, position: Position, expected: &str) -> Result<T, TemplateError> {
        Err(TemplateError::at(
            self.file,
            position,
            format!("found `{}`, expected {expected}", short(&value::into_text(value))),
        ))
    }
}

fn of_kind<'s>(line: &[&'s Section], kind: Kind) -> impl Iterator<Item = &'s Section> {
    line.iter()
        .flat_map(|section| &section.sections)
        .filter(move |section| section.kind == kind)
}

/// Whole numbers, also as text from a command line.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
