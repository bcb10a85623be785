//! A template as written: sections and attributes with their places and their text.

use super::error::Position;

/// A template that was read and is well formed. What its values mean is found out by
/// [`super::resolve`].
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Name of the file, for errors.
    pub file: String,
    /// The sections of rank 1, in file order. Exactly one is a [`Kind::Cluster`].
    pub sections: Vec<Section>,
}

impl Template {
    /// The one `[cluster NAME]` section.
    pub(super) fn cluster(&self) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == Kind::Cluster)
    }

    /// The name in `[cluster NAME]`.
    pub fn cluster_name(&self) -> &str {
        self.cluster().map_or("", Section::name)
    }
}

/// One section with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// What kind it is.
    pub kind: Kind,
    /// Number of brackets.
    pub rank: usize,
    /// The words after the kind.
    pub name: Option<String>,
    /// Where its header starts.
    pub position: Position,
    /// Its attributes in file order.
    pub attributes: Vec<Attribute>,
    /// The sections in it, in file order.
    pub sections: Vec<Section>,
}

impl Section {
    /// The name; empty when it has none.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The last attribute of this key, in any case of letters.
    pub fn attribute(&self, key: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .rev()
            .find(|attribute| attribute.key.eq_ignore_ascii_case(key))
    }

    /// `[[node scheduler]]`, for errors.
    pub(super) fn header(&self) -> String {
        let blank = if self.name.is_some() { " " } else { "" };
        format!(
            "{}{}{blank}{}{}",
            "[".repeat(self.rank),
            self.kind.word(),
            self.name(),
            "]".repeat(self.rank)
        )
    }
}

/// The kinds of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[cluster NAME]`
    Cluster,
    /// `[[node NAME]]`
    Node,
    /// `[[nodearray NAME]]`
    NodeArray,
    /// `[[[configuration PREFIX]]]`
    Configuration,
    /// `[[[cluster-init PROJECT:SPEC:VERSION]]]`
    ClusterInit,
    /// `[[[volume NAME]]]`
    Volume,
    /// `[[[network-interface NAME]]]`
    NetworkInterface,
    /// `[[[input-endpoint NAME]]]`
    InputEndpoint,
    /// `[noderef NAME]`
    NodeRef,
    /// `[environment NAME]`
    Environment,
    /// `[parameters NAME]`, of any rank: a group on the form.
    Parameters,
    /// `[[[parameter NAME]]]`, of any rank.
    Parameter,
    /// `[[[[list PATH]]]]`: appends a record to a list.
    List,
    /// `[[[[record PATH]]]]`: a record as a value.
    Record,
}

impl Kind {
    /// All kinds.
    pub(super) const ALL: [Self; 14] = [
        Self::Cluster,
        Self::Node,
        Self::NodeArray,
        Self::Configuration,
        Self::ClusterInit,
        Self::Volume,
        Self::NetworkInterface,
        Self::InputEndpoint,
        Self::NodeRef,
        Self::Environment,
        Self::Parameters,
        Self::Parameter,
        Self::List,
        Self::Record,
    ];

    /// The word in the header.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::NodeArray => "nodearray",
            Self::Configuration => "configuration",
            Self::ClusterInit => "cluster-init",
            Self::Volume => "volume",
            Self::NetworkInterface => "network-interface",
            Self::InputEndpoint => "input-endpoint",
            Self::NodeRef => "noderef",
            Self::Environment => "environment",
            Self::Parameters => "parameters",
            Self::Parameter => "parameter",
            Self::List => "list",
            Self::Record => "record",
        }
    }

    /// How a right header looks, where the rank is fixed.
    pub(super) fn form(self) -> Option<(usize, &'static str)> {
        match self {
            Self::Cluster => Some((1, "[cluster NAME]")),
            Self::Node => Some((2, "[[node NAME]]")),
            Self::NodeArray => Some((2, "[[nodearray NAME]]")),
            Self::Configuration => Some((3, "[[[configuration]]]")),
            Self::ClusterInit => Some((3, "[[[cluster-init PROJECT:SPEC:VERSION]]]")),
            Self::Volume => Some((3, "[[[volume NAME]]]")),
            Self::NetworkInterface => Some((3, "[[[network-interface NAME]]]")),
            Self::InputEndpoint => Some((3, "[[[input-endpoint NAME]]]")),
            Self::NodeRef | Self::Environment | Self::Parameters | Self::Parameter => None,
            Self::List | Self::Record => None,
        }
    }
}

/// One `KEY = VALUE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// The key as written, with its dots.
    pub key: String,
    /// `=` or `:=`.
    pub operator: Operator,
    /// The right side as written: with its quotes, without the blanks around it and the comment after it.
    pub raw: String,
    /// Where the key starts.
    pub position: Position,
    /// Where the right side starts.
    pub value_position: Position,
}

impl Attribute {
    /// The right side as text: without the quotes when all of it is quoted, with its commas when not.
    pub fn text(&self) -> String {
        super::value::text(&self.raw)
    }
}

/// What stands between key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`: a plain value, with `$Parameter` in it.
    Value,
    /// `:=`: an expression.
    Expression,
}
