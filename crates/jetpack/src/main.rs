//! The node's command-line tool

fn main() {}
