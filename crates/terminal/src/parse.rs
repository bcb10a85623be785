//! Reading the command line.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::exit;

/// Reads the command line of this process. Help, and what is wrong with the command line, is printed; the exit code
/// that the program ends with then comes back.
///
/// # Errors
/// The exit code: 0 after help, [`exit::USAGE`] after a usage error.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    parse_from(std::env::args_os())
}

fn parse_from<T: Parser>(line: impl IntoIterator<Item = OsString>) -> Result<T, ExitCode> {
    T::try_parse_from(line).map_err(|error| {
        // A closed pipe has seen enough, and nobody is left to tell if stderr is closed.
        if error.use_stderr() {
            report(&error)
        } else {
            let _ = error.print();
            ExitCode::from(exit::DONE)
        }
    })
}

/// A usage error that only the command itself can see. [`crate::finish`] ends the program as [`parse`] would.
pub fn usage_error(problem: impl Display) -> anyhow::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format_args!("{problem}\n")).into()
}

/// Prints a usage error.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let _ = write!(anstream::stderr().lock(), "{}", usage(error));
    ExitCode::from(exit::USAGE)
}

/// The text of a usage error, with colours. All our errors begin with `Error:`, and clap's with `error:`.
fn usage(error: &clap::Error) -> String {
    error.render().ansi().to_string().replacen("error:", "Error:", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[arg(long)]
        number: u8,
    }

    fn said(line: &[&str]) -> String {
        let error = Args::try_parse_from(line).unwrap_err();
        anstream::adapter::strip_str(&usage(&error)).to_string()
    }

    #[test]
    fn usage_errors_begin_as_all_errors_do() {
        assert_eq!(
            said(&["x", "--number", "error:"]).lines().next(),
            Some("Error: invalid value 'error:' for '--number <NUMBER>': invalid digit found in string")
        );
        let error = usage_error("`x` is no key");
        let text = usage(error.downcast_ref().unwrap());
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "Error: `x` is no key\n"
        );
        let text = said(&["x"]);
        assert!(text.starts_with("Error: the following required"), "{text}");
        assert!(text.contains("\nUsage: x --number <NUMBER>\n"), "{text}");
    }

    #[test]
    fn only_a_wrong_command_line_is_a_usage_error() {
        let code = |line: &[&str]| {
            let line = line.iter().map(|word| OsString::from(*word));
            format!("{:?}", parse_from::<Args>(line).map(|args| args.number))
        };
        assert_eq!(code(&["x", "--number", "7"]), "Ok(7)");
        assert_eq!(
            format!("{:?}", crate::finish(Err(usage_error("`x` is no key")), false)),
            format!("{:?}", ExitCode::from(2))
        );
        let failed = |code: u8| format!("{:?}", Err::<u8, _>(ExitCode::from(code)));
        assert_eq!(code(&["x"]), failed(2));
        assert_eq!(code(&["x", "--help"]), failed(0));
    }
}
