//! The application server

fn main() {}
