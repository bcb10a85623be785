//! Waiting until the inbox is read up to now.
//!
//! What a node says over HTTPS goes straight into the store. What it said before over AMQP may still lie in the inbox, and must be
//! stored first: order is kept per node. So a marker goes through the inbox, and its return says that everything before it
//! is stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The property `type` of a marker.
const MARKER: &str = "cycle_server.barrier";

/// Those who wait, by the id of their marker, which nobody can guess.
#[derive(Debug, Clone, Default)]
pub(super) struct Barriers(Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>);

impl Barriers {
    /// A marker to be published, and its return. A wait that is given up leaves nothing behind once the marker has returned.
    pub(super) fn raise(&self) -> (BasicProperties, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let id = Uuid::new_v4().to_string();
        let mut waiting = self.lock();
        waiting.retain(|_, sender| !sender.is_closed());
        waiting.insert(id.clone(), sender);
        let properties = BasicProperties::default()
            .with_type(ShortString::from(MARKER))
            .with_message_id(ShortString::from(id));
        (properties, receiver)
    }

    /// The id of a marker; none for what is none. A node that makes one up is told to nobody.
    pub(super) fn marker(delivery: &Delivery) -> Option<&str> {
        let kind = delivery.properties.kind().as_ref()?;
        let id = delivery.properties.message_id().as_ref()?;
        (kind.as_str() == MARKER).then(|| id.as_str())
    }

    /// Everything before this marker is stored.
    pub(super) fn reached(&self, id: &str) {
        if let Some(waiting) = self.lock().remove(id) {
            // It may have been given up.
            let _ = waiting.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
