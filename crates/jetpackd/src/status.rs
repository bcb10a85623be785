//! How the daemon stands, shared between its tasks and told to `jetpack status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use link::local::{Activity, DaemonStatus};
use link::session::Handle;

/// What the tasks of the daemon say about themselves.
#[derive(Debug, Clone)]
pub(crate) struct Status(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    started: Timestamp,
    activity: Activity,
    reason: Option<String>,
    converge_pid: Option<i32>,
    next_attempt: Option<Timestamp>,
    session: Option<Handle>,
}

impl Status {
    pub(crate) fn new(started: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            started,
            activity: Activity::Joining,
            reason: None,
            converge_pid: None,
            next_attempt: None,
            session: None,
        })))
    }

    /// What the daemon is at now, why, and when that will change by itself.
    pub(crate) fn set(&self, activity: Activity, reason: Option<String>, next_attempt: Option<Timestamp>) {
        let mut inner = self.inner();
        inner.activity = activity;
        inner.reason = reason;
        inner.next_attempt = next_attempt;
        inner.converge_pid = None;
    }

    /// A converge is at work, in the process `pid`.
    pub(crate) fn converging(&self, pid: Option<i32>) {
        self.set(Activity::Converging, None, None);
        self.inner().converge_pid = pid;
    }

    /// The node has joined.
    pub(crate) fn joined(&self, session: Handle) {
        self.inner().session = Some(session);
    }

    /// The session, once the node has joined.
    pub(crate) fn session(&self) -> Option<Handle> {
        self.inner().session.clone()
    }

    /// Why there is no session, in words.
    pub(crate) fn why_away(&self) -> String {
        let inner = self.inner();
        inner
            .reason
            .clone()
            .unwrap_or_else(|| "the node has not joined its server yet".to_owned())
    }

    /// For `jetpack status`.
    pub(crate) fn report(&self) -> DaemonStatus {
        let inner = self.inner();
        DaemonStatus {
            version: node::version(),
            pid: std::process::id(),
            started: inner.started,
            activity: inner.activity,
            reason: inner.reason.clone(),
            converge_pid: inner.converge_pid,
            next_attempt: inner.next_attempt,
            link: inner.session.as_ref().map(Handle::state),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
