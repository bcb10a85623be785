//! `file`, and `template` and `cookbook_file`, whose content is made by whoever evaluates the recipe.

use std::fs::File;
use std::fs::FileTimes;
use std::time::{Duration, SystemTime};

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, file_properties, manage, remove, sha256};

pub(super) const FILE: Definition = Definition {
    kind: Kind::new(
        "file",
        &[Provides::everywhere("file")],
        &["create", "create_if_missing", "delete", "touch"],
        file_properties![Property::string("content"), Property::string("checksum")],
    )
    .body("content"),
    run,
};

pub(super) const COOKBOOK_FILE: Definition = Definition {
    kind: Kind::new(
        "cookbook_file",
        &[Provides::everywhere("cookbook_file")],
        &["create", "create_if_missing", "delete", "touch"],
        file_properties![
            Property::list("source"),
            Property::string("cookbook"),
            Property::string("content").internal(),
        ],
    )
    .body("content"),
    run,
};

pub(super) const TEMPLATE: Definition = Definition {
    kind: Kind::new(
        "template",
        &[Provides::everywhere("template")],
        &["create", "create_if_missing", "delete", "touch"],
        file_properties![
            Property::list("source"),
            Property::string("cookbook"),
            Property::hash("variables"),
            Property::boolean("local", false),
            Property::new("helper_modules", &[Type::Array]),
            Property::hash("inline_helper_blocks"),
            Property::string("content").internal(),
        ],
    )
    .body("content"),
    run,
};

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    match act.action {
        "delete" => {
            let path = act.path("path")?;
            remove(act, &path)
        }
        "touch" => touch(act),
        action => create(act, action == "create_if_missing"),
    }
}

fn create(act: &mut Act<'_>, keep: bool) -> Result<(), Failure> {
    let request = act.request;
    let text = act.text("content");
    let content = match (&request.body, &text) {
        (Some(bytes), _) => Content::Bytes(bytes),
        (None, Some(text)) => Content::Bytes(text.as_bytes()),
        (None, None) if act.kind.name == "file" => Content::Any,
        (None, None) => return Err(Failure::missing("content")),
    };
    if act.kind.property("checksum").is_some()
        && let Some(wanted) = act.text("checksum")
        && let Content::Bytes(bytes) = content
    {
        let found = sha256(bytes);
        if !found.eq_ignore_ascii_case(&wanted) {
            let what = request.name.clone();
            return Err(Cause::Checksum { what, found, wanted }.into());
        }
    }
    manage(act, content, keep)
}

fn touch(act: &mut Act<'_>) -> Result<(), Failure> {
    create_missing(act)?;
    let path = act.machine.target(act.need("path")?);
    let seen = act.machine.seen(&path);
    if act.will(format!("update utime on file {}", seen.display())) {
        let now = u64::try_from(act.options.clock.now().as_second()).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let times = FileTimes::new().set_accessed(now).set_modified(now);
        let file = File::options()
            .append(true)
            .open(&path)
            .map_err(Cause::io("write", &path))?;
        file.set_times(times).map_err(Cause::io("touch", &path))?;
    }
    Ok(())
}

fn create_missing(act: &mut Act<'_>) -> Result<(), Failure> {
    manage(act, Content::Any, false)
}
