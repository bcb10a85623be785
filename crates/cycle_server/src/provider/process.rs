//! Provider `process`: each machine is a `jetpackd` on this host with a home of its own.
//!
//! `FOLDER/NODE_ID/` holds `machine.json` (this provider's record), `jetpack/` (the home of the node),
//! `initialize.out` and `jetpackd.out`. The processes outlive a server that is killed: the next one finds
//! them by pid and start time.

mod output;
mod procfs;
mod record;
mod settings;
mod supervise;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Machine, MachineRequest, MachineStatus, Provider, ProviderError};
use record::{Record, Stage};
pub use settings::ProcessSettings;

/// Machines as processes. Dropped without [`Provider::stop`] it leaves them running.
#[derive(Debug)]
pub struct ProcessProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: ProcessSettings,
    machines: Mutex<BTreeMap<String, Entry>>,
    stopping: CancellationToken,
}

/// A machine in memory.
#[derive(Debug)]
struct Entry {
    status: Condition,
    /// Ends the supervisor, and a creation that is at work.
    cancel: CancellationToken,
    supervisor: Option<JoinHandle<()>>,
    /// Held by whoever makes the machine or takes it away.
    work: Arc<tokio::sync::Mutex<()>>,
}

/// [`MachineStatus`] with instants.
#[derive(Debug, Clone)]
enum Condition {
    Starting,
    Running(i32),
    Dead { reason: String, until: Instant },
    Stopping,
    Stopped,
}

impl Entry {
    fn new(status: Condition) -> Self {
        Self {
            status,
            cancel: CancellationToken::new(),
            supervisor: None,
            work: Arc::default(),
        }
    }

    fn status(&self) -> MachineStatus {
        match &self.status {
            Condition::Starting => MachineStatus::Starting,
            Condition::Running(pid) => MachineStatus::Running { pid: Some(*pid) },
            Condition::Dead { reason, until } => MachineStatus::Dead {
                reason: reason.clone(),
                restart_in: until.saturating_duration_since(Instant::now()),
            },
            Condition::Stopping => MachineStatus::Stopping,
            Condition::Stopped => MachineStatus::Stopped,
        }
    }
}

impl Drop for ProcessProvider {
    fn drop(&mut self) {
        for entry in self.inner.machines().values() {
            entry.cancel.cancel();
        }
    }
}

impl ProcessProvider {
    /// Takes over what an earlier server left: running machines are adopted, stopped ones started, half-made
    /// ones removed with all their processes.
    ///
    /// # Errors
    /// When the folder or a record in it cannot be read. A machine that cannot be removed is no error here:
    /// it is listed as stopping.
    pub async fn open(mut settings: ProcessSettings) -> Result<Self, ProviderError> {
        durable::create_folder(&settings.folder, 0o750)?;
        // The home is recognised in environments, where it is written in full.
        settings.folder =
            fs::canonicalize(&settings.folder).map_err(folder_error("read", &settings.folder))?;
        let inner = Arc::new(Inner {
            settings,
            machines: Mutex::default(),
            stopping: CancellationToken::new(),
        });
        let mut leftovers = Vec::new();
        for node_id in inner.node_ids()? {
            match Record::load(&inner.node_folder(&node_id))? {
                Some(record) if record.stage == Stage::Made => {
                    let home = inner.home(&node_id);
                    let running = record
                        .process
                        .filter(|process| process.belongs_to(&home))
                        // The server may have been killed before it wrote the pid down.
                        .or_else(|| procfs::daemon_of(&home, &inner.settings.jetpackd));
                    let status =
                        running.map_or(Condition::Starting, |process| Condition::Running(process.pid));
                    inner.machines().insert(node_id.clone(), Entry::new(status));
                    inner.supervise(&node_id, running);
                }
                Some(record) if record.stage == Stage::Stopped => {
                    inner
                        .machines()
                        .insert(node_id.clone(), Entry::new(Condition::Stopped));
                }
                _ => {
                    inner
                        .machines()
                        .insert(node_id.clone(), Entry::new(Condition::Stopping));
                    leftovers.push(node_id);
                }
            }
        }
        let remove = &inner;
        join_all(leftovers.iter().map(|node_id| async move {
            match Arc::clone(remove).delete(node_id.clone()).await {
                Ok(()) => tracing::info!(
                    node = node_id,
                    "removed the half-made machine of node `{node_id}`"
                ),
                Err(error) => tracing::warn!(
                    node = node_id,
                    error = terminal::chain(&error),
                    "cannot remove the half-made machine of node `{node_id}`"
                ),
            }
        }))
        .await;
        Ok(Self { inner })
    }
}

