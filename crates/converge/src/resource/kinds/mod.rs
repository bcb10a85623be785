//! The kinds, one file for each family.

mod file;
mod log;
pub(crate) mod package;

use super::act::Act;
use super::catalogue::Kind;
use super::error::Failure;

/// A kind and what applies it.
pub(crate) struct Definition {
    pub(crate) kind: Kind,
    pub(crate) run: fn(&mut Act<'_>) -> Result<(), Failure>,
}

/// All of them.
pub(crate) const ALL: &[&Definition] = &[&file::FILE, &file::COOKBOOK_FILE, &file::TEMPLATE, &log::LOG];
