//! The operator's command-line tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    cyclecloud::run()
}
