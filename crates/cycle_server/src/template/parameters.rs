//! The parameters of a template and the values they have.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{Position, TemplateError};
use super::expression::{Expression, Fault, Meter, Names};
use super::lexer::short;
use super::syntax::{Attribute, Kind, Operator, Section, Template};
use super::value::{self, Part};

/// What the right sides of a template may refer to.
pub(super) struct Scope<'a> {
    file: &'a str,
    cluster_name: Value,
    parameters: Vec<Parameter>,
    /// Index into `parameters` by name in lower case.
    by_name: BTreeMap<String, usize>,
    /// Of all expressions together.
    meter: Meter,
    /// What the expressions of defaults have come to, by the index of the parameter.
    known: RefCell<BTreeMap<usize, Value>>,
}

struct Parameter {
    name: String,
    value: Given,
}

enum Given {
    Value(Value),
    /// The default is an expression and nobody gave a value.
    Expression(Position, String),
}

impl<'a> Scope<'a> {
    /// Reads all parameters of the template and gives them their values.
    pub(super) fn new(
        template: &'a Template,
        cluster_name: &str,
        given: &Map<String, Value>,
    ) -> Result<Self, TemplateError> {
        let mut scope = Self {
            file: &template.file,
            cluster_name: Value::String(cluster_name.to_owned()),
            parameters: Vec::new(),
            by_name: BTreeMap::new(),
            meter: Meter::default(),
            known: RefCell::default(),
        };
        let given: BTreeMap<String, (&str, &Value)> = given
            .iter()
            .map(|(name, value)| (name.to_lowercase(), (name.as_str(), value)))
            .collect();
        for section in &template.sections {
            scope.collect(section, false, &given)?;
        }
        for (lower, (name, _)) in &given {
            if !scope.by_name.contains_key(lower) {
                return Err(TemplateError::outside(format!("Parameter {name} is not known")));
            }
        }
        Ok(scope)
    }

