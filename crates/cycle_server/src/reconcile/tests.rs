//! Reconcilers against a provider and a post in memory.

use std::sync::Arc;
use std::time::Duration;

use protocol::{CommandKind, MessageType};
use serde_json::json;

use super::Reconcilers;
use super::machines::{Step, decide};
use crate::provider::{MachineStatus, Provider};
use crate::store::{Incoming, Node, Renewal, State, Status, TargetState};
use crate::testing::{Bench, FakePost, FakeProvider, TEMPLATE, envelope, secret};

const RUNNING: MachineStatus = MachineStatus::Running { pid: None };

struct Site {
    bench: Bench,
    provider: Arc<FakeProvider>,
    post: Arc<FakePost>,
    reconcilers: Arc<Reconcilers>,
}

impl Site {
    /// A cluster that somebody has started.
    async fn new() -> Self {
        Self::with_template(TEMPLATE).await
    }

    async fn with_template(template: &str) -> Self {
        let bench = Bench::new().await;
        bench.import(template, false).await.expect(200);
        bench
            .call("POST", "/cloud/actions/startcluster/demo", None)
            .await
            .expect(200);
        let provider = Arc::new(FakeProvider::default());
        let post = Arc::new(FakePost::default());
        let reconcilers = Reconcilers::new(bench.app.clone(), provider.clone(), post.clone());
        Self {
            bench,
            provider,
            post,
            reconcilers,
        }
    }

    /// Runs the reconcilers until a node is as wanted.
    async fn until(&self, name: &str, what: &str, is_so: impl Fn(Option<&Node>) -> bool) -> Option<Node> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            self.reconcilers.pass().await;
            let nodes = self.bench.app.store.nodes(None).await.unwrap();
            let found = nodes.into_iter().find(|node| node.name == name);
            if is_so(found.as_ref()) {
                return found;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "`{name}` is not {what}: {found:#?}"
            );
            // Steps run beside; whoever ends one says so.
            let woken = self.bench.app.wake.notified();
            let _ = tokio::time::timeout(Duration::from_millis(20), woken).await;
        }
    }

    async fn until_status(&self, name: &str, status: Status) -> Node {
        let node = self.until(name, status.as_str(), |node| {
            node.is_some_and(|node| node.status == status)
        });
        node.await.unwrap()
    }

    async fn terminate(&self, name: &str) {
        let body = json!({"names": [name]});
        let answer = self
            .bench
            .call("POST", "/clusters/demo/nodes/terminate", Some(body));
        answer.await.expect(202);
    }

    async fn say(&self, name: &str, sequence: u64, kind: MessageType, data: serde_json::Value) {
        let node = self.bench.node(name).await;
        let message = Incoming {
            node_id: node.id.clone(),
            envelope: envelope(&node, sequence, kind, data),
        };
        self.bench.app.receive(vec![message]).await.unwrap();
    }
}

#[tokio::test]
async fn a_started_cluster_gets_its_machines() {
    let site = Site::new().await;
    for name in ["head", "execute-1", "execute-2"] {
        let node = site.until_status(name, Status::Preparing).await;
        assert_eq!(node.instance_id, Some(format!("fake-{}", &node.id[..8])));
    }
    let requests = site.provider.requests();
    assert_eq!(requests.len(), 3);
    let head = site.bench.node("head").await;
    let request = requests
        .iter()
        .find(|request| request.node_id == head.id)
        .unwrap();
    assert_eq!(Some(&request.userdata), head.userdata_id.as_ref());
    let report = json!({"status": "ready", "phase": "ready", "attempt": 1});
    site.say("head", 1, MessageType::Installation, report).await;
    site.until("head", "started", |node| {
        node.is_some_and(|node| node.state == State::Started)
    })
    .await;
    site.reconcilers.pass().await;
    let cluster = site.bench.app.store.cluster("demo").await.unwrap().unwrap();
    assert_eq!(cluster.state, Some(State::Started));
}

