//! ClassAd expressions: the right side of `:=`, and what stands in `${…}`.
//!
//! The language is that of HTCondor's ClassAds with the additions that cluster templates use (`in`, `===`, `isnt`). Values are
//! JSON; null stands for `undefined`, and `error` is an `Err`, so that each operator says on its own which errors it swallows.
//! Expressions have no side effects, no clock and no chance: the same names give the same value.

mod evaluate;
mod functions;
mod operators;
mod parse;
mod regular;
mod scan;
mod texts;
mod tree;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::error::Position;

pub(super) use evaluate::Meter;

/// Most bytes of an expression.
const MAX_TEXT: usize = 64 * 1024;

/// What is wrong with an expression, or went wrong when it was evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub(super) position: Position,
    pub(super) message: String,
}

impl Fault {
    fn new(position: Position, message: impl Into<String>) -> Self {
        Self {
            position,
            message: message.into(),
        }
    }
}

/// What the names in an expression stand for.
pub(super) trait Names {
    /// The value of a name, in any case of letters; none when it has none, which makes it undefined.
    ///
    /// # Errors
    /// When the value is an error itself.
    fn value(&self, name: &str, position: Position, meter: &Meter) -> Result<Option<Value>, Fault>;
}

/// An expression that was read.
#[derive(Debug)]
pub(super) struct Expression {
    root: tree::Node,
}

impl Expression {
    /// Reads `text`, which starts at `start` of the file.
    ///
    /// # Errors
    /// The first thing in it that is not well formed. A function that does not exist is well formed: it is an error when it is
    /// called.
    pub(super) fn parse(text: &str, start: Position) -> Result<Self, Fault> {
        if text.len() > MAX_TEXT {
            let message = format!(
                "found an expression of {} bytes, expected at most {MAX_TEXT}",
                text.len()
            );
            return Err(Fault::new(start, message));
        }
        parse::parse(text, start).map(|root| Self { root })
    }

    /// The value; null for undefined.
    ///
    /// # Errors
    /// When it is `error`, with the operation that made it so; when it goes beyond the limits of the meter.
    pub(super) fn evaluate(&self, names: &dyn Names, meter: &Meter) -> Result<Value, Fault> {
        evaluate::evaluate(&self.root, names, meter)
    }

    /// The names that it takes from outside, with their places.
    pub(super) fn names(&self) -> Vec<(&str, Position)> {
        let mut names = Vec::new();
        self.root.names(&mut Vec::new(), &mut names);
        names
    }

    /// What is wrong with the first call of a function that does not exist.
    pub(super) fn unknown_function(&self) -> Option<Fault> {
        let mut unknown = Vec::new();
        self.root.unknown_functions(&mut unknown);
        unknown
            .first()
            .map(|(name, position)| functions::unknown(name, *position))
    }
}

/// Which records are meant: `State === "Started" && CoreCount >= 4`, `HostName in {"a", "b"}`.
#[derive(Debug)]
pub struct Filter(Expression);

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the filter is no expression: {place}: {message}", place = .0.column, message = .1)]
pub struct FilterError(Position, String);

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// When it is not well formed, or calls a function that does not exist; with the character.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let start = Position { line: 1, column: 1 };
        let expression =
            Expression::parse(text, start).map_err(|fault| FilterError(fault.position, fault.message))?;
        match expression.unknown_function() {
            Some(fault) => Err(FilterError(fault.position, fault.message)),
            None => Ok(Self(expression)),
        }
    }

    /// Whether it is true of a record. An attribute that is not there is undefined, and what is undefined or an error is not
    /// true.
    pub fn matches(&self, record: &Map<String, Value>) -> bool {
        struct Record<'a>(&'a Map<String, Value>);
        impl Names for Record<'_> {
            fn value(&self, name: &str, _: Position, _: &Meter) -> Result<Option<Value>, Fault> {
                let exact = self.0.get(name);
                let any = || {
                    self.0
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name))
                        .map(|(_, value)| value)
                };
                Ok(exact.or_else(any).cloned())
            }
        }
        self.0.evaluate(&Record(record), &Meter::default()) == Ok(Value::Bool(true))
    }
}
