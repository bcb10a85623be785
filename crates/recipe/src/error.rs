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
        match (&self.resource, self.declared.as_ref().or(self.place.as_ref())) {
            (Some(resource), Some(line)) => {
                let _ = write!(text, "{resource} ({line}): ");
            }
            (Some(resource), None) => {
                let _ = write!(text, "{resource}: ");
            }
            (None, Some(line)) => {
                let _ = write!(text, "{line}: ");
            }
            (None, None) => {}
        }
        // A message of one line need not say its class; an unknown exception says nothing without.
        if self.message == self.class || self.message.is_empty() {
            text.push_str(&self.class);
        } else {
            text.push_str(self.message.trim_end());
        }
        text
    }
}

/// Recipes that did not come to their end.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// An exception.
    #[error("{}", .0.summary())]
    Failed(Box<Failure>),
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
