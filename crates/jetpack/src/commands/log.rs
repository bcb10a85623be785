//! `jetpack log`.

use clap::Args;
use protocol::{Level, Log, MessageType, Priority};

use crate::deliver::send;

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The text
    pub(crate) message: String,

    /// What kind of news it is: info, warn, error
    #[arg(short, long, default_value = "info", value_name = "LEVEL")]
    pub(crate) level: Level,

    /// How much it matters: low, medium, high; if not given, high for errors and medium otherwise
    #[arg(short, long, value_name = "PRIORITY")]
    pub(crate) priority: Option<Priority>,
}

/// Writes the message to the event log of the server.
pub(crate) fn run(args: &LogArgs) -> anyhow::Result<()> {
    let log = Log {
        level: args.level,
        priority: args.priority.unwrap_or(args.level.default_priority()),
        message: args.message.clone(),
    };
    send(MessageType::Log, &log)
}
