//! The one place that writes to stdout and stderr.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::exit;

/// An error with advice for the person who sees it.
///
/// Its text and causes are those of the error inside: the advice is printed on a line of its own.
#[derive(Debug)]
pub struct Hinted {
    hint: String,
    error: anyhow::Error,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// A failure of a program of ours that has said itself what is wrong: [`finish`] adds nothing to it.
#[derive(Debug)]
pub struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a program that was started failed and said why")
    }
}

impl Error for Reported {}

/// Adds advice to results.
pub trait ResultExt<T> {
    /// Adds a `Hint:` line to the report of this error. Of several, the outermost is printed.
    ///
    /// # Errors
    /// The same error, with the advice.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> ResultExt<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            Hinted {
                hint: hint.into(),
                error: error.into(),
            }
            .into()
        })
    }
}

/// The error and its causes as one line, outermost first.
///
/// A cause whose text the line before it already holds is left out: some libraries print their source as
/// part of their own text.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// Ends a program: prints the error of its result, if there is one, and turns it into the exit code.
///
/// With `verbose` every cause has a line of its own. A closed pipe is success: whoever reads us has seen
/// enough.
pub fn finish(result: anyhow::Result<()>, verbose: bool) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::from(exit::DONE);
    };
    if error.chain().any(is_closed_pipe) {
        return ExitCode::from(exit::DONE);
    }
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        return crate::parse::report(usage);
    }
    if error.is::<Reported>() {
        return ExitCode::from(exit::FAILED);
    }
    let mut stderr = anstream::stderr().lock();
    // Nobody is left to tell if stderr itself is closed.
    let _ = if verbose {
        writeln!(stderr, "Error: {error}").and_then(|()| {
            error
                .chain()
                .skip(1)
                .try_for_each(|cause| writeln!(stderr, "  caused by: {cause}"))
        })
    } else {
        writeln!(stderr, "Error: {}", chain(error.as_ref()))
    };
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        let _ = writeln!(stderr, "Hint: {}", hinted.hint);
    }
    ExitCode::from(exit::FAILED)
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes data to stdout, exactly as given.
///
/// # Errors
/// When stdout is full or closed; [`finish`] knows the closed pipe.
pub fn out(text: impl fmt::Display) -> io::Result<()> {
    // In one piece: written while it is formatted, each line is a call of its own.
    let text = text.to_string();
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Tells the user something on stderr that is no data.
pub fn note(text: impl fmt::Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Tells the user on stderr that something is not as it should be.
pub fn warn(text: impl fmt::Display) {
    let _ = writeln!(anstream::stderr().lock(), "Warning: {text}");
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn failure() -> anyhow::Error {
        Err::<(), _>(io::Error::from(io::ErrorKind::NotFound))
            .context("cannot read `a`")
            .unwrap_err()
    }

    #[test]
    fn the_chain_is_one_line() {
        assert_eq!(chain(failure().as_ref()), "cannot read `a`: entity not found");
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        let error = anyhow::anyhow!("no such user").context("cannot log in: no such user");
        assert_eq!(chain(error.as_ref()), "cannot log in: no such user");
    }

    #[test]
    fn a_hint_is_found_below_further_context_and_does_not_change_the_chain() {
        let error = Err::<(), _>(failure())
            .hint("make it")
            .context("outer")
            .unwrap_err();
        assert_eq!(error.downcast_ref::<Hinted>().unwrap().hint, "make it");
        assert_eq!(chain(error.as_ref()), "outer: cannot read `a`: entity not found");
    }

    #[test]
    fn a_closed_pipe_is_success() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert_eq!(
            format!("{:?}", finish(Err(error), false)),
            format!("{:?}", ExitCode::SUCCESS)
        );
    }
}
