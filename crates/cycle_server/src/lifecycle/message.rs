//! What follows from a message of a node.

mod demand;
mod installation;

use jiff::Timestamp;
use protocol::{
    Autoscale, Condition, Envelope, Heartbeat, Installation, Level, Log, MessageType, Priority, Properties,
    Shutdown, TestReport,
};

use super::news::news;
use super::reports;
use crate::store::{Consequences, Incoming, NewEvent, Node, ShutdownRequest, Status, TargetState};

/// Longest text of an event or a status message, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// Applies a message to the node that sent it. Messages of an earlier life of the node, and those that come
/// after a newer one, go into the event log and change nothing else.
pub fn apply(node: &mut Node, message: &Incoming, then: &mut Consequences, now: Timestamp) {
    let envelope = &message.envelope;
    let events = &mut then.events;
    let is_current = node
        .session_id
        .as_ref()
        .is_some_and(|session| *session == envelope.cluster_session_id);
    if is_current {
        hear(node, events, now);
    }
    match envelope.kind {
        MessageType::Log => {
            if let Some(log) = data::<Log>(node, envelope, events, now) {
                events.push(NewEvent {
                    time: envelope.timestamp,
                    category: "log",
                    ..news(node, now, log.level, log.priority, cut(&log.message))
                });
            }
        }
        MessageType::Heartbeat => {
            if let Some(beat) = data::<Heartbeat>(node, envelope, events, now)
                && is_current
            {
                refresh(node, beat.hostname, beat.ipv4);
            }
        }
        MessageType::Installation => {
            if let Some(report) = data::<Installation>(node, envelope, events, now) {
                let is_newest = is_current && envelope.sequence > node.last_sequence;
                if is_newest {
                    then.documents
                        .extend(reports::converge(&report, envelope.timestamp));
                }
                installation::install(node, envelope, report, is_newest, events, now);
            }
        }
        MessageType::Shutdown => {
            if let Some(shutdown) = data::<Shutdown>(node, envelope, events, now)
                && is_current
            {
                shut_down(node, &shutdown, events, now);
            }
        }
        MessageType::Autoscale => {
            if let Some(autoscale) = data::<Autoscale>(node, envelope, events, now)
                && is_current
            {
                then.demand = demand::demand(node, autoscale, events, now);
            }
        }
        MessageType::Condition => {
            if let Some(condition) = data::<Condition>(node, envelope, events, now)
                && is_current
            {
                reports::condition(node, condition, envelope.timestamp, events);
            }
        }
        MessageType::Props => {
            if let Some(properties) = data::<Properties>(node, envelope, events, now)
                && is_current
            {
                then.documents
                    .push(reports::properties(properties, envelope.timestamp));
            }
        }
        MessageType::Test => {
            if let Some(report) = data::<TestReport>(node, envelope, events, now) {
                events.push(reports::test_event(node, &report, envelope.timestamp));
                if is_current {
                    then.documents.extend(reports::tests(report, envelope.timestamp));
                }
            }
        }
        // Stored; what they lead to is not the business of a node's state.
        MessageType::Health | MessageType::Users | MessageType::Custom => {}
    }
}

fn hear(node: &mut Node, events: &mut Vec<NewEvent>, now: Timestamp) {
    node.last_message = Some(now);
    if node.unreachable {
        node.unreachable = false;
        events.push(news(
            node,
            now,
            Level::Info,
            Priority::Medium,
            "Node is reachable again",
        ));
    }
    if node.status == Status::Acquiring {
        node.status = Status::Preparing;
    }
}

fn data<T: serde::de::DeserializeOwned>(
    node: &Node,
    envelope: &Envelope,
    events: &mut Vec<NewEvent>,
    now: Timestamp,
) -> Option<T> {
    match T::deserialize(&envelope.data) {
        Ok(data) => Some(data),
        Err(error) => {
            let message = format!(
                "A message of type `{}` was not understood: {error}",
                envelope.kind.as_str()
            );
            events.push(news(node, now, Level::Warn, Priority::Low, cut(&message)));
            None
        }
    }
}

fn refresh(node: &mut Node, hostname: Option<String>, ipv4: Option<String>) {
    if hostname.is_some() {
        node.hostname = hostname;
    }
    if ipv4.is_some() {
        node.private_ip = ipv4;
    }
}

