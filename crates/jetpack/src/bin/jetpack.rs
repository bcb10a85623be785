//! The node's command-line tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    jetpack::run()
}