#[tokio::test]
async fn a_machine_that_fails_is_kept_with_its_cause_and_does_not_hold_up_others() {
    let site = Site::new().await;
    site.reconcilers.app.clock.now();
    super::clusters::reconcile(&site.bench.app).await.unwrap();
    let first = site.bench.node("execute-1").await;
    site.provider.fail_create(&first.id, 1);
    let failed = site.until_status("execute-1", Status::Failed).await;
    let message = failed.status_message.clone().unwrap();
    assert!(message.contains("no room"), "{message}");
    site.until_status("execute-2", Status::Preparing).await;
    site.reconcilers.pass().await;
    assert_eq!(site.bench.node("execute-1").await, failed, "it waits");
    site.bench.clock.forward(6);
    let node = site.until_status("execute-1", Status::Preparing).await;
    assert_eq!(node.machine_failure, None);
    assert_ne!(
        node.userdata_id, first.userdata_id,
        "the machine of a new try is a new one"
    );
}

#[tokio::test]
async fn a_restart_keeps_the_node_and_a_reimage_gives_it_a_new_machine() {
    let site = Site::new().await;
    let before = site.until_status("head", Status::Preparing).await;
    site.bench.join("head", &secret('a')).await.expect(200);
    let renew = async |action: &str| {
        let path = format!("/clusters/demo/nodes/{action}");
        let body = json!({"names": ["head"]});
        site.bench.call("POST", &path, Some(body)).await.expect(202);
    };
    renew("restart").await;
    let node = site
        .until("head", "restarted", |node| {
            node.is_some_and(|node| node.renewal.is_none())
        })
        .await
        .unwrap();
    assert_eq!(
        (&node.userdata_id, &node.session_id),
        (&before.userdata_id, &before.session_id)
    );
    assert!(node.claim.is_some());
    assert_eq!(site.provider.requests().len(), 3);

    renew("reimage").await;
    let node = site
        .until("head", "with a new machine", |node| {
            node.is_some_and(|node| node.renewal.is_none() && node.status == Status::Preparing)
        })
        .await
        .unwrap();
    assert_eq!(node.id, before.id);
    assert_ne!(node.userdata_id, before.userdata_id);
    assert_eq!(node.claim, None);
    assert_eq!(site.provider.requests().len(), 4);
}

/// The server was killed after it had taken the machine away and before it had noted that.
#[tokio::test]
async fn a_reimage_that_was_cut_off_goes_on() {
    let site = Site::new().await;
    let before = site.until_status("head", Status::Preparing).await;
    let now = site.bench.app.clock.now();
    let store = &site.bench.app.store;
    let reimage = |node: &mut Node, _: &mut Vec<_>| node.renewal = Some(Renewal::Reimage);
    store.edit_node(&before.id, now, reimage).await.unwrap();
    site.provider.delete(&before.id).await.unwrap();
    site.until("head", "with a new machine", |node| {
        node.is_some_and(|node| node.userdata_id != before.userdata_id && node.status == Status::Preparing)
    })
    .await;
    let events = site
        .bench
        .get("/cloud/api/events?cluster=demo")
        .await
        .json()
        .to_string();
    assert!(!events.contains("disappeared"), "{events}");
}

#[tokio::test]
async fn a_cluster_that_is_to_be_removed_goes_when_its_machines_are_gone() {
    let site = Site::new().await;
    site.until_status("head", Status::Preparing).await;
    site.bench
        .call("POST", "/cloud/actions/removecluster/demo?force=true", None)
        .await
        .expect(200);
    while site.bench.app.store.cluster("demo").await.unwrap().is_some() {
        site.reconcilers.pass().await;
        tokio::task::yield_now().await;
    }
    assert!(site.bench.app.store.nodes(None).await.unwrap().is_empty());
    assert!(site.provider.machines().is_empty());
}