    /// Name and value of every parameter, in file order; null for those that have none.
    pub(super) fn values(&self) -> Map<String, Value> {
        let value = |parameter: &Parameter| match &parameter.value {
            Given::Value(value) => value.clone(),
            // Whoever needs it is told what is wrong with it.
            Given::Expression(position, raw) => self.expression(raw, *position).unwrap_or_default(),
        };
        self.parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), value(parameter)))
            .collect()
    }

    /// `conditional` when a group above may take the parameter off the form.
    fn collect(
        &mut self,
        section: &Section,
        conditional: bool,
        given: &BTreeMap<String, (&str, &Value)>,
    ) -> Result<(), TemplateError> {
        let conditional = conditional || section.attribute("Conditions.Excluded").is_some();
        if section.kind == Kind::Parameter {
            let lower = section.name().to_lowercase();
            let value = self.value_of(section, conditional, given.get(&lower).map(|(_, value)| *value))?;
            self.by_name.insert(lower, self.parameters.len());
            self.parameters.push(Parameter {
                name: section.name().to_owned(),
                value,
            });
        }
        for below in &section.sections {
            self.collect(below, conditional, given)?;
        }
        Ok(())
    }

    fn value_of(
        &self,
        section: &Section,
        conditional: bool,
        given: Option<&Value>,
    ) -> Result<Given, TemplateError> {
        let kind = section
            .attribute("ParameterType")
            .map(|attribute| attribute.text().to_lowercase())
            .unwrap_or_default();
        let default = self.default_of(section, &kind)?;
        let value = match given {
            Some(Value::Null) | None => default,
            Some(value) => {
                // An untyped parameter takes the type of its default: command lines know only text.
                let like = match (kind.as_str(), &default) {
                    ("", Given::Value(Value::Bool(_))) => "boolean",
                    ("", Given::Value(Value::Number(number))) if number.is_i64() => "integer",
                    _ => kind.as_str(),
                };
                let value = coerce(value, like).map_err(|expected| {
                    let found = value::into_text(value);
                    TemplateError::at(
                        self.file,
                        section.position,
                        format!(
                            "found the value `{}` for parameter `{}`, expected {expected}",
                            short(&found),
                            section.name()
                        ),
                    )
                })?;
                Given::Value(value)
            }
        };
        let required = section
            .attribute("Required")
            .is_some_and(|attribute| attribute.text().trim().eq_ignore_ascii_case("true"));
        let missing = match &value {
            Given::Value(Value::Null) => true,
            Given::Value(Value::String(text)) => text.is_empty(),
            _ => false,
        };
        if required && missing && !conditional {
            return Err(TemplateError::at(
                self.file,
                section.position,
                format!(
                    "found no value for the required parameter `{}`, expected one",
                    section.name()
                ),
            ));
        }
        Ok(value)
    }

    fn default_of(&self, section: &Section, kind: &str) -> Result<Given, TemplateError> {
        let mut value = match section.attribute("DefaultValue") {
            None => Value::Null,
            Some(attribute) if attribute.operator == Operator::Expression => {
                match value::literal(&attribute.raw) {
                    Some(value) => value,
                    None => {
                        return Ok(Given::Expression(attribute.value_position, attribute.raw.clone()));
                    }
                }
            }
            Some(attribute) => default_value(attribute, kind).map_err(|expected| {
                TemplateError::at(
                    self.file,
                    attribute.value_position,
                    format!("found `{}`, expected {expected}", short(&attribute.raw)),
                )
            })?,
        };
        for below in &section.sections {
            if !below.name().eq_ignore_ascii_case("DefaultValue") {
                continue;
            }
            let record = Value::Object(plain_record(below));
            match (below.kind, &mut value) {
                (Kind::List, Value::Array(list)) => list.push(record),
                (Kind::List, value) => *value = Value::Array(vec![record]),
                (_, value) => *value = record,
            }
        }
        Ok(Given::Value(value))
    }

    /// The value of an attribute; null stands for undefined, as which an attribute is absent. `owner` names
    /// the section in errors: `node scheduler`.
    pub(super) fn evaluate(&self, attribute: &Attribute, owner: &str) -> Result<Value, TemplateError> {
        let raw = &attribute.raw;
        if attribute.operator == Operator::Expression {
            return self.checked(raw, attribute.value_position, owner);
        }
        let elements = value::elements(raw);
        if let [one] = elements.as_slice() {
            return self.element(attribute, *one, owner);
        }
        elements
            .into_iter()
            .map(|element| self.element(attribute, element, owner))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array)
    }

    /// Like [`Self::evaluate`] for attributes that are prose: commas make no list, digits no number.
    pub(super) fn evaluate_text(&self, attribute: &Attribute, owner: &str) -> Result<Value, TemplateError> {
        if attribute.operator == Operator::Expression {
            return self.evaluate(attribute, owner);
        }
        let elements = value::elements(&attribute.raw);
        let all = match elements.as_slice() {
            [one] => *one,
            _ => value::Element {
                start: 0,
                end: attribute.raw.len(),
                quoted: false,
            },
        };
        if let [Part::Text(text)] = value::parts(&attribute.raw, all).as_slice() {
            return Ok(Value::String(value::literal_text(text, all.quoted)));
        }
        match self.element(attribute, all, owner)? {
            Value::Null => Ok(Value::Null),
            value => Ok(Value::String(value::into_text(&value))),
        }
    }

    /// Checks that every parameter that the attribute names exists.
    pub(super) fn check_references(&self, attribute: &Attribute, owner: &str) -> Result<(), TemplateError> {
        if attribute.operator == Operator::Expression {
            return Ok(());
        }
        for element in value::elements(&attribute.raw) {
            for part in value::parts(&attribute.raw, element) {
                if let Part::Parameter { name, at } = part
                    && !self.is_known(&name)
                {
                    return Err(self.unknown(attribute, &name, at, owner));
                }
            }
        }
        Ok(())
    }

    fn element(
        &self,
        attribute: &Attribute,
        element: value::Element,
        owner: &str,
    ) -> Result<Value, TemplateError> {
        let raw = &attribute.raw;
        let parts = value::parts(raw, element);
        match parts.as_slice() {
            [Part::Text(text)] if !element.quoted => return Ok(value::typed(text)),
            [Part::Parameter { name, at }] if !element.quoted => {
                return self.parameter(attribute, name, *at, owner);
            }
            [Part::Expression { text, at }] if !element.quoted => {
                return self.embedded(attribute, text, *at, owner);
            }
            _ => {}
        }
        let mut whole = String::new();
        for part in parts {
            match part {
                Part::Text(text) => whole.push_str(&value::literal_text(&text, element.quoted)),
                Part::Parameter { name, at } => {
                    whole.push_str(&value::into_text(&self.parameter(attribute, &name, at, owner)?));
                }
                Part::Expression { text, at } => {
                    whole.push_str(&value::into_text(&self.embedded(attribute, &text, at, owner)?));
                }
                Part::Open { at } => {
                    return Err(TemplateError::at(
                        self.file,
                        attribute.value_position.after(&raw[..at]),
                        "found `${` without `}`, expected `${Parameter}`",
                    ));
                }
            }
        }
        Ok(Value::String(whole))
    }

    fn is_known(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        lower == "clustername" || self.by_name.contains_key(&lower)
    }

    fn parameter(
        &self,
        attribute: &Attribute,
        name: &str,
        at: usize,
        owner: &str,
    ) -> Result<Value, TemplateError> {
        let position = attribute.value_position.after(&attribute.raw[..at]);
        if !self.is_known(name) {
            return Err(self.unknown(attribute, name, at, owner));
        }
        let value = self.value(name, position, &self.meter);
        Ok(value.map_err(|fault| self.faulty(fault))?.unwrap_or_default())
    }

    /// `${…}` at this offset of the right side.
    fn embedded(
        &self,
        attribute: &Attribute,
        text: &str,
        at: usize,
        owner: &str,
    ) -> Result<Value, TemplateError> {
        let inside = &text[2..text.len() - 1];
        self.checked(
            inside,
            attribute.value_position.after(&attribute.raw[..at + 2]),
            owner,
        )
    }

    /// An expression of which every name and function is known.
    fn checked(&self, raw: &str, position: Position, owner: &str) -> Result<Value, TemplateError> {
        let (text, position) = body(raw, position);
        let expression = Expression::parse(text, position).map_err(|fault| self.faulty(fault))?;
        if let Some((name, at)) = expression
            .names()
            .into_iter()
            .find(|(name, _)| !self.is_known(name))
        {
            let message = format!("Parameter {name} is not known (referenced by {owner})");
            return Err(TemplateError::at(self.file, at, message));
        }
        if let Some(fault) = expression.unknown_function() {
            return Err(self.faulty(fault));
        }
        let value = expression.evaluate(self, &self.meter);
        value.map_err(|fault| self.faulty(fault))
    }

    fn expression(&self, raw: &str, position: Position) -> Result<Value, Fault> {
        let (text, position) = body(raw, position);
        Expression::parse(text, position)?.evaluate(self, &self.meter)
    }

    fn faulty(&self, fault: Fault) -> TemplateError {
        TemplateError::at(self.file, fault.position, fault.message)
    }

    fn unknown(&self, attribute: &Attribute, name: &str, at: usize, owner: &str) -> TemplateError {
        TemplateError::at(
            self.file,
            attribute.value_position.after(&attribute.raw[..at]),
            format!("Parameter {name} is not known (referenced by {owner})"),
        )
    }
}

