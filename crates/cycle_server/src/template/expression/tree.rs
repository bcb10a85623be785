//! Expressions as trees.

use serde_json::Value;

use super::super::error::Position;
use super::Fault;
use super::functions::Function;

/// Most levels of an expression: evaluation needs stack for each.
const MAX_HEIGHT: u16 = 100;

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it starts; of operators, where the operator stands.
    pub(super) position: Position,
    pub(super) kind: Kind,
    height: u16,
}

#[derive(Debug)]
pub(super) enum Kind {
    Literal(Value),
    /// The word `error`.
    Error,
    Name(String),
    /// `record.name`
    Member(Box<Node>, String),
    /// `list[0]`, `record["name"]`
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Record(Vec<(String, Node)>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `condition ? yes : no`
    Choice(Box<Node>, Box<Node>, Box<Node>),
    /// `value ?: instead`
    Otherwise(Box<Node>, Box<Node>),
    Call {
        name: String,
        function: Option<&'static Function>,
        arguments: Vec<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
    BitNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    BitOr,
    BitXor,
    BitAnd,
    Equal,
    NotEqual,
    Is,
    IsNot,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    ShiftLeft,
    ShiftRight,
    ShiftRightUnsigned,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Node {
    /// A node above its children.
    ///
    /// # Errors
    /// When the tree becomes too high.
    pub(super) fn new(position: Position, kind: Kind) -> Result<Self, Fault> {
        let height = 1 + kind.children().map(|child| child.height).max().unwrap_or(0);
        if height > MAX_HEIGHT {
            return Err(too_deep(position));
        }
        Ok(Self {
            position,
            kind,
            height,
        })
    }

    /// Collects names that no record around them has. `fields` are those of the records around this node.
    pub(super) fn names<'a>(&'a self, fields: &mut Vec<&'a str>, names: &mut Vec<(&'a str, Position)>) {
        match &self.kind {
            Kind::Name(name) => {
                if !fields.iter().any(|field| field.eq_ignore_ascii_case(name)) {
                    names.push((name, self.position));
                }
            }
            Kind::Record(record) => {
                for (at, (_, value)) in record.iter().enumerate() {
                    let outside = fields.len();
                    let others = record.iter().enumerate().filter(|(other, _)| *other != at);
                    fields.extend(others.map(|(_, (name, _))| name.as_str()));
                    value.names(fields, names);
                    fields.truncate(outside);
                }
            }
            other => other.children().for_each(|child| child.names(fields, names)),
        }
    }

    pub(super) fn unknown_functions<'a>(&'a self, unknown: &mut Vec<(&'a str, Position)>) {
        if let Kind::Call {
            name, function: None, ..
        } = &self.kind
        {
            unknown.push((name, self.position));
        }
        self.kind
            .children()
            .for_each(|child| child.unknown_functions(unknown));
    }
}

impl Kind {
    fn children(&self) -> impl Iterator<Item = &Node> {
        let (boxed, many): (Vec<&Node>, &[Node]) = match self {
            Self::Literal(_) | Self::Error | Self::Name(_) => (Vec::new(), &[]),
            Self::Member(one, _) | Self::Unary(_, one) => (vec![one], &[]),
            Self::Index(one, two) | Self::Binary(_, one, two) | Self::Otherwise(one, two) => {
                (vec![one, two], &[])
            }
            Self::Choice(one, two, three) => (vec![one, two, three], &[]),
            Self::Record(fields) => (fields.iter().map(|(_, value)| value).collect(), &[]),
            Self::List(many) | Self::Call { arguments: many, .. } => (Vec::new(), many),
        };
        boxed.into_iter().chain(many)
    }
}

pub(super) fn too_deep(position: Position) -> Fault {
    Fault::new(
        position,
        format!("found an expression that is nested too deeply, expected at most {MAX_HEIGHT} levels"),
    )
}
