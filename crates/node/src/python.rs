//! Values as Python's `str()` and `repr()` show them. Scripts compare with these texts.

use std::fmt::Write;

use serde_json::{Number, Value};

/// `str(value)`: strings bare, `True`, `False`, `None`, lists and dictionaries with the `repr` of their
/// members.
pub(crate) fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Value) -> String {
    let mut text = String::new();
    push(&mut text, value);
    text
}

fn push(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&self::number(number)),
        Value::String(text) => push_quoted(out, text),
        Value::Array(members) => {
            out.push('[');
            for (index, member) in members.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                push(out, member);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                push_quoted(out, key);
                out.push_str(": ");
                push(out, member);
            }
            out.push('}');
        }
    }
}

fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => self::float(float),
        _ => number.to_string(),
    }
}

/// The shortest digits that read back as the same number; an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value:?}")
}

fn push_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let code = u32::from(c);
                // Control characters are all below U+00A0. Writing to a string cannot fail.
                let _ = write!(out, "\\x{code:02x}");
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_as_python_shows_them() {
        for (value, expected) in [
            (json!("raw 'text'"), "raw 'text'"),
            (json!(true), "True"),
            (json!(false), "False"),
            (json!(null), "None"),
            (json!(-7), "-7"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
            (json!(1.0), "1.0"),
            (json!(-0.0), "-0.0"),
            (json!(0.1), "0.1"),
            (json!(1e16), "1e+16"),
            (json!(123_456_789_012_345.0), "123456789012345.0"),
            (json!(1.5e300), "1.5e+300"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!([]), "[]"),
            (json!([1, 2]), "[1, 2]"),
            (json!(["a", "b"]), "['a', 'b']"),
            (json!([true, null, 1.5]), "[True, None, 1.5]"),
            (
                json!(["it's", "\"", "'\"", "a\\b\n"]),
                r#"["it's", '"', '\'"', 'a\\b\n']"#,
            ),
            (json!(["\u{1b}\u{85}ü😀"]), r"['\x1b\x85ü😀']"),
            (json!({"b": {"c": [1]}, "a": "x"}), "{'b': {'c': [1]}, 'a': 'x'}"),
        ] {
            assert_eq!(str(&value), expected);
        }
    }

    proptest! {
        #[test]
        fn floats_read_back_as_themselves(value in any::<f64>().prop_filter("JSON", |v| v.is_finite())) {
            prop_assert_eq!(float(value).parse::<f64>().unwrap(), value);
        }

        #[test]
        fn a_quoted_text_is_one_line(text in "\\PC*|.*") {
            let shown = repr(&Value::String(text));
            prop_assert!(!shown.contains('\n'));
        }
    }
}