impl Names for Scope<'_> {
    fn value(&self, name: &str, _: Position, meter: &Meter) -> Result<Option<Value>, Fault> {
        let lower = name.to_lowercase();
        let Some(index) = self.by_name.get(&lower) else {
            return Ok((lower == "clustername").then(|| self.cluster_name.clone()));
        };
        match self.parameters.get(*index).map(|parameter| &parameter.value) {
            Some(Given::Value(value)) => Ok(Some(value.clone())),
            Some(Given::Expression(position, raw)) => {
                if let Some(value) = self.known.borrow().get(index) {
                    return Ok(Some(value.clone()));
                }
                let (text, position) = body(raw, *position);
                let value = Expression::parse(text, position)?.evaluate(self, meter)?;
                self.known.borrow_mut().insert(*index, value.clone());
                Ok(Some(value))
            }
            None => Ok(None),
        }
    }
}

/// The text of an expression without the quotes of one over several lines, and where it starts.
fn body(raw: &str, position: Position) -> (&str, Position) {
    match value::several_lines(raw) {
        Some(all) => (&raw[all.start..all.end], position.after(&raw[..all.start])),
        None => (raw, position),
    }
}

/// Types whose values are prose.
fn is_textual(kind: &str) -> bool {
    matches!(kind, "string" | "text" | "password")
}

/// A default means what it says: `$` in it is a dollar.
fn default_value(attribute: &Attribute, kind: &str) -> Result<Value, &'static str> {
    if is_textual(kind) {
        return Ok(Value::String(attribute.text()));
    }
    let raw = &attribute.raw;
    let element = |element: value::Element| {
        let text = &raw[element.start..element.end];
        if element.quoted {
            Value::String(value::literal_text(text, true))
        } else {
            value::typed(text)
        }
    };
    let elements = value::elements(raw);
    let value = match elements.as_slice() {
        [one] => element(*one),
        _ => Value::Array(elements.into_iter().map(element).collect()),
    };
    coerce(&value, kind)
}

/// A value in the type of its parameter.
///
/// # Errors
/// What the type expects.
fn coerce(value: &Value, kind: &str) -> Result<Value, &'static str> {
    match (kind, value) {
        ("integer", Value::String(text)) if !text.is_empty() => match value::typed(text) {
            number @ Value::Number(_) if number.is_i64() => Ok(number),
            _ => Err("an integer"),
        },
        ("integer", Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err("an integer"),
        ("integer", Value::Number(number)) if !number.is_i64() => Err("an integer"),
        ("boolean", Value::String(text)) if !text.is_empty() => match value::typed(text) {
            value @ Value::Bool(_) => Ok(value),
            _ => Err("true or false"),
        },
        ("boolean", Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err("true or false"),
        ("stringlist", Value::String(text)) => Ok(Value::Array(
            value::elements(text)
                .into_iter()
                .map(|element| &text[element.start..element.end])
                .filter(|text| !text.is_empty())
                .map(|text| Value::String(text.to_owned()))
                .collect(),
        )),
        (kind, Value::Number(_) | Value::Bool(_)) if is_textual(kind) => {
            Ok(Value::String(value::into_text(value)))
        }
        (kind, Value::Array(_) | Value::Object(_)) if is_textual(kind) => Err("text"),
        _ => Ok(value.clone()),
    }
}

/// The attributes of a `[[record]]` in a parameter; expressions stay text.
fn plain_record(section: &Section) -> Map<String, Value> {
    let mut record = Map::new();
    for attribute in &section.attributes {
        let value = match attribute.operator {
            Operator::Expression => {
                value::literal(&attribute.raw).unwrap_or_else(|| Value::String(attribute.raw.clone()))
            }
            Operator::Value => {
                default_value(attribute, "").unwrap_or_else(|_| Value::String(attribute.text()))
            }
        };
        protocol::set_dotted(&mut record, &attribute.key, value);
    }
    record
}