#[tokio::test]
async fn a_machine_that_never_joins_is_given_up_and_may_still_come() {
    let site = Site::new().await;
    site.until_status("head", Status::Preparing).await;
    site.until_status("execute-1", Status::Preparing).await;
    site.bench.join("execute-1", &secret('b')).await.expect(200);
    site.bench.clock.forward(3590);
    site.reconcilers.pass().await;
    assert_eq!(site.bench.node("head").await.status, Status::Preparing);
    site.bench.clock.forward(20);
    let failed = site.until_status("head", Status::Failed).await;
    let message = failed.status_message.unwrap();
    assert!(message.contains("not joined within 60 minutes"), "{message}");
    assert_eq!(
        site.bench.node("execute-1").await.status,
        Status::Preparing,
        "it has joined"
    );
    assert_eq!(
        site.provider.machines().len(),
        3,
        "its machine stays, to be looked at"
    );
    site.bench.join("head", &secret('a')).await.expect(200);
    let report = json!({"status": "ready", "phase": "ready", "attempt": 1});
    site.say("head", 1, MessageType::Installation, report).await;
    assert_eq!(site.bench.node("head").await.status, Status::Ready);
}

#[tokio::test]
async fn a_template_says_how_long_a_machine_is_awaited() {
    let template = TEMPLATE
        .replace("[[node head]]", "[[node head]]\nAwaitInstallation = false")
        .replace(
            "[[nodearray execute]]",
            "[[nodearray execute]]\nAwaitInstallationTimeout = 2",
        );
    let site = Site::with_template(&template).await;
    let head = site.until_status("head", Status::Ready).await;
    assert_eq!(head.state, State::Started);
    site.until_status("execute-1", Status::Preparing).await;
    site.bench.clock.forward(130);
    let failed = site.until_status("execute-1", Status::Failed).await;
    let message = failed.status_message.unwrap();
    assert!(message.contains("not joined within 2 minutes"), "{message}");
}

#[tokio::test]
async fn machines_are_used_from_when_they_are_there_until_they_are_gone() {
    let site = Site::new().await;
    let head = site.until_status("head", Status::Preparing).await;
    site.until_status("execute-1", Status::Preparing).await;
    site.reconcilers.pass().await;
    let begin = site.bench.app.clock.now();
    site.bench.clock.forward(600);
    site.terminate("execute-1").await;
    site.until("execute-1", "gone", |node| node.is_none()).await;
    site.reconcilers.pass().await;
    let now = site.bench.app.clock.now();
    let rows = site.bench.app.store.usage("demo", begin, now).await.unwrap();
    let row = |name: &str| rows.iter().find(|row| row.running.node == name).unwrap();
    assert_eq!(
        (row("head").ended, row("head").running.nodearray.clone()),
        (None, None)
    );
    assert_eq!(row("head").running.node_id, head.id);
    assert_eq!(row("execute-1").ended, Some(now));
    assert_eq!(row("execute-1").running.nodearray.as_deref(), Some("execute"));
}

#[tokio::test]
async fn retry_does_not_wait() {
    let site = Site::new().await;
    super::clusters::reconcile(&site.bench.app).await.unwrap();
    site.provider.fail_create(&site.bench.node("head").await.id, 1);
    site.until_status("head", Status::Failed).await;
    site.bench
        .call("POST", "/cloud/actions/retry/demo", None)
        .await
        .expect(200);
    site.until_status("head", Status::Preparing).await;
}

