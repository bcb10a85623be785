//! Lines of files: the resources of the community's cookbook `line`.

use fancy_regex::Regex;
use serde_json::Value;

use super::Definition;
use crate::resource::act::{Act, text_of};
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Security, edit};

/// The properties of all of them, and those of one kind.
macro_rules! line_properties {
    ($($own:expr),* $(,)?) => {
        &[
            Property::string("path").required(),
            Property::new("backup", &[Type::Boolean, Type::Integer]).or(Default::Boolean(false)),
            Property::new("eol", &[Type::String]).or(Default::String("\n")),
            Property::boolean("ignore_missing", true),
            Property::id("owner"),
            Property::id("group"),
            Property::id("mode"),
            $($own),*
        ]
    };
}

macro_rules! definition {
    ($constant:ident, $name:literal, $run:ident, [$($own:expr),* $(,)?]) => {
        pub(super) const $constant: Definition = Definition {
            kind: Kind::new($name, &[Provides::everywhere($name)], &["edit"], line_properties![$($own),*]),
            run: $run,
        };
    };
}

const PATTERN: &[Type] = &[Type::String, Type::Regexp];

definition!(
    APPEND_IF_NO_LINE,
    "append_if_no_line",
    append,
    [Property::string("line").required()]
);
definition!(
    REPLACE_OR_ADD,
    "replace_or_add",
    replace_or_add,
    [
        Property::string("line").required(),
        Property::new("pattern", PATTERN).required(),
        Property::boolean("replace_only", false),
        Property::boolean("remove_duplicates", false),
    ]
);
definition!(
    DELETE_LINES,
    "delete_lines",
    delete_lines,
    [Property::new("pattern", PATTERN).required()]
);
definition!(
    ADD_TO_LIST,
    "add_to_list",
    change_list,
    [
        Property::string("entry").required(),
        Property::new("pattern", PATTERN).required(),
        Property::list("delim").required(),
        Property::string("ends_with"),
    ]
);
definition!(
    DELETE_FROM_LIST,
    "delete_from_list",
    change_list,
    [
        Property::string("entry").required(),
        Property::new("pattern", PATTERN).required(),
        Property::list("delim").required(),
        Property::string("ends_with"),
    ]
);
definition!(
    FILTER_LINES,
    "filter_lines",
    filter_lines,
    [
        Property::new("filters", &[Type::Array, Type::Hash]).required(),
        Property::boolean("safe", true)
    ]
);

/// A pattern of a property: a regular expression of Ruby, or the text of one.
fn pattern(act: &Act<'_>, name: &'static str) -> Result<Regex, Failure> {
    regex(&act.value(name).unwrap_or_default()).map_err(|why| Failure::invalid(name, why))
}

fn regex(value: &Value) -> Result<Regex, String> {
    let (source, options) = match value {
        Value::Object(map) => (
            map.get("regexp").and_then(text_of).unwrap_or_default(),
            map.get("options").and_then(text_of).unwrap_or_default(),
        ),
        other => (text_of(other).unwrap_or_default(), String::new()),
    };
    // In Ruby `^` and `$` are always those of lines, and `m` lets the dot mean a line end too.
    let mut flags = "m".to_owned();
    for option in options.chars() {
        match option {
            'i' | 'x' => flags.push(option),
            'm' => flags.push('s'),
            _ => {}
        }
    }
    let source = of_ruby(&source);
    Regex::new(&format!("(?{flags}){source}"))
        .map_err(|error| format!("`{source}` is no regular expression: {error}"))
}

/// Writes anew what only Ruby knows: `\Z` before the last line end, `\h` for hex digits.
fn of_ruby(source: &str) -> String {
    let (mut new, mut characters) = (String::new(), source.chars());
    while let Some(character) = characters.next() {
        if character != '\\' {
            new.push(character);
            continue;
        }
        match characters.next() {
            Some('Z') => new.push_str("(?=\n?\\z)"),
            Some('h') => new.push_str("[0-9a-fA-F]"),
            Some(other) => new.extend(['\\', other]),
            None => new.push('\\'),
        }
    }
    new
}

