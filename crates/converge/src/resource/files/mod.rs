//! Files as resources manage them.

mod backup;
mod content;
mod diff;
mod security;

pub(crate) use backup::backup;
pub(crate) use content::{Content, bring, edit, manage, metadata, remove, sum_of_file};
pub(crate) use diff::unified;
pub(crate) use security::{Security, mode_of, parse_mode};

use sha2::{Digest, Sha256};

/// The SHA-256 of bytes in hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    crate::files::hex(&Sha256::digest(bytes))
}

/// The properties that all kinds of files share, and those of one kind.
macro_rules! file_properties {
    ($($own:expr),* $(,)?) => {
        &[
            $crate::resource::Property::named("path"),
            $crate::resource::Property::id("mode"),
            $crate::resource::Property::id("owner").aliases(&["user"]),
            $crate::resource::Property::id("group"),
            $crate::resource::Property::new(
                "backup",
                &[$crate::resource::Type::Integer, $crate::resource::Type::Boolean],
            )
            .or($crate::resource::PropertyDefault::Integer(5)),
            $crate::resource::Property::boolean("atomic_update", true),
            $crate::resource::Property::boolean("force_unlink", false),
            $crate::resource::Property::boolean("manage_symlink_source", false),
            $crate::resource::Property::list("verify"),
            // For Windows; taken and of no effect here, as in Chef.
            $crate::resource::Property::boolean("inherits", true),
            $crate::resource::Property::new("rights", &[]),
            $crate::resource::Property::new("deny_rights", &[]),
            $($own),*
        ]
    };
}
pub(crate) use file_properties;
