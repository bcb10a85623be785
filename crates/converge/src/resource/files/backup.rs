//! Copies of files that were replaced or removed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use serde_json::Value;

use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};

/// How many copies are kept of a file by default, as in Chef.
const KEPT: usize = 5;

/// Keeps a copy of a file that is about to change: `FOLDER/whole/path.chef-20240131235959.123456`. Of many the newest
/// are kept, as many as `backup` says; with `false` or 0 none is made.
pub(crate) fn backup(act: &Act<'_>, file: &Path) -> Result<(), Failure> {
    let property = ["backup", "files_backup"]
        .into_iter()
        .find(|name| act.kind.property(name).is_some());
    let kept = match property.and_then(|name| act.value(name)) {
        Some(Value::Bool(false)) => 0,
        Some(Value::Number(number)) => number.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        _ => KEPT,
    };
    if kept == 0 {
        return Ok(());
    }
    let seen = act.machine.seen(file);
    let below = seen.strip_prefix("/").unwrap_or(&seen);
    let place = act.options.backup_folder.join(below);
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else {
        return Ok(());
    };
    // What is kept may be secret: the folders are for their owner alone.
    durable::create_folder(folder, 0o700).map_err(|error| Cause::Io {
        action: "make a backup of",
        path: file.to_owned(),
        source: std::io::Error::other(error),
    })?;
    let time = act.options.clock.now();
    let time = format!(
        "{}.{:06}",
        time.strftime("%Y%m%d%H%M%S"),
        time.subsec_nanosecond() / 1000
    );
    let prefix = format!("{}.chef-", name.to_string_lossy());
    let copy = folder.join(format!("{prefix}{time}"));
    let metadata = fs::metadata(file).map_err(Cause::io("read", file))?;
    fs::copy(file, &copy).map_err(Cause::io("make a backup of", file))?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(metadata.mode() & 0o7777))
        .map_err(Cause::io("make a backup of", file))?;
    // Only root can give files away; others keep a copy that is theirs.
    let _ = chown(&copy, Some(metadata.uid()), Some(metadata.gid()));
    let mut copies: Vec<_> = fs::read_dir(folder)
        .map_err(Cause::io("read", folder))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    copies.sort();
    for old in copies.iter().rev().skip(kept) {
        let old = folder.join(old);
        fs::remove_file(&old).map_err(Cause::io("remove", &old))?;
    }
    Ok(())
}
