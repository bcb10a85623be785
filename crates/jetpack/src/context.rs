//! What the commands start from.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use link::join::Membership;
use locker::{Access, Cache, Locker};
use node::clock::SystemClock;
use node::command::Stop;
use node::home::Home;
use node::identity::Machine;
use node::log::LogFile;
use node::settings::Settings;
use node::trace::LogLayer;
use protocol::{LockerRef, NodeConfiguration};
use terminal::ResultExt;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;

/// The home that the environment names.
pub(crate) fn home() -> anyhow::Result<Home> {
    Home::from_environment().context("cannot tell the current folder")
}

/// The home of a machine that is, or is about to become, a node.
pub(crate) fn initialized_home() -> anyhow::Result<Home> {
    let home = home()?;
    if home.run().is_dir() {
        return Ok(home);
    }
    let missing: anyhow::Result<Home> = (|| {
        bail!(
            "this machine is no node: `{}` does not exist",
            home.run().display()
        )
    })();
    missing.hint("`jetpack initialize` makes it one; CYCLECLOUD_HOME names another home")
}

/// The settings. Unknown keys are told and ignored.
pub(crate) fn settings(home: &Home) -> anyhow::Result<Settings> {
    let settings = Settings::load(home)?;
    for warning in &settings.warnings {
        terminal::warn(warning);
    }
    Ok(settings)
}

/// What the node needs to talk to its server.
pub(crate) fn membership(home: &Home, settings: &Settings) -> anyhow::Result<Membership> {
    Membership::load(home, settings, &Machine::this()).hint("`jetpack initialize` joins a cluster")
}

/// Runs what needs the network. TLS is set up here and not at the start of the program.
pub(crate) fn with_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // An error means that it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(work)
}

/// Requests a stop at TERM and Ctrl-C: the program at work is ended with everything it started.
pub(crate) fn stop_on_signal(stop: &Stop) -> anyhow::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let stop = stop.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                stop.request();
            }
        });
    }
    Ok(())
}

/// Sends what the libraries trace to `logs/jetpack.log`.
pub(crate) fn start_log(home: &Home, settings: &Settings, level: tracing::Level) {
    let file = LogFile::new(home.jetpack_log(), settings.log);
    let layer = LogLayer::new(file, Arc::new(SystemClock), None);
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(tracing::Level::WARN)
        .with_targets(
            ["jetpack", "converge", "facts", "link", "locker", "node"].map(|target| (target, level)),
        );
    // An error means that it was done before.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(filter).with(layer));
}

/// Opens a locker. One that the server itself serves is read with the node's own credential. What the node has
/// downloaded before is not downloaded again.
pub(crate) fn open_locker(
    membership: &Membership,
    configuration: &NodeConfiguration,
    locker: &LockerRef,
    settings: &Settings,
) -> anyhow::Result<Locker> {
    let server = membership.url.trim_end_matches('/');
    let own = locker
        .url
        .strip_prefix(server)
        .is_some_and(|rest| rest.starts_with('/'));
    let mut access = if own {
        Access::basic(configuration.node_id.clone(), membership.identity.secret.clone())
    } else {
        Access::default()
    };
    if let (true, Some(ca)) = (own, &membership.ca) {
        access = access.pinned(String::from_utf8_lossy(ca));
    }
    let locker = Locker::open(&locker.url, &access)?;
    Ok(match settings.converge.cache_bytes {
        0 => locker,
        limit => locker.with_cache(Cache::new(home()?.locker_cache(), limit)),
    })
}
