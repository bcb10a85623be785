//! The right side of `KEY = VALUE`: where it ends, what type it has, which parameters it names.

use serde_json::{Number, Value};

/// How an element of a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    /// Bytes of its content within the raw value: without the blanks around it and its quotes.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quoted: bool,
}

/// Where the value of a line ends: at a comment, or at the end of the line.
///
/// # Errors
/// The offset of a quote that starts the value and is not closed.
pub(super) fn value_end(line: &str) -> Result<usize, usize> {
    let mut at = 0;
    let mut blank_before = true;
    while let Some(c) = line[at..].chars().next() {
        match c {
            '#' if blank_before => return Ok(at),
            '"' => match closing_quote(line, at) {
                Some(end) => at = end,
                None if at == 0 => return Err(at),
                None => {}
            },
            _ => {}
        }
        blank_before = c.is_whitespace();
        at += line[at..].chars().next().map_or(1, char::len_utf8);
    }
    Ok(line.len())
}

/// The closing quote for the one at `open`. `\\"` does not close, and quotes in `${…}` are of the expression.
fn closing_quote(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' if !is_escaped(bytes, at) => return Some(at),
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                at = closing_brace(text, at + 1).unwrap_or(at);
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether an odd number of backslashes is before it.
fn is_escaped(bytes: &[u8], at: usize) -> bool {
    let slashes = bytes[..at]
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count();
    slashes % 2 == 1
}

/// The delimiters of a value over several lines, if it is one.
pub(super) fn several_lines(raw: &str) -> Option<Element> {
    ["'''", "\"\"\""]
        .into_iter()
        .find(|quote| raw.len() >= 2 * quote.len() && raw.starts_with(quote) && raw.ends_with(quote))
        .map(|quote| Element {
            start: quote.len(),
            end: raw.len() - quote.len(),
            quoted: true,
        })
}

/// Splits a raw value at its commas. Commas in quotes and in `${…}` do not count.
pub(super) fn elements(raw: &str) -> Vec<Element> {
    if let Some(all) = several_lines(raw) {
        return vec![all];
    }
    let mut elements = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(c) = raw[at..].chars().next() {
        match c {
            '"' => at = closing_quote(raw, at).unwrap_or(at),
            '$' if raw[at + 1..].starts_with('{') => at = closing_brace(raw, at + 1).unwrap_or(at),
            ',' => {
                elements.push(element(raw, start, at));
                start = at + 1;
            }
            _ => {}
        }
        at += raw[at..].chars().next().map_or(1, char::len_utf8);
    }
    let last = element(raw, start, raw.len());
    if elements.is_empty() || last.start < last.end || last.quoted {
        elements.push(last);
    }
    elements
}

fn element(raw: &str, start: usize, end: usize) -> Element {
    let text = &raw[start..end];
    let start = start + (text.len() - text.trim_start().len());
    let end = start + text.trim().len();
    if start < end && raw[start..].starts_with('"') && closing_quote(raw, start) == Some(end - 1) {
        return Element {
            start: start + 1,
            end: end - 1,
            quoted: true,
        };
    }
    Element {
        start,
        end: end.max(start),
        quoted: false,
    }
}

/// The brace that closes the one at `open`. Those in quotes do not count.
fn closing_brace(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut quoted) = (0_usize, false);
    for at in open..bytes.len() {
        match bytes[at] {
            b'"' if !is_escaped(bytes, at) => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// A value as text, without the quotes that are around all of it.
pub(super) fn text(raw: &str) -> String {
    match several_lines(raw) {
        Some(all) => raw[all.start..all.end].to_owned(),
        None => match elements(raw).as_slice() {
            [one] if one.quoted => unescape(&raw[one.start..one.end]),
            _ => raw.to_owned(),
        },
    }
}

fn unescape(text: &str) -> String {
    text.replace("\\\"", "\"")
}

/// Part of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is.
    Text(String),
    /// `$name` or `${name}`, at this offset of the raw value.
    Parameter { name: String, at: usize },
    /// `${…}` with anything else.
    Expression { text: String, at: usize },
    /// `${` without `}`.
    Open { at: usize },
}

/// Takes an element apart.
pub(super) fn parts(raw: &str, element: Element) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let end = element.end;
    let mut at = element.start;
    while at < end {
        let Some(dollar) = raw[at..end].find('$').map(|found| at + found) else {
            break;
        };
        text.push_str(&raw[at..dollar]);
        let after = &raw[dollar + 1..end];
        let (part, length) = if after.starts_with('{') {
            match closing_brace(&raw[..end], dollar + 1) {
                None => (Part::Open { at: dollar }, end - dollar),
                Some(close) => {
                    let inside = raw[dollar + 2..close].trim();
                    let part = if is_name(inside) && !is_word(inside) {
                        Part::Parameter {
                            name: inside.to_owned(),
                            at: dollar,
                        }
                    } else {
                        Part::Expression {
                            text: raw[dollar..=close].to_owned(),
                            at: dollar,
                        }
                    };
                    (part, close + 1 - dollar)
                }
            }
        } else {
            let length = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            if !is_name(&after[..length]) {
                text.push('$');
                at = dollar + 1;
                continue;
            }
            let name = after[..length].to_owned();
            (Part::Parameter { name, at: dollar }, length + 1)
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(part);
        at = dollar + length;
    }
    text.push_str(&raw[at.min(end)..end]);
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

/// Words of the language of expressions, which no parameter can have as its name there.
fn is_word(name: &str) -> bool {
    ["true", "false", "undefined", "error"]
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word))
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Text that stands for itself, unescaped when it was quoted.
pub(super) fn literal_text(text: &str, quoted: bool) -> String {
    if quoted { unescape(text) } else { text.to_owned() }
}

/// The type of unquoted text: boolean, integer, double, relative time in seconds, else string.
///
/// Digits that start with a needless 0 stay text: `0755` is a mode, not a number.
pub(super) fn typed(text: &str) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::Bool(false);
    }
    if let Some(seconds) = text
        .strip_prefix('`')
        .and_then(|text| text.strip_suffix('`'))
        .and_then(seconds)
    {
        return Value::from(seconds);
    }
    number(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i64>().ok().map(Value::from);
    }
    let (whole, fraction) = digits.split_once('.')?;
    let fraction = fraction
        .split_once(['e', 'E'])
        .map_or(fraction, |(before, _)| before);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    text.parse().ok().and_then(Number::from_f64).map(Value::Number)
}

