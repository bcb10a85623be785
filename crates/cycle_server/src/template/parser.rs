//! Headers and attributes to a tree of sections.

use std::collections::BTreeSet;

use super::error::{Position, TemplateError};
use super::lexer::{Header, Item, Lexer};
use super::syntax::{Kind, Section, Template};

/// Reads a template. `file` is its name in errors.
///
/// # Errors
/// The first thing in the text that is not well formed: an unknown kind of section, a section in a place
/// where it means nothing, two nodes or two parameters of one name, an unfinished value, no `[cluster]`.
pub fn parse(file: &str, text: &str) -> Result<Template, TemplateError> {
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    let mut parser = Parser {
        file,
        open: Vec::new(),
        done: Vec::new(),
        nodes: BTreeSet::new(),
        parameters: BTreeSet::new(),
    };
    let mut lexer = Lexer::new(file, &text);
    while let Some(item) = lexer.next()? {
        match item {
            Item::Header(header) => parser.open_section(header)?,
            Item::Attribute(attribute) => match parser.open.last_mut() {
                Some(section) => section.attributes.push(attribute),
                None => {
                    return Err(TemplateError::at(
                        file,
                        attribute.position,
                        format!(
                            "found `{}` outside any section, expected `[cluster NAME]` before it",
                            attribute.key
                        ),
                    ));
                }
            },
        }
    }
    parser.close(1);
    let template = Template {
        file: file.to_owned(),
        sections: parser.done,
    };
    if template.cluster().is_none() {
        let start = Position { line: 1, column: 1 };
        return Err(TemplateError::at(
            file,
            start,
            "found no `[cluster NAME]` section, expected one",
        ));
    }
    Ok(template)
}

struct Parser<'a> {
    file: &'a str,
    /// The sections that are open, outermost first.
    open: Vec<Section>,
    /// The finished sections of rank 1, and deeper ones that have none above.
    done: Vec<Section>,
    nodes: BTreeSet<String>,
    parameters: BTreeSet<String>,
}

impl Parser<'_> {
    fn fail<T>(&self, position: Position, message: String) -> Result<T, TemplateError> {
        Err(TemplateError::at(self.file, position, message))
    }

    /// Ends all open sections of this rank and deeper.
    fn close(&mut self, rank: usize) {
        while self.open.last().is_some_and(|section| section.rank >= rank) {
            if let Some(section) = self.open.pop() {
                match self.open.last_mut() {
                    Some(parent) => parent.sections.push(section),
                    None => self.done.push(section),
                }
            }
        }
    }

    fn open_section(&mut self, header: Header) -> Result<(), TemplateError> {
        let Some(kind) = Kind::ALL
            .into_iter()
            .find(|kind| kind.word().eq_ignore_ascii_case(&header.kind))
        else {
            let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.word()).collect();
            return self.fail(
                header.position,
                format!(
                    "found a section of kind `{}`, expected one of {}",
                    header.kind,
                    known.join(", ")
                ),
            );
        };
        let section = Section {
            kind,
            rank: header.rank,
            name: header.name,
            position: header.position,
            attributes: Vec::new(),
            sections: Vec::new(),
        };
        self.close(section.rank);
        self.check_shape(&section)?;
        self.check_parent(&section)?;
        self.check_name(&section)?;
        self.open.push(section);
        Ok(())
    }

    fn check_shape(&self, section: &Section) -> Result<(), TemplateError> {
        match section.kind.form() {
            Some((rank, form)) if rank != section.rank => self.fail(
                section.position,
                format!("found `{}`, expected the form `{form}`", section.header()),
            ),
            _ => Ok(()),
        }
    }

    fn check_parent(&self, section: &Section) -> Result<(), TemplateError> {
        let parent = self.open.last();
        let (fits, expected) = match (section.kind, parent.map(|parent| parent.kind)) {
            (Kind::Cluster, None) => {
                let second = self.done.iter().any(|section| section.kind == Kind::Cluster);
                (!second, "one `[cluster]` in a file")
            }
            (Kind::Node | Kind::NodeArray, parent) => {
                (parent == Some(Kind::Cluster), "it below `[cluster NAME]`")
            }
            (
                Kind::Configuration
                | Kind::ClusterInit
                | Kind::Volume
                | Kind::NetworkInterface
                | Kind::InputEndpoint,
                parent,
            ) => (
                matches!(parent, Some(Kind::Node | Kind::NodeArray)),
                "it below a `[[node]]` or a `[[nodearray]]`",
            ),
            (Kind::List | Kind::Record, parent) => (
                !matches!(parent, None | Some(Kind::Parameters)),
                "it below the section whose value it is",
            ),
            (Kind::Parameter | Kind::Parameters, parent) => (
                matches!(parent, None | Some(Kind::Parameters | Kind::Cluster)),
                "it below `[parameters]`",
            ),
            (Kind::NodeRef | Kind::Environment, parent) => (
                matches!(parent, None | Some(Kind::Cluster)),
                "it outside other sections",
            ),
            (Kind::Cluster, Some(_)) => (false, "it outside other sections"),
        };
        if fits {
            return Ok(());
        }
        let place = match parent {
            Some(parent) => format!("in `{}`", parent.header()),
            None if section.kind == Kind::Cluster => "as a second cluster".to_owned(),
            None => "outside other sections".to_owned(),
        };
        self.fail(
            section.position,
            format!("found `{}` {place}, expected {expected}", section.header()),
        )
    }

    fn check_name(&mut self, section: &Section) -> Result<(), TemplateError> {
        let named = !matches!(section.kind, Kind::Configuration | Kind::Parameters);
        if named && section.name().is_empty() {
            return self.fail(
                section.position,
                format!(
                    "found `{}`, expected a name after `{}`",
                    section.header(),
                    section.kind.word()
                ),
            );
        }
        if matches!(section.kind, Kind::Node | Kind::NodeArray)
            && let Err(error) = protocol::check_name("node", section.name())
        {
            return self.fail(
                section.position,
                format!("found a name that cannot be used: {error}"),
            );
        }
        let names = match section.kind {
            Kind::Node | Kind::NodeArray => &mut self.nodes,
            Kind::Parameter => &mut self.parameters,
            _ => return Ok(()),
        };
        if !names.insert(section.name().to_lowercase()) {
            return self.fail(
                section.position,
                format!("found a second `{}`, expected each name once", section.name()),
            );
        }
        Ok(())
    }
}
