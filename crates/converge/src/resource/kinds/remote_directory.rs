//! `remote_directory`: a whole folder of a cookbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Definition, directory};
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides, Type};
use crate::resource::error::{Cause, Failure};
use crate::resource::files::{Content, Security, bring, mode_of, remove};

pub(super) const REMOTE_DIRECTORY: Definition = Definition {
    kind: Kind::new(
        "remote_directory",
        &[Provides::everywhere("remote_directory")],
        &["create", "create_if_missing", "delete"],
        &[
            Property::named("path"),
            Property::list("source"),
            Property::string("cookbook"),
            Property::id("mode"),
            Property::id("owner").aliases(&["user"]),
            Property::id("group"),
            Property::boolean("recursive", true),
            Property::boolean("purge", false),
            Property::boolean("overwrite", true),
            Property::new("files_backup", &[Type::Integer, Type::Boolean]).or(Default::Integer(5)),
            Property::id("files_mode").or(Default::String("0644")),
            Property::id("files_owner"),
            Property::id("files_group"),
            // The folder of the cookbook on this machine that `source` means.
            Property::string("source_path").internal(),
        ],
    ),
    run,
};

fn run(act: &mut Act<'_>) -> Result<(), Failure> {
    let path = act.path("path")?;
    if act.action == "delete" {
        return directory::delete(act, &path, true);
    }
    let source = PathBuf::from(act.need("source_path")?);
    let overwrite = act.action == "create" && act.flag("overwrite");
    let folders = Security::of(act)?;
    let mut files = Security {
        mode: mode_of(act, "files_mode")?,
        uid: folders.uid,
        gid: folders.gid,
    };
    if let Some(owner) = act.text("files_owner") {
        files.uid = Some(act.machine.uid(&owner)?);
    }
    if let Some(group) = act.text("files_group") {
        files.gid = Some(act.machine.gid(&group)?);
    }
    let mut wanted = BTreeSet::new();
    let mut inside = Vec::new();
    list(&source, Path::new(""), &mut inside)?;
    directory::make(act, &path, folders, true)?;
    for (below, is_folder) in inside {
        let place = path.join(&below);
        wanted.insert(place.clone());
        if is_folder {
            directory::make(act, &place, folders, true)?;
        } else if overwrite || !place.exists() {
            bring(act, &place, Content::Of(&source.join(&below)), files)?;
        }
    }
    if act.flag("purge") && path.is_dir() {
        purge(act, &path, &wanted)?;
    }
    Ok(())
}

/// Files and folders below a folder, folders before what is in them.
fn list(root: &Path, below: &Path, found: &mut Vec<(PathBuf, bool)>) -> Result<(), Failure> {
    let folder = root.join(below);
    let entries = fs::read_dir(&folder).map_err(Cause::io("read", &folder))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(Cause::io("read", &folder))?.file_name());
    }
    names.sort();
    for name in names {
        let below = below.join(name);
        let is_folder = root.join(&below).is_dir();
        found.push((below.clone(), is_folder));
        if is_folder {
            list(root, &below, found)?;
        }
    }
    Ok(())
}

/// Removes what is no part of the source.
fn purge(act: &mut Act<'_>, folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<(), Failure> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(Cause::io("read", folder))? {
        paths.push(entry.map_err(Cause::io("read", folder))?.path());
    }
    paths.sort();
    for path in paths {
        let is_folder = path.is_dir() && !path.is_symlink();
        match (wanted.contains(&path), is_folder) {
            (true, true) => purge(act, &path, wanted)?,
            (true, false) => {}
            (false, true) => directory::delete(act, &path, true)?,
            (false, false) => remove(act, &path)?,
        }
    }
    Ok(())
}
