//! `systemd_unit`: unit files, and the units that they make.

use std::fs;

use serde_json::Value;

use super::Definition;
use crate::resource::act::{Act, text_of};
use crate::resource::catalogue::{Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, remove};
use crate::resource::programs::{Output, end};

pub(super) const SYSTEMD_UNIT: Definition = Definition {
    kind: Kind::new(
        "systemd_unit",
        &[Provides::everywhere("systemd_unit")],
        &[
            "create",
            "delete",
            "preset",
            "revert",
            "enable",
            "disable",
            "reenable",
            "mask",
            "unmask",
            "start",
            "stop",
            "restart",
            "try_restart",
            "reload",
            "reload_or_restart",
            "reload_or_try_restart",
        ],
        &[
            Property::named("unit_name"),
            Property::new("content", &[Type::String, Type::Hash]),
            Property::string("user"),
            Property::boolean("triggers_reload", true),
            Property::boolean("verify", true),
        ],
    )
    .default_action("nothing"),
    run,
};

const ENDINGS: [&str; 12] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
    ".nspawn",
];

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    let given = act.need("unit_name")?;
    let name = if ENDINGS.iter().any(|ending| given.ends_with(ending)) {
        given
    } else {
        format!("{given}.service")
    };
    if name.contains('/') {
        return Err(Failure::invalid("unit_name", format!("`{name}` is a path")));
    }
    let folder = match act.text("user") {
        Some(_) => "/etc/systemd/user",
        None => "/etc/systemd/system",
    };
    let path = act.machine.path(format!("{folder}/{name}"));
    match act.action {
        "create" => {
            let content = content(act)?;
            check(act, &name, &content)?;
            let security = Security {
                mode: Some(0o644),
                ..Security::default()
            };
            if let Some(folder) = path.parent()
                && !act.options.dry_run
            {
                fs::create_dir_all(folder).map_err(Cause::io("create", folder))?;
            }
            bring(act, &path, Content::Bytes(content.as_bytes()), security)?;
            reload(act)
        }
        "delete" => {
            remove(act, &path)?;
            reload(act)
        }
        action => {
            act.need_live()?;
            control(act, &name, action)
        }
    }
}

/// Lets systemd read the files again if one has changed.
fn reload(act: &Act<'_>) -> Result<(), Failure> {
    let changed = act.report.updated && !act.options.dry_run && act.flag("triggers_reload");
    if changed && act.machine.is_live() && act.machine.exists("/run/systemd/system") {
        systemctl(act, &["daemon-reload"])?.ok()?;
    }
    Ok(())
}

/// The text of the unit: as it is, or `{SECTION: {KEY: VALUE or [VALUES]}}`.
fn content(act: &Act<'_>) -> Result<String, Failure> {
    let sections = match act.value("content") {
        Some(Value::Object(sections)) => sections,
        Some(value) => return Ok(text_of(&value).unwrap_or_default()),
        None => return Err(Failure::missing("content")),
    };
    let mut blocks = Vec::new();
    for (section, entries) in &sections {
        let Some(entries) = entries.as_object() else {
            let why = format!("the section `{section}` must be a hash");
            return Err(Failure::invalid("content", why));
        };
        let mut block = format!("[{section}]\n");
        for (key, value) in entries {
            let values = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in values {
                block.push_str(&format!("{key} = {}\n", text_of(value).unwrap_or_default()));
            }
        }
        blocks.push(block);
    }
    Ok(blocks.join("\n"))
}

/// Has systemd look at the unit before it takes its place.
fn check(act: &Act<'_>, name: &str, content: &str) -> Result<(), Failure> {
    let useful = act.flag("verify") && act.machine.is_live() && act.has("systemd-analyze");
    if !useful || act.options.dry_run || !name.ends_with(".service") {
        return Ok(());
    }
    let folder = tempfile::tempdir().map_err(Cause::io("write in", &std::env::temp_dir()))?;
    let path = folder.path().join(name);
    durable::write_unflushed(&path, 0o644, content.as_bytes())
        .map_err(|error| Cause::io("write", &path)(std::io::Error::other(error)))?;
    let shown = "systemd-analyze verify";
    let command = act.program("systemd-analyze").arg("verify").arg(&path);
    let output = act.finish(command, shown)?;
    // Complaints about other units are no matter of this one.
    let ours: Vec<_> = output.text.lines().filter(|line| line.contains(name)).collect();
    if output.success() || ours.is_empty() {
        return Ok(());
    }
    Err(Cause::Verification {
        command: shown.to_owned(),
        ended: output.ended,
        output: end(&ours.join("\n"), 4096),
    }
    .into())
}

fn systemctl(act: &Act<'_>, words: &[&str]) -> Result<Output, Failure> {
    let mut all = Vec::new();
    let user = act.text("user");
    let machine = user.as_ref().map(|user| format!("--machine={user}@"));
    all.push("systemctl");
    all.extend(["--no-pager", "--no-ask-password"]);
    if let Some(machine) = &machine {
        all.extend(["--user", machine]);
    }
    all.extend(words);
    act.ask(&all)
}

fn control(act: &mut Act<'_>, name: &str, action: &str) -> Result<(), Failure> {
    let enabled = systemctl(act, &["is-enabled", name])?;
    let state = enabled.text.lines().last().unwrap_or_default().trim().to_owned();
    let is_fixed = matches!(state.as_str(), "static" | "indirect");
    let is_active = systemctl(act, &["is-active", "--quiet", name])?.success();
    let is_masked = state.starts_with("masked");
    let nothing = match action {
        "enable" => enabled.success() || is_fixed,
        "disable" => !enabled.success() || is_fixed,
        "start" => is_active,
        "stop" => !is_active,
        "mask" => is_masked,
        "unmask" => !is_masked,
        "reenable" => is_fixed,
        "try_restart" | "reload" | "reload_or_try_restart" => !is_active,
        _ => false,
    };
    let what = format!("{}[{}]", act.kind.name, act.request.name);
    if !nothing && act.will(format!("{} unit: {what}", action.replace('_', "-"))) {
        let verb = match action {
            "reload_or_try_restart" => "try-reload-or-restart".to_owned(),
            action => action.replace('_', "-"),
        };
        systemctl(act, &[&verb, name])?.ok()?;
    }
    Ok(())
}
