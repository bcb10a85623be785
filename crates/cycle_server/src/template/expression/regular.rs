//! Functions with regular expressions.

use fancy_regex::{Captures, Regex, RegexBuilder};
use serde_json::Value;

use super::super::lexer::short;
use super::Fault;
use super::functions::Arguments;

/// Most steps back of one search.
const MAX_BACKTRACKS: usize = 100_000;
/// Most bytes of a compiled expression.
const MAX_SIZE: usize = 1 << 20;
/// What one search costs, in steps of the meter.
const COST: usize = 1000;

/// Options as in ClassAds: `i` any case of letters, `m` lines, `s` the dot is any character, `x` blanks mean nothing.
struct Pattern {
    regex: Regex,
    /// `f`: the whole text with the match replaced, not only what the match became.
    full: bool,
    /// `g`: every match.
    global: bool,
}

/// The pattern in the first argument, with the options in the argument at `options`.
fn pattern(arguments: &Arguments<'_>, options: usize) -> Result<Pattern, Fault> {
    let text = arguments.text(0)?;
    let letters = match arguments.values.get(options) {
        Some(_) => arguments.text(options)?.to_lowercase(),
        None => String::new(),
    };
    if letters.chars().any(|c| !"imsxfg".contains(c)) {
        return arguments.wrong(options, "some of the options `i`, `m`, `s`, `x`, `f` and `g`");
    }
    let flags: String = letters.chars().filter(|c| "imsx".contains(*c)).collect();
    let whole = match flags.as_str() {
        "" => text.to_owned(),
        flags => format!("(?{flags}){text}"),
    };
    arguments.meter.charge(COST + text.len(), arguments.position)?;
    let regex = RegexBuilder::new(&whole)
        .backtrack_limit(MAX_BACKTRACKS)
        .delegate_size_limit(MAX_SIZE)
        .build()
        .map_err(|error| {
            // The first line says it all; others may be a drawing of the place.
            let cause = error.to_string();
            let cause = cause.lines().next().unwrap_or_default();
            Fault::new(
                arguments.position,
                format!(
                    "found the pattern `{}` in `{}`, expected a regular expression: {cause}",
                    short(text),
                    arguments.name
                ),
            )
        })?;
    Ok(Pattern {
        regex,
        full: letters.contains('f'),
        global: letters.contains('g'),
    })
}

fn failed(arguments: &Arguments<'_>, error: &fancy_regex::Error) -> Fault {
    Fault::new(
        arguments.position,
        format!(
            "found a pattern in `{}` that takes too long, expected a simpler one: {error}",
            arguments.name
        ),
    )
}

fn is_match(arguments: &Arguments<'_>, regex: &Regex, text: &str) -> Result<bool, Fault> {
    arguments
        .meter
        .charge(COST + text.len() / 16, arguments.position)?;
    regex.is_match(text).map_err(|error| failed(arguments, &error))
}

/// `regexp(pattern, text[, options])`: whether some part of the text matches.
pub(super) fn regexp(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let pattern = pattern(arguments, 2)?;
    is_match(arguments, &pattern.regex, arguments.text(1)?).map(Value::Bool)
}

/// `regexpMember(pattern, list[, options])`: whether an element matches.
pub(super) fn member(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let pattern = pattern(arguments, 2)?;
    for element in arguments.list(1)? {
        match element {
            Value::String(text) => {
                if is_match(arguments, &pattern.regex, text)? {
                    return Ok(Value::Bool(true));
                }
            }
            _ => return arguments.wrong(1, "a list of texts"),
        }
    }
    Ok(Value::Bool(false))
}

/// `regexps(pattern, text, substitute[, options])`: the substitute with the groups of the match in it; the empty text without a
/// match.
pub(super) fn substitute(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let pattern = pattern(arguments, 3)?;
    replace(arguments, &pattern, pattern.full, pattern.global)
}

/// `replace(pattern, text, substitute[, options])`: the text with the first match replaced.
pub(super) fn replace_first(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let pattern = pattern(arguments, 3)?;
    replace(arguments, &pattern, true, false)
}

/// `replaceAll(pattern, text, substitute[, options])`: the text with every match replaced.
pub(super) fn replace_all(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let pattern = pattern(arguments, 3)?;
    replace(arguments, &pattern, true, true)
}

/// With `full`, what is around the matches stays.
fn replace(arguments: &Arguments<'_>, pattern: &Pattern, full: bool, global: bool) -> Result<Value, Fault> {
    let (text, substitute) = (arguments.text(1)?, arguments.text(2)?);
    let mut result = String::new();
    let mut end = 0;
    for captures in pattern.regex.captures_iter(text) {
        let captures = captures.map_err(|error| failed(arguments, &error))?;
        let Some(whole) = captures.get(0) else {
            break;
        };
        arguments.meter.charge(
            COST / 10 + text.len() / 16 + substitute.len() / 16,
            arguments.position,
        )?;
        if full {
            result.push_str(&text[end..whole.start()]);
        }
        expand(&captures, substitute, &mut result);
        end = whole.end();
        if !global {
            break;
        }
    }
    if full {
        result.push_str(&text[end..]);
    }
    arguments.meter.text(result, arguments.position)
}

/// `\1` and `$1` are groups, `\0` and `$0` the whole match; a group that is not there is empty.
fn expand(captures: &Captures<'_>, substitute: &str, result: &mut String) {
    let mut rest = substitute;
    while let Some(at) = rest.find(['\\', '$']) {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        match after.chars().next().and_then(|c| c.to_digit(10)) {
            Some(group) => {
                let group = captures.get(group as usize);
                result.push_str(group.map_or("", |group| group.as_str()));
                rest = &after[1..];
            }
            None => {
                result.push_str(&rest[at..=at]);
                rest = after;
            }
        }
    }
    result.push_str(rest);
}
