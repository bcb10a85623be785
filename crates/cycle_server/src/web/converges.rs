//! The converges of a node, as words.

use jiff::Timestamp;
use protocol::{Installation, InstallationStatus, StepState};

use super::view::{duration, whole_seconds};
use crate::store::Document;

/// A resource that took less, in seconds, made no boot slow.
const WORTH_SHOWING: f64 = 0.05;

/// One converge of a node.
pub(super) struct ConvergeView {
    pub(super) status: &'static str,
    pub(super) class: &'static str,
    /// What is done now and since when, or where it ended.
    pub(super) at: String,
    pub(super) mode: String,
    pub(super) attempt: u32,
    pub(super) started: Timestamp,
    /// How long it took; empty while it is at work.
    pub(super) took: String,
    /// Times of the phases.
    pub(super) phases: String,
    /// What its recipes did; empty when there were none.
    pub(super) recipes: String,
    /// The resources that took longest.
    pub(super) slowest: Vec<SlowView>,
    /// The scripts that were run.
    pub(super) steps: Vec<StepView>,
    /// How many were not run, mostly because they had succeeded before.
    pub(super) skipped: usize,
    /// Why it failed.
    pub(super) failure: String,
    /// When the node tries again; only while that is to come.
    pub(super) next: Option<Timestamp>,
}

/// A resource of a recipe.
pub(super) struct SlowView {
    pub(super) name: String,
    pub(super) seconds: String,
}

/// One script of a converge.
pub(super) struct StepView {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) class: &'static str,
    pub(super) seconds: String,
}

impl ConvergeView {
    pub(super) fn new(document: Document, now: Timestamp) -> Option<Self> {
        let report: Installation = serde_json::from_value(document.body).ok()?;
        let started = report.started?;
        let (status, class) = match report.status {
            InstallationStatus::Started => ("running", "busy"),
            InstallationStatus::Ready => ("succeeded", "good"),
            InstallationStatus::Failed => ("failed", "bad"),
        };
        let mut at = report.phase.as_str().to_owned();
        if let Some(step) = &report.step {
            at.push_str(": ");
            at.push_str(step);
        }
        let is_running = report.status == InstallationStatus::Started;
        if is_running {
            let since = duration(now.as_second() - document.time.as_second());
            at.push_str(&format!(" for {since}, since {}", whole_seconds(document.time)));
        }
        let took = (document.time.as_millisecond() - started.as_millisecond()).max(0);
        let phases: Vec<String> = ["configure", "sync", "recipes", "cluster-init", "deferred"]
            .iter()
            .filter_map(|phase| Some(format!("{phase} {}", seconds(*report.timings.get(*phase)?))))
            .collect();
        let skipped = report
            .steps
            .iter()
            .filter(|step| step.state == StepState::Skipped);
        Some(Self {
            status,
            class,
            at: if report.status == InstallationStatus::Ready {
                String::new()
            } else {
                at
            },
            mode: report.mode.unwrap_or_default(),
            attempt: report.attempt,
            started: whole_seconds(started),
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a converge")]
            took: if is_running {
                String::new()
            } else {
                seconds(took as f64 / 1000.0)
            },
            phases: phases.join(", "),
            recipes: report
                .recipes
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            slowest: report
                .recipes
                .into_iter()
                .flat_map(|recipes| recipes.slowest)
                .filter(|slow| slow.seconds >= WORTH_SHOWING)
                .map(|slow| SlowView {
                    name: format!("{} {}", slow.resource, slow.action),
                    seconds: seconds(slow.seconds),
                })
                .collect(),
            skipped: skipped.count(),
            steps: report
                .steps
                .into_iter()
                .filter(|step| !matches!(step.state, StepState::Skipped | StepState::Planned))
                .map(|step| StepView {
                    name: step.name,
                    state: step.state.as_str(),
                    class: match step.state {
                        StepState::Succeeded => "good",
                        StepState::Failed => "bad",
                        _ => "off",
                    },
                    seconds: step.seconds.map(seconds).unwrap_or_default(),
                })
                .collect(),
            next: report.next_attempt.filter(|next| *next > now).map(whole_seconds),
            failure: report.failure.map(|failure| failure.message).unwrap_or_default(),
        })
    }

    /// It was at work when a later one began.
    pub(super) fn interrupt(&mut self) {
        if self.status == "running" {
            self.status = "interrupted";
            self.class = "warn";
        }
    }
}

/// `3.2 s`.
fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::DocumentKind;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn view(body: serde_json::Value) -> ConvergeView {
        let document = Document {
            kind: DocumentKind::Converge,
            name: String::new(),
            time: at("2026-01-01T00:00:05.5Z"),
            body,
        };
        ConvergeView::new(document, at("2026-01-01T00:00:45Z")).unwrap()
    }

    #[test]
    fn what_runs_is_said_with_its_time() {
        let mut view = view(json!({
            "status": "started", "phase": "cluster-init", "step": "p/s/scripts/1.sh", "attempt": 2,
            "mode": "install", "started": "2026-01-01T00:00:01Z",
        }));
        assert_eq!(
            view.at,
            "cluster-init: p/s/scripts/1.sh for 40 s, since 2026-01-01T00:00:05Z"
        );
        assert_eq!((view.status, view.took.as_str()), ("running", ""));
        view.interrupt();
        assert_eq!(view.status, "interrupted");
    }

    #[test]
    fn the_next_try_is_said_until_it_begins() {
        let failed = |next: &str| {
            view(json!({
                "status": "failed", "phase": "sync", "attempt": 3, "started": "2026-01-01T00:00:01Z",
                "next_attempt": next, "failure": {"message": "no such project"},
            }))
        };
        assert_eq!(
            failed("2026-01-01T00:01:20.7Z").next,
            Some(at("2026-01-01T00:01:20Z"))
        );
        assert_eq!(failed("2026-01-01T00:00:30Z").next, None);
    }

    #[test]
    fn what_has_run_is_said_with_the_time_of_each_script() {
        let view = view(json!({
            "status": "ready", "phase": "ready", "attempt": 1, "mode": "install",
            "started": "2026-01-01T00:00:01Z", "timings": {"sync": 0.31, "cluster-init": 4.0},
            "steps": [
                {"name": "p/s/scripts/1.sh", "state": "succeeded", "seconds": 3.21},
                {"name": "p/s/scripts/2.sh", "state": "skipped"},
            ],
            "recipes": {"total": 40, "updated": 3, "skipped": 1, "ignored": 0, "slowest": [
                {"resource": "package[x]", "action": "install", "seconds": 2.5},
                {"resource": "file[y]", "action": "create", "seconds": 0.001},
            ]},
        }));
        assert_eq!(
            (view.took.as_str(), view.phases.as_str()),
            ("4.5 s", "sync 0.3 s, cluster-init 4.0 s")
        );
        assert_eq!(
            (view.steps.len(), view.skipped, view.steps[0].seconds.as_str()),
            (1, 1, "3.2 s")
        );
        assert_eq!(view.recipes, "3 of 40 actions changed something, 1 were skipped");
        let slowest: Vec<(&str, &str)> = view
            .slowest
            .iter()
            .map(|slow| (slow.name.as_str(), slow.seconds.as_str()))
            .collect();
        assert_eq!(slowest, [("package[x] install", "2.5 s")]);
    }
}
