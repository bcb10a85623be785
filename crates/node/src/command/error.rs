//! Why a program could not be started.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A program could not be started or waited for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such program.
    #[error("`{}` does not exist", program.display())]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// The folder to start it in is missing.
    #[error("`{}` cannot start in `{}`, which does not exist", program.display(), folder.display())]
    NoFolder {
        /// The program.
        program: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The first line of the script names a program that is missing.
    #[error("`{}` names the interpreter `{}`, which does not exist", program.display(), interpreter.escape_debug())]
    NoInterpreter {
        /// The script.
        program: PathBuf,
        /// As its first line has it. A `\r` at its end shows a file with the line ends of Windows.
        interpreter: String,
    },
    /// It may not be executed.
    #[error("`{}` may not be executed", program.display())]
    Denied {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused otherwise.
    #[error("cannot start `{}`", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its output has nowhere to go.
    #[error("cannot write `{}`", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system does not say what became of it.
    #[error("cannot wait for `{}`", program.display())]
    Wait {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl CommandError {
    pub(super) fn spawn(program: &Path, cwd: Option<&Path>, source: io::Error) -> Self {
        let program = program.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => match (cwd, interpreter(&program)) {
                (Some(folder), _) if !folder.exists() => Self::NoFolder {
                    program,
                    folder: folder.to_owned(),
                },
                (_, Some(interpreter)) => Self::NoInterpreter { program, interpreter },
                _ => Self::NotFound { program },
            },
            io::ErrorKind::PermissionDenied => Self::Denied { program, source },
            _ => Self::Spawn { program, source },
        }
    }
}

/// What the first line of a script names.
fn interpreter(program: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(program).ok()?.take(256).read_to_end(&mut start).ok()?;
    let text = String::from_utf8_lossy(&start);
    let line = text.strip_prefix("#!")?.split('\n').next()?;
    let line = line.trim_start_matches([' ', '\t']);
    Some(line.split([' ', '\t']).next().unwrap_or(line).to_owned())
}