#[tokio::test]
async fn a_node_is_told_and_its_machine_goes_when_it_confirms() {
    let site = Site::new().await;
    for name in ["head", "execute-1"] {
        site.until_status(name, Status::Preparing).await;
        site.bench.join(name, &secret('a')).await.expect(200);
    }
    site.terminate("execute-1").await;
    site.until("execute-1", "told", |node| {
        node.is_some_and(|node| node.told_to_terminate.is_some())
    })
    .await;
    let (to, command) = site.post.sent().pop().unwrap();
    let node = site.bench.node("execute-1").await;
    assert_eq!(to, node.id);
    assert!(matches!(command.kind, CommandKind::Terminate { .. }));
    assert_eq!(Some(command.cluster_session_id), node.session_id);
    for _ in 0..3 {
        site.reconcilers.pass().await;
    }
    assert_eq!(
        site.bench.node("execute-1").await.status,
        Status::Terminating,
        "it has time"
    );
    let confirmed = json!({"reason": "told", "confirmed": true});
    site.say("execute-1", 1, MessageType::Shutdown, confirmed).await;
    site.until("execute-1", "gone", |node| node.is_none()).await;
    site.bench
        .userdata(node.userdata_id.as_ref().unwrap(), &secret('a'))
        .await
        .expect(410);

    site.terminate("head").await;
    site.until("head", "told", |node| {
        node.is_some_and(|node| node.told_to_terminate.is_some())
    })
    .await;
    site.bench.clock.forward(11);
    let head = site.until_status("head", Status::Off).await;
    assert_eq!((head.state, head.claim), (State::Terminated, None));
}

#[tokio::test]
async fn a_machine_that_cannot_be_taken_away_is_tried_again() {
    let site = Site::new().await;
    site.until_status("head", Status::Preparing).await;
    site.provider.fail_delete(1);
    site.terminate("head").await;
    let node = site.until_status("head", Status::Failed).await;
    assert!(node.status_message.unwrap().contains("cannot be killed"));
    assert_eq!(node.state, State::Terminating);
    site.bench.clock.forward(6);
    site.until_status("head", Status::Off).await;
}

#[tokio::test]
async fn a_node_that_starts_again_is_a_new_machine() {
    let site = Site::new().await;
    let first = site.until_status("head", Status::Preparing).await;
    site.terminate("head").await;
    site.until_status("head", Status::Off).await;
    let body = json!({"ids": [first.id]});
    site.bench
        .call("POST", "/clusters/demo/nodes/start", Some(body))
        .await
        .expect(202);
    let second = site.until_status("head", Status::Preparing).await;
    assert_eq!(second.id, first.id);
    assert_ne!(second.userdata_id, first.userdata_id);
    assert_ne!(second.session_id, first.session_id);
}

#[tokio::test]
async fn a_deallocated_node_is_told_stops_and_starts_again_as_the_same_machine() {
    let site = Site::new().await;
    site.until_status("head", Status::Preparing).await;
    site.bench.join("head", &secret('a')).await.expect(200);
    let before = site.bench.node("head").await;
    let body = json!({"names": ["head"]});
    let deallocate = site
        .bench
        .call("POST", "/clusters/demo/nodes/deallocate", Some(body.clone()));
    deallocate.await.expect(202);
    site.until("head", "told", |node| {
        node.is_some_and(|node| node.told_to_terminate.is_some())
    })
    .await;
    let confirmed = json!({"reason": "told", "confirmed": true});
    site.say("head", 1, MessageType::Shutdown, confirmed).await;
    let node = site.until_status("head", Status::Deallocated).await;
    assert_eq!(
        (node.state, node.target_state),
        (State::Deallocated, TargetState::Deallocated)
    );
    assert_eq!(site.provider.status(&node.id), MachineStatus::Stopped);
    site.reconcilers.pass().await;
    let start = site.bench.call("POST", "/clusters/demo/nodes/start", Some(body));
    start.await.expect(202);
    let node = site.until_status("head", Status::Preparing).await;
    assert_eq!(node.id, before.id);
    assert_eq!((node.claim, node.userdata_id), (before.claim, before.userdata_id));
    assert_ne!(node.session_id, before.session_id);
    let machines = site.provider.requests();
    let made = machines.iter().filter(|request| request.node_id == node.id);
    assert_eq!(made.count(), 1, "no other machine was made");
}

