//! The commands, one file each.

pub(crate) mod autoscale;
pub(crate) mod completions;
pub(crate) mod condition;
pub(crate) mod config;
pub(crate) mod converge;
pub(crate) mod download;
pub(crate) mod facts;
pub(crate) mod initialize;
pub(crate) mod keepalive;
mod local;
pub(crate) mod log;
mod preview;
mod progress;
pub(crate) mod props;
mod recipes;
pub(crate) mod report_host;
pub(crate) mod report_issue;
pub(crate) mod run_on_shutdown;
mod screen;
pub(crate) mod send;
pub(crate) mod shutdown;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod users;

mod version;

pub(crate) use version::version;
