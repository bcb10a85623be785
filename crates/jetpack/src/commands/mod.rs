//! The commands, one file each.

pub(crate) mod config;
pub(crate) mod converge;
pub(crate) mod download;
pub(crate) mod facts;
pub(crate) mod initialize;
pub(crate) mod log;
mod progress;
pub(crate) mod status;

mod version;

pub(crate) use version::version;
