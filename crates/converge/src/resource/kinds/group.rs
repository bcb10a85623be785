//! `group`.

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Kind, Property, Provides};
use crate::resource::error::{Cause, Failure};
use crate::resource::machine::Members;

pub(super) const GROUP: Definition = Definition {
    kind: Kind::new(
        "group",
        &[Provides::everywhere("group")],
        &["create", "remove", "manage", "modify"],
        &[
            Property::named("group_name"),
            Property::id("gid"),
            Property::list("members").aliases(&["users"]),
            Property::list("excluded_members"),
            Property::boolean("append", false),
            Property::boolean("system", false),
            Property::boolean("non_unique", false),
            Property::string("comment"),
        ],
    ),
    run,
};

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    act.need_live()?;
    let name = act.need("group_name")?;
    let now = act.machine.group(&name);
    match (act.action, now) {
        ("create", None) => create(act, &name),
        ("create" | "manage" | "modify", Some(now)) => alter(act, &name, &now),
        ("modify", None) => act.assume(Cause::NoGroup(name)),
        ("remove", Some(_)) => {
            if act.will(format!("remove group {name}")) {
                act.call(&["groupdel", &name])?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn create(act: &mut Act<'_>, name: &str) -> Result<(), Failure> {
    let members = act.comma_list("members");
    let mut sentences = vec![format!("create group {name}")];
    sentences.extend(members.iter().map(|member| format!("add member {member}")));
    if !act.will_all(sentences) {
        return Ok(());
    }
    let gid = act.text("gid");
    let mut words = vec!["groupadd"];
    if let Some(gid) = &gid {
        words.extend(["-g", gid]);
    }
    if act.flag("system") {
        words.push("-r");
    }
    if act.flag("non_unique") {
        words.push("-o");
    }
    words.push(name);
    act.call(&words)?;
    for member in &members {
        add(act, name, member)?;
    }
    Ok(())
}

fn alter(act: &mut Act<'_>, name: &str, now: &Members) -> Result<(), Failure> {
    let wanted = act.comma_list("members");
    let excluded = act.comma_list("excluded_members");
    if let Some(member) = wanted.iter().find(|member| excluded.contains(member)) {
        let why = format!("`{member}` is among the members too");
        return Err(Failure::invalid("excluded_members", why));
    }
    let mut sentences = Vec::new();
    let gid = act.text("gid").filter(|gid| *gid != now.gid.to_string());
    if let Some(gid) = &gid {
        sentences.push(format!("change gid {} to {gid}", now.gid));
    }
    let added: Vec<_> = wanted
        .iter()
        .filter(|member| !now.members.contains(member))
        .collect();
    let replaces = act.set("members").is_some() && !act.flag("append");
    let removed: Vec<_> = now
        .members
        .iter()
        .filter(|member| (replaces && !wanted.contains(member)) || excluded.contains(member))
        .collect();
    sentences.extend(added.iter().map(|member| format!("add member {member}")));
    sentences.extend(removed.iter().map(|member| format!("remove member {member}")));
    if sentences.is_empty() {
        return Ok(());
    }
    sentences.insert(
        0,
        format!(
            "{} group {name}",
            if act.action == "create" {
                "alter"
            } else {
                act.action
            }
        ),
    );
    if !act.will_all(sentences) {
        return Ok(());
    }
    if let Some(gid) = &gid {
        let mut words = vec!["groupmod", "-g", gid];
        if act.flag("non_unique") {
            words.push("-o");
        }
        words.push(name);
        act.call(&words)?;
    }
    for member in added {
        add(act, name, member)?;
    }
    for member in removed {
        act.call(&["gpasswd", "-d", member, name])?;
    }
    Ok(())
}

fn add(act: &Act<'_>, group: &str, member: &str) -> Result<(), Failure> {
    if act.machine.account(member).is_none() {
        return Err(Cause::NoUser(member.to_owned()).into());
    }
    act.call(&["gpasswd", "-a", member, group]).map(drop)
}
