//! The node's daemon: its only connection to the server

fn main() {}
