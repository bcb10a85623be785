//! `execute`, and scripts of many interpreters.

use std::io::Write;
use std::os::unix::fs::fchown;
use std::path::PathBuf;
use std::time::Duration;

use node::command::{Command, Ended};
use serde_json::{Value, json};

use super::Definition;
use crate::resource::act::{Act, text_of};
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::mode_of;

/// The properties of all commands, and those of one kind.
macro_rules! command_properties {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            Property::string("cwd"),
            Property::list("creates"),
            Property::hash("environment").aliases(&["env"]),
            Property::id("user"),
            Property::id("group"),
            Property::id("umask"),
            Property::new("returns", &[Type::Integer, Type::Array]).or(Default::Integer(0)),
            Property::new("timeout", &[Type::Integer, Type::Float, Type::String]).or(Default::Integer(3600)),
            Property::boolean("live_stream", false),
            Property::boolean("default_env", false),
            Property::boolean("login", false),
            Property::string("input"),
            // For Windows.
            Property::string("password").sensitive(),
            Property::string("domain"),
            Property::boolean("elevated", false),
        ]
    };
}

pub(super) const EXECUTE: Definition = Definition {
    kind: Kind::new(
        "execute",
        &[Provides::everywhere("execute")],
        &["run"],
        command_properties![Property::list("command").or(Default::Name)],
    )
    .repeats(),
    run: execute,
};

/// A kind that runs its code with one interpreter.
macro_rules! script {
    ($constant:ident, $name:literal, $interpreter:literal) => {
        pub(super) const $constant: Definition = Definition {
            kind: Kind::new(
                $name,
                &[Provides::everywhere($name)],
                &["run"],
                command_properties![
                    Property::string("code").required_for(&["run"]),
                    Property::list("flags"),
                    Property::string("interpreter").or(Default::String($interpreter)),
                ],
            )
            .repeats(),
            run: script,
        };
    };
}

script!(BASH, "bash", "bash");
script!(SH, "sh", "sh");
script!(CSH, "csh", "csh");
script!(KSH, "ksh", "ksh");
script!(PERL, "perl", "perl");
script!(PYTHON, "python", "python");
script!(RUBY, "ruby", "ruby");

pub(super) const SCRIPT: Definition = Definition {
    kind: Kind::new(
        "script",
        &[Provides::everywhere("script")],
        &["run"],
        command_properties![
            Property::string("code").required_for(&["run"]),
            Property::list("flags"),
            Property::string("interpreter").required_for(&["run"]),
        ],
    )
    .repeats(),
    run: script,
};

/// PowerShell is a program of Linux too, called `pwsh` there.
pub(super) const POWERSHELL_SCRIPT: Definition = Definition {
    kind: Kind::new(
        "powershell_script",
        &[Provides::everywhere("powershell_script")],
        &["run"],
        command_properties![
            Property::string("code").required_for(&["run"]),
            Property::list("flags"),
            Property::string("interpreter").or(Default::String("pwsh")),
            Property::string("architecture"),
            Property::boolean("convert_boolean_return", false),
            Property::boolean("use_inline_powershell", false),
        ],
    )
    .repeats(),
    run: script,
};

fn execute(act: &mut Act<'_>) -> Result<(), Failure> {
    let words = match act.value("command") {
        Some(Value::Array(words)) => words.iter().filter_map(text_of).collect(),
        _ => vec!["sh".to_owned(), "-c".to_owned(), act.need("command")?],
    };
    let shown = match act.value("command") {
        Some(Value::Array(_)) => words.join(" "),
        _ => act.need("command")?,
    };
    if is_done(act) {
        return Ok(());
    }
    let sentence = if act.is_sensitive() {
        "execute sensitive resource".to_owned()
    } else {
        format!("execute {shown}")
    };
    if act.will(sentence) {
        start(act, &words, &shown)?;
    }
    Ok(())
}

fn script(act: &mut Act<'_>) -> Result<(), Failure> {
    if is_done(act) {
        return Ok(());
    }
    let interpreter = act.need("interpreter")?;
    let name = interpreter.clone();
    if !act.will(format!("execute \"{interpreter}\"")) {
        return Ok(());
    }
    // `python` is no more on many machines, and what recipes mean is what is there.
    let interpreter = match name.as_str() {
        "python" if !act.has("python") && act.has("python3") => "python3".to_owned(),
        "pwsh" if !act.has("pwsh") => {
            let why = "there is no PowerShell (`pwsh`) on this machine".to_owned();
            return Err(Cause::Unsupported(why).into());
        }
        _ => interpreter,
    };
    let mut file = tempfile::Builder::new()
        .prefix("chef-script")
        .suffix(if name == "pwsh" { ".ps1" } else { "" })
        .tempfile()
        .map_err(Cause::io("write a script in", &std::env::temp_dir()))?;
    let path = file.path().to_owned();
    let code = act.need("code")?;
    file.write_all(code.as_bytes())
        .and_then(|()| {
            if code.ends_with('\n') {
                Ok(())
            } else {
                file.write_all(b"\n")
            }
        })
        .map_err(Cause::io("write", &path))?;
    if let Some(user) = act.text("user") {
        let uid = act.machine.uid(&user)?;
        if uid != nix::unistd::geteuid().as_raw() {
            fchown(file.as_file(), Some(uid), None).map_err(Cause::io("change the owner of", &path))?;
        }
    }
    let mut words = vec![interpreter];
    for flags in act.list("flags") {
        words.extend(split(&flags));
    }
    words.push(path.display().to_string());
    start(act, &words, &format!("\"{name}\""))
}

