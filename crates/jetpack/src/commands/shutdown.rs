//! `jetpack shutdown`.

use clap::Args;
use protocol::{MessageType, Shutdown, ShutdownCause, ShutdownPolicy};

use crate::deliver::send;

#[derive(Debug, Args)]
pub(crate) struct ShutdownArgs {
    /// Because the node has nothing to do: the server keeps it while it is needed
    #[arg(long, conflicts_with = "unhealthy")]
    pub(crate) idle: bool,

    /// Because the node is broken
    #[arg(long)]
    pub(crate) unhealthy: bool,

    /// Delete the machine
    #[arg(long, conflicts_with = "deallocate")]
    pub(crate) terminate: bool,

    /// Stop the machine and keep its disks
    #[arg(long)]
    pub(crate) deallocate: bool,

    /// Why, for people
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}

/// Asks the server to end this node. The server decides.
pub(crate) fn run(args: &ShutdownArgs) -> anyhow::Result<()> {
    let (cause, reason) = match (args.idle, args.unhealthy) {
        (true, _) => (Some(ShutdownCause::Idle), "the node is idle"),
        (_, true) => (Some(ShutdownCause::Unhealthy), "the node is unhealthy"),
        _ => (None, "requested on the node"),
    };
    let reason = match &args.message {
        Some(message) if !message.trim().is_empty() => message.trim(),
        _ => reason,
    };
    let (policy, what) = match (args.terminate, args.deallocate) {
        (true, _) => (Some(ShutdownPolicy::Terminate), "terminate"),
        (_, true) => (Some(ShutdownPolicy::Deallocate), "deallocate"),
        _ => (None, "shut down"),
    };
    let shutdown = Shutdown {
        reason: reason.to_owned(),
        confirmed: false,
        needs_seconds: None,
        cause,
        policy,
    };
    send(MessageType::Shutdown, &shutdown)?;
    terminal::note(format_args!("asked the server to {what} this node: {reason}"));
    Ok(())
}
