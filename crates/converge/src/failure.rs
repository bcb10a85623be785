//! Failures in the form in which people get them.

use std::error::Error;

use protocol::{ClusterInitSpec, ConvergeFailure};

/// An error and its causes in one line: `cannot read `x`: permission denied`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat their cause.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// A failure that belongs to a spec but to none of its scripts.
pub(crate) fn of_spec(spec: &ClusterInitSpec, message: String, recommendation: &str) -> Box<ConvergeFailure> {
    Box::new(ConvergeFailure {
        message,
        project: Some(spec.project.clone()),
        spec: Some(spec.spec.clone()),
        recommendation: (!recommendation.is_empty()).then(|| recommendation.to_owned()),
        ..ConvergeFailure::default()
    })
}

/// A failure of this machine.
pub(crate) fn of_machine(error: &dyn Error) -> Box<ConvergeFailure> {
    Box::new(ConvergeFailure {
        message: chain(error),
        ..ConvergeFailure::default()
    })
}
