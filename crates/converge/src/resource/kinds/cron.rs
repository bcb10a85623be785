//! `cron`, entries in the tables of users, and `cron_d`, files in `/etc/cron.d`.

use std::io::Write;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, mode_of, remove, unified};

const TIME: &[Type] = &[Type::String, Type::Integer];

pub(super) const CRON: Definition = Definition {
    kind: Kind::new(
        "cron",
        &[Provides::everywhere("cron")],
        &["create", "delete"],
        &[
            Property::new("minute", TIME).or(Default::String("*")),
            Property::new("hour", TIME).or(Default::String("*")),
            Property::new("day", TIME).or(Default::String("*")),
            Property::new("month", TIME).or(Default::String("*")),
            Property::new("weekday", TIME).or(Default::String("*")),
            Property::string("time").one_of(&[
                "annually", "daily", "hourly", "midnight", "monthly", "reboot", "weekly", "yearly",
            ]),
            Property::string("command").required_for(&["create"]),
            Property::string("user").or(Default::String("root")),
            Property::string("mailto"),
            Property::string("path"),
            Property::string("home"),
            Property::string("shell"),
            Property::hash("environment"),
            Property::hash("time_out"),
        ],
    ),
    run: cron,
};

pub(super) const CRON_D: Definition = Definition {
    kind: Kind::new(
        "cron_d",
        &[Provides::everywhere("cron_d")],
        &["create", "create_if_missing", "delete"],
        &[
            Property::named("cron_name"),
            Property::new("minute", TIME).or(Default::String("*")),
            Property::new("hour", TIME).or(Default::String("*")),
            Property::new("day", TIME).or(Default::String("*")),
            Property::new("month", TIME).or(Default::String("*")),
            Property::new("weekday", TIME).or(Default::String("*")),
            Property::string("predefined_value").one_of(&[
                "@annually",
                "@daily",
                "@hourly",
                "@midnight",
                "@monthly",
                "@reboot",
                "@weekly",
                "@yearly",
            ]),
            Property::string("command").required_for(&["create", "create_if_missing"]),
            Property::string("user").or(Default::String("root")),
            Property::string("mailto"),
            Property::string("path"),
            Property::string("home"),
            Property::string("shell"),
            Property::string("comment"),
            Property::hash("environment"),
            Property::hash("time_out"),
            Property::id("random_delay"),
            Property::id("mode").or(Default::String("0600")),
        ],
    ),
    run: cron_d,
};

/// The command, under timeout(1) if the recipe wants that.
fn command(act: &Act<'_>) -> Result<String, Failure> {
    let command = act.need("command")?;
    let options = act.pairs("time_out");
    let Some((_, duration)) = options.iter().find(|(name, _)| name == "duration") else {
        return Ok(command);
    };
    let mut words = vec!["timeout".to_owned()];
    for (name, value) in &options {
        match (name.as_str(), value.as_str()) {
            ("preserve-status" | "preserve_status", "true") => words.push("--preserve-status".to_owned()),
            ("foreground", "true") => words.push("--foreground".to_owned()),
            ("kill-after" | "kill_after", value) => words.push(format!("-k {value}")),
            ("signal", value) => words.push(format!("-s {value}")),
            _ => {}
        }
    }
    words.extend([duration.clone(), command]);
    Ok(words.join(" "))
}

