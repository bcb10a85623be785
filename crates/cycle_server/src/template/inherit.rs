//! `Extends`: from which sections a node takes what it has.

use serde_json::Value;

use super::error::TemplateError;
use super::parameters::Scope;
use super::syntax::{Kind, Section};
use super::value;

/// The name of the section that all nodes and arrays extend without saying so.
pub(super) const DEFAULTS: &str = "defaults";

/// All nodes and arrays of a cluster.
pub(super) struct Family<'a> {
    file: &'a str,
    scope: &'a Scope<'a>,
    members: Vec<&'a Section>,
}

impl<'a> Family<'a> {
    pub(super) fn new(file: &'a str, scope: &'a Scope<'a>, cluster: &'a Section) -> Self {
        let members = cluster
            .sections
            .iter()
            .filter(|section| matches!(section.kind, Kind::Node | Kind::NodeArray))
            .collect();
        Self { file, scope, members }
    }

    /// In file order.
    pub(super) fn members(&self) -> &[&'a Section] {
        &self.members
    }

    fn find(&self, name: &str) -> Option<&'a Section> {
        self.members
            .iter()
            .copied()
            .find(|member| member.name().eq_ignore_ascii_case(name))
    }

    /// The sections that make up a node, each once: defaults first, itself last, so that later ones win.
    pub(super) fn line(&self, section: &'a Section) -> Result<Vec<&'a Section>, TemplateError> {
        let mut line = Vec::new();
        if let Some(defaults) = self.find(DEFAULTS) {
            self.walk(defaults, &mut vec![defaults], &mut line)?;
        }
        self.walk(section, &mut vec![section], &mut line)?;
        Ok(line)
    }

    /// `path` is how the walk came here, for the error about a cycle; `line` grows.
    fn walk(
        &self,
        section: &'a Section,
        path: &mut Vec<&'a Section>,
        line: &mut Vec<&'a Section>,
    ) -> Result<(), TemplateError> {
        if line.iter().any(|member| std::ptr::eq(*member, section)) {
            return Ok(());
        }
        for parent in self.parents(section)? {
            if path.iter().any(|member| std::ptr::eq(*member, parent)) {
                let names: Vec<_> = path.iter().chain([&parent]).map(|member| member.name()).collect();
                return Err(TemplateError::at(
                    self.file,
                    extends_position(section),
                    format!(
                        "found the cycle `{}`, expected parents that do not extend their children",
                        names.join("` -> `")
                    ),
                ));
            }
            path.push(parent);
            self.walk(parent, path, line)?;
            path.pop();
        }
        line.push(section);
        Ok(())
    }

    fn parents(&self, section: &'a Section) -> Result<Vec<&'a Section>, TemplateError> {
        let Some(attribute) = section.attribute("Extends") else {
            return Ok(Vec::new());
        };
        let names = match self.scope.evaluate(attribute, &owner(section))? {
            Value::Null => Vec::new(),
            Value::Array(names) => names.iter().map(value::into_text).collect(),
            name => vec![value::into_text(&name)],
        };
        names
            .iter()
            .map(|name| {
                self.find(name).ok_or_else(|| {
                    TemplateError::at(
                        self.file,
                        attribute.value_position,
                        format!("found the parent `{name}`, expected the name of a node or node array"),
                    )
                })
            })
            .collect()
    }
}

fn extends_position(section: &Section) -> super::error::Position {
    section
        .attribute("Extends")
        .map_or(section.position, |attribute| attribute.value_position)
}

/// `node scheduler`, for errors.
pub(super) fn owner(section: &Section) -> String {
    format!("{} {}", section.kind.word(), section.name())
}
