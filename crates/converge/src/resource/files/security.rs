//! Owners and permissions.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::path::Path;

use serde_json::Value;

use crate::resource::act::Act;
use crate::resource::error::{Cause, Failure};

/// Owner, group and mode that a recipe wants; what it does not name stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

/// Permission bits: `"0755"`, `"755"` and `"0o755"` are octal, a number is what it is.
pub(crate) fn parse_mode(value: &Value) -> Option<u32> {
    let mode = match value {
        Value::String(text) => {
            let text = text.trim();
            u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok()?
        }
        Value::Number(number) => u32::try_from(number.as_u64()?).ok()?,
        _ => return None,
    };
    (mode <= 0o7_777).then_some(mode)
}

/// The mode that a property holds.
pub(crate) fn mode_of(act: &Act<'_>, name: &'static str) -> Result<Option<u32>, Failure> {
    let Some(value) = act.value(name) else {
        return Ok(None);
    };
    match parse_mode(&value) {
        Some(mode) => Ok(Some(mode)),
        None => Err(Failure::invalid(
            name,
            format!("{value} is no file mode from 0 to 7777"),
        )),
    }
}

/// A mode as Chef writes it.
fn shown(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

impl Security {
    /// What the properties `mode`, `owner` and `group` want. Under dry run a user that is not there may be made before.
    pub(crate) fn of(act: &mut Act<'_>) -> Result<Self, Failure> {
        Self::with_mode(act, "mode")
    }

    /// As [`Security::of`], with the mode of another property.
    pub(crate) fn with_mode(act: &mut Act<'_>, mode: &'static str) -> Result<Self, Failure> {
        let mode = mode_of(act, mode)?;
        let (mut uid, mut gid) = (None, None);
        if let Some(owner) = act.text("owner") {
            match act.machine.uid(&owner) {
                Ok(id) => uid = Some(id),
                Err(cause) => act.assume(cause)?,
            }
        }
        if let Some(group) = act.text("group") {
            match act.machine.gid(&group) {
                Ok(id) => gid = Some(id),
                Err(cause) => act.assume(cause)?,
            }
        }
        Ok(Self { mode, uid, gid })
    }

    /// The sentences about what differs from a file; from nothing, if there is none.
    pub(crate) fn changes(&self, act: &Act<'_>, now: Option<&Metadata>) -> Vec<String> {
        let mut sentences = Vec::new();
        let is_link = now.is_some_and(|now| now.file_type().is_symlink());
        if let Some(mode) = self.mode
            && !is_link
            && now.is_none_or(|now| now.mode() & 0o7777 != mode)
        {
            let old = now.map(|now| shown(now.mode())).unwrap_or_default();
            sentences.push(format!("change mode from '{old}' to '{}'", shown(mode)));
        }
        if let Some(uid) = self.uid
            && now.is_none_or(|now| now.uid() != uid)
        {
            let old = now
                .map(|now| act.machine.user_name(now.uid()))
                .unwrap_or_default();
            sentences.push(format!(
                "change owner from '{old}' to '{}'",
                act.machine.user_name(uid)
            ));
        }
        if let Some(gid) = self.gid
            && now.is_none_or(|now| now.gid() != gid)
        {
            let old = now
                .map(|now| act.machine.group_name(now.gid()))
                .unwrap_or_default();
            sentences.push(format!(
                "change group from '{old}' to '{}'",
                act.machine.group_name(gid)
            ));
        }
        sentences
    }

    /// Makes it so. A link itself has an owner but no mode.
    pub(crate) fn apply(&self, path: &Path) -> Result<(), Failure> {
        let now = fs::symlink_metadata(path).map_err(Cause::io("read", path))?;
        let uid = self.uid.filter(|uid| *uid != now.uid());
        let gid = self.gid.filter(|gid| *gid != now.gid());
        if now.file_type().is_symlink() {
            if uid.is_some() || gid.is_some() {
                lchown(path, uid, gid).map_err(Cause::io("change the owner of", path))?;
            }
            return Ok(());
        }
        // A change of the owner takes set-user-id away, so the mode comes after it.
        let mode = self.mode.unwrap_or(now.mode() & 0o7777);
        if uid.is_some() || gid.is_some() {
            chown(path, uid, gid).map_err(Cause::io("change the owner of", path))?;
        }
        if uid.is_some() || gid.is_some() || mode != now.mode() & 0o7777 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
                .map_err(Cause::io("change the mode of", path))?;
        }
        Ok(())
    }

    /// Brings what is at a path to the owner and mode that are wanted, if it is not there.
    pub(crate) fn bring(&self, act: &mut Act<'_>, path: &Path) -> Result<(), Failure> {
        let now = fs::symlink_metadata(path).map_err(Cause::io("read", path))?;
        let sentences = self.changes(act, Some(&now));
        if !sentences.is_empty() && act.will_all(sentences) {
            self.apply(path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn modes_come_in_every_form_that_recipes_have() {
        for (value, mode) in [
            (json!("0755"), 0o755),
            (json!("755"), 0o755),
            (json!("00755"), 0o755),
            (json!("1777"), 0o1777),
            (json!(0o750), 0o750),
            (json!(750), 750),
        ] {
            assert_eq!(parse_mode(&value), Some(mode), "{value}");
        }
        for value in [
            json!("u+x"),
            json!("0999"),
            json!(-1),
            json!("77777"),
            json!(true),
        ] {
            assert_eq!(parse_mode(&value), None, "{value}");
        }
    }
}
