//! The life of one node.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::store::{MachineFailure, Node, State, Status, TargetState};
use crate::template::NodeDefinition;

/// Pause before a failed machine is tried again; doubled with each failure.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(300);

/// What decides where a new node belongs.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Name of the cluster.
    pub(super) cluster: &'a str,
    /// Name of the node.
    pub(super) name: String,
    /// Of an array or of a node.
    pub(super) definition: &'a NodeDefinition,
    /// Whether it belongs to an array.
    pub(super) array: bool,
    /// The machine type that was picked.
    pub(super) machine_type: String,
}

/// A node that is off. Its id was never used before.
pub(super) fn new_node(place: Place<'_>, attributes: Map<String, Value>, now: Timestamp) -> Node {
    let keep_alive = match attributes.get("KeepAlive") {
        Some(value) => is_true(value),
        None => place.definition.keep_alive,
    };
    Node {
        id: Uuid::new_v4().simple().to_string(),
        cluster: place.cluster.to_owned(),
        name: place.name,
        template: place.definition.name.clone(),
        array: place.array,
        machine_type: place.machine_type,
        attributes,
        placement_group: None,
        group_id: None,
        keep_alive,
        request_id: None,
        created: now,
        target_state: TargetState::Terminated,
        state: State::Terminated,
        status: Status::Off,
        status_message: None,
        phase: None,
        machine_message: None,
        unreachable: false,
        started: None,
        session_id: None,
        userdata_id: None,
        claim: None,
        previous_claim: None,
        instance_id: None,
        hostname: None,
        private_ip: None,
        last_message: None,
        last_sequence: 0,
        converge_pending: false,
        users: None,
        told_to_terminate: None,
        shutdown_confirmed: false,
        shutdown_needs: None,
        machine_failure: None,
        conditions: Default::default(),
        shutdown_asked: None,
        shutdown_refused: None,
        renewal: None,
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// The node shall have a machine: a fresh one, with a userdata id and a session of its own, that nobody has
/// claimed.
pub fn begin_start(node: &mut Node, now: Timestamp) {
    forget_machine(node);
    node.target_state = TargetState::Started;
    node.state = State::Starting;
    node.status = Status::Acquiring;
    node.started = Some(now);
    node.session_id = Some(Uuid::new_v4().to_string());
    node.userdata_id = Some(Uuid::new_v4().simple().to_string());
}

/// The node shall be gone. A node that is off stays so.
pub fn begin_terminate(node: &mut Node) {
    node.target_state = TargetState::Terminated;
    if node.status == Status::Off || node.state == State::Terminating {
        return;
    }
    node.state = State::Terminating;
    node.status = Status::Terminating;
    forget_work(node);
}

/// The machine of the node shall stop and keep its disks. A node without a machine stays as it is.
pub fn begin_deallocate(node: &mut Node) {
    let has_machine = matches!(node.state, State::Starting | State::Started);
    if !has_machine {
        return;
    }
    node.target_state = TargetState::Deallocated;
    node.state = State::Deallocating;
    node.status = Status::Deallocating;
    node.told_to_terminate = None;
    node.shutdown_confirmed = false;
    node.shutdown_needs = None;
    forget_work(node);
}

/// The machine of the node has stopped. Its home is still bound to it; only the session is over.
pub fn settle_deallocated(node: &mut Node) {
    node.state = State::Deallocated;
    node.status = Status::Deallocated;
    node.session_id = None;
    node.told_to_terminate = None;
    node.shutdown_confirmed = false;
    node.shutdown_needs = None;
    node.last_message = None;
    forget_work(node);
}

/// The machine of a deallocated node shall run again, in a new session: the same machine with the same id and secret.
pub fn begin_resume(node: &mut Node, now: Timestamp) {
    forget_work(node);
    node.target_state = TargetState::Started;
    node.state = State::Starting;
    node.status = Status::Acquiring;
    node.started = Some(now);
    node.session_id = Some(Uuid::new_v4().to_string());
    node.told_to_terminate = None;
    node.shutdown_confirmed = false;
    node.shutdown_needs = None;
    node.last_message = None;
}

fn forget_work(node: &mut Node) {
    node.renewal = None;
    node.status_message = None;
    node.machine_message = None;
    node.machine_failure = None;
    node.phase = None;
    node.converge_pending = false;
    node.unreachable = false;
    node.shutdown_asked = None;
    node.shutdown_refused = None;
}

/// The machine of a standalone node is gone.
pub fn settle_terminated(node: &mut Node) {
    forget_machine(node);
    node.state = State::Terminated;
    node.status = Status::Off;
    node.session_id = None;
    node.userdata_id = None;
}

/// The provider has made the machine; now it is the converge's turn.
pub fn machine_is_there(node: &mut Node) {
    node.machine_failure = None;
    node.machine_message = None;
    if node.status == Status::Acquiring {
        node.status = Status::Preparing;
    }
}

/// The machine could not be made or taken away: keeps the cause, and when to try again.
pub fn keep_machine_failure(node: &mut Node, cause: String, now: Timestamp) {
    let attempts = node
        .machine_failure
        .as_ref()
        .map_or(0, |failure| failure.attempts)
        + 1;
    let pause = FIRST_PAUSE
        .checked_mul(1 << (attempts - 1).min(10))
        .unwrap_or(LONGEST_PAUSE)
        .min(LONGEST_PAUSE);
    node.status = Status::Failed;
    node.status_message = Some(cause);
    node.machine_failure = Some(MachineFailure {
        attempts,
        next: now.saturating_add(pause).unwrap_or(Timestamp::MAX),
    });
}

fn forget_machine(node: &mut Node) {
    node.renewal = None;
    node.status_message = None;
    node.phase = None;
    node.machine_message = None;
    node.unreachable = false;
    node.claim = None;
    node.previous_claim = None;
    node.users = None;
    node.instance_id = None;
    node.hostname = None;
    node.private_ip = None;
    node.last_message = None;
    node.last_sequence = 0;
    node.converge_pending = false;
    node.told_to_terminate = None;
    node.shutdown_confirmed = false;
    node.shutdown_needs = None;
    node.machine_failure = None;
    node.conditions.clear();
    node.shutdown_asked = None;
    node.shutdown_refused = None;
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_second_start_has_nothing_of_the_first() {
        let mut node = fixture::node("head", false);
        begin_start(&mut node, fixture::NOW);
        let first = node.clone();
        node.claim = Some("hash".to_owned());
        node.hostname = Some("h".to_owned());
        begin_terminate(&mut node);
        settle_terminated(&mut node);
        begin_start(&mut node, fixture::NOW);
        assert_eq!(node.id, first.id);
        assert_ne!(node.userdata_id, first.userdata_id);
        assert_ne!(node.session_id, first.session_id);
        assert_eq!((node.claim, node.hostname), (None, None));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut node = fixture::node("head", false);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            keep_machine_failure(&mut node, "no".to_owned(), fixture::NOW);
            let next = node.machine_failure.clone().unwrap().next;
            pauses.push(next.duration_since(fixture::NOW).as_secs());
        }
        assert_eq!(pauses[..3], [5, 10, 20]);
        assert_eq!(pauses[39], 300);
    }

    #[test]
    fn a_deallocated_node_keeps_its_machine_and_gets_a_new_session() {
        let mut node = fixture::node("head", false);
        begin_deallocate(&mut node);
        assert_eq!(node.status, Status::Off, "it has no machine");
        begin_start(&mut node, fixture::NOW);
        node.claim = Some("hash".to_owned());
        let before = node.clone();
        begin_deallocate(&mut node);
        assert_eq!(
            (node.state, node.status),
            (State::Deallocating, Status::Deallocating)
        );
        settle_deallocated(&mut node);
        assert_eq!(node.session_id, None);
        begin_resume(&mut node, fixture::NOW);
        assert_eq!((node.claim, node.userdata_id), (before.claim, before.userdata_id));
        assert!(node.session_id.is_some() && node.session_id != before.session_id);
    }

    #[test]
    fn terminating_an_off_node_leaves_it_off() {
        let mut node = fixture::node("head", false);
        begin_terminate(&mut node);
        assert_eq!(node.status, Status::Off);
    }
}
