//! Who may do what: `sudo`, `user_ulimit`, `cron_access`.

use std::io::Write;
use std::path::Path;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, edit, remove};
use crate::resource::programs::end;

pub(super) const SUDO: Definition = Definition {
    kind: Kind::new(
        "sudo",
        &[Provides::everywhere("sudo")],
        &["create", "delete", "install", "remove"],
        &[
            Property::named("filename"),
            Property::list("users").aliases(&["user"]),
            Property::list("groups").aliases(&["group"]),
            Property::list("commands").or(Default::String("ALL")),
            Property::string("host").or(Default::String("ALL")),
            Property::string("runas").or(Default::String("ALL")),
            Property::boolean("nopasswd", false),
            Property::boolean("noexec", false),
            Property::boolean("setenv", false),
            Property::new("defaults", &[Type::Array]).or(Default::EmptyArray),
            Property::new("command_aliases", &[Type::Array]).or(Default::EmptyArray),
            Property::new("env_keep_add", &[Type::Array]).or(Default::EmptyArray),
            Property::new("env_keep_subtract", &[Type::Array]).or(Default::EmptyArray),
            Property::string("visudo_binary").or(Default::String("visudo")),
            Property::string("config_prefix").or(Default::String("/etc")),
        ],
    ),
    run: sudo,
};

/// Limits of pam_limits(8) by the property that sets them, each with a hard and a soft one.
const LIMITS: [(&str, &str); 15] = [
    ("as", "as"),
    ("core", "core"),
    ("cpu", "cpu"),
    ("filehandle", "nofile"),
    ("fsize", "fsize"),
    ("locks", "locks"),
    ("maxlogins", "maxlogins"),
    ("memory", "memlock"),
    ("msgqueue", "msgqueue"),
    ("process", "nproc"),
    ("rss", "rss"),
    ("rtprio", "rtprio"),
    ("sigpending", "sigpending"),
    ("stack", "stack"),
    ("virt", "as"),
];

pub(super) const USER_ULIMIT: Definition = Definition {
    kind: Kind::new(
        "user_ulimit",
        &[Provides::everywhere("user_ulimit")],
        &["create", "delete"],
        &[
            Property::named("username"),
            Property::string("filename"),
            Property::id("as_limit"),
            Property::id("core_limit"),
            Property::id("core_hard_limit"),
            Property::id("core_soft_limit"),
            Property::id("cpu_limit"),
            Property::id("cpu_hard_limit"),
            Property::id("cpu_soft_limit"),
            Property::id("filehandle_limit"),
            Property::id("filehandle_hard_limit"),
            Property::id("filehandle_soft_limit"),
            Property::id("fsize_limit"),
            Property::id("locks_limit"),
            Property::id("maxlogins_limit"),
            Property::id("maxlogins_hard_limit"),
            Property::id("maxlogins_soft_limit"),
            Property::id("memory_limit"),
            Property::id("memory_hard_limit"),
            Property::id("memory_soft_limit"),
            Property::id("msgqueue_limit"),
            Property::id("msgqueue_hard_limit"),
            Property::id("msgqueue_soft_limit"),
            Property::id("process_limit"),
            Property::id("process_hard_limit"),
            Property::id("process_soft_limit"),
            Property::id("rss_limit"),
            Property::id("rtprio_limit"),
            Property::id("rtprio_hard_limit"),
            Property::id("rtprio_soft_limit"),
            Property::id("sigpending_limit"),
            Property::id("sigpending_hard_limit"),
            Property::id("sigpending_soft_limit"),
            Property::id("stack_limit"),
            Property::id("stack_hard_limit"),
            Property::id("stack_soft_limit"),
            Property::id("virt_limit"),
        ],
    ),
    run: user_ulimit,
};

pub(super) const CRON_ACCESS: Definition = Definition {
    kind: Kind::new(
        "cron_access",
        &[
            Provides::everywhere("cron_access"),
            Provides::everywhere("cron_manage"),
        ],
        &["allow", "deny"],
        &[Property::named("user")],
    ),
    run: cron_access,
};

/// A name that can be one of a file.
fn plain(property: &'static str, name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.contains(['/', '\n']) || name.starts_with('.') {
        return Err(Failure::invalid(
            property,
            format!("`{name}` is no name of a file"),
        ));
    }
    Ok(())
}

fn sudo(act: &mut Act<'_>) -> Result<(), Failure> {
    let name = act.need("filename")?;
    plain("filename", &name)?;
    // sudo leaves files alone whose names hold a dot.
    let name = name.replace(['.', '~'], "__");
    let path = act
        .machine
        .path(format!("{}/sudoers.d/{name}", act.need("config_prefix")?));
    if matches!(act.action, "delete" | "remove") {
        return remove(act, &path);
    }
    let text = sudoers(act)?;
    check(act, &text)?;
    let security = Security {
        mode: Some(0o440),
        ..Security::default()
    };
    bring(act, &path, Content::Bytes(text.as_bytes()), security)
}

