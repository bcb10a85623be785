//! What follows from the progress and the result of a converge.

use jiff::Timestamp;
use protocol::{ConvergeFailure, Envelope, Installation, InstallationStatus, Level, Priority};

use super::super::news::news;
use super::{cut, refresh};
use crate::store::{NewEvent, Node, State, Status, TargetState};

/// Writes it down in the event log. The newest report of this life of the node also decides how the node stands.
pub(super) fn install(
    node: &mut Node,
    envelope: &Envelope,
    report: Installation,
    is_newest: bool,
    events: &mut Vec<NewEvent>,
    now: Timestamp,
) {
    let phase = phase(&report);
    let (level, priority, text) = match report.status {
        InstallationStatus::Started => (Level::Info, Priority::Low, phase.clone()),
        InstallationStatus::Ready => {
            let seconds: f64 = report.timings.values().sum();
            let text = if seconds > 0.0 {
                format!("Ready after {seconds:.1} s")
            } else {
                "Ready".to_owned()
            };
            (Level::Info, Priority::Medium, text)
        }
        InstallationStatus::Failed => (Level::Error, Priority::High, describe(&report)),
    };
    events.push(NewEvent {
        time: envelope.timestamp,
        category: "phase",
        ..news(node, now, level, priority, text)
    });
    if !is_newest {
        return;
    }
    node.last_sequence = envelope.sequence;
    refresh(node, report.hostname.clone(), report.ipv4.clone());
    if node.target_state != TargetState::Started || node.machine_failure.is_some() {
        return;
    }
    node.phase = Some(phase);
    match report.status {
        // Only a success ends a failure, and a Ready node works on while it converges again.
        InstallationStatus::Started => {
            if !matches!(node.status, Status::Failed | Status::Ready) {
                node.status = Status::Preparing;
            }
        }
        InstallationStatus::Ready => {
            node.status = Status::Ready;
            node.state = State::Started;
            node.status_message = None;
        }
        InstallationStatus::Failed => {
            node.status = Status::Failed;
            node.status_message = Some(describe(&report));
        }
    }
}

fn phase(report: &Installation) -> String {
    let mut phase = report.phase.as_str().to_owned();
    if let Some(step) = &report.step {
        phase.push_str(": ");
        phase.push_str(step);
    }
    if report.attempt > 1 {
        phase.push_str(&format!(" (attempt {})", report.attempt));
    }
    cut(&phase)
}

/// What went wrong: the script, its exit code and the end of its output.
fn describe(report: &Installation) -> String {
    let nothing = ConvergeFailure::default();
    let failure = report.failure.as_ref().unwrap_or(&nothing);
    let mut text = if failure.message.is_empty() {
        format!("The converge failed in phase {}", report.phase.as_str())
    } else {
        failure.message.clone()
    };
    if let Some(script) = &failure.script
        && !text.contains(script.as_str())
    {
        let place = [&failure.project, &failure.spec].map(|part| part.as_deref().unwrap_or("?"));
        text = format!("{text} (script {}/{}/scripts/{script})", place[0], place[1]);
    }
    if let Some(code) = failure.exit_code
        && !text.contains(&code.to_string())
    {
        text = format!("{text}, exit code {code}");
    }
    if report.attempt > 1 {
        text.push_str(&format!(" (attempt {})", report.attempt));
    }
    let output = failure.output.trim_end();
    if !output.is_empty() {
        text.push('\n');
        text.push_str(output);
    }
    if let Some(recommendation) = &failure.recommendation {
        text.push('\n');
        text.push_str(recommendation);
    }
    cut(&text)
}