/// `10m` in seconds. Units are s, m, h and d.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let unit = match text.bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        _ => return None,
    };
    let count = &text[..text.len() - 1];
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    count.parse::<i64>().ok()?.checked_mul(unit)
}

/// The right side of `:=` when it is a literal: `undefined` (null here), a boolean, a number, a string in
/// quotes, or a list of these in braces.
pub(super) fn literal(raw: &str) -> Option<Value> {
    let raw = match several_lines(raw) {
        Some(all) => raw[all.start..all.end].trim(),
        None => raw.trim(),
    };
    if raw.eq_ignore_ascii_case("undefined") {
        return Some(Value::Null);
    }
    if let Some(inside) = raw.strip_prefix('{').and_then(|raw| raw.strip_suffix('}')) {
        if inside.trim().is_empty() {
            return Some(Value::Array(Vec::new()));
        }
        return elements(inside)
            .into_iter()
            .map(|element| scalar(inside, element))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array);
    }
    match elements(raw).as_slice() {
        [one] => scalar(raw, *one),
        _ => None,
    }
}

fn scalar(raw: &str, element: Element) -> Option<Value> {
    let text = &raw[element.start..element.end];
    if element.quoted {
        return Some(Value::String(unescape(text)));
    }
    match typed(text) {
        Value::String(_) => None,
        value => Some(value),
    }
}

/// A value inside a longer text.
pub(super) fn into_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(into_text).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_follow_the_text() {
        for (text, value) in [
            ("foo", json!("foo")),
            ("1", json!(1)),
            ("-12", json!(-12)),
            ("1.1", json!(1.1)),
            ("1.5e3", json!(1500.0)),
            ("True", json!(true)),
            ("FALSE", json!(false)),
            ("yes", json!("yes")),
            ("1.0.0", json!("1.0.0")),
            ("0755", json!("0755")),
            ("0", json!(0)),
            ("0.5", json!(0.5)),
            ("10m", json!("10m")),
            ("`10m`", json!(600)),
            ("`2d`", json!(172_800)),
            ("99999999999999999999", json!("99999999999999999999")),
            (".", json!(".")),
            ("-", json!("-")),
            ("", json!("")),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
    }

    #[test]
    fn a_comment_ends_a_value_only_outside_quotes_and_after_a_blank() {
        for (line, value) in [
            ("3600 # one hour", "3600 "),
            ("a#b", "a#b"),
            ("\"a # b\" # c", "\"a # b\" "),
            ("echo \"a # b\" # c", "echo \"a # b\" "),
            ("a 12\" disk # c", "a 12\" disk "),
            ("# all", ""),
        ] {
            assert_eq!(&line[..value_end(line).unwrap()], value, "{line}");
        }
        assert_eq!(value_end("\"abc"), Err(0));
    }

    #[test]
    fn commas_separate_only_outside_quotes_and_braces() {
        let split = |raw: &str| {
            elements(raw)
                .into_iter()
                .map(|element| (raw[element.start..element.end].to_owned(), element.quoted))
                .collect::<Vec<_>>()
        };
        let bare = |text: &str| (text.to_owned(), false);
        let quoted = |text: &str| (text.to_owned(), true);
        assert_eq!(split("a, \"b, c\",d"), [bare("a"), quoted("b, c"), bare("d")]);
        assert_eq!(split("${f(a, b)}, c,"), [bare("${f(a, b)}"), bare("c")]);
        assert_eq!(split("\"\""), [quoted("")]);
        assert_eq!(
            split("\"${f(\"a\", b)}\", ${g(\"}\", x)}, \"a\\\\\""),
            [quoted("${f(\"a\", b)}"), bare("${g(\"}\", x)}"), quoted("a\\\\")]
        );
        assert_eq!(split("'''a, b'''"), [quoted("a, b")]);
        assert_eq!(split(""), [bare("")]);
    }

    #[test]
    fn literals_of_expressions() {
        assert_eq!(literal("undefined"), Some(Value::Null));
        assert_eq!(literal("\"dyn\""), Some(json!("dyn")));
        assert_eq!(literal("{ \"a\", 2, true }"), Some(json!(["a", 2, true])));
        assert_eq!(literal("{}"), Some(json!([])));
        for raw in ["A && !B", "{[Label=\"x\"]}", "\"a\" + \"b\"", "name", "", "{a}"] {
            assert_eq!(literal(raw), None, "{raw}");
        }
    }
}
