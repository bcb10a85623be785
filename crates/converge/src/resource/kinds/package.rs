//! Packages.

/// What is installed.
#[derive(Debug, Default)]
pub(crate) struct Cache;