impl Provider for ProcessProvider {
    fn name(&self) -> &'static str {
        "process"
    }

    fn instance_id(&self, request: &MachineRequest) -> String {
        let start = request.userdata.get(..12).unwrap_or(&request.userdata);
        format!("process-{start}")
    }

    fn create(&self, request: MachineRequest) -> BoxFuture<'_, Result<(), ProviderError>> {
        let inner = Arc::clone(&self.inner);
        // In a task of its own: the caller may stop waiting.
        detached(async move { inner.create(request).await }).boxed()
    }

    fn delete<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        let inner = Arc::clone(&self.inner);
        let node_id = node_id.to_owned();
        detached(async move { inner.delete(node_id).await }).boxed()
    }

    fn deallocate<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        let inner = Arc::clone(&self.inner);
        let node_id = node_id.to_owned();
        detached(async move { inner.deallocate(&node_id).await }).boxed()
    }

    fn start<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        let inner = Arc::clone(&self.inner);
        let node_id = node_id.to_owned();
        detached(async move { inner.start(&node_id).await }).boxed()
    }

    fn status(&self, node_id: &str) -> MachineStatus {
        self.inner
            .machines()
            .get(node_id)
            .map_or(MachineStatus::Gone, Entry::status)
    }

    fn machines(&self) -> Vec<Machine> {
        self.inner
            .machines()
            .iter()
            .map(|(node_id, entry)| Machine {
                node_id: node_id.clone(),
                status: entry.status(),
            })
            .collect()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let inner = Arc::clone(&self.inner);
        async move {
            inner.stopping.cancel();
            let all: Vec<String> = inner.machines().keys().cloned().collect();
            join_all(all.iter().map(|node_id| inner.stop(node_id))).await;
        }
        .boxed()
    }
}

/// Runs to its end even when nobody waits any more.
async fn detached(
    work: impl Future<Output = Result<(), ProviderError>> + Send + 'static,
) -> Result<(), ProviderError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        // The runtime ends, and the program with it.
        Err(_) => Err(ProviderError::Stopping),
    }
}

impl Inner {
    fn machines(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node_folder(&self, node_id: &str) -> PathBuf {
        self.settings.folder.join(node_id)
    }

    fn home(&self, node_id: &str) -> PathBuf {
        self.node_folder(node_id).join("jetpack")
    }

    fn node_ids(&self) -> Result<Vec<String>, ProviderError> {
        let folder = &self.settings.folder;
        let read = || -> std::io::Result<Vec<String>> {
            let mut ids = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir()
                    && let Ok(name) = entry.file_name().into_string()
                    && protocol::check_name("node", &name).is_ok()
                {
                    ids.push(name);
                }
            }
            ids.sort();
            Ok(ids)
        };
        read().map_err(folder_error("read", folder))
    }

    fn set(&self, node_id: &str, status: Condition) {
        if let Some(entry) = self.machines().get_mut(node_id)
            && !matches!(entry.status, Condition::Stopping)
        {
            entry.status = status;
        }
    }

    /// Starts the task that keeps the machine alive.
    fn supervise(self: &Arc<Self>, node_id: &str, running: Option<procfs::Process>) {
        let mut machines = self.machines();
        if let Some(entry) = machines.get_mut(node_id) {
            let cancel = entry.cancel.clone();
            let work = supervise::run(Arc::clone(self), node_id.to_owned(), running, cancel);
            entry.supervisor = Some(tokio::spawn(work));
        }
    }

    async fn create(self: Arc<Self>, request: MachineRequest) -> Result<(), ProviderError> {
        protocol::check_name("node", &request.node_id).map_err(ProviderError::Name)?;
        if self.stopping.is_cancelled() {
            return Err(ProviderError::Stopping);
        }
        let entry = Entry::new(Condition::Starting);
        let (cancel, work) = (entry.cancel.clone(), Arc::clone(&entry.work));
        let _working = work.lock().await;
        {
            let mut machines = self.machines();
            if machines.contains_key(&request.node_id) {
                return Err(ProviderError::Exists(request.node_id));
            }
            machines.insert(request.node_id.clone(), entry);
        }
        let made = tokio::select! {
            made = self.make(&request) => made,
            () = cancel.cancelled() => Err(ProviderError::Stopping),
        };
        match made {
            Ok(()) => {
                self.supervise(&request.node_id, None);
                Ok(())
            }
            Err(error) => {
                // What this cannot remove, the caller's next delete or the next start does.
                if self.remove(&request.node_id).await.is_ok() {
                    self.machines().remove(&request.node_id);
                } else {
                    self.set(&request.node_id, Condition::Stopping);
                }
                Err(error)
            }
        }
    }

    /// Makes the home and joins it to the server.
    async fn make(&self, request: &MachineRequest) -> Result<(), ProviderError> {
        let folder = self.node_folder(&request.node_id);
        durable::create_folder(&folder, 0o750)?;
        Record::new(Stage::Making).save(&folder)?;
        supervise::initialize(&self.settings, request, &folder, &self.home(&request.node_id)).await?;
        Record::new(Stage::Made).save(&folder)?;
        Ok(())
    }

