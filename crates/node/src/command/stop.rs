//! Telling work that it should stop.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What a wait for a program wakes up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Exited,
    OutputEnded,
    StopRequested,
}

#[derive(Debug, Default)]
struct State {
    listeners: Vec<(u64, Sender<Event>)>,
    next: u64,
}

/// A request to stop, shared between those who ask and those who work. Once asked, it stays so.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    requested: watch::Sender<bool>,
    state: Mutex<State>,
}

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all work with this handle to stop. Programs that are run are ended with their process groups.
    pub fn request(&self) {
        let mut state = self.state();
        self.0.requested.send_replace(true);
        for (_, listener) in state.listeners.drain(..) {
            // One that ends at this moment does not listen any more.
            let _ = listener.send(Event::StopRequested);
        }
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        *self.0.requested.borrow()
    }

    /// Waits for the request.
    pub async fn requested(&self) {
        // The sender lives as long as `self`, so the wait ends with the request only.
        let _ = self
            .0
            .requested
            .subscribe()
            .wait_for(|requested| *requested)
            .await;
    }

    /// Tells `listener` of the request, whether it was made or comes, until the subscription is dropped.
    pub(super) fn subscribe(&self, listener: Sender<Event>) -> Subscription {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        if self.is_requested() {
            let _ = listener.send(Event::StopRequested);
        } else {
            state.listeners.push((id, listener));
        }
        Subscription {
            stop: self.clone(),
            id,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Subscription {
    stop: Stop,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stop.state().listeners.retain(|(id, _)| *id != self.id);
    }
}
