//! Waiting for the delivery of what is in the outbox now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use node::trace::chain;

use super::LinkState;
use crate::local::{Delivery, DeliveryState};
use crate::outbox::Outbox;

/// The session, for those who want something of it.
#[derive(Debug, Clone)]
pub struct Handle {
    outbox: Outbox,
    wake: Arc<Notify>,
    state: watch::Receiver<LinkState>,
}

impl Handle {
    pub(crate) fn new(outbox: Outbox, wake: Arc<Notify>, state: watch::Receiver<LinkState>) -> Self {
        Self { outbox, wake, state }
    }

    /// How the session stands.
    pub fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Makes the session look into the outbox at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Delivers what is in the outbox now and says whether that succeeded within `patience`.
    pub async fn deliver(&self, patience: Duration) -> Delivery {
        let deadline = Instant::now() + patience;
        let mut state = self.state.clone();
        let newest = match self.outbox.waiting() {
            Ok(entries) => entries.last().map(|entry| entry.sequence),
            Err(error) => return DeliveryState::Pending.because(chain(&error)),
        };
        let Some(newest) = newest else {
            return DeliveryState::Delivered.plain();
        };
        self.wake();
        loop {
            let now = state.borrow_and_update().clone();
            match self.outbox.waiting() {
                Ok(entries) if entries.iter().all(|entry| entry.sequence > newest) => {
                    return DeliveryState::Delivered.plain();
                }
                _ => {}
            }
            if let (false, Some(error)) = (now.is_connected(), now.last_error) {
                return DeliveryState::Away.because(error);
            }
            if now.returned > 0 {
                return DeliveryState::Pending.because("the server has no queue for it");
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return DeliveryState::Away.because("the session has ended"),
                Err(_) => return DeliveryState::Pending.because("the server has not confirmed it yet"),
            }
        }
    }
}
