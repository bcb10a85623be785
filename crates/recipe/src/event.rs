//! What happens while recipes run.

use std::time::Duration;

use converge::resource::Report;

use crate::error::RecipeError;

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who look for a defect.
    Debug,
    /// For those who want to know.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something went wrong.
    Error,
}

impl Level {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "trace" | "debug" => Self::Debug,
            "warn" => Self::Warn,
            "error" | "fatal" => Self::Error,
            _ => Self::Info,
        }
    }
}

/// Something that happened. `depth` is how many custom resources are around it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Recipes are compiled, converged, or their deferred blocks run.
    Phase(&'a str),
    /// A line for the log.
    Message(Level, &'a str),
    /// Code wrote to its standard output or standard error.
    Output(&'a [u8]),
    /// A resource of the host was applied.
    Applied {
        /// How many resources are around it.
        depth: usize,
        /// The recipe that declares it.
        recipe: &'a str,
        /// The resource.
        resource: &'a str,
        /// What was wanted.
        action: &'a str,
        /// What became of it.
        report: &'a Report,
        /// How long it took.
        duration: Duration,
    },
    /// A resource that acts in Ruby begins.
    Begun {
        /// As above.
        depth: usize,
        /// As above.
        recipe: &'a str,
        /// The resource.
        resource: &'a str,
        /// What is wanted.
        action: &'a str,
    },
    /// Such a resource says what it changes.
    Change {
        /// As above.
        depth: usize,
        /// The sentences.
        lines: &'a [String],
    },
    /// Such a resource has ended.
    Ended {
        /// As above.
        depth: usize,
        /// The resource.
        resource: &'a str,
        /// What was wanted.
        action: &'a str,
        /// Whether something was changed.
        updated: bool,
        /// How long it took.
        duration: Duration,
    },
    /// Nothing was done.
    Skipped {
        /// As above.
        depth: usize,
        /// The recipe that declares it.
        recipe: &'a str,
        /// The resource.
        resource: &'a str,
        /// What was wanted.
        action: &'a str,
        /// Why: `only_if`, `not_if`, `action :nothing`.
        why: &'a str,
    },
    /// A resource failed and is tried again.
    Retried {
        /// As above.
        depth: usize,
        /// The resource.
        resource: &'a str,
        /// Which try failed, from 1.
        attempt: u64,
        /// How many more tries there can be at most.
        retries: u64,
        /// Why.
        message: &'a str,
    },
    /// A resource failed, and its recipe does not mind.
    Ignored {
        /// As above.
        depth: usize,
        /// The resource.
        resource: &'a str,
        /// What was wanted.
        action: &'a str,
        /// Why.
        message: &'a str,
    },
    /// The recipes failed.
    Failed(&'a RecipeError),
    /// They are over.
    Finished,
    /// They go on after a reboot, for this reason.
    Rebooting(&'a str),
}

/// Somebody who is told what happens, in order.
pub trait Observer: Send + Sync {
    /// Something has just happened.
    fn observe(&mut self, event: &Event<'_>);
}

impl<O: Observer + ?Sized> Observer for Box<O> {
    fn observe(&mut self, event: &Event<'_>) {
        (**self).observe(event);
    }
}

/// Both are told.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, event: &Event<'_>) {
        self.0.observe(event);
        self.1.observe(event);
    }
}
