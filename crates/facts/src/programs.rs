//! Facts that only another program knows. Such plugins run when they are asked for by name, on a running machine.

use std::time::Duration;

use node::command::{Command, Stop};

use crate::machine::Machine;

/// No program needs so long to say which version it is.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Between being told to end and being killed.
const GRACE: Duration = Duration::from_secs(1);
/// The longest answer is the list of all packages.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What a program says, on either output. None if it is not there, fails, takes too long, or if the machine is not the
/// one that we run on.
pub(crate) fn say(machine: &Machine, program: &str, args: &[&str]) -> Option<String> {
    if !machine.is_live() {
        return None;
    }
    let mut command = Command::new(program)
        .inherit_environment()
        .env("LC_ALL", "C")
        .time_limit(TIME_LIMIT)
        .grace(GRACE)
        .tail_bytes(MOST_BYTES);
    for arg in args {
        command = command.arg(*arg);
    }
    let outcome = command.run(&Stop::new()).ok()?;
    outcome.ended.success().then_some(outcome.tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_asked_only_about_the_machine_that_it_runs_on() {
        assert_eq!(
            say(&Machine::this(), "echo", &["a", "b"]).as_deref(),
            Some("a b\n")
        );
        assert_eq!(say(&Machine::at("/"), "echo", &["a"]), None);
        assert_eq!(say(&Machine::this(), "false", &[]), None);
        assert_eq!(say(&Machine::this(), "no-such-program", &[]), None);
    }
}
