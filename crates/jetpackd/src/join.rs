//! Joining: asking until the server says who this node is.

use std::time::Duration;

use facts::{Freshness, node_facts};
use jiff::{SignedDuration, Timestamp};
use link::join::{Error, Membership};
use link::local::Activity;
use node::backoff::Backoff;
use node::clock::Clock;
use node::home::Home;
use node::identity::Machine;
use node::settings::Settings;
use protocol::NodeConfiguration;

use crate::state::Terminated;
use crate::status::Status;

/// Between tries while the server is away or the node is not initialized.
const SOON: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(30),
};
/// Between tries while the server refuses: somebody has to do something first.
const LATER: Backoff = Backoff {
    initial: Duration::from_secs(30),
    max: Duration::from_secs(600),
};

/// A node that knows who it is.
pub(crate) struct Joined {
    pub(crate) settings: Settings,
    pub(crate) membership: Membership,
    pub(crate) configuration: NodeConfiguration,
}

/// Joins, however long it takes. With a configuration of this life of the node at hand, a server that is away
/// is not waited for. The future may be dropped at any time.
pub(crate) async fn join(home: &Home, machine: &Machine, clock: &dyn Clock, status: &Status) -> Joined {
    let mut failures = 0;
    let mut said = String::new();
    loop {
        let error = match attempt(home, machine, clock).await {
            Ok(joined) => return joined,
            Err(error) => error,
        };
        failures += 1;
        let text = terminal::chain(&error);
        let refused = error.is_refused();
        let pause = if refused { LATER } else { SOON }.pause(failures, node::random::fraction());
        let seconds = pause.as_secs_f64();
        // The same trouble is said ever more rarely; the status always tells it.
        if said != text || failures.is_power_of_two() {
            if refused {
                tracing::error!("{text}; next try in {seconds:.0} s");
            } else {
                tracing::warn!("{text}; next try in {seconds:.0} s");
            }
        }
        said.clone_from(&text);
        let activity = if refused {
            Activity::Refused
        } else {
            Activity::Joining
        };
        status.set(activity, Some(text), after(clock, pause));
        tokio::time::sleep(pause).await;
    }
}

async fn attempt(home: &Home, machine: &Machine, clock: &dyn Clock) -> Result<Joined, Error> {
    // Read anew each time: `jetpack initialize` and the administrator may write meanwhile.
    let settings = Settings::load(home)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let mut membership = Membership::load(home, &settings, machine)?;
    let joined = match membership.pin(home, &settings).await {
        Ok(()) => membership.join(home, clock).await,
        Err(error) => Err(error),
    };
    let configuration = match joined {
        Ok(configuration) => configuration,
        // A server that has ended this node does not let it join any more, but waits for its last word.
        Err(error) if error.is_refused() => match membership.last_known(home)? {
            Some(configuration) if is_going(home, &configuration)? => {
                tracing::info!("going on with the end of this node: {}", terminal::chain(&error));
                configuration
            }
            _ => return Err(error),
        },
        Err(error) if error.is_away() => match membership.last_known(home)? {
            Some(configuration) => {
                tracing::warn!(
                    "{}; going on with the last known configuration",
                    terminal::chain(&error)
                );
                configuration
            }
            None => return Err(error),
        },
        Err(error) => return Err(error),
    };
    write_node_json(home, &membership, &configuration).await?;
    install_files(home).await;
    Ok(Joined {
        settings,
        membership,
        configuration,
    })
}

/// Whether this life of the node is about to end and an earlier daemon was killed before it had confirmed that.
fn is_going(home: &Home, configuration: &NodeConfiguration) -> Result<bool, Error> {
    let ended = Terminated::load(home, &configuration.cluster_session_id)?;
    Ok(ended.is_some_and(|ended| !ended.confirmed))
}

/// Writes node.json. The converge that follows asks the cloud anew; here, what it said last is good enough.
pub(crate) async fn write_node_json(
    home: &Home,
    membership: &Membership,
    configuration: &NodeConfiguration,
) -> Result<(), Error> {
    let settings = Settings::load(home)?;
    let facts = node_facts(home, &settings.metadata, Freshness::Last).await;
    membership.write_node_json(home, configuration, &facts)?;
    Ok(())
}

/// Repairs what other software on the node uses, and brings it to this version after an upgrade. A node without it is
/// still a node.
async fn install_files(home: &Home) {
    let home = home.clone();
    let installed = tokio::task::spawn_blocking(move || {
        let files = node::environment::install(&home);
        let python = node::python_package::install(&home);
        [("files of the environment are", files), ("Python is", python)]
    });
    for (what, result) in installed.await.into_iter().flatten() {
        if let Err(error) = result {
            tracing::warn!("the node's {what} not complete: {}", terminal::chain(&error));
        }
    }
}

/// The time of day after a pause.
pub(crate) fn after(clock: &dyn Clock, pause: Duration) -> Option<Timestamp> {
    let pause = SignedDuration::try_from(pause).ok()?;
    clock.now().checked_add(pause).ok()
}
