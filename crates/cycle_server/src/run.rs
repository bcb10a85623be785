//! `cycle_server run`: puts the rooms together, and takes them apart again.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use broker::Broker;
use jiff::Timestamp;
use locker::{Access, Locker};
use protocol::Amqp;
use rustls::ServerConfig;
use secrecy::SecretString;
use serde::Serialize;
use terminal::ResultExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::app::{App, Reach, SharedApp};
use crate::auth::Auth;
use crate::clock::SharedClock;
use crate::folder::{Folder, Site};
use crate::inbox::{self, Accounts, Courier, Endpoint, Gate, Management};
use crate::listen::TlsListener;
use crate::lockers::Lockers;
use crate::logging;
use crate::provider::{ProcessProvider, ProcessSettings, Provider};
use crate::reconcile::{Board, Reconcilers};
use crate::settings::Settings;
use crate::store::Store;
use crate::tls;

/// How long requests may go on when the server stops.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// How long the server may take to reach its own broker.
const BROKER_READY: Duration = Duration::from_secs(60);

/// `run/cycle_server.json`
#[derive(Debug, Serialize)]
struct RunState<'a> {
    pid: u32,
    http: &'a str,
    amqp: String,
    started: Timestamp,
}

/// Runs a server until it is told to stop.
///
/// # Errors
/// When it cannot start: no folder, addresses that are taken, another server in the folder.
pub async fn run(
    folder: &Path,
    http: Option<&str>,
    amqp: Option<&str>,
    clock: SharedClock,
) -> anyhow::Result<()> {
    let folder = Folder::new(folder)?;
    let root = folder.root().display();
    let site: Site = durable::read_json(&folder.site())?
        .with_context(|| format!("`{root}` is not the folder of a server"))
        .hint(format!("make it with `cycle_server init {root}`"))?;
    if site.version != 1 {
        bail!(
            "`{root}` has layout {}, this server knows 1: use the newer server",
            site.version
        );
    }
    let (settings, warnings) = Settings::load(folder.root(), http, amqp)?;
    let _lock = folder
        .lock()
        .hint("stop it first: one folder belongs to one server")?;
    for path in [folder.logs(), folder.run(), folder.nodes()] {
        durable::create_folder(&path, 0o750)?;
    }
    logging::start(&folder.logs(), &settings.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mut stop = StopSignals::new()?;

    let http = Door::open(settings.http, "--http", &folder).await?;
    // With a RabbitMQ there is no listener of our own.
    let amqp = match settings.messages {
        Some(_) => None,
        None => Some(Door::open(settings.amqp, "--amqp", &folder).await?),
    };
    let app = app(&folder, settings, clock, &http, amqp.as_ref()).await?;
    let server = Server::start(&folder, app.clone(), http, amqp).await?;
    durable::write_json(
        &folder.state(),
        0o644,
        &RunState {
            pid: std::process::id(),
            http: &app.reach.url,
            amqp: amqp_url(&app.reach),
            started: app.started,
        },
    )?;
    tracing::info!(
        http = app.reach.url,
        amqp = amqp_url(&app.reach),
        "the server answers"
    );
    stop.wait().await;
    tracing::info!("the server stops");
    server.stop().await;
    durable::remove(&folder.state())?;
    tracing::info!("the server has stopped");
    Ok(())
}

struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// An address that is listened on.
struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

impl Door {
    /// Takes the address. TLS everywhere but on loopback.
    async fn open(address: SocketAddr, option: &str, folder: &Folder) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on `{address}`"))
            .hint(format!(
                "give another address with `{option} HOST:PORT`; port 0 takes a free one"
            ))?;
        let address = listener.local_addr()?;
        let tls = match address.ip().is_loopback() {
            true => None,
            false => Some(tls::server_config(&folder.tls())?),
        };
        Ok(Self {
            listener,
            address,
            tls,
        })
    }

    /// The host that others reach it by.
    fn host(&self) -> anyhow::Result<String> {
        match self.address.ip() {
            ip if ip.is_unspecified() => nix::unistd::gethostname()
                .context("this host has no name")?
                .into_string()
                .ok()
                .context("the name of this host is not UTF-8"),
            IpAddr::V4(ip) => Ok(ip.to_string()),
            IpAddr::V6(ip) => Ok(format!("[{ip}]")),
        }
    }
}

