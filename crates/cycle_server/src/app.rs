//! What all parts of a running server share.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use protocol::Amqp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::clock::SharedClock;
use crate::lockers::Lockers;
use crate::reconcile::Board;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// A running server. Handlers get it as their state.
#[derive(Debug)]
pub struct App {
    /// What the server remembers.
    pub store: Store,
    /// Who may do what.
    pub auth: Auth,
    /// Projects and blobs.
    pub lockers: Lockers,
    /// What the administrator set.
    pub settings: Settings,
    /// The time of day.
    pub clock: SharedClock,
    /// How nodes and people reach the server.
    pub reach: Reach,
    /// Tells the reconcilers that there is something to do.
    pub wake: Arc<Notify>,
    /// How the reconcilers are.
    pub board: Board,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// When it started.
    pub started: Timestamp,
}

/// The state of handlers.
pub type SharedApp = Arc<App>;

/// Name of the server's own locker.
pub const LOCKER: &str = "local";

/// How nodes and people reach the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Reach {
    /// URL without a slash at its end.
    pub url: String,
    /// The AMQP listener.
    pub amqp: Amqp,
    /// The server's CA in PEM.
    pub ca: String,
    /// Where the CA is kept.
    pub ca_file: PathBuf,
}

impl App {
    /// URL of a locker as others reach it: always through this server.
    pub fn locker_url(&self, name: &str) -> String {
        format!("{}/lockers/{name}", self.reach.url)
    }

    /// The CA that a machine has to be given; none when it reaches the server without TLS.
    pub fn ca_file(&self) -> Option<PathBuf> {
        (self.reach.url.starts_with("https:") || self.reach.amqp.tls).then(|| self.reach.ca_file.clone())
    }

    /// Stores messages of nodes and all that follows from them. The messages may be forgotten by their
    /// senders when this returns.
    ///
    /// # Errors
    /// When the store fails; nothing is stored then.
    pub async fn receive(
        &self,
        batch: Vec<crate::store::Incoming>,
    ) -> Result<crate::store::Received, StoreError> {
        let now = self.clock.now();
        let received = self
            .store
            .receive(batch, now, move |node, message, then| {
                crate::lifecycle::apply(node, message, then, now);
            })
            .await?;
        if received.new > 0 {
            self.wake.notify_one();
        }
        Ok(received)
    }
}