fn fits(regex: &Regex, line: &str) -> Result<bool, Failure> {
    regex
        .is_match(line)
        .map_err(|error| Failure::invalid("pattern", format!("it cannot be matched: {error}")))
}

/// Rewrites the file by its lines, without their ends.
fn rewrite(
    act: &mut Act<'_>,
    change: impl FnOnce(&Act<'_>, Vec<String>) -> Result<Vec<String>, Failure>,
) -> Result<(), Failure> {
    let path = act.machine.target(act.need("path")?);
    let eol = act.need("eol")?;
    if !path.exists() {
        let creates =
            matches!(act.kind.name, "append_if_no_line" | "replace_or_add") && act.flag("ignore_missing");
        if !creates {
            if act.flag("ignore_missing") {
                return Ok(());
            }
            let cause = Cause::io("read", &path)(std::io::ErrorKind::NotFound.into());
            return act.assume(cause);
        }
    }
    let now = std::fs::read(&path).unwrap_or_default();
    let text =
        String::from_utf8(now).map_err(|_| Cause::Invalid(format!("`{}` is no text", path.display())))?;
    let lines: Vec<String> = text.split_terminator(eol.as_str()).map(str::to_owned).collect();
    let new = change(act, lines.clone())?;
    if new == lines {
        return Ok(());
    }
    let new: String = new.iter().flat_map(|line| [line.as_str(), &eol]).collect();
    let security = Security::of(act)?;
    edit(act, &path, security, |_| new)
}

fn append(act: &mut Act<'_>) -> Result<(), Failure> {
    rewrite(act, |act, mut lines| {
        let line = act.need("line")?;
        let wanted: Vec<_> = line.lines().collect();
        if !lines.windows(wanted.len().max(1)).any(|found| found == wanted) {
            lines.extend(wanted.iter().map(|line| (*line).to_owned()));
        }
        Ok(lines)
    })
}

fn replace_or_add(act: &mut Act<'_>) -> Result<(), Failure> {
    rewrite(act, |act, lines| {
        let (line, pattern) = (act.need("line")?, pattern(act, "pattern")?);
        let (mut new, mut found) = (Vec::new(), false);
        for old in lines {
            if old == line || fits(&pattern, &old)? {
                if !(found && act.flag("remove_duplicates")) {
                    new.push(line.clone());
                }
                found = true;
            } else {
                new.push(old);
            }
        }
        if !found && !act.flag("replace_only") {
            new.push(line);
        }
        Ok(new)
    })
}

fn delete_lines(act: &mut Act<'_>) -> Result<(), Failure> {
    rewrite(act, |act, lines| {
        let pattern = pattern(act, "pattern")?;
        let mut new = Vec::new();
        for line in lines {
            if !fits(&pattern, &line)? {
                new.push(line);
            }
        }
        Ok(new)
    })
}

/// The entries of a list are between what the pattern matches and `ends_with`, or the end of the line. `delim` is what
/// separates them, and if there are two or three, what stands before and after each.
fn change_list(act: &mut Act<'_>) -> Result<(), Failure> {
    rewrite(act, |act, lines| {
        let (pattern, entry) = (pattern(act, "pattern")?, act.need("entry")?);
        let end = act.text("ends_with");
        let delimiters = act.list("delim");
        let (separator, before, after) = match delimiters.as_slice() {
            [separator] => (separator.as_str(), "", ""),
            [separator, around] => (separator.as_str(), around.as_str(), around.as_str()),
            [separator, before, after] => (separator.as_str(), before.as_str(), after.as_str()),
            _ => {
                return Err(Failure::invalid(
                    "delim",
                    "it must be a list of one to three texts",
                ));
            }
        };
        let entry = format!("{before}{entry}{after}");
        let adds = act.kind.name == "add_to_list";
        let mut new = Vec::new();
        for line in lines {
            let found = pattern
                .find(&line)
                .map_err(|error| Failure::invalid("pattern", format!("it cannot be matched: {error}")))?;
            let Some(found) = found else {
                new.push(line);
                continue;
            };
            let (head, rest) = line.split_at(found.end());
            let (list, tail) = match end.as_deref().and_then(|end| rest.rfind(end)) {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let blanks = &list[..list.len() - list.trim_start().len()];
            let mut entries: Vec<&str> = split_list(list.trim(), separator);
            if adds {
                if !entries.contains(&entry.as_str()) {
                    entries.push(&entry);
                }
            } else {
                entries.retain(|known| *known != entry);
            }
            if entries == split_list(list.trim(), separator) {
                new.push(line.clone());
            } else {
                new.push(format!("{head}{blanks}{}{tail}", entries.join(separator)));
            }
        }
        Ok(new)
    })
}

fn split_list<'a>(list: &'a str, separator: &str) -> Vec<&'a str> {
    let parts = if separator.trim().is_empty() {
        list.split_whitespace().collect::<Vec<_>>()
    } else {
        list.split(separator).collect()
    };
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// Filters come as `{NAME: [ARGUMENTS]}`, one or a list of them. Known are those that name lines by a pattern.
fn filter_lines(act: &mut Act<'_>) -> Result<(), Failure> {
    rewrite(act, |act, mut lines| {
        let filters = match act.value("filters") {
            Some(Value::Array(filters)) => filters,
            Some(filter) => vec![filter],
            None => Vec::new(),
        };
        for filter in filters {
            let map = filter.as_object().ok_or_else(|| {
                Failure::invalid("filters", format!("{filter} is no `{{filter: [arguments]}}`"))
            })?;
            for (name, arguments) in map {
                let arguments = arguments
                    .as_array()
                    .map_or(std::slice::from_ref(arguments), Vec::as_slice);
                lines = filtered(name, arguments, lines)?;
            }
        }
        Ok(lines)
    })
}

fn filtered(name: &str, arguments: &[Value], lines: Vec<String>) -> Result<Vec<String>, Failure> {
    let invalid = |why: String| Failure::invalid("filters", why);
    let pattern = arguments
        .first()
        .ok_or_else(|| invalid(format!("`{name}` needs a pattern")))?;
    let pattern = regex(pattern).map_err(invalid)?;
    let insert: Vec<String> = match arguments.get(1) {
        Some(Value::Array(values)) => values.iter().filter_map(text_of).collect(),
        Some(value) => text_of(value)
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect(),
        None => Vec::new(),
    };
    let choice = arguments
        .get(2)
        .and_then(text_of)
        .unwrap_or_else(|| "each".to_owned());
    let mut hits = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if fits(&pattern, line)? {
            hits.push(number);
        }
    }
    let chosen: Vec<usize> = match choice.as_str() {
        "first" => hits.first().copied().into_iter().collect(),
        "last" => hits.last().copied().into_iter().collect(),
        _ => hits.clone(),
    };
    let has = |from: usize| {
        lines
            .get(from..from + insert.len())
            .is_some_and(|found| found == insert)
    };
    let mut new = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let is_chosen = chosen.contains(&number);
        match name {
            "after" => {
                new.push(line.clone());
                if is_chosen && !has(number + 1) {
                    new.extend(insert.iter().cloned());
                }
            }
            "before" => {
                let there = number >= insert.len() && has(number - insert.len());
                if is_chosen && !there {
                    new.extend(insert.iter().cloned());
                }
                new.push(line.clone());
            }
            "replace" if is_chosen => new.extend(insert.iter().cloned()),
            "substitute" if is_chosen => {
                let by = insert.first().map_or("", String::as_str);
                new.push(pattern.replace_all(line, by).into_owned());
            }
            "delete_matching" | "delete_lines" if is_chosen => {}
            "replace" | "substitute" | "delete_matching" | "delete_lines" => new.push(line.clone()),
            _ => {
                return Err(Failure::invalid(
                    "filters",
                    format!(
                        "there is no filter `{name}`; there are after, before, replace, substitute, delete_lines"
                    ),
                ));
            }
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_ruby_knows_is_written_anew() {
        assert_eq!(of_ruby("a\\h+\\\\h"), "a[0-9a-fA-F]+\\\\h");
        assert_eq!(of_ruby("x\\Z"), "x(?=\n?\\z)");
    }
}
