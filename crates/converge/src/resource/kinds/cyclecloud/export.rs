//! `cyclecloud_export`: one section of `cyclecloud.exports`, over NFS.

use super::{Section, need_program};
use crate::resource::act::Act;
use crate::resource::catalogue::{Kind, Property, Provides};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, remove};
use crate::resource::kinds::{Definition, directory};
use crate::resource::request::Request;

pub(in crate::resource::kinds) const EXPORT: Definition = Definition {
    kind: Kind::new(
        "cyclecloud_export",
        &[Provides::everywhere("cyclecloud_export")],
        &["export", "unexport"],
        &[
            Property::named("export_name"),
            Property::hash("configuration").required(),
        ],
    ),
    run,
};

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    let name = act.need("export_name")?;
    if name.is_empty() || name.contains(['/', ' ']) || name.starts_with('.') {
        return Err(Failure::invalid(
            "export_name",
            format!("`{name}` is no name of a file"),
        ));
    }
    let section = Section::of(act);
    let file = act
        .machine
        .path(format!("/etc/exports.d/cyclecloud-{name}.exports"));
    if act.action == "unexport" || section.flag("disabled", false) {
        remove(act, &file)?;
        return refresh(act);
    }
    let kind = section.text("type").unwrap_or_else(|| "nfs".to_owned());
    if !kind.eq_ignore_ascii_case("nfs") {
        return Err(Failure::invalid(
            "configuration",
            format!("exports of the type `{kind}` are not supported"),
        ));
    }
    if section.wants_samba() {
        act.warn("Samba is not served (`samba.enabled`), only NFS");
    }
    let path = section.text("export_path").filter(|path| path.starts_with('/'));
    let path = path.ok_or_else(|| Failure::invalid("configuration", "it has no absolute `export_path`"))?;
    let line = line(&section, &path)?;
    folder(act, &section, &path)?;
    if act.machine.is_live() {
        need_program(act, "exportfs", "nfs-kernel-server", "nfs-utils")?;
    }
    if let Some(folder) = file.parent()
        && !folder.is_dir()
    {
        act.apply(&Request::new(
            "directory",
            act.machine.seen(folder).display().to_string(),
        ))?;
    }
    let security = Security {
        mode: Some(0o644),
        ..Security::default()
    };
    bring(act, &file, Content::Bytes(line.as_bytes()), security)?;
    refresh(act)?;
    if act.machine.is_live() {
        let unit = if act.options.platform.family == "debian" {
            "nfs-kernel-server"
        } else {
            "nfs-server"
        };
        for action in ["enable", "start"] {
            act.apply(&Request::new("service", unit).action(action))?;
        }
    }
    Ok(())
}

/// The line of exports(5). Root of a node is root there too: the users' homes are made by nodes.
fn line(section: &Section, path: &str) -> Result<String, Failure> {
    let mut options = vec![
        if section.flag("writable", true) {
            "rw"
        } else {
            "ro"
        }
        .to_owned(),
        if section.flag("sync", true) {
            "sync"
        } else {
            "async"
        }
        .to_owned(),
    ];
    let own = section.list("options");
    if !own
        .iter()
        .any(|option| option.ends_with("root_squash") || option == "all_squash")
    {
        options.push("no_root_squash".to_owned());
    }
    for option in own {
        if option.contains(char::is_whitespace) || option.contains(['(', ')']) {
            return Err(Failure::invalid(
                "configuration",
                format!("`{option}` is no option of an export"),
            ));
        }
        if !options.contains(&option) {
            options.push(option);
        }
    }
    let mut clients = section.list("network");
    if clients.is_empty() {
        clients.push("*".to_owned());
    }
    let path = if path.contains(' ') {
        format!("\"{path}\"")
    } else {
        path.to_owned()
    };
    let clients: Vec<_> = clients
        .iter()
        .map(|client| format!("{client}({})", options.join(",")))
        .collect();
    Ok(format!("{path} {}\n", clients.join(" ")))
}

fn folder(act: &mut Act<'_>, section: &Section, path: &str) -> Result<(), Failure> {
    let security = section
        .security(act, ["mode", "permissions"])?
        .unwrap_or_default();
    let place = act.machine.path(path);
    directory::make(act, &place, security, true)
}

/// Lets the server read its files again.
fn refresh(act: &mut Act<'_>) -> Result<(), Failure> {
    let useful = act.report.updated && !act.options.dry_run && act.machine.is_live();
    if !useful || !act.has("exportfs") {
        return Ok(());
    }
    let output = act.ask(&["exportfs", "-r"])?;
    if output.success() {
        return Ok(());
    }
    let cause: Cause = output.failure();
    Err(cause.into())
}
