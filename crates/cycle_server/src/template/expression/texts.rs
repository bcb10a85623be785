//! Functions over texts.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::value::into_text;
use super::Fault;
use super::functions::Arguments;

/// A value as text, which lists and records are not.
fn scalar(arguments: &Arguments<'_>, at: usize, value: &Value) -> Result<String, Fault> {
    match value {
        Value::Array(_) | Value::Object(_) => arguments.wrong(at, "a text, a number, true or false"),
        value => Ok(into_text(value)),
    }
}

pub(super) fn concatenate(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let mut whole = String::new();
    for (at, value) in arguments.values.iter().enumerate() {
        whole.push_str(&scalar(arguments, at, value)?);
    }
    arguments.meter.text(whole, arguments.position)
}

/// `join(separator, list)` or `join(separator, text, …)`. What is undefined is left out.
pub(super) fn join(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    if arguments.values[0].is_null() {
        return Ok(Value::Null);
    }
    let separator = arguments.text(0)?;
    let mut parts = Vec::new();
    for (at, value) in arguments.values.iter().enumerate().skip(1) {
        let values = match value {
            Value::Array(list) => list.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            parts.push(scalar(arguments, at, value)?);
        }
    }
    // Before the memory is taken: separators count as often as they are needed.
    let length = parts
        .iter()
        .map(|part| part.len() + separator.len())
        .sum::<usize>();
    arguments.meter.charge(length / 16, arguments.position)?;
    arguments.meter.text(parts.join(separator), arguments.position)
}

/// `split(text)` at blanks and commas, `split(text, characters)` at any of these. Empty parts are left out.
pub(super) fn split(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let text = arguments.text(0)?;
    let separators = match arguments.values.get(1) {
        Some(_) => arguments.text(1)?,
        None => ", \t\r\n",
    };
    let parts: Vec<Value> = text
        .split(|c| separators.contains(c))
        .filter(|part| !part.is_empty())
        .map(Value::from)
        .collect();
    arguments
        .meter
        .charge(parts.len() + text.len() / 16, arguments.position)?;
    Ok(Value::Array(parts))
}

/// `substr(text, offset[, length])` in characters. A negative offset counts from the end; a negative length leaves off so many
/// at the end.
pub(super) fn substring(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let chars: Vec<char> = arguments.text(0)?.chars().collect();
    let count = i64::try_from(chars.len()).unwrap_or(i64::MAX);
    let from_end = |at: i64| if at < 0 { count.saturating_add(at) } else { at };
    let start = from_end(arguments.integer(1)?).clamp(0, count);
    let end = match arguments.values.get(2) {
        None => count,
        Some(_) => match arguments.integer(2)? {
            length if length < 0 => from_end(length),
            length => start.saturating_add(length),
        },
    };
    let end = end.clamp(start, count);
    let index = |at: i64| usize::try_from(at).unwrap_or(0);
    let part: String = chars[index(start)..index(end)].iter().collect();
    arguments.meter.text(part, arguments.position)
}

pub(super) fn starts_with(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    Ok(Value::Bool(arguments.text(0)?.starts_with(arguments.text(1)?)))
}

pub(super) fn ends_with(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    Ok(Value::Bool(arguments.text(0)?.ends_with(arguments.text(1)?)))
}

/// -1, 0 or 1.
pub(super) fn compare(arguments: &Arguments<'_>, order: fn(&str, &str) -> Ordering) -> Result<Value, Fault> {
    let order = order(arguments.text(0)?, arguments.text(1)?);
    Ok(Value::from(order as i8))
}

pub(super) fn to_string(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    arguments
        .meter
        .text(into_text(&arguments.values[0]), arguments.position)
}
