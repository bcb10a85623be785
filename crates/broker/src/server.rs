//! The broker as the embedder sees it.

use std::fs::TryLockError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::connection;
use crate::engine::{Engine, Limits};
use crate::error::Error;
use crate::hub::Hub;
use crate::settings::Settings;
use crate::status::Status;
use crate::store::{Journal, recover};

/// How often expired messages and queues are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait when the system gives no connection, as it does when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An open broker. Clones are the same broker.
#[derive(Clone, Debug)]
pub struct Broker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    hub: Arc<Hub>,
    connections: TaskTracker,
    stop: CancellationToken,
    next_connection: AtomicU64,
}

impl Broker {
    /// Opens the message log, and recovers what it holds. Call it inside a tokio runtime; it blocks while it reads.
    ///
    /// # Errors
    /// [`Error`]: when the system refuses, or another broker uses the folder. A damaged log is no error: it is logged, and
    /// what can be read is kept.
    pub fn open(settings: Settings, authority: Arc<dyn Authority>) -> Result<Self, Error> {
        let dir = settings.dir.clone();
        durable::create_folder(&dir, 0o700)?;
        let lock = durable::append(&dir.join("lock"), 0o600)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::InUse { path: dir.clone() },
            TryLockError::Error(source) => Error::io("lock", &dir)(source),
        })?;
        let recovered = recover(&dir)?;
        let journal = Journal::open(
            &dir,
            settings.segment_size,
            recovered.position,
            &recovered.segments,
        )?;
        let mut engine = Engine::new(journal, Limits::default());
        engine.restore(recovered, settings.clock.now());
        let shared = Arc::new(Shared {
            hub: Arc::new(Hub::new(settings, authority, engine, lock)),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            next_connection: AtomicU64::new(1),
        });
        let (hub, stop) = (Arc::clone(&shared.hub), shared.stop.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                let now = hub.now();
                hub.with(|engine| engine.tick(now));
            }
        });
        Ok(Self { shared })
    }

    /// Serves connections from `listener`, with TLS if there is a configuration for it, until [`Broker::shutdown`]. May be
    /// called for any number of listeners.
    pub async fn listen(&self, listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>) {
        let tls = tls.map(TlsAcceptor::from);
        let stop = self.shared.stop.clone();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.serve(stream, peer.to_string(), tls.clone()),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: String, tls: Option<TlsAcceptor>) {
        let number = self.shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let Some(end) = self.shared.hub.register(number, peer.clone()) else {
            tracing::warn!(peer, "too many connections: closed a new one");
            return;
        };
        let hub = Arc::clone(&self.shared.hub);
        let stop = self.shared.stop.clone();
        self.shared.connections.spawn(async move {
            let ends = connection::Ends {
                user: end,
                broker: stop,
            };
            // Small frames that wait for an answer must not wait for more.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(peer, %error, "cannot set TCP_NODELAY");
            }
            match tls {
                None => connection::run(&hub, number, &peer, stream, ends).await,
                Some(tls) => {
                    match tokio::time::timeout(hub.settings.handshake_timeout, tls.accept(stream)).await {
                        Ok(Ok(stream)) => connection::run(&hub, number, &peer, stream, ends).await,
                        Ok(Err(error)) => tracing::debug!(peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::debug!(peer, "TLS handshake took too long"),
                    }
                }
            }
            hub.unregister(number);
        });
    }

    /// Closes all connections of a user with 320, those that are logging in included; returns how many. To be called
    /// after the [`Authority`] refuses the user.
    pub fn close_user(&self, user: &str) -> usize {
        self.shared.hub.end_user(user)
    }

    /// A look at connections and queues.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.hub.status()
    }

    /// Waits until everything that was asked of the broker so far, acknowledgements included, is on the disk.
    pub async fn flush(&self) {
        let position = self.shared.hub.with(|engine| engine.journal().position());
        let mut synced = self.shared.hub.synced.clone();
        // Fails only when the writer has ended, which it does after writing everything.
        let _ = synced.wait_for(|synced| synced.position >= position).await;
    }

    /// Ends the broker: no new connections, the open ones are closed with 320, everything is written, the writer
    /// has ended, and the folder is free for another broker.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.connections.close();
        self.shared.connections.wait().await;
        let hub = Arc::clone(&self.shared.hub);
        let closed = tokio::task::spawn_blocking(move || hub.close_log()).await;
        if let Err(error) = closed {
            tracing::error!(%error, "cannot close the message log");
        }
    }
}