fn sudoers(act: &Act<'_>) -> Result<String, Failure> {
    let mut who = act.comma_list("users");
    let groups = act.comma_list("groups");
    who.extend(
        groups
            .iter()
            .map(|group| format!("%{}", group.trim_start_matches('%'))),
    );
    if who.is_empty() {
        return Err(Failure::invalid("users", "neither users nor groups are named"));
    }
    let mut text = "# This file is managed by Chef Infra Client. Changes will be overwritten.\n".to_owned();
    if let Some(serde_json::Value::Array(aliases)) = act.value("command_aliases") {
        for alias in &aliases {
            let name = alias["name"].as_str().unwrap_or_default().to_uppercase();
            let commands = alias["command_list"].as_array();
            let commands = commands.ok_or_else(|| {
                Failure::invalid(
                    "command_aliases",
                    format!("{alias} has no `name` and `command_list`"),
                )
            })?;
            let commands: Vec<_> = commands.iter().filter_map(|command| command.as_str()).collect();
            text.push_str(&format!("Cmnd_Alias {name} = {}\n", commands.join(", ")));
        }
    }
    for variable in act.list("env_keep_add") {
        text.push_str(&format!("Defaults env_keep += \"{variable}\"\n"));
    }
    for variable in act.list("env_keep_subtract") {
        text.push_str(&format!("Defaults env_keep -= \"{variable}\"\n"));
    }
    let tags: String = [
        ("noexec", "NOEXEC:"),
        ("nopasswd", "NOPASSWD:"),
        ("setenv", "SETENV:"),
    ]
    .into_iter()
    .filter(|(name, _)| act.flag(name))
    .map(|(_, tag)| tag)
    .collect();
    let (host, runas) = (act.need("host")?, act.need("runas")?);
    let commands = act.list("commands").join(", ");
    for one in &who {
        text.push_str(&format!("{one} {host}=({runas}) {tags}{commands}\n"));
    }
    for default in act.list("defaults") {
        for one in &who {
            text.push_str(&format!("Defaults:{one} {default}\n"));
        }
    }
    Ok(text)
}

/// Has sudo's own program look at the rules: with a broken file nobody may do anything any more.
fn check(act: &Act<'_>, text: &str) -> Result<(), Failure> {
    let visudo = act.need("visudo_binary")?;
    let is_there = if visudo.starts_with('/') {
        Path::new(&visudo).is_file()
    } else {
        act.has(&visudo)
    };
    if !is_there || act.options.dry_run {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new().map_err(Cause::io("write in", &std::env::temp_dir()))?;
    file.write_all(text.as_bytes())
        .map_err(Cause::io("write", file.path()))?;
    let output = act.ask(&[&visudo, "-c", "-f", &file.path().display().to_string()])?;
    if output.success() {
        return Ok(());
    }
    Err(Cause::Verification {
        command: format!("{visudo} -c"),
        ended: output.ended,
        output: end(&output.text, 4096),
    }
    .into())
}

fn user_ulimit(act: &mut Act<'_>) -> Result<(), Failure> {
    let user = act.need("username")?;
    let default = if user == "*" {
        "00_all_limits.conf".to_owned()
    } else {
        format!("{user}_limits.conf")
    };
    let mut name = act.text("filename").unwrap_or(default);
    plain("filename", &name)?;
    if !name.ends_with(".conf") {
        name.push_str(".conf");
    }
    let path = act.machine.path(format!("/etc/security/limits.d/{name}"));
    if act.action == "delete" {
        return remove(act, &path);
    }
    let mut text = "# Generated by Chef. Changes will be overwritten.\n".to_owned();
    for (property, item) in LIMITS {
        for (middle, kind) in [("", "-"), ("_hard", "hard"), ("_soft", "soft")] {
            let property = format!("{property}{middle}_limit");
            if act.kind.property(&property).is_none() {
                continue;
            }
            if let Some(value) = act.text(&property) {
                text.push_str(&format!("{user} {kind} {item} {value}\n"));
            }
        }
    }
    let security = Security {
        mode: Some(0o644),
        ..Security::default()
    };
    bring(act, &path, Content::Bytes(text.as_bytes()), security)
}

fn cron_access(act: &mut Act<'_>) -> Result<(), Failure> {
    let user = act.need("user")?;
    let path = act.machine.target(format!("/etc/cron.{}", act.action));
    edit(act, &path, Security::default(), |text| {
        if text.lines().any(|line| line.trim() == user) {
            return text.to_owned();
        }
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        format!("{text}{end}{user}\n")
    })
}
