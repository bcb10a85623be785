//! Trees to values.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::super::error::Position;
use super::functions::{self, Body};
use super::operators;
use super::tree::{Binary, Kind, Node};
use super::{Fault, Names};

/// Most steps of all expressions of a template together: operations, elements and bytes that are copied.
const MAX_STEPS: u32 = 5_000_000;
/// Most operations within each other, through all names.
const MAX_DEPTH: u32 = 250;
/// Most bytes of a text.
const MAX_RESULT: usize = 1 << 20;

/// Bounds what expressions may take, so that a template of a few lines does not keep the server busy.
#[derive(Debug, Default)]
pub(in super::super) struct Meter {
    steps: Cell<u32>,
    depth: Cell<u32>,
}

impl Meter {
    /// Counts steps.
    pub(super) fn charge(&self, steps: usize, position: Position) -> Result<(), Fault> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let total = self.steps.get().saturating_add(steps);
        self.steps.set(total);
        if total > MAX_STEPS {
            return Err(Fault::new(
                position,
                format!("found expressions that take more than {MAX_STEPS} steps, expected fewer"),
            ));
        }
        Ok(())
    }

    /// Counts the copy of a value.
    pub(super) fn charge_value(&self, value: &Value, position: Position) -> Result<(), Fault> {
        self.charge(weight(value), position)
    }

    /// Checks that a text is not too long.
    pub(super) fn text(&self, text: String, position: Position) -> Result<Value, Fault> {
        if text.len() > MAX_RESULT {
            return Err(Fault::new(
                position,
                format!(
                    "found a text of {} bytes, expected at most {MAX_RESULT}",
                    text.len()
                ),
            ));
        }
        self.charge(text.len() / 16, position)?;
        Ok(Value::String(text))
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() / 16,
        Value::Array(values) => 1 + values.iter().map(weight).sum::<usize>(),
        Value::Object(record) => 1 + record.values().map(|value| 2 + weight(value)).sum::<usize>(),
    }
}

/// What a part of an expression is evaluated in.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    names: &'a dyn Names,
    pub(super) meter: &'a Meter,
    record: Option<&'a Frame<'a>>,
}

/// The record around a part: its other fields are names.
struct Frame<'a> {
    fields: &'a [(String, Node)],
    /// The field that is evaluated; its own name means what it means outside.
    current: usize,
    outer: Option<&'a Frame<'a>>,
}

pub(super) fn evaluate(root: &Node, names: &dyn Names, meter: &Meter) -> Result<Value, Fault> {
    let scene = Scene {
        names,
        meter,
        record: None,
    };
    scene.evaluate(root)
}

impl Scene<'_> {
    pub(super) fn evaluate(&self, node: &Node) -> Result<Value, Fault> {
        let depth = self.meter.depth.get();
        if depth >= MAX_DEPTH {
            return Err(Fault::new(
                node.position,
                "found an expression that refers to itself or is nested too deeply, expected one that has an end",
            ));
        }
        self.meter.charge(1, node.position)?;
        self.meter.depth.set(depth + 1);
        let result = self.step(node);
        self.meter.depth.set(depth);
        result
    }

    fn step(&self, node: &Node) -> Result<Value, Fault> {
        match &node.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Error => Err(Fault::new(
                node.position,
                "found `error`, expected a value: a condition of the template is not met",
            )),
            Kind::Name(name) => self.name(name, node.position),
            Kind::Member(record, name) => {
                let record = self.evaluate(record)?;
                operators::member(record, name, node.position)
            }
            Kind::Index(list, index) => {
                let list = self.evaluate(list)?;
                let index = self.evaluate(index)?;
                operators::index(list, &index, node.position)
            }
            Kind::List(elements) => elements
                .iter()
                .map(|element| self.evaluate(element))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            Kind::Record(fields) => self.record(fields),
            Kind::Unary(operator, operand) => {
                operators::unary(*operator, self.evaluate(operand)?, node.position)
            }
            Kind::Binary(operator, left, right) => self.binary(*operator, left, right, node.position),
            Kind::Choice(condition, yes, no) => match self.evaluate(condition)? {
                Value::Null => Ok(Value::Null),
                condition if operators::condition(&condition, node.position)? => self.evaluate(yes),
                _ => self.evaluate(no),
            },
            Kind::Otherwise(value, instead) => match self.evaluate(value)? {
                Value::Null => self.evaluate(instead),
                value => Ok(value),
            },
            Kind::Call {
                name,
                function,
                arguments,
            } => self.call(name, *function, arguments, node.position),
        }
    }

    fn name(&self, name: &str, position: Position) -> Result<Value, Fault> {
        let mut record = self.record;
        while let Some(frame) = record {
            let found = frame
                .fields
                .iter()
                .enumerate()
                .find(|(at, (field, _))| *at != frame.current && field.eq_ignore_ascii_case(name));
            if let Some((current, (_, value))) = found {
                let frame = Frame { current, ..*frame };
                let scene = Scene {
                    record: Some(&frame),
                    ..*self
                };
                return scene.evaluate(value);
            }
            record = frame.outer;
        }
        let value = self
            .names
            .value(name, position, self.meter)?
            .unwrap_or(Value::Null);
        self.meter.charge_value(&value, position)?;
        Ok(value)
    }

    fn record(&self, fields: &[(String, Node)]) -> Result<Value, Fault> {
        let mut record = Map::new();
        for (current, (name, value)) in fields.iter().enumerate() {
            let frame = Frame {
                fields,
                current,
                outer: self.record,
            };
            let scene = Scene {
                record: Some(&frame),
                ..*self
            };
            record.insert(name.clone(), scene.evaluate(value)?);
        }
        Ok(Value::Object(record))
    }

    fn binary(
        &self,
        operator: Binary,
        left: &Node,
        right: &Node,
        position: Position,
    ) -> Result<Value, Fault> {
        match operator {
            Binary::And | Binary::Or => {
                // What decides alone; the other side may be anything then.
                let decides = operator == Binary::Or;
                let left = operators::truth(self.evaluate(left)?, position)?;
                if left == Some(decides) {
                    return Ok(Value::Bool(decides));
                }
                let right = operators::truth(self.evaluate(right)?, position)?;
                Ok(match (left, right) {
                    (_, Some(right)) if right == decides => Value::Bool(decides),
                    (None, _) | (_, None) => Value::Null,
                    _ => Value::Bool(!decides),
                })
            }
            Binary::Is | Binary::IsNot => {
                let same = match (self.evaluate(left), self.evaluate(right)) {
                    (Ok(left), Ok(right)) => left == right,
                    // `x is error` asks whether it is one.
                    (Err(_), Err(_)) => true,
                    _ => false,
                };
                Ok(Value::Bool(same == (operator == Binary::Is)))
            }
            _ => operators::binary(operator, self.evaluate(left)?, self.evaluate(right)?, position),
        }
    }

    fn call(
        &self,
        name: &str,
        function: Option<&'static functions::Function>,
        arguments: &[Node],
        position: Position,
    ) -> Result<Value, Fault> {
        let Some(function) = function else {
            return Err(functions::unknown(name, position));
        };
        function.check_count(name, arguments.len(), position)?;
        let plain = match function.body {
            Body::Lazy(body) => return body(self, arguments, position),
            Body::Plain(body) | Body::Seeing(body) => body,
        };
        let values = arguments
            .iter()
            .map(|argument| self.evaluate(argument))
            .collect::<Result<Vec<_>, _>>()?;
        if matches!(function.body, Body::Plain(_)) && values.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        plain(&functions::Arguments {
            name: function.name,
            values: &values,
            position,
            meter: self.meter,
        })
    }
}
