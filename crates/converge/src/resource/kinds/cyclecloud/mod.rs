//! CycleCloud's own: `cyclecloud_mount` and `cyclecloud_export`, for the configuration below `cyclecloud.mounts` and
//! `cyclecloud.exports`.
//!
//! The keys are those of CycleCloud's reference of configurations. Whoever goes through the mounts does so by their
//! `order`, 1000 for those that have none.

mod devices;
mod disks;
mod export;
mod mount;
mod raid;
mod volume;

pub(super) use export::EXPORT;
pub(super) use mount::MOUNT;

use serde_json::{Map, Value};

use crate::resource::act::{Act, text_of};
use crate::resource::error::Failure;
use crate::resource::files::{Security, parse_mode};
use crate::resource::request::Request;

/// One section of the configuration. Values that come from templates may be texts where numbers and flags are meant.
pub(super) struct Section(Map<String, Value>);

impl Section {
    pub(super) fn of(act: &Act<'_>) -> Self {
        match act.value("configuration") {
            Some(Value::Object(map)) => Self(map),
            _ => Self(Map::new()),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = text_of(self.0.get(name)?)?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.text(name).map_or(default, |text| {
            matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1" | "on")
        })
    }

    /// A list: also one value alone, or several between commas, as templates have them.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = match self.0.get(name) {
            Some(Value::Array(values)) => values.iter().filter_map(text_of).collect(),
            Some(value) => text_of(value).into_iter().collect::<Vec<_>>(),
            None => Vec::new(),
        };
        let parts = values.iter().flat_map(|text| text.split(','));
        let parts = parts.map(|part| part.trim().trim_matches(['[', ']']).trim());
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// `owner`, `group`, and the mode under the first of these names that is there; none when whose it is to be is not known yet and a dry
    /// run assumes it.
    pub(super) fn security(&self, act: &mut Act<'_>, modes: [&str; 2]) -> Result<Option<Security>, Failure> {
        let mode =
            match modes.iter().find_map(|name| self.text(name)) {
                Some(text) => {
                    let mode = parse_mode(&text.as_str().into());
                    Some(mode.ok_or_else(|| {
                        Failure::invalid("configuration", format!("`{text}` is no file mode"))
                    })?)
                }
                None => None,
            };
        let uid = self
            .text("owner")
            .map(|owner| act.machine.uid(&owner))
            .transpose();
        let gid = self
            .text("group")
            .map(|group| act.machine.gid(&group))
            .transpose();
        match (uid, gid) {
            (Ok(uid), Ok(gid)) => Ok(Some(Security { mode, uid, gid })),
            (Err(cause), _) | (_, Err(cause)) => act.assume(cause).map(|()| None),
        }
    }

    /// Whether `samba.enabled` is set.
    pub(super) fn wants_samba(&self) -> bool {
        let inner = self.0.get("samba").and_then(Value::as_object).cloned();
        Self(inner.unwrap_or_default()).flag("enabled", false)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }
}

/// Installs the package that brings a program, if the program is not there.
pub(super) fn need_program(
    act: &mut Act<'_>,
    program: &str,
    debian: &str,
    others: &str,
) -> Result<(), Failure> {
    if act.has(program) {
        return Ok(());
    }
    let package = if act.options.platform.family == "debian" {
        debian
    } else {
        others
    };
    act.apply(&Request::new("package", package).action("install"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_come_as_templates_write_them() {
        let Value::Object(map) = json!({ "disabled": "True", "luns": "[0, 1]", "devices": ["/dev/a", "/dev/b"], "raid_level": 0, "x": "" })
        else {
            unreachable!()
        };
        let section = Section(map);
        assert!(section.flag("disabled", false) && section.flag("other", true));
        assert_eq!(section.list("luns"), ["0", "1"]);
        assert_eq!(section.list("devices"), ["/dev/a", "/dev/b"]);
        assert_eq!(section.text("raid_level").as_deref(), Some("0"));
        assert_eq!(section.text("x"), None);
    }
}