/// The five fields of the time; numbers must be in range.
fn time(act: &Act<'_>) -> Result<String, Failure> {
    let fields: [(&'static str, i64, i64); 5] = [
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day", 1, 31),
        ("month", 1, 12),
        ("weekday", 0, 7),
    ];
    let mut values = Vec::new();
    for (name, first, last) in fields {
        let value = act.need(name)?;
        if value
            .parse::<i64>()
            .is_ok_and(|number| number < first || number > last)
        {
            let why = format!("`{value}` is not from {first} to {last}");
            return Err(Failure::invalid(name, why));
        }
        if value.contains(char::is_whitespace) || value.is_empty() {
            return Err(Failure::invalid(
                name,
                format!("`{value}` is no field of a table of cron"),
            ));
        }
        values.push(value);
    }
    Ok(values.join(" "))
}

/// Variables that stand before an entry.
fn variables(act: &Act<'_>, quote: bool) -> Vec<String> {
    let own = [
        ("mailto", "MAILTO"),
        ("path", "PATH"),
        ("shell", "SHELL"),
        ("home", "HOME"),
    ];
    let own = own.into_iter().filter_map(|(property, name)| {
        let value = act.text(property)?;
        Some(if quote {
            format!("{name}=\"{value}\"")
        } else {
            format!("{name}={value}")
        })
    });
    let more = act.pairs("environment").into_iter();
    own.chain(more.map(|(name, value)| format!("{name}={value}")))
        .collect()
}

fn cron(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let user = act.need("user")?;
    let marker = format!("# Chef Name: {}", act.request.name);
    let entry = if act.action == "delete" {
        Vec::new()
    } else {
        let mut entry = vec![marker.clone()];
        entry.extend(variables(act, false));
        let time = match act.text("time") {
            Some(time) => format!("@{time}"),
            None => time(act)?,
        };
        entry.push(format!("{time} {}", command(act)?));
        entry
    };
    if !act.has("crontab") {
        let why = "there is no `crontab` on this machine: cron is not installed".to_owned();
        return act.assume(Cause::Unsupported(why));
    }
    let listed = act.ask(&["crontab", "-u", &user, "-l"])?;
    let old = if listed.success() {
        listed.text
    } else {
        String::new()
    };
    let lines: Vec<&str> = old.lines().collect();
    let (new, existed) = replace(&lines, &marker, &entry);
    if new == lines {
        return Ok(());
    }
    let what = act.request.name.clone();
    let sentence = match (act.action, existed) {
        ("delete", _) => format!("delete cron entry for {what}"),
        (_, true) => format!("update crontab entry for cron[{what}]"),
        (_, false) => format!("add crontab entry for cron[{what}]"),
    };
    let text: String = new.iter().flat_map(|line| [*line, "\n"]).collect();
    act.report.diff = Some(unified(
        &format!("crontab of {user}"),
        old.as_bytes(),
        text.as_bytes(),
    ));
    if act.will(sentence) {
        let mut file =
            tempfile::NamedTempFile::new().map_err(Cause::io("write in", &std::env::temp_dir()))?;
        file.write_all(text.as_bytes())
            .map_err(Cause::io("write", file.path()))?;
        act.call(&["crontab", "-u", &user, &file.path().display().to_string()])?;
    }
    Ok(())
}

/// The table with the entry behind its marker replaced, and whether there was one. An entry is the variables and the
/// one command that follow its marker.
fn replace<'a>(lines: &[&'a str], marker: &str, entry: &'a [String]) -> (Vec<&'a str>, bool) {
    let Some(start) = lines.iter().position(|line| *line == marker) else {
        let all = lines.iter().copied().chain(entry.iter().map(String::as_str));
        return (all.collect(), false);
    };
    let is_variable = |line: &str| {
        let name = line.split('=').next().unwrap_or_default();
        line.contains('=') && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut end = start + 1;
    while lines.get(end).is_some_and(|line| is_variable(line)) {
        end += 1;
    }
    // The command itself, unless somebody has taken it away.
    if lines.get(end).is_some_and(|line| !line.starts_with('#')) {
        end += 1;
    }
    let mut new: Vec<&str> = lines[..start].to_vec();
    new.extend(entry.iter().map(String::as_str));
    new.extend(&lines[end..]);
    (new, true)
}

fn cron_d(act: &mut Act<'_>) -> Result<(), Failure> {
    // cron leaves files alone whose names hold a dot.
    let name = act.need("cron_name")?.replace('.', "-");
    let path = act.machine.path(format!("/etc/cron.d/{name}"));
    if act.action == "delete" {
        return remove(act, &path);
    }
    if act.action == "create_if_missing" && path.exists() {
        return Ok(());
    }
    let mut lines = vec!["# Generated by Chef. Changes will be overwritten.".to_owned()];
    lines.extend(variables(act, true));
    if let Some(delay) = act.text("random_delay") {
        lines.push(format!("RANDOM_DELAY={delay}"));
    }
    if let Some(comment) = act.text("comment") {
        lines.extend(comment.lines().map(|line| format!("# {line}")));
    }
    let time = match act.text("predefined_value") {
        Some(value) => value,
        None => time(act)?,
    };
    lines.push(format!("{time} {} {}", act.need("user")?, command(act)?));
    let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let security = Security {
        mode: mode_of(act, "mode")?,
        ..Security::default()
    };
    bring(act, &path, Content::Bytes(text.as_bytes()), security)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_replaced_where_it_stands() {
        let entry = ["# Chef Name: x".to_owned(), "5 * * * * b".to_owned()];
        let old = [
            "1 * * * * mine",
            "# Chef Name: x",
            "A=b",
            "* * * * * a",
            "# Chef Name: y",
            "* * * * * c",
        ];
        let (new, existed) = replace(&old, "# Chef Name: x", &entry);
        assert!(existed);
        assert_eq!(
            new,
            [
                "1 * * * * mine",
                "# Chef Name: x",
                "5 * * * * b",
                "# Chef Name: y",
                "* * * * * c"
            ]
        );
        let (gone, _) = replace(&new, "# Chef Name: x", &[]);
        assert_eq!(gone, ["1 * * * * mine", "# Chef Name: y", "* * * * * c"]);
        let (added, existed) = replace(&gone, "# Chef Name: x", &entry);
        assert!(!existed && added.ends_with(&["# Chef Name: x", "5 * * * * b"]));
    }
}
