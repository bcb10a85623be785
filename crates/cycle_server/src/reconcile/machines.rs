//! Machines: each node that should have one gets it, each that should not loses it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use protocol::{Command, CommandKind, Level, Priority};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::Reconcilers;
use crate::lifecycle::{
    begin_start, keep_machine_failure, machine_is_there, news, settle_deallocated, settle_terminated,
};
use crate::provider::{MachineRequest, MachineStatus, ProviderError};
use crate::settings::Settings;
use crate::store::{MachineFailure, NewEvent, Node, Renewal, State, Status, StoreError, TargetState};

/// Most machines that are made or taken away at a time.
const MAX_AT_A_TIME: usize = 16;
/// No failure waits longer than this, whatever the clock did since.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(600);

/// What a node may need on top of what it said: for messages, and to be started again.
const ON_THE_WAY: Duration = Duration::from_secs(30);

/// The nodes whose machines are being worked on.
#[derive(Debug)]
pub(super) struct InFlight {
    nodes: Mutex<HashSet<String>>,
    slots: Arc<Semaphore>,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            nodes: Mutex::default(),
            slots: Arc::new(Semaphore::new(MAX_AT_A_TIME)),
        }
    }
}

impl InFlight {
    fn enter(&self, node: &str) -> bool {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node.to_owned())
    }

    fn leave(&self, node: &str) {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(node);
    }

    fn len(&self) -> usize {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What to do about a node's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Make it.
    Create,
    /// It is there although nobody has noted it.
    Adopt,
    /// It should be there and is not.
    Lost,
    /// Keep what the provider says of it; none: it is fine.
    Note(Option<String>),
    /// Tell the node that it goes.
    Tell,
    /// Take it away.
    Delete,
    /// Stop it; it keeps its disks.
    Stop,
    /// Start it again.
    Resume,
    /// Stop it and start it again.
    Restart,
    /// Take it away; another one is made in its place.
    Reimage,
}

/// Looks at each node and begins what is due. The work itself goes on beside.
pub(super) async fn reconcile(reconcilers: &Arc<Reconcilers>) -> Result<String, StoreError> {
    let app = &reconcilers.app;
    let now = app.clock.now();
    let mut begun = 0;
    let nodes = app.store.nodes(None).await?;
    for node in &nodes {
        let machine = reconcilers.provider.status(&node.id);
        let Some(step) = decide(node, &machine, now, patience(node, &app.settings)) else {
            continue;
        };
        if !reconcilers.in_flight.enter(&node.id) {
            continue;
        }
        begun += 1;
        let (reconcilers, node) = (reconcilers.clone(), node.clone());
        tokio::spawn(async move {
            // The semaphore is never closed.
            let permit = reconcilers.in_flight.slots.clone().acquire_owned().await;
            if let Err(error) = reconcilers.act(&node, step).await {
                let error = terminal::chain(&error);
                tracing::error!(
                    cluster = node.cluster,
                    node = node.name,
                    error,
                    "cannot keep a node's state"
                );
            }
            drop(permit);
            reconcilers.in_flight.leave(&node.id);
            reconcilers.app.wake.notify_one();
        });
    }
    Ok(format!(
        "{} nodes, {begun} steps begun, {} under way",
        nodes.len(),
        reconcilers.in_flight.len()
    ))
}

/// What is due for a node, if anything is.
pub(super) fn decide(node: &Node, machine: &MachineStatus, now: Timestamp, grace: Duration) -> Option<Step> {
    if let Some(failure) = &node.machine_failure
        && waits(failure, now)
    {
        return None;
    }
    match (node.target_state, node.state) {
        (_, State::Terminated) | (TargetState::Deallocated, State::Deallocated) => None,
        (TargetState::Terminated, _) => end(node, machine, now, grace, Step::Delete),
        (TargetState::Deallocated, _) => end(node, machine, now, grace, Step::Stop),
        (TargetState::Started, _) => renew(node, machine).or_else(|| begin(node, machine)),
    }
}

fn waits(failure: &MachineFailure, now: Timestamp) -> bool {
    let wait = failure.next.duration_since(now);
    wait.is_positive() && wait <= LONGEST_WAIT
}