async fn app(
    folder: &Folder,
    settings: Settings,
    clock: SharedClock,
    http: &Door,
    amqp: Option<&Door>,
) -> anyhow::Result<SharedApp> {
    let store = Store::open(&folder.store())?;
    let access = Access::default();
    let own = Locker::open(&format!("file://{}", folder.locker().display()), &access)?;
    let lockers = Lockers::open(own, &settings).hint(format!(
        "correct `[lockers]` in `{}`",
        folder.root().join(crate::settings::FILE).display()
    ))?;
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    let url = match &settings.url {
        Some(url) => url.clone(),
        None => format!("{scheme}://{}:{}", http.host()?, http.address.port()),
    };
    let ca_file = tls::ca_file(&folder.tls());
    let ca =
        std::fs::read_to_string(&ca_file).with_context(|| format!("cannot read `{}`", ca_file.display()))?;
    let amqp = match (amqp, &settings.messages) {
        (Some(door), _) => Amqp {
            // Where both listen on everything, the host of the URL is right for both.
            host: match &settings.amqp_url {
                Some((host, _)) => Some(host.clone()),
                None => (!door.address.ip().is_unspecified()).then(|| door.address.ip().to_string()),
            },
            port: settings
                .amqp_url
                .as_ref()
                .map_or(door.address.port(), |(_, port)| *port),
            tls: door.tls.is_some(),
            vhost: "/".to_owned(),
            ca: None,
        },
        (None, Some(messages)) => messages.reach.clone(),
        (None, None) => bail!("there is neither a listener for AMQP nor a RabbitMQ"),
    };
    let started = clock.now();
    Ok(Arc::new(App {
        auth: Auth::new(store.clone())?,
        store,
        lockers,
        settings,
        clock,
        reach: Reach {
            url,
            amqp,
            ca,
            ca_file,
        },
        wake: Arc::new(Notify::new()),
        board: Board::default(),
        stopping: CancellationToken::new(),
        started,
    }))
}

fn amqp_url(reach: &Reach) -> String {
    let scheme = if reach.amqp.tls { "amqps" } else { "amqp" };
    let host = reach.amqp.host.clone().unwrap_or_else(|| {
        let authority = reach.url.split_once("://").map_or("", |(_, rest)| rest);
        let host = authority.split('/').next().unwrap_or_default();
        host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned()
    });
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    format!("{scheme}://{host}:{}", reach.amqp.port)
}

/// What runs.
struct Server {
    app: SharedApp,
    /// None with a RabbitMQ.
    broker: Option<Broker>,
    provider: Arc<dyn Provider>,
    http: JoinHandle<std::io::Result<()>>,
    inbox: JoinHandle<()>,
    inside: Vec<JoinHandle<()>>,
}

