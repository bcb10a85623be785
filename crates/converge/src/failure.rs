//! Failures in the form in which people get them.

use std::error::Error;

use node::trace::chain;
use protocol::{ClusterInitSpec, ConvergeFailure};

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
pub(crate) fn of_machine(error: &(dyn Error + 'static)) -> Box<ConvergeFailure> {
    Box::new(ConvergeFailure {
        message: chain(error),
        ..ConvergeFailure::default()
    })
}
