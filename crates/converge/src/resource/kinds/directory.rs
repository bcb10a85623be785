//! `directory`.

use std::fs;
use std::path::Path;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Kind, Property, Provides};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Security, metadata};

pub(super) const DIRECTORY: Definition = Definition {
    kind: Kind::new(
        "directory",
        &[Provides::everywhere("directory")],
        &["create", "delete"],
        &[
            Property::named("path"),
            Property::id("mode"),
            Property::id("owner").aliases(&["user"]),
            Property::id("group"),
            Property::boolean("recursive", false),
            Property::boolean("inherits", true),
            Property::new("rights", &[]),
            Property::new("deny_rights", &[]),
        ],
    ),
    run,
};

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    let path = act.path("path")?;
    let recursive = act.flag("recursive");
    if act.action == "delete" {
        return delete(act, &path, recursive);
    }
    let security = Security::of(act)?;
    make(act, &path, security, recursive)
}

/// Brings a folder there, with those above it if that is wanted; only the last one gets owner and mode.
pub(super) fn make(
    act: &mut Act<'_>,
    path: &Path,
    security: Security,
    recursive: bool,
) -> Result<(), Failure> {
    let seen = act.machine.seen(path);
    // A link to a folder is as good as one.
    let place = if path.is_symlink() {
        act.machine.target(&seen)
    } else {
        path.to_owned()
    };
    if place.is_dir() {
        return security.bring(act, &place);
    }
    let exists = place.exists() || path.is_symlink();
    if exists {
        return Err(Cause::Type {
            path: seen,
            what: if path.is_symlink() {
                "a symbolic link that leads nowhere"
            } else {
                "a file"
            },
            wanted: "a directory",
        }
        .into());
    }
    if let Some(folder) = place.parent()
        && !folder.is_dir()
        && !recursive
    {
        act.assume(Cause::NoFolder(act.machine.seen(folder)))?;
    }
    let mut sentences = vec![format!("create new directory {}", seen.display())];
    sentences.extend(security.changes(act, None));
    if act.will_all(sentences) {
        let made = if recursive {
            fs::create_dir_all(&place)
        } else {
            fs::create_dir(&place)
        };
        made.map_err(Cause::io("create", &place))?;
        durable::failpoint::reached("made");
        security.apply(&place)?;
    }
    Ok(())
}

/// Removes a folder, with all in it if that is wanted. Nothing to remove is fine.
pub(super) fn delete(act: &mut Act<'_>, path: &Path, recursive: bool) -> Result<(), Failure> {
    let Some(now) = metadata(path)? else {
        return Ok(());
    };
    let seen = act.machine.seen(path);
    let is_link = now.file_type().is_symlink();
    let is_folder = now.is_dir() || (is_link && path.is_dir());
    if !is_folder {
        return Err(Cause::Type {
            path: seen,
            what: "no directory",
            wanted: "a directory",
        }
        .into());
    }
    if act.will(format!("delete existing directory {}", seen.display())) {
        let removed = if is_link {
            fs::remove_file(path)
        } else if recursive {
            fs::remove_dir_all(path)
        } else {
            fs::remove_dir(path)
        };
        removed.map_err(Cause::io("remove", path))?;
    }
    Ok(())
}