#[tokio::test]
async fn a_demand_of_a_node_makes_nodes_and_is_shown() {
    let site = Site::new().await;
    site.until_status("head", Status::Preparing).await;
    let wanted = json!({"definitions": [{"Name": "execute", "TargetCount": 3}], "request_set": "standard",
        "expiration_seconds": 300});
    site.say("head", 1, MessageType::Autoscale, wanted).await;
    site.until_status("execute-3", Status::Preparing).await;
    let status = site.bench.get("/clusters/demo/status").await.json();
    let target = &status["nodearrays"][0]["targets"][0];
    assert_eq!(target["targetCount"], 3);
    assert_eq!(target["expires"], "2026-11-23T12:05:00Z");
    let cluster = site.bench.get("/cloud/clusters/demo").await.json();
    assert_eq!(cluster["Targets"][0]["requestSet"], "standard");
    let page = site.bench.get("/c/demo").await.text;
    assert!(
        page.contains("Targets of autoscalers") && page.contains("3 nodes"),
        "{page}"
    );
    site.bench.clock.forward(300);
    site.reconcilers.pass().await;
    let cluster = site.bench.get("/cloud/clusters/demo").await.json();
    assert_eq!(cluster.get("Targets"), None);
}

#[tokio::test]
async fn silence_is_noticed_after_three_heartbeats_and_ends_with_a_message() {
    let site = Site::new().await;
    site.until_status("head", Status::Preparing).await;
    site.bench.join("head", &secret('a')).await.expect(200);
    site.bench.clock.forward(45);
    site.reconcilers.pass().await;
    assert!(!site.bench.node("head").await.unreachable, "not yet");
    site.bench.clock.forward(1);
    site.reconcilers.pass().await;
    let node = site.bench.node("head").await;
    assert!(node.unreachable);
    assert_eq!(node.status, Status::Preparing, "silence is no state");
    site.say("head", 1, MessageType::Heartbeat, json!({"version": "1"}))
        .await;
    assert!(!site.bench.node("head").await.unreachable);
}

#[tokio::test]
async fn a_changed_configuration_is_told_when_the_broker_is_there() {
    let site = Site::new().await;
    site.until_status("head", Status::Preparing).await;
    site.bench.join("head", &secret('a')).await.expect(200);
    let changed = TEMPLATE.replace("role = head", "role = chief");
    site.bench.import(&changed, true).await.expect(200);
    site.post.go_away(true);
    site.reconcilers.pass().await;
    assert!(site.bench.node("head").await.converge_pending);
    site.post.go_away(false);
    site.reconcilers.pass().await;
    assert!(!site.bench.node("head").await.converge_pending);
    let (to, command) = site.post.sent().pop().unwrap();
    assert_eq!(
        (to, command.kind),
        (site.bench.node("head").await.id, CommandKind::Converge)
    );
}

#[tokio::test]
async fn nodes_whose_users_changed_are_told_once() {
    let site = Site::new().await;
    for name in ["head", "execute-1"] {
        site.until_status(name, Status::Preparing).await;
        site.bench.join(name, &secret('a')).await.expect(200);
    }
    let told = || {
        let sent = site.post.sent();
        let users = sent
            .iter()
            .filter(|(_, command)| command.kind == CommandKind::Users);
        users.count()
    };
    site.reconcilers.pass().await;
    assert_eq!(told(), 0, "they have the list since they joined");
    let bob = json!({"Name": "bob", "Password": "x"});
    site.bench
        .call("POST", "/cloud/api/users", Some(bob))
        .await
        .expect(201);
    site.reconcilers.pass().await;
    assert_eq!(told(), 0, "he may log in nowhere");
    site.post.go_away(true);
    let change = json!({"NodeUser": true});
    site.bench
        .call("PUT", "/cloud/api/users/bob", Some(change))
        .await
        .expect(200);
    site.reconcilers.pass().await;
    site.post.go_away(false);
    let before = told();
    site.reconcilers.pass().await;
    site.reconcilers.pass().await;
    assert_eq!(told() - before, 2);
}