/// Whether the node may go depends on others: that is decided when the cluster is settled.
fn shut_down(node: &mut Node, shutdown: &Shutdown, events: &mut Vec<NewEvent>, now: Timestamp) {
    let reason = cut(&shutdown.reason);
    if shutdown.confirmed {
        node.shutdown_confirmed = true;
        let text = format!("Node stopped its work: {reason}");
        events.push(news(node, now, Level::Info, Priority::Medium, text));
    } else if let Some(seconds) = shutdown.needs_seconds {
        let text = format!("Node runs what is registered to run before its end, for up to {seconds} s");
        events.push(news(node, now, Level::Info, Priority::Medium, text));
        node.shutdown_needs = Some(seconds);
    } else if node.target_state == TargetState::Started {
        node.shutdown_asked = Some(ShutdownRequest {
            reason,
            cause: shutdown.cause,
            policy: shutdown.policy,
        });
    }
}

pub(super) fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mut end = MAX_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::super::{begin_start, begin_terminate, fixture};
    use super::*;
    use crate::store::State;

    struct Talk {
        node: Node,
        then: Consequences,
        sequence: u64,
    }

    impl Talk {
        fn new() -> Self {
            let mut node = fixture::node("head", false);
            begin_start(&mut node, fixture::NOW);
            Self {
                node,
                then: Consequences::default(),
                sequence: 0,
            }
        }

        fn envelope(&mut self, kind: MessageType, data: Value) -> Envelope {
            self.sequence += 1;
            Envelope {
                id: Uuid::now_v7(),
                sequence: self.sequence,
                cluster_name: "another".to_owned(),
                node_id: "another".to_owned(),
                instance_id: String::new(),
                cluster_session_id: self.node.session_id.clone().unwrap(),
                timestamp: fixture::NOW,
                kind,
                data,
            }
        }

        fn say(&mut self, kind: MessageType, data: Value) {
            let envelope = self.envelope(kind, data);
            self.deliver(envelope);
        }

        fn deliver(&mut self, envelope: Envelope) {
            let message = Incoming {
                node_id: self.node.id.clone(),
                envelope,
            };
            apply(&mut self.node, &message, &mut self.then, fixture::NOW);
        }

        fn converge(&mut self, status: &str, attempt: u32) {
            self.say(MessageType::Installation, report(status, attempt));
        }
    }

    fn report(status: &str, attempt: u32) -> Value {
        let mut data = json!({"status": status, "phase": "cluster-init", "attempt": attempt, "hostname": "h1", "ipv4": "10.0.0.1"});
        if status == "failed" {
            data["failure"] = json!({"message": "a script failed", "project": "p", "spec": "s",
                "script": "010-x.sh", "exit_code": 3, "output": "one\ntwo\n"});
        }
        data
    }

    #[test]
    fn only_a_success_makes_ready_and_ends_a_failure() {
        let mut talk = Talk::new();
        talk.converge("started", 1);
        assert_eq!(
            (talk.node.status, talk.node.state),
            (Status::Preparing, State::Starting)
        );
        talk.converge("failed", 1);
        assert_eq!(talk.node.status, Status::Failed);
        let text = talk.node.status_message.clone().unwrap();
        for part in ["p/s/scripts/010-x.sh", "exit code 3", "one\ntwo"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        talk.converge("started", 2);
        assert_eq!(talk.node.status, Status::Failed);
        assert_eq!(talk.node.phase.as_deref(), Some("cluster-init (attempt 2)"));
        talk.converge("ready", 2);
        assert_eq!(
            (talk.node.status, talk.node.state),
            (Status::Ready, State::Started)
        );
        assert_eq!(talk.node.status_message, None);
        assert_eq!(talk.node.hostname.as_deref(), Some("h1"));
        let priorities: Vec<_> = talk.then.events.iter().map(|event| event.priority).collect();
        assert_eq!(
            priorities,
            [Priority::Low, Priority::High, Priority::Low, Priority::Medium]
        );
    }

    #[test]
    fn a_message_that_was_overtaken_changes_nothing() {
        let mut talk = Talk::new();
        let late = talk.envelope(MessageType::Installation, report("failed", 1));
        talk.converge("ready", 2);
        talk.deliver(late);
        assert_eq!(talk.node.status, Status::Ready);
        assert_eq!(talk.then.events.len(), 2, "it is in the log all the same");
    }

    #[test]
    fn a_message_of_an_earlier_life_changes_nothing() {
        let mut talk = Talk::new();
        let old = talk.envelope(MessageType::Installation, report("ready", 1));
        begin_start(&mut talk.node, fixture::NOW);
        talk.deliver(old);
        assert_eq!(talk.node.status, Status::Acquiring);
        assert_eq!(talk.node.last_message, None);
    }

    #[test]
    fn a_node_that_goes_stays_terminating() {
        let mut talk = Talk::new();
        begin_terminate(&mut talk.node);
        talk.converge("ready", 1);
        assert_eq!(talk.node.status, Status::Terminating);
        talk.say(
            MessageType::Shutdown,
            json!({"reason": "told", "confirmed": true}),
        );
        assert!(talk.node.shutdown_confirmed);
    }

    #[test]
    fn a_node_that_needs_time_to_go_asks_for_nothing_else() {
        let mut talk = Talk::new();
        begin_terminate(&mut talk.node);
        let needs = json!({"reason": "told", "confirmed": false, "needs_seconds": 310});
        talk.say(MessageType::Shutdown, needs);
        assert_eq!(talk.node.shutdown_needs, Some(310));
        assert!(!talk.node.shutdown_confirmed);
        assert_eq!(talk.node.shutdown_asked, None);
        assert!(talk.then.events[0].message.contains("for up to 310 s"));
        begin_start(&mut talk.node, fixture::NOW);
        assert_eq!(talk.node.shutdown_needs, None);
    }

    #[test]
    fn a_node_that_asks_to_go_is_remembered() {
        let mut talk = Talk::new();
        let ask = json!({"reason": "no jobs", "confirmed": false, "cause": "idle", "policy": "deallocate"});
        talk.say(MessageType::Shutdown, ask);
        let asked = talk.node.shutdown_asked.clone().unwrap();
        assert_eq!(asked.reason, "no jobs");
        assert_eq!(asked.cause, Some(protocol::ShutdownCause::Idle));
        assert_eq!(asked.policy, Some(protocol::ShutdownPolicy::Deallocate));
        assert_eq!(talk.node.target_state, TargetState::Started, "others decide");
    }

    #[test]
    fn a_demand_holds_from_the_servers_now() {
        let mut talk = Talk::new();
        let wanted = json!({"definitions": [{"Name": "execute", "TargetCoreCount": 4}], "request_set": "standard",
            "expiration_seconds": 300});
        talk.say(MessageType::Autoscale, wanted);
        let (demand, event) = talk.then.demand.take().unwrap();
        assert_eq!(demand.expires.as_second(), 300);
        assert_eq!(
            event.message,
            "Request set `standard` wants 4 cores of node array `execute`"
        );
        talk.say(
            MessageType::Autoscale,
            json!({"definitions": [], "request_set": "", "expiration_seconds": 1}),
        );
        assert_eq!(talk.then.demand, None);
        assert!(talk.then.events.last().unwrap().message.contains("refused"));
    }

    #[test]
    fn any_message_ends_silence() {
        let mut talk = Talk::new();
        talk.node.unreachable = true;
        talk.say(MessageType::Heartbeat, json!({"version": "1"}));
        assert!(!talk.node.unreachable);
        assert_eq!(talk.node.last_message, Some(fixture::NOW));
    }

    #[test]
    fn log_messages_keep_level_priority_and_sender() {
        let mut talk = Talk::new();
        talk.say(
            MessageType::Log,
            json!({"level": "warn", "priority": "low", "message": "hi"}),
        );
        let event = &talk.then.events[0];
        assert_eq!((event.level, event.priority), (Level::Warn, Priority::Low));
        assert_eq!(
            event.cluster.as_deref(),
            Some("demo"),
            "not what the message says"
        );
        talk.say(MessageType::Log, json!({"nonsense": 1}));
        assert!(talk.then.events[1].message.contains("not understood"));
    }
}
