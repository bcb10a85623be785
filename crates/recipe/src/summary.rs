//! Counting what happened.

use std::time::Duration;

use serde::Serialize;

use crate::event::{Event, Observer};

/// How many of the slowest resources are kept.
const SLOWEST: usize = 10;

/// A resource that took long.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slow {
    /// The resource.
    pub resource: String,
    /// What was done.
    pub action: String,
    /// Seconds.
    pub seconds: f64,
}

/// What recipes have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Actions of resources, of custom resources and what they are made of.
    pub total: usize,
    /// Those that changed something; under dry run, that would.
    pub updated: usize,
    /// Those that a guard held back.
    pub skipped: usize,
    /// Those that failed while their recipe did not mind.
    pub ignored: usize,
    /// The slowest, slowest first.
    pub slowest: Vec<Slow>,
}

impl Summary {
    fn count(&mut self, resource: &str, action: &str, updated: bool, duration: Duration) {
        self.total += 1;
        self.updated += usize::from(updated);
        let seconds = duration.as_secs_f64();
        if self.slowest.len() == SLOWEST && self.slowest.last().is_some_and(|last| last.seconds >= seconds) {
            return;
        }
        let place = self.slowest.partition_point(|slow| slow.seconds >= seconds);
        self.slowest.insert(
            place,
            Slow {
                resource: resource.to_owned(),
                action: action.to_owned(),
                seconds: (seconds * 1e6).round() / 1e6,
            },
        );
        self.slowest.truncate(SLOWEST);
    }
}

impl Observer for Summary {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Applied {
                resource,
                action,
                report,
                duration,
                ..
            } => self.count(resource, action, report.updated, *duration),
            Event::Ended {
                resource,
                action,
                updated,
                duration,
                ..
            } => self.count(resource, action, *updated, *duration),
            Event::Skipped { why, .. } => {
                self.total += 1;
                self.skipped += usize::from(*why != "action :nothing");
            }
            Event::Ignored { .. } => self.ignored += 1,
            _ => {}
        }
    }
}
