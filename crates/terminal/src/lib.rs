//! What all our programs say and how they end: exit codes, error reports, tables.
//!
//! Data goes to stdout, everything else to stderr. This is the only crate that prints; it must not
//! know what it prints about.

pub mod exit;
mod report;
mod table;

pub use report::{Hinted, ResultExt, chain, finish, note, out, warn};
pub use table::Table;