/// Splits flags at blanks, but not within quotes.
pub(super) fn split(flags: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for character in flags.chars() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                begun = true;
            }
            (None, c) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                    begun = false;
                }
            }
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Whether what the command creates is there.
fn is_done(act: &Act<'_>) -> bool {
    let creates = act.list("creates");
    let cwd = act.text("cwd").unwrap_or_else(|| "/".to_owned());
    !creates.is_empty()
        && creates
            .iter()
            .all(|path| act.machine.path(PathBuf::from(&cwd).join(path)).exists())
}

/// Runs a command as the properties say.
fn start(act: &mut Act<'_>, words: &[String], shown: &str) -> Result<(), Failure> {
    let timeout = match act.value("timeout") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => Some(
            text.trim()
                .parse()
                .map_err(|_| Failure::invalid("timeout", format!("`{text}` is no number of seconds")))?,
        ),
        _ => None,
    };
    let mut prefix = Vec::new();
    let mut command_env = act.pairs("environment");
    if act.flag("login")
        && let Some(account) = act.text("user").and_then(|user| act.machine.account(&user))
    {
        let own = [
            ("HOME", &account.home),
            ("SHELL", &account.shell),
            ("USER", &account.name),
            ("LOGNAME", &account.name),
        ];
        for (name, value) in own {
            if command_env.iter().all(|(known, _)| known != name) {
                command_env.push((name.to_owned(), value.clone()));
            }
        }
    }
    // A variable that is null is taken away.
    if let Some(Value::Object(map)) = act.value("environment") {
        let gone = map.iter().filter(|(_, value)| value.is_null());
        for (name, _) in gone {
            prefix.extend(["env".to_owned(), "-u".to_owned(), name.clone()]);
            command_env.retain(|(known, _)| known != name);
        }
    }
    prefix.extend(identity(act)?);
    if let Some(umask) = mode_of(act, "umask")? {
        let script = format!("umask {umask:04o}; exec \"$@\"");
        prefix.extend(["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]);
    }
    let mut input = None;
    if let Some(text) = act.text("input") {
        let mut file =
            tempfile::NamedTempFile::new().map_err(Cause::io("write in", &std::env::temp_dir()))?;
        file.write_all(text.as_bytes())
            .map_err(Cause::io("write", file.path()))?;
        let path = file.path().display().to_string();
        let script = "exec \"$@\" < \"$0\"".to_owned();
        // The file is opened before the user is changed.
        prefix.splice(0..0, ["sh".to_owned(), "-c".to_owned(), script, path]);
        input = Some(file);
    }
    let all: Vec<&String> = prefix.iter().chain(words).collect();
    let mut command = Command::new(all[0].as_str())
        .inherit_environment()
        .tail_bytes(1 << 20);
    for word in &all[1..] {
        command = command.arg(word.as_str());
    }
    if act.flag("default_env") {
        command = command
            .env("LC_ALL", "C.UTF-8")
            .env("LANG", "C.UTF-8")
            .env("LANGUAGE", "C.UTF-8");
    }
    for (name, value) in command_env {
        command = command.env(name, value);
    }
    command = act.with_path(command);
    if let Some(cwd) = act.text("cwd") {
        command = command.current_dir(act.machine.path(&cwd));
    }
    if let Some(seconds) = timeout {
        let limit = Duration::try_from_secs_f64(seconds)
            .map_err(|_| Failure::invalid("timeout", format!("{seconds} is no number of seconds")))?;
        command = command.time_limit(limit);
    }
    if act.flag("live_stream")
        && !act.is_sensitive()
        && let Some(live) = &act.options.live
    {
        command = command.tee(live.clone());
    }
    let output = act.finish(command, shown)?;
    drop(input);
    let code = match output.ended {
        Ended::Exited(code) => Some(code),
        _ => None,
    };
    let allowed = act.list("returns");
    if code.is_none_or(|code| !allowed.contains(&code.to_string())) {
        return Err(output.failure().into());
    }
    act.report.result = json!({ "exit_status": code });
    act.report.output = (!act.is_sensitive()).then_some(output.text);
    Ok(())
}

/// The program that changes to the user and the group of the properties, if they are others than ours.
pub(super) fn identity(act: &Act<'_>) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let user = act.text("user");
    let wanted_uid = user.as_ref().map(|user| act.machine.uid(user)).transpose()?;
    let account = user.as_ref().and_then(|user| act.machine.account(user));
    let mut wanted_gid = account.as_ref().map(|account| account.gid);
    if let Some(group) = act.text("group") {
        wanted_gid = Some(act.machine.gid(&group)?);
    }
    if wanted_uid.is_none_or(|wanted| wanted == uid) && wanted_gid.is_none_or(|wanted| wanted == gid) {
        return Ok(words);
    }
    words.push("setpriv".to_owned());
    if let Some(wanted) = wanted_uid {
        words.push(format!("--reuid={wanted}"));
    }
    if let Some(wanted) = wanted_gid {
        words.push(format!("--regid={wanted}"));
    }
    words.push(match account {
        Some(_) if wanted_uid.is_some() => "--init-groups".to_owned(),
        _ => "--clear-groups".to_owned(),
    });
    if wanted_uid.is_some() && wanted_gid.is_none() {
        words.push(format!("--regid={gid}"));
    }
    words.push("--".to_owned());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_split_at_blanks_outside_of_quotes() {
        assert_eq!(split("-e  -x"), ["-e", "-x"]);
        assert_eq!(split("-c 'a b' \"\""), ["-c", "a b", ""]);
        assert!(split(" ").is_empty());
    }
}