#[tokio::test]
async fn a_dead_machine_is_reported_until_it_runs_again() {
    let site = Site::new().await;
    let node = site.until_status("head", Status::Preparing).await;
    let dead = MachineStatus::Dead {
        reason: "jetpackd ended with exit code 3".to_owned(),
        restart_in: Duration::from_secs(1),
    };
    site.provider.set(&node.id, dead);
    let node = site
        .until("head", "dead", |node| {
            node.is_some_and(|node| node.machine_message.is_some())
        })
        .await
        .unwrap();
    assert!(node.trouble().unwrap().contains("exit code 3"));
    site.provider.set(&node.id, RUNNING);
    site.until("head", "alive", |node| {
        node.is_some_and(|node| node.machine_message.is_none())
    })
    .await;
}

#[tokio::test]
async fn what_an_earlier_server_left_is_adopted_or_made_again() {
    let site = Site::new().await;
    super::clusters::reconcile(&site.bench.app).await.unwrap();
    let head = site.bench.node("head").await;
    site.provider.set(&head.id, RUNNING);
    site.until_status("head", Status::Preparing).await;
    assert!(
        !site
            .provider
            .requests()
            .iter()
            .any(|request| request.node_id == head.id)
    );
}

#[test]
fn a_node_has_the_time_that_it_needs_to_go_up_to_the_limit() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let grace = Duration::from_secs(10);
    let mut node = crate::lifecycle::fixture::node("head", false);
    crate::lifecycle::begin_start(&mut node, now);
    node.claim = Some("x".to_owned());
    crate::lifecycle::begin_terminate(&mut node);
    node.told_to_terminate = Some(now);
    let dead = MachineStatus::Dead {
        reason: "killed".to_owned(),
        restart_in: Duration::ZERO,
    };
    assert_eq!(decide(&node, &RUNNING, now, grace), None);
    assert_eq!(decide(&node, &dead, now, grace), Some(Step::Delete));
    node.shutdown_needs = Some(60);
    for machine in [&RUNNING, &dead, &MachineStatus::Starting] {
        assert_eq!(decide(&node, machine, now, grace), None, "it comes back");
    }
    assert_eq!(
        decide(&node, &MachineStatus::Gone, now, grace),
        Some(Step::Delete)
    );
    let later = now + grace;
    assert_eq!(decide(&node, &dead, later, grace), Some(Step::Delete));
    node.shutdown_confirmed = true;
    assert_eq!(decide(&node, &RUNNING, now, grace), Some(Step::Delete));

    let folder = tempfile::tempdir().unwrap();
    let mut settings = crate::settings::Settings::load(folder.path(), None, None)
        .unwrap()
        .0;
    let mut patience = |needs, limit| {
        node.shutdown_needs = needs;
        settings.shutdown_limit = Duration::from_secs(limit);
        super::machines::patience(&node, &settings).as_secs()
    };
    assert_eq!(patience(None, 960), 10);
    assert_eq!(patience(Some(300), 960), 330);
    assert_eq!(patience(Some(900), 960), 930, "all that a node may need");
    assert_eq!(patience(Some(300), 60), 60);
    assert_eq!(patience(Some(300), 0), 10);
}

#[test]
fn a_node_that_is_done_needs_nothing() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let grace = Duration::from_secs(10);
    let mut node = crate::lifecycle::fixture::node("head", false);
    assert_eq!(decide(&node, &MachineStatus::Gone, now, grace), None, "off");
    crate::lifecycle::begin_start(&mut node, now);
    assert_eq!(
        decide(&node, &MachineStatus::Gone, now, grace),
        Some(Step::Create)
    );
    assert_eq!(decide(&node, &MachineStatus::Starting, now, grace), None);
    node.status = Status::Ready;
    assert_eq!(decide(&node, &RUNNING, now, grace), None);
    assert_eq!(decide(&node, &MachineStatus::Gone, now, grace), Some(Step::Lost));
    node.target_state = TargetState::Terminated;
    node.state = State::Terminating;
    assert_eq!(
        decide(&node, &RUNNING, now, grace),
        Some(Step::Delete),
        "nobody listens"
    );
    node.claim = Some("x".to_owned());
    assert_eq!(decide(&node, &RUNNING, now, grace), Some(Step::Tell));
}
