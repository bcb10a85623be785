//! What operators do to values.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::super::error::Position;
use super::super::lexer::short;
use super::super::value::into_text;
use super::Fault;
use super::tree::{Binary, Unary};

/// A number, still whole or not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numeric {
    Integer(i64),
    Real(f64),
}

impl Numeric {
    pub(super) fn of(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        number
            .as_i64()
            .map(Self::Integer)
            .or_else(|| number.as_f64().map(Self::Real))
    }

    pub(super) fn real(self) -> f64 {
        match self {
            // Beyond 2^53 the nearest real is right, as everywhere.
            #[expect(clippy::cast_precision_loss, reason = "ClassAds promote so")]
            Self::Integer(integer) => integer as f64,
            Self::Real(real) => real,
        }
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(&right)),
            (left, right) => left.real().partial_cmp(&right.real()),
        }
    }

    /// # Errors
    /// When it is no finite number.
    pub(super) fn value(self, position: Position) -> Result<Value, Fault> {
        match self {
            Self::Integer(integer) => Ok(integer.into()),
            Self::Real(real) => Number::from_f64(real)
                .map(Value::Number)
                .ok_or_else(|| Fault::new(position, "found a result that is too large, expected a number")),
        }
    }
}

/// What a value is called in errors: its type, and itself when it is short.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "`undefined`".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
        Value::String(text) => format!("the text `{}`", short(text)),
        Value::Array(_) => format!("the list `{{{}}}`", short(&into_text(value))),
        Value::Object(_) => "a record".to_owned(),
    }
}

fn fault<T>(found: &Value, expected: &str, position: Position) -> Result<T, Fault> {
    Err(Fault::new(
        position,
        format!("found {}, expected {expected}", shown(found)),
    ))
}

/// True, false, or undefined.
pub(super) fn truth(value: Value, position: Position) -> Result<Option<bool>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag)),
        other => fault(&other, "true or false", position),
    }
}

/// A condition that is defined.
pub(super) fn condition(value: &Value, position: Position) -> Result<bool, Fault> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        other => fault(other, "true or false as the condition", position),
    }
}

pub(super) fn unary(operator: Unary, operand: Value, position: Position) -> Result<Value, Fault> {
    if operand.is_null() {
        return Ok(Value::Null);
    }
    match (operator, Numeric::of(&operand)) {
        (Unary::Not, _) => condition(&operand, position).map(|flag| Value::Bool(!flag)),
        (Unary::Plus, Some(number)) => number.value(position),
        (Unary::Minus, Some(Numeric::Integer(integer))) => integer
            .checked_neg()
            .map(Value::from)
            .ok_or_else(|| too_large(position)),
        (Unary::Minus, Some(Numeric::Real(real))) => Numeric::Real(-real).value(position),
        (Unary::BitNot, Some(Numeric::Integer(integer))) => Ok((!integer).into()),
        (Unary::BitNot, _) => fault(&operand, "an integer", position),
        (Unary::Plus | Unary::Minus, None) => fault(&operand, "a number", position),
    }
}

/// All operators that look at both sides.
pub(super) fn binary(
    operator: Binary,
    left: Value,
    right: Value,
    position: Position,
) -> Result<Value, Fault> {
    if operator == Binary::In {
        return contains(&left, &right, position);
    }
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    let ordered = |accept: fn(Ordering) -> bool| {
        compare(&left, &right, position).map(|order| Value::Bool(order.is_some_and(accept)))
    };
    match operator {
        Binary::Equal => equal(&left, &right, position).map(Value::Bool),
        Binary::NotEqual => equal(&left, &right, position).map(|same| Value::Bool(!same)),
        Binary::Less => ordered(Ordering::is_lt),
        Binary::LessOrEqual => ordered(Ordering::is_le),
        Binary::Greater => ordered(Ordering::is_gt),
        Binary::GreaterOrEqual => ordered(Ordering::is_ge),
        _ => arithmetic(operator, &left, &right, position),
    }
}

/// `==`: texts in any case of letters, numbers by value.
fn equal(left: &Value, right: &Value, position: Position) -> Result<bool, Fault> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        _ => compare(left, right, position).map(|order| order == Some(Ordering::Equal)),
    }
}

fn compare(left: &Value, right: &Value, position: Position) -> Result<Option<Ordering>, Fault> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(Some(compare_texts(left, right))),
        (Value::Number(_), other) | (other, Value::Number(_)) => {
            match (Numeric::of(left), Numeric::of(right)) {
                (Some(left), Some(right)) => Ok(left.compare(right)),
                _ => fault(other, "a number, as on the other side", position),
            }
        }
        (Value::String(_), other) | (other, _) => fault(
            other,
            "two numbers or two texts to compare; `is` compares anything",
            position,
        ),
    }
}

