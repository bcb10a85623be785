//! The application server.

use std::process::ExitCode;

fn main() -> ExitCode {
    cycle_server::program::main()
}
