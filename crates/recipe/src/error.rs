//! Recipes that did not come to their end.

use std::fmt::Write as _;

use ruby::ImageError;
use serde::Deserialize;

/// An exception that ended the recipes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Failure {
    /// Its class: `Chef::Exceptions::ValidationFailed`.
    pub class: String,
    /// What it says.
    pub message: String,
    /// The line of a cookbook that raised it: `/path/recipes/default.rb:12`.
    pub place: Option<String>,
    /// The resource that failed: `file[/etc/motd]`.
    pub resource: Option<String>,
    /// The line that declares the resource.
    pub declared: Option<String>,
    /// The recipe with that line: `demo::default`.
    pub recipe: Option<String>,
    /// The lines of cookbooks that led there, innermost first.
    #[serde(default)]
    pub backtrace: Vec<String>,
}

impl Failure {
    /// One line for people: where, and what.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let message = self.said();
        match (&self.resource, self.declared.as_ref().or(self.place.as_ref())) {
            (Some(resource), Some(line)) => {
                let _ = write!(text, "{resource} ({line}): ");
            }
            (Some(resource), None) => {
                let _ = write!(text, "{resource}: ");
            }
            (None, Some(line)) if !message.starts_with(line.as_str()) => {
                let _ = write!(text, "{line}: ");
            }
            (None, _) => {}
        }
        // A message of one line need not say its class; an unknown exception says nothing without.
        if self.message == self.class || self.message.is_empty() {
            text.push_str(&self.class);
        } else {
            text.push_str(&message);
        }
        text
    }

    /// The message. Of a syntax error the first line and what is wrong; the log has the excerpt.
    fn said(&self) -> String {
        let message = self.message.trim_end();
        let (Some(first), "SyntaxError") = (message.lines().next(), self.class.as_str()) else {
            return message.to_owned();
        };
        let wrong = message.lines().find_map(|line| line.split_once("^ "));
        match wrong {
            Some((_, wrong)) => format!("{}: {wrong}", first.trim_end_matches(" found")),
            None => first.to_owned(),
        }
    }
}

/// Recipes that did not come to their end.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// An exception.
    #[error("{}", .0.summary())]
    Failed(Box<Failure>),
    /// A recipe wants the machine to be rebooted before it goes on.
    #[error("a recipe asks for a reboot: {reason}")]
    Reboot {
        /// Why.
        reason: String,
    },
    /// A recipe ended the process.
    #[error("a recipe calls `exit` with status {status}{}", place(at.as_deref()))]
    Exit {
        /// The status.
        status: i32,
        /// The file that was at work.
        at: Option<String>,
    },
    /// The limit of time is reached.
    #[error("the recipes took longer than their limit of {seconds} seconds{}", place(at.as_deref()))]
    TimeLimit {
        /// The limit.
        seconds: u64,
        /// The file or resource that was at work.
        at: Option<String>,
    },
    /// Somebody wanted it to stop.
    #[error("the recipes were stopped{}", place(at.as_deref()))]
    Stopped {
        /// The file or resource that was at work.
        at: Option<String>,
    },
    /// Ruby itself gave up.
    #[error("Ruby crashed{}: {reason}", place(at.as_deref()))]
    Crash {
        /// What is known of it.
        reason: String,
        /// The file or resource that was at work.
        at: Option<String>,
    },
    /// There is no Ruby.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The thread of Ruby ended, or could not be started.
    #[error("Ruby does not run: {0}")]
    Gone(String),
}

fn place(at: Option<&str>) -> String {
    at.map(|at| format!(" in {at}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_says_once_where_and_what() {
        let failure = Failure {
            class: "SyntaxError".to_owned(),
            message: "/x/default.rb:1: syntax errors found\n> 1 | if true\n    |        ^ unexpected end-of-input\n".to_owned(),
            place: Some("/x/default.rb:1".to_owned()),
            ..Failure::default()
        };
        assert_eq!(
            failure.summary(),
            "/x/default.rb:1: syntax errors: unexpected end-of-input"
        );
    }
}