/// In any case of letters.
pub(super) fn compare_texts(left: &str, right: &str) -> Ordering {
    left.to_lowercase().cmp(&right.to_lowercase())
}

/// `x in list`: with `==`, of which errors mean that it is another element.
pub(super) fn contains(element: &Value, list: &Value, position: Position) -> Result<Value, Fault> {
    match list {
        Value::Null => Ok(Value::Null),
        _ if element.is_null() => Ok(Value::Null),
        Value::Array(list) => {
            Ok(Value::Bool(list.iter().any(|other| {
                !other.is_null() && equal(element, other, position).unwrap_or(false)
            })))
        }
        other => fault(other, "a list after `in`", position),
    }
}

fn arithmetic(operator: Binary, left: &Value, right: &Value, position: Position) -> Result<Value, Fault> {
    let (Some(left_number), Some(right_number)) = (Numeric::of(left), Numeric::of(right)) else {
        let odd = if left.is_number() { right } else { left };
        let expected = match odd {
            Value::String(_) => "numbers on both sides; `strcat` joins texts",
            _ => "numbers on both sides",
        };
        return fault(odd, expected, position);
    };
    if let (Numeric::Integer(left), Numeric::Integer(right)) = (left_number, right_number) {
        return integers(operator, left, right, position).map(Value::from);
    }
    let (real_left, real_right) = (left_number.real(), right_number.real());
    let result = match operator {
        Binary::Add => real_left + real_right,
        Binary::Subtract => real_left - real_right,
        Binary::Multiply => real_left * real_right,
        Binary::Divide | Binary::Remainder if real_right == 0.0 => return Err(by_zero(position)),
        Binary::Divide => real_left / real_right,
        Binary::Remainder => real_left % real_right,
        _ => {
            let odd = if matches!(left_number, Numeric::Real(_)) {
                left
            } else {
                right
            };
            return fault(odd, "an integer", position);
        }
    };
    Numeric::Real(result).value(position)
}

fn integers(operator: Binary, left: i64, right: i64, position: Position) -> Result<i64, Fault> {
    let result = match operator {
        Binary::Add => left.checked_add(right),
        Binary::Subtract => left.checked_sub(right),
        Binary::Multiply => left.checked_mul(right),
        Binary::Divide | Binary::Remainder if right == 0 => return Err(by_zero(position)),
        Binary::Divide => left.checked_div(right),
        Binary::Remainder => left.checked_rem(right),
        Binary::BitAnd => Some(left & right),
        Binary::BitOr => Some(left | right),
        Binary::BitXor => Some(left ^ right),
        Binary::ShiftLeft | Binary::ShiftRight | Binary::ShiftRightUnsigned => {
            let Some(bits) = u32::try_from(right).ok().filter(|bits| *bits < 64) else {
                return Err(Fault::new(
                    position,
                    format!("found a shift by `{right}`, expected 0 to 63 bits"),
                ));
            };
            Some(match operator {
                Binary::ShiftLeft => left << bits,
                Binary::ShiftRight => left >> bits,
                _ => (left.cast_unsigned() >> bits).cast_signed(),
            })
        }
        // The others were taken before.
        _ => None,
    };
    result.ok_or_else(|| too_large(position))
}

fn by_zero(position: Position) -> Fault {
    Fault::new(position, "found a division by zero, expected another divisor")
}

fn too_large(position: Position) -> Fault {
    Fault::new(
        position,
        "found a result that is too large, expected an integer of 64 bits",
    )
}

/// `record.name`; of a list of records, the list of their members.
pub(super) fn member(record: Value, name: &str, position: Position) -> Result<Value, Fault> {
    match record {
        Value::Null => Ok(Value::Null),
        Value::Object(record) => Ok(record
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or(Value::Null, |(_, value)| value)),
        Value::Array(records) => records
            .into_iter()
            .map(|record| member(record, name, position))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array),
        other => fault(&other, &format!("a record with the member `{name}`"), position),
    }
}

pub(super) fn index(container: Value, index: &Value, position: Position) -> Result<Value, Fault> {
    match (container, index) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Array(list), Value::Number(at)) => {
            let found = at
                .as_u64()
                .and_then(|at| usize::try_from(at).ok())
                .and_then(|at| list.get(at));
            found.cloned().ok_or_else(|| {
                Fault::new(
                    position,
                    format!("found the index `{at}`, expected one below {} from 0", list.len()),
                )
            })
        }
        (record @ Value::Object(_), Value::String(name)) => member(record, name, position),
        (Value::Array(_), other) => fault(other, "an integer as the index of a list", position),
        (Value::Object(_), other) => fault(other, "a text as the index of a record", position),
        (other, _) => fault(&other, "a list or a record before `[`", position),
    }
}
