//! The operator's command-line tool

fn main() {}
