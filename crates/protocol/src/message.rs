//! The contents of the messages, one type for each kind that both ends read.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Level, Priority};

/// Data of a `log` message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// What kind of news it is.
    pub level: Level,
    /// How much it matters; the cluster page shows medium and above.
    pub priority: Priority,
    /// The text, as given by the user.
    pub message: String,
}

/// Data of an `installation` message: where the converge of a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installation {
    /// Started, ended well or ended badly.
    pub status: InstallationStatus,
    /// The phase that begins now, or in which the converge failed.
    pub phase: Phase,
    /// What is being done within the phase, for instance `demo/execute/scripts/010-pull.sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which try this is, from 1; starts again at 1 after a success.
    pub attempt: u32,
    /// Seconds spent in each phase that ended, by the name of the phase.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timings: BTreeMap<String, f64>,
    /// Why it is run: `install`, `maintenance` or `manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// When the converge began, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When the node tries again by itself, by its own clock; present only when the converge failed and somebody will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// The scripts in the order in which they run; present once the converge has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<ConvergeStep>,
    /// What recipes did; present once they have run and the converge has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipes: Option<RecipesReport>,
    /// Host name of the machine, short form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The machine's first IPv4 address that is not loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    /// Why it failed; present exactly when `status` is failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ConvergeFailure>,
}

/// What the recipes of a converge did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecipesReport {
    /// Actions of resources, of custom resources and of what they are made of.
    pub total: u64,
    /// Those that changed something.
    pub updated: u64,
    /// Those that a guard held back.
    pub skipped: u64,
    /// Those that failed while their recipe did not mind.
    pub ignored: u64,
    /// The slowest, slowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slowest: Vec<SlowResource>,
}

/// In one line, without the slowest.
impl fmt::Display for RecipesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, updated, .. } = self;
        write!(f, "{updated} of {total} actions changed something")?;
        if self.skipped > 0 {
            write!(f, ", {} were skipped", self.skipped)?;
        }
        if self.ignored > 0 {
            write!(f, ", {} failed and were ignored", self.ignored)?;
        }
        Ok(())
    }
}

/// A resource that took long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlowResource {
    /// The resource, for instance `package[nfs-common]`.
    pub resource: String,
    /// What was done.
    pub action: String,
    /// How long it took.
    pub seconds: f64,
}

/// How a converge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallationStatus {
    /// A converge is at work.
    Started,
    /// The converge succeeded. The only way for a node to become Ready.
    Ready,
    /// The converge failed; the node will try again.
    Failed,
}

/// One script of a converge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvergeStep {
    /// For instance `demo/execute/scripts/010-pull.sh`.
    pub name: String,
    /// How it stands.
    pub state: StepState,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// How long it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// How a script of a converge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Its turn has not come.
    Planned,
    /// It is at work.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It was ended before it had done its work.
    Stopped,
    /// It was not run: mostly because it succeeded before.
    Skipped,
}

impl StepState {
    /// The word on the wire and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
        }
    }
}

/// The phases of a converge, in their order (design, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Fetch the node configuration.
    Configure,
    /// Download every project of the node.
    Sync,
    /// Chef recipes.
    Recipes,
    /// cluster-init scripts.
    ClusterInit,
    /// Blocks that recipes deferred to the end.
    Deferred,
    /// Nothing left to do.
    Ready,
}

impl Phase {
    /// The word on the wire and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Sync => "sync",
            Self::Recipes => "recipes",
            Self::ClusterInit => "cluster-init",
            Self::Deferred => "deferred",
            Self::Ready => "ready",
        }
    }
}

/// Why a converge failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvergeFailure {
    /// One line that names the script, project, blob or URL.
    pub message: String,
    /// Project of the script, if a script failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Spec of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// File name of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Exit code of the script; none when a signal or the deadline ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The last lines of the script's output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<String>,
}

/// Data of a `heartbeat` message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Version of jetpackd.
    pub version: String,
    /// Host name of the machine, short form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The machine's first IPv4 address that is not loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
}

/// Data of a `shutdown` message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shutdown {
    /// Why the node goes, for people.
    pub reason: String,
    /// True when the node only confirms that it obeyed the server; false when it asks.
    pub confirmed: bool,
    /// The node was told to go and obeys, but needs up to so many seconds before it confirms: it runs what was
    /// registered with `jetpack run_on_shutdown`. It asks for nothing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_seconds: Option<u64>,
    /// Why it asks, for the server: an idle node stays while it is needed, an unhealthy one is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ShutdownCause>,
    /// What it asks for; none: what the node's `ShutdownPolicy` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ShutdownPolicy>,
}

/// Why a node asks to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShutdownCause {
    /// It has nothing to do.
    Idle,
    /// It is broken.
    Unhealthy,
}

/// What a shutdown does with the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShutdownPolicy {
    /// The machine is deleted.
    #[default]
    Terminate,
    /// The machine is stopped and keeps its disks.
    Deallocate,
}