/// What somebody wants of the machine of a node that stays.
fn renew(node: &Node, machine: &MachineStatus) -> Option<Step> {
    let renewal = node.renewal.filter(|_| node.status != Status::Acquiring)?;
    match (renewal, machine) {
        (_, MachineStatus::Starting | MachineStatus::Stopping) => None,
        (Renewal::Restart, MachineStatus::Gone) => None,
        (Renewal::Restart, _) => Some(Step::Restart),
        // Gone, too: a server that was killed may have taken it away and not have noted that.
        (Renewal::Reimage, _) => Some(Step::Reimage),
    }
}

fn begin(node: &Node, machine: &MachineStatus) -> Option<Step> {
    let wants_machine = node.status == Status::Acquiring || node.machine_failure.is_some();
    match machine {
        MachineStatus::Gone if wants_machine => Some(Step::Create),
        MachineStatus::Gone => Some(Step::Lost),
        MachineStatus::Running { .. } if wants_machine => Some(Step::Adopt),
        MachineStatus::Running { .. } => node.machine_message.is_some().then_some(Step::Note(None)),
        MachineStatus::Dead { reason, .. } => {
            let message = format!("{reason}; it is started again");
            (node.machine_message.as_ref() != Some(&message)).then_some(Step::Note(Some(message)))
        }
        MachineStatus::Stopped => Some(Step::Resume),
        MachineStatus::Starting | MachineStatus::Stopping => None,
    }
}

/// How long a node has between being told to go and the end of its machine. What it needs is its own word, and its way
/// here takes time too; the administrator says how much at most.
pub(super) fn patience(node: &Node, settings: &Settings) -> Duration {
    let needs = node.shutdown_needs.map_or(Duration::ZERO, Duration::from_secs);
    let needs = if needs.is_zero() {
        needs
    } else {
        needs.saturating_add(ON_THE_WAY)
    };
    settings.grace.max(needs.min(settings.shutdown_limit))
}

/// The node is told first, and has some time. `last` is what happens to its machine then.
fn end(node: &Node, machine: &MachineStatus, now: Timestamp, grace: Duration, last: Step) -> Option<Step> {
    let can_hear = node.claim.is_some() && matches!(machine, MachineStatus::Running { .. });
    // It goes on with that when its daemon, or this server, is started again.
    let comes_back = node.shutdown_needs.is_some()
        && matches!(machine, MachineStatus::Dead { .. } | MachineStatus::Starting);
    match node.told_to_terminate {
        None if can_hear => Some(Step::Tell),
        Some(told) if (can_hear || comes_back) && !node.shutdown_confirmed && is_within(told, now, grace) => {
            None
        }
        _ => Some(last),
    }
}

fn is_within(told: Timestamp, now: Timestamp, grace: Duration) -> bool {
    let since = now.duration_since(told);
    !since.is_negative() && since.unsigned_abs() < grace
}

impl Reconcilers {
    async fn act(&self, node: &Node, step: Step) -> Result<(), StoreError> {
        match step {
            Step::Create => self.create(node).await,
            Step::Adopt => self.adopt(node).await,
            Step::Lost => self.fail(node, "The machine disappeared".to_owned()).await,
            Step::Note(message) => self.note_machine(node, message).await,
            Step::Tell => self.tell(node).await,
            Step::Delete => self.delete(node).await,
            Step::Stop => self.stop(node).await,
            Step::Resume => self.resume(node).await,
            Step::Restart => self.restart(node).await,
            Step::Reimage => self.reimage(node).await,
        }
    }

