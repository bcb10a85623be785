//! What all our programs say and how they end: usage errors, exit codes, error reports, tables, progress.
//!
//! Data goes to stdout, everything else to stderr. This is the only crate that prints; it must not
//! know what it prints about.

pub mod exit;
mod parse;
mod progress;
mod report;
mod status_line;
mod table;

pub use parse::{parse, usage_error};
pub use progress::{Bar, gauge, size};
pub use report::{Hinted, Reported, ResultExt, chain, finish, note, out, warn};
pub use status_line::StatusLine;
pub use table::Table;
