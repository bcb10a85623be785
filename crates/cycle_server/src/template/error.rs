//! Errors that say where.

use std::fmt;

/// A place in a template. Both count from 1; a column is one character, a tab too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character within it.
    pub column: usize,
}

impl Position {
    /// The place `text` further on, when `text` starts here.
    pub(super) fn after(self, text: &str) -> Self {
        match text.rsplit_once('\n') {
            None => Self {
                line: self.line,
                column: self.column + text.chars().count(),
            },
            Some((before, last)) => Self {
                line: self.line + 1 + before.matches('\n').count(),
                column: 1 + last.chars().count(),
            },
        }
    }
}

/// Why a template, or the parameters given for it, was refused. Its text starts with
/// `FILE:LINE:COLUMN: ` when there is a place in the file to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{message}")]
pub struct TemplateError {
    place: Place,
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place(Option<(String, Position)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => Ok(()),
            Some((file, Position { line, column })) => write!(f, "{file}:{line}:{column}: "),
        }
    }
}

impl TemplateError {
    /// An error at a place of the file.
    pub(super) fn at(file: &str, position: Position, message: impl Into<String>) -> Self {
        Self {
            place: Place(Some((file.to_owned(), position))),
            message: message.into(),
        }
    }

    /// An error of something that is not in the file.
    pub(super) fn outside(message: impl Into<String>) -> Self {
        Self {
            place: Place(None),
            message: message.into(),
        }
    }

    /// The place, when there is one in the file.
    pub fn position(&self) -> Option<Position> {
        self.place.0.as_ref().map(|(_, position)| *position)
    }
}
