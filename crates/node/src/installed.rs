//! Files that Jetpack brings to a machine: written when they are missing or different, and left alone otherwise.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file of ours that is missing or different.
pub(crate) fn update(path: &Path, mode: u32, text: &str) -> Result<(), durable::Error> {
    let same = fs::read(path).is_ok_and(|content| content == text.as_bytes())
        && fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o777 == mode);
    if same {
        return Ok(());
    }
    durable::write(path, mode, text.as_bytes())
}

/// Makes a folder that everybody may read, whatever the umask.
pub(crate) fn make_folder(path: &Path) -> Result<(), durable::Error> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        durable::create_folder(folder, 0o755)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(|source| durable::Error::Io {
            action: "create",
            path: folder.to_owned(),
            source,
        })?;
    }
    Ok(())
}
