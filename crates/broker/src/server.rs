//! The broker as the embedder sees it.

use std::collections::BTreeMap;
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
use crate::hub::{Hub, Vhosts};
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
    vhosts: Arc<Vhosts>,
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
        let mut others = BTreeMap::new();
        for name in settings.vhosts.iter().filter(|name| *name != "/") {
            // Hexadecimal digits: a name may have any byte in it.
            let folder: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
            let mut own = settings.clone();
            own.dir = settings.dir.join("vhosts").join(folder);
            others.insert(name.clone(), open_vhost(own, &authority)?);
        }
        let vhosts = Arc::new(Vhosts {
            root: open_vhost(settings, &authority)?,
            others,
        });
        let shared = Arc::new(Shared {
            vhosts: Arc::clone(&vhosts),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            next_connection: AtomicU64::new(1),
        });
        let stop = shared.stop.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                vhosts.all().for_each(|(_, hub)| hub.tick());
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
        let Some(end) = self.shared.vhosts.root.register(number, peer.clone()) else {
            tracing::warn!(peer, "too many connections: closed a new one");
            return;
        };
        let vhosts = Arc::clone(&self.shared.vhosts);
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
                None => connection::run(&vhosts, number, (&peer, None), stream, ends).await,
                Some(tls) => {
                    match tokio::time::timeout(vhosts.root.settings.handshake_timeout, tls.accept(stream))
                        .await
                    {
                        Ok(Ok(stream)) => {
                            let shown = stream.get_ref().1.peer_certificates();
                            let certificate = shown.and_then(|chain| Some(chain.first()?.to_vec()));
                            connection::run(&vhosts, number, (&peer, certificate), stream, ends).await;
                        }
                        Ok(Err(error)) => tracing::debug!(peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::debug!(peer, "TLS handshake took too long"),
                    }
                }
            }
            vhosts.root.unregister(number);
        });
    }

    /// Closes all connections of a user with 320, those that are logging in included; returns how many. To be called
    /// after the [`Authority`] refuses the user.
    pub fn close_user(&self, user: &str) -> usize {
        self.shared.vhosts.root.end_user(user)
    }

    /// A look at connections and queues.
    #[must_use]
    pub fn status(&self) -> Status {
        let vhosts = &self.shared.vhosts;
        let mut status = vhosts.root.status("/");
        for (name, hub) in &vhosts.others {
            let other = hub.status(name);
            status.queues.extend(other.queues);
            status.memory += other.memory;
            status.log_size += other.log_size;
            status.blocked |= other.blocked;
            status.trouble = status.trouble.or(other.trouble);
        }
        status
    }

    /// Waits until everything that was asked of the broker so far, acknowledgements included, is on the disk.
    pub async fn flush(&self) {
        for (_, hub) in self.shared.vhosts.all() {
            let position = hub.with(|engine| engine.journal().position());
            let mut synced = hub.synced.clone();
            // Fails only when the writer has ended, which it does after writing everything.
            let _ = synced.wait_for(|synced| synced.position >= position).await;
        }
    }

    /// Ends the broker: no new connections, the open ones are closed with 320, everything is written, the writer
    /// has ended, and the folder is free for another broker.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.connections.close();
        self.shared.connections.wait().await;
        let vhosts = Arc::clone(&self.shared.vhosts);
        let close = move || vhosts.all().for_each(|(_, hub)| hub.close_log());
        let closed = tokio::task::spawn_blocking(close).await;
        if let Err(error) = closed {
            tracing::error!(%error, "cannot close the message log");
        }
    }
}

/// Opens the log of a vhost, and recovers what it holds.
///
/// # Errors
/// As [`Broker::open`].
pub(crate) fn open_vhost(settings: Settings, authority: &Arc<dyn Authority>) -> Result<Arc<Hub>, Error> {
    let dir = settings.dir.clone();
    durable::create_folder(&dir, 0o700)?;
    let lock = durable::append(&dir.join("lock"), 0o600)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Error::InUse { path: dir.clone() },
        TryLockError::Error(source) => Error::io("lock", &dir)(source),
    })?;
    let limits = Limits {
        page_at: settings.memory_limit / 2,
        ..Limits::default()
    };
    let recovered = recover(&dir, limits.page_at)?;
    let journal = Journal::open(
        &dir,
        settings.segment_size,
        recovered.position,
        &recovered.segments,
    )?;
    let mut engine = Engine::new(journal, limits);
    engine.restore(recovered, settings.clock.now());
    Ok(Arc::new(Hub::new(settings, Arc::clone(authority), engine, lock)))
}