    async fn create(&self, node: &Node) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        let (url, ca) = (self.app.reach.url.clone(), self.app.ca_file());
        let provider = self.provider.clone();
        let request = self
            .app
            .store
            .edit_node(&node.id, now, move |node, _| {
                if node.target_state != TargetState::Started {
                    return None;
                }
                // The secret of a machine that failed half way went with it.
                if node.machine_failure.is_some() || node.claim.is_some() {
                    let failure = node.machine_failure.take();
                    begin_start(node, now);
                    node.machine_failure = failure;
                }
                let request = MachineRequest {
                    node_id: node.id.clone(),
                    userdata: node.userdata_id.clone()?,
                    url,
                    ca,
                };
                node.status = Status::Acquiring;
                node.instance_id = Some(provider.instance_id(&request));
                Some((request, node.session_id.clone()))
            })
            .await?
            .flatten();
        let Some((request, session)) = request else {
            return Ok(());
        };
        tracing::info!(cluster = node.cluster, node = node.name, "making a machine");
        if let Err(error) = self.post.open(&node.id).await {
            return self.fail(node, terminal::chain(&error)).await;
        }
        match self.provider.create(request).await {
            Ok(()) => {
                let now = self.app.clock.now();
                self.app
                    .store
                    .edit_node(&node.id, now, move |node, events| {
                        if node.session_id == session && node.target_state == TargetState::Started {
                            machine_is_there(node);
                            events.push(news(node, now, Level::Info, Priority::Low, "Machine created"));
                        }
                    })
                    .await?;
                Ok(())
            }
            // The next server goes on with it.
            Err(ProviderError::Stopping) => Ok(()),
            Err(ProviderError::Exists(_)) => {
                // Of an earlier life; it goes, and the next run makes another.
                if let Err(error) = self.provider.delete(&node.id).await {
                    return self.fail(node, terminal::chain(&error)).await;
                }
                Ok(())
            }
            Err(error) => {
                self.fail(
                    node,
                    format!("The machine could not be made: {}", terminal::chain(&error)),
                )
                .await
            }
        }
    }

    async fn adopt(&self, node: &Node) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        self.app
            .store
            .edit_node(&node.id, now, |node, _| {
                if node.target_state == TargetState::Started {
                    if node.machine_failure.is_some() {
                        node.status = Status::Acquiring;
                        node.status_message = None;
                    }
                    machine_is_there(node);
                }
            })
            .await?;
        Ok(())
    }

    async fn note_machine(&self, node: &Node, message: Option<String>) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        self.app
            .store
            .edit_node(&node.id, now, move |node, events| {
                if let Some(message) = &message {
                    events.push(news(node, now, Level::Warn, Priority::Medium, message.clone()));
                }
                node.machine_message = message;
            })
            .await?;
        Ok(())
    }

    async fn tell(&self, node: &Node) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        let command = Command {
            id: Uuid::new_v4(),
            timestamp: now,
            cluster_session_id: node.session_id.clone().unwrap_or_default(),
            kind: CommandKind::Terminate {
                reason: match node.target_state {
                    TargetState::Deallocated => "the node was deallocated",
                    TargetState::Started | TargetState::Terminated => "the node was terminated",
                }
                .to_owned(),
            },
        };
        if let Err(error) = self.post.send(&node.id, command).await {
            // Its machine goes all the same, after the grace.
            let error = terminal::chain(&error);
            tracing::warn!(
                cluster = node.cluster,
                node = node.name,
                error,
                "cannot tell a node to terminate"
            );
        }
        self.app
            .store
            .edit_node(&node.id, now, move |node, _| node.told_to_terminate = Some(now))
            .await?;
        Ok(())
    }

    /// Takes the machine away, and the way to it. False when that did not succeed, which is noted then.
    async fn take_away(&self, node: &Node) -> Result<bool, StoreError> {
        match self.provider.delete(&node.id).await {
            Ok(()) => {}
            Err(ProviderError::Stopping) => return Ok(false),
            Err(error) => {
                let cause = format!("The machine could not be taken away: {}", terminal::chain(&error));
                self.fail(node, cause).await?;
                return Ok(false);
            }
        }
        self.close(node).await;
        Ok(true)
    }

    async fn delete(&self, node: &Node) -> Result<(), StoreError> {
        if !self.take_away(node).await? {
            return Ok(());
        }
        let now = self.app.clock.now();
        let cut = self.cut_short(node, now);
        let event = news(node, now, Level::Info, Priority::Medium, "Node terminated");
        let news = cut.into_iter().chain([event]).collect();
        if node.array {
            return self.app.store.remove_node(&node.id, now, news).await;
        }
        self.app
            .store
            .edit_node(&node.id, now, move |node, events| {
                settle_terminated(node);
                events.extend(news);
            })
            .await?;
        Ok(())
    }

    async fn stop(&self, node: &Node) -> Result<(), StoreError> {
        match self.provider.deallocate(&node.id).await {
            Ok(()) => {}
            Err(ProviderError::Stopping) => return Ok(()),
            Err(error) => {
                let cause = format!("The machine could not be stopped: {}", terminal::chain(&error));
                return self.fail(node, cause).await;
            }
        }
        self.close(node).await;
        let now = self.app.clock.now();
        let cut = self.cut_short(node, now);
        self.app
            .store
            .edit_node(&node.id, now, move |node, events| {
                events.extend(cut);
                // Somebody may have terminated it meanwhile.
                if node.target_state == TargetState::Deallocated {
                    settle_deallocated(node);
                    events.push(news(node, now, Level::Info, Priority::Medium, "Node deallocated"));
                }
            })
            .await?;
        Ok(())
    }

    async fn resume(&self, node: &Node) -> Result<(), StoreError> {
        tracing::info!(
            cluster = node.cluster,
            node = node.name,
            "starting a machine again"
        );
        let session = node.session_id.clone();
        if let Err(error) = self.post.open(&node.id).await {
            return self.fail(node, terminal::chain(&error)).await;
        }
        match self.provider.start(&node.id).await {
            Ok(()) => {}
            Err(ProviderError::Stopping) => return Ok(()),
            Err(error) => {
                let cause = format!("The machine could not be started: {}", terminal::chain(&error));
                return self.fail(node, cause).await;
            }
        }
        let now = self.app.clock.now();
        self.app
            .store
            .edit_node(&node.id, now, move |node, events| {
                if node.session_id == session && node.target_state == TargetState::Started {
                    if node.machine_failure.is_some() {
                        node.status = Status::Acquiring;
                        node.status_message = None;
                    }
                    machine_is_there(node);
                    events.push(news(
                        node,
                        now,
                        Level::Info,
                        Priority::Low,
                        "Machine started again",
                    ));
                }
            })
            .await?;
        Ok(())
    }

    async fn restart(&self, node: &Node) -> Result<(), StoreError> {
        let stopped = self.provider.deallocate(&node.id).await;
        let started = match stopped {
            Ok(()) => self.provider.start(&node.id).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(()) => {}
            Err(ProviderError::Stopping) => return Ok(()),
            Err(error) => {
                let cause = format!("The machine could not be restarted: {}", terminal::chain(&error));
                return self.fail(node, cause).await;
            }
        }
        let now = self.app.clock.now();
        self.app
            .store
            .edit_node(&node.id, now, move |node, events| {
                if node.renewal.take().is_some() {
                    events.push(news(
                        node,
                        now,
                        Level::Info,
                        Priority::Medium,
                        "Machine restarted",
                    ));
                }
            })
            .await?;
        Ok(())
    }

    async fn reimage(&self, node: &Node) -> Result<(), StoreError> {
        if !self.take_away(node).await? {
            return Ok(());
        }
        let now = self.app.clock.now();
        self.app
            .store
            .edit_node(&node.id, now, move |node, events| {
                // Somebody may have terminated it meanwhile.
                if node.target_state == TargetState::Started && node.renewal.is_some() {
                    begin_start(node, now);
                    let text = "Old machine taken away, a new one is made";
                    events.push(news(node, now, Level::Info, Priority::Medium, text));
                }
            })
            .await?;
        Ok(())
    }

    /// Says that the machine went before the node had done what it said that it needed time for.
    fn cut_short(&self, node: &Node, now: Timestamp) -> Option<NewEvent> {
        let needs = node.shutdown_needs.filter(|_| !node.shutdown_confirmed)?;
        let patience = patience(node, &self.app.settings).as_secs();
        let text = format!(
            "Node had not confirmed its end after {patience} s and its machine was taken; it had asked for {needs} s, \
             the setting `provider.shutdown_limit_seconds` is {}",
            self.app.settings.shutdown_limit.as_secs()
        );
        Some(news(node, now, Level::Warn, Priority::Medium, text))
    }

    /// Removes the way to a node. What cannot be removed does no harm.
    async fn close(&self, node: &Node) {
        if let Err(error) = self.post.close(&node.id).await {
            let error = terminal::chain(&error);
            tracing::warn!(
                cluster = node.cluster,
                node = node.name,
                error,
                "a command queue is left behind"
            );
        }
    }

    async fn fail(&self, node: &Node, cause: String) -> Result<(), StoreError> {
        tracing::warn!(
            cluster = node.cluster,
            node = node.name,
            cause,
            "a machine failed"
        );
        let now = self.app.clock.now();
        let target = node.target_state;
        self.app
            .store
            .edit_node(&node.id, now, move |node, events| {
                if node.target_state == target {
                    events.push(news(node, now, Level::Error, Priority::High, cause.clone()));
                    keep_machine_failure(node, cause, now);
                }
            })
            .await?;
        Ok(())
    }
}