    /// Ends supervision. The guard keeps others off the machine; none when there is no such machine.
    async fn seize(&self, node_id: &str) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        let (work, supervisor) = {
            let mut machines = self.machines();
            let entry = machines.get_mut(node_id)?;
            entry.status = Condition::Stopping;
            entry.cancel.cancel();
            (Arc::clone(&entry.work), entry.supervisor.take())
        };
        if let Some(supervisor) = supervisor {
            // It only fails when it panicked, and then it is over, too.
            drop(supervisor.await);
        }
        let guard = Arc::clone(&work).lock_owned().await;
        let same = self
            .machines()
            .get(node_id)
            .is_some_and(|entry| Arc::ptr_eq(&entry.work, &work));
        same.then_some(guard)
    }

    async fn delete(self: Arc<Self>, node_id: String) -> Result<(), ProviderError> {
        let Some(_guard) = self.seize(&node_id).await else {
            return Ok(());
        };
        self.remove(&node_id).await?;
        self.machines().remove(&node_id);
        Ok(())
    }

    /// Ends all processes and keeps the folder. The record is written first: a server that is killed here leaves a machine
    /// that counts as stopped, and is stopped again.
    async fn deallocate(&self, node_id: &str) -> Result<(), ProviderError> {
        let Some(_guard) = self.seize(node_id).await else {
            return Ok(());
        };
        let folder = self.node_folder(node_id);
        let process = Record::load(&folder)?.and_then(|record| record.process);
        Record {
            process,
            ..Record::new(Stage::Stopped)
        }
        .save(&folder)?;
        self.power_off(node_id).await?;
        Record::new(Stage::Stopped).save(&folder)?;
        self.machines()
            .insert(node_id.to_owned(), Entry::new(Condition::Stopped));
        Ok(())
    }

    async fn start(self: Arc<Self>, node_id: &str) -> Result<(), ProviderError> {
        if self.stopping.is_cancelled() {
            return Err(ProviderError::Stopping);
        }
        let is_stopped = match self.machines().get(node_id).map(|entry| &entry.status) {
            None => return Err(ProviderError::Missing(node_id.to_owned())),
            Some(status) => matches!(status, Condition::Stopped),
        };
        if is_stopped {
            // A server that was killed while it stopped the machine may have left some of it.
            self.power_off(node_id).await?;
            Record::new(Stage::Made).save(&self.node_folder(node_id))?;
            self.set(node_id, Condition::Starting);
            self.supervise(node_id, None);
        }
        Ok(())
    }

    async fn stop(&self, node_id: &str) {
        let is_stopped = |entry: &Entry| matches!(entry.status, Condition::Stopped);
        if self.machines().get(node_id).is_some_and(is_stopped) {
            return;
        }
        if let Some(_guard) = self.seize(node_id).await
            && let Err(error) = self.power_off(node_id).await
        {
            tracing::warn!(
                node = node_id,
                error = terminal::chain(&error),
                "cannot stop the machine of node `{node_id}`"
            );
        }
    }

    /// Ends all processes and removes the folder. May be repeated.
    async fn remove(&self, node_id: &str) -> Result<(), ProviderError> {
        let folder = self.node_folder(node_id);
        if folder.exists() {
            let process = Record::load(&folder)?.and_then(|record| record.process);
            Record {
                process,
                ..Record::new(Stage::Deleting)
            }
            .save(&folder)?;
        }
        self.power_off(node_id).await?;
        remove_folder(&folder).await
    }

    /// TERM to the daemon, grace, KILL to it and to all that it left behind.
    async fn power_off(&self, node_id: &str) -> Result<(), ProviderError> {
        let folder = self.node_folder(node_id);
        let home = self.home(node_id);
        let daemon = Record::load(&folder)
            .ok()
            .flatten()
            .and_then(|record| record.process)
            .filter(|process| process.belongs_to(&home))
            .or_else(|| procfs::daemon_of(&home, &self.settings.jetpackd));
        if let Some(daemon) = daemon {
            daemon.terminate();
            if !procfs::wait_gone(&[daemon], self.settings.grace).await {
                daemon.kill_group();
            }
        }
        match procfs::kill_all_of(&home).await {
            0 => Ok(()),
            count => Err(ProviderError::Unkillable {
                node_id: node_id.to_owned(),
                count,
            }),
        }
    }
}

async fn remove_folder(folder: &Path) -> Result<(), ProviderError> {
    match tokio::fs::remove_dir_all(folder).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(folder_error("remove", folder)(error)),
    }
}

fn folder_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ProviderError {
    let path = path.to_owned();
    move |source| ProviderError::Folder { action, path, source }
}
