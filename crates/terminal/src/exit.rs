//! Exit codes. They are API: nothing else is ever returned (design, section 5).

/// Done, also when there was nothing to do.
pub const DONE: u8 = 0;
/// Failed; stderr says why.
pub const FAILED: u8 = 1;
/// The command line was wrong. clap ends with this code itself.
pub const USAGE: u8 = 2;
