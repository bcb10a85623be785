//! `link`: symbolic and hard links.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Security, metadata};

pub(super) const LINK: Definition = Definition {
    kind: Kind::new(
        "link",
        &[Provides::everywhere("link")],
        &["create", "delete"],
        &[
            Property::named("target_file"),
            Property::string("to").required_for(&["create"]),
            Property::string("link_type")
                .or(Default::String("symbolic"))
                .one_of(&["symbolic", "hard"]),
            Property::id("owner").aliases(&["user"]),
            Property::id("group"),
            // Links have no mode; recipes set one all the same.
            Property::id("mode"),
        ],
    ),
    run,
};

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    let path = act.path("target_file")?;
    let hard = act.text("link_type").as_deref() == Some("hard");
    if act.action == "delete" {
        return delete(act, &path, hard);
    }
    let to = act.need("to")?;
    let security = Security {
        mode: None,
        ..Security::of(act)?
    };
    let seen = act.machine.seen(&path);
    let now = metadata(&path)?;
    if is_so(act, &path, &to, hard) {
        return if hard { Ok(()) } else { security.bring(act, &path) };
    }
    if now.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(Cause::Type {
            path: seen,
            what: "a directory",
            wanted: "a link",
        }
        .into());
    }
    let from = act.machine.path(Path::new(&to));
    if hard && !from.exists() {
        act.assume(Cause::io("link to", &from)(std::io::ErrorKind::NotFound.into()))?;
    }
    let mut sentences = Vec::new();
    if let Some(now) = &now {
        let what = if now.is_symlink() {
            "symlink to file"
        } else {
            "file"
        };
        sentences.push(format!("unlink existing {what} at {}", seen.display()));
    }
    let what = if hard { "hard link" } else { "symlink" };
    sentences.push(format!("create {what} at {} to {to}", seen.display()));
    if !hard {
        sentences.extend(security.changes(act, None));
    }
    if act.will_all(sentences) {
        replace(act, &path, &to, hard)?;
        durable::failpoint::reached("linked");
        if !hard {
            security.apply(&path)?;
        }
    }
    Ok(())
}

/// Whether the link is what it should be.
fn is_so(act: &Act<'_>, path: &Path, to: &str, hard: bool) -> bool {
    if hard {
        let from = act.machine.path(Path::new(to));
        let (Ok(from), Ok(now)) = (fs::metadata(from), fs::symlink_metadata(path)) else {
            return false;
        };
        return (from.dev(), from.ino()) == (now.dev(), now.ino());
    }
    // Components make nothing of a slash at the end or of two in a row.
    fs::read_link(path).is_ok_and(|now| now.components().eq(Path::new(to).components()))
}

/// Makes the link beside its place and moves it there, so that there is always one.
fn replace(act: &Act<'_>, path: &Path, to: &str, hard: bool) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let scratch = tempfile::Builder::new()
        .prefix(".chef-")
        .tempdir_in(folder)
        .map_err(Cause::io("create a link in", folder))?;
    let new = scratch.path().join("link");
    let made = if hard {
        fs::hard_link(act.machine.path(Path::new(to)), &new)
    } else {
        symlink(to, &new)
    };
    durable::failpoint::reached("link made");
    made.and_then(|()| fs::rename(&new, path))
        .map_err(Cause::io("create a link at", path))?;
    Ok(())
}

fn delete(act: &mut Act<'_>, path: &Path, hard: bool) -> Result<(), Failure> {
    let Some(now) = metadata(path)? else {
        return Ok(());
    };
    let is_link = if hard {
        act.text("to").is_none_or(|to| is_so(act, path, &to, true)) && now.is_file()
    } else {
        now.is_symlink()
    };
    let seen = act.machine.seen(path);
    if !is_link {
        return Err(Cause::Type {
            path: seen,
            what: "no such link",
            wanted: if hard { "a hard link" } else { "a symbolic link" },
        }
        .into());
    }
    if act.will(format!("delete link at {}", seen.display())) {
        fs::remove_file(path).map_err(Cause::io("remove", path))?;
    }
    Ok(())
}
