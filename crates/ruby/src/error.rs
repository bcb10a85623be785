//! What can go wrong.

use std::io;
use std::path::PathBuf;

/// Why Ruby was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// It ran for too long.
    TimeLimit,
    /// Somebody wants it to stop.
    Stop,
}

/// Ruby code that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RubyError {
    /// An exception that nobody rescued.
    #[error("{class}: {message}")]
    Exception {
        /// Its class: `ArgumentError`.
        class: String,
        /// What it says.
        message: String,
        /// Where it was raised, innermost first: `/path/file.rb:3:in 'foo'`.
        backtrace: Vec<String>,
    },
    /// A jump out of the code: `throw`, `break` or `return` without a place to go to.
    #[error("the code jumps to a place that does not exist (tag {0})")]
    Jump(i32),
    /// `exit!`.
    #[error("Ruby ended itself with status {0}")]
    Exit(i32),
    /// Ruby was ended from outside.
    #[error("{}", match .0 { Interrupt::TimeLimit => "the time limit is reached", Interrupt::Stop => "Ruby was stopped" })]
    Interrupted(Interrupt),
    /// The machine gave up: too deep a recursion in native code, or a defect of Ruby itself. Nothing more can be done with it.
    #[error("Ruby crashed: {0}")]
    Crash(String),
}

/// An image that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("cannot read Ruby's image `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not an image, or not one of this version.
    #[error("`{}` holds no image of Ruby that this version can use: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be mapped.
    #[error("cannot map Ruby's image: {0}")]
    Map(String),
}