impl Server {
    async fn start(folder: &Folder, app: SharedApp, http: Door, amqp: Option<Door>) -> anyhow::Result<Self> {
        let mut inside = Vec::new();
        let messages = app.settings.messages.clone();
        let (endpoint, accounts) = match (amqp, messages) {
            (Some(door), _) => {
                let (broker, endpoint) = own_broker(folder, &app, door, &mut inside).await?;
                (endpoint, Accounts::Own(broker))
            }
            (None, Some(messages)) => {
                let management = Management::new(&messages)?;
                (
                    Endpoint::rabbitmq(&messages),
                    Accounts::RabbitMq(Arc::new(management)),
                )
            }
            (None, None) => bail!("there is neither a listener for AMQP nor a RabbitMQ"),
        };
        let broker = match &accounts {
            Accounts::Own(broker) => Some(broker.clone()),
            Accounts::RabbitMq(_) => None,
        };
        let (courier, orders) = Courier::new(accounts, endpoint.clone(), app.clock.clone());
        let (ready, mut is_ready) = watch::channel(false);
        let inbox = tokio::spawn(inbox::run(app.clone(), endpoint, orders, Arc::new(ready)));
        let courier = Arc::new(courier);
        let http = serve(&app, courier.clone(), http)?;
        // A RabbitMQ may come later; until then nodes wait, or speak over HTTPS.
        if broker.is_some() {
            tokio::time::timeout(BROKER_READY, is_ready.wait_for(|ready| *ready))
                .await
                .context("the server's own message broker does not answer")??;
        }

        let programs = match &app.settings.programs {
            Some(programs) => ProcessSettings::new(folder.nodes(), programs),
            None => ProcessSettings::beside_executable(folder.nodes())?,
        };
        let provider: Arc<dyn Provider> = Arc::new(ProcessProvider::open(programs).await?);
        let reconcilers = Reconcilers::new(app.clone(), provider.clone(), courier);
        inside.push(tokio::spawn(reconcilers.run()));
        Ok(Self {
            app,
            broker,
            provider,
            http,
            inbox,
            inside,
        })
    }

    /// Stops accepting, stops the nodes, writes everything.
    async fn stop(self) {
        self.app.stopping.cancel();
        self.provider.stop().await;
        if tokio::time::timeout(LAST_REQUESTS, self.http).await.is_err() {
            tracing::warn!("some requests were cut off");
        }
        // Tasks end by themselves; a panic was reported when it happened.
        let _ = tokio::time::timeout(LAST_REQUESTS, self.inbox).await;
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
        for task in self.inside {
            let _ = tokio::time::timeout(LAST_REQUESTS, task).await;
        }
        if let Err(error) = self.app.store.checkpoint().await {
            tracing::warn!(
                error = terminal::chain(&error),
                "the journal of the store stays behind"
            );
        }
    }
}

/// The server's own broker on its listener, and how the server itself reaches it.
async fn own_broker(
    folder: &Folder,
    app: &SharedApp,
    amqp: Door,
    inside: &mut Vec<JoinHandle<()>>,
) -> anyhow::Result<(Broker, Endpoint)> {
    let password = SecretString::from(crate::auth::generate_password()?);
    let gate = Gate::new(app.clone(), password.clone());
    let broker = Broker::open(broker::Settings::new(folder.broker()), Arc::new(gate))?;
    // Our own connection needs no TLS, and no name that others know.
    let own = match &amqp.tls {
        Some(_) => Some(TcpListener::bind("127.0.0.1:0").await?),
        None => None,
    };
    let own_port = match &own {
        Some(own) => own.local_addr()?.port(),
        None => amqp.address.port(),
    };
    for (listener, tls) in own
        .map(|own| (own, None))
        .into_iter()
        .chain([(amqp.listener, amqp.tls)])
    {
        let broker = broker.clone();
        inside.push(tokio::spawn(async move { broker.listen(listener, tls).await }));
    }
    Ok((broker, Endpoint::own(own_port, &password)))
}

fn serve(app: &SharedApp, post: Arc<Courier>, door: Door) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let router = api::router(app.clone(), post);
    let stopping = app.stopping.clone().cancelled_owned();
    Ok(match door.tls {
        None => tokio::spawn(
            axum::serve(door.listener, router)
                .with_graceful_shutdown(stopping)
                .into_future(),
        ),
        Some(config) => {
            let listener = TlsListener::new(door.listener, config)?;
            tokio::spawn(
                axum::serve(listener, router)
                    .with_graceful_shutdown(stopping)
                    .into_future(),
            )
        }
    })
}
