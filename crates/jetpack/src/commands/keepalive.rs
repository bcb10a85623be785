//! `jetpack keepalive`.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use node::clock::{Clock, SystemClock};
use node::duration::{self, DurationError, Unit};
use node::identity::Machine;
use node::keepalive::{self, Until};

use crate::context;

#[derive(Debug, Args)]
pub(crate) struct KeepaliveArgs {
    /// How long: 90s, 30m, 6h, 2d, hours without a unit, or `forever`; `cancel` ends it
    #[arg(value_name = "DURATION", default_value = "1h", allow_hyphen_values = true)]
    pub(crate) order: Order,

    /// Print until when the node is kept alive, or `none`, and change nothing
    #[arg(long, conflicts_with = "order")]
    pub(crate) show: bool,
}

/// What to do with the keepalive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// From now on for so long.
    For(Duration),
    /// Until somebody says otherwise.
    Forever,
    /// End it.
    Cancel,
}

impl FromStr for Order {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        match text {
            "forever" => Ok(Self::Forever),
            "cancel" => Ok(Self::Cancel),
            _ => duration::parse(text, Unit::Hours).map(Self::For),
        }
    }
}

/// Sets, shows or ends the keepalive, and prints until when it holds.
pub(crate) fn run(args: &KeepaliveArgs) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    let machine = Machine::this();
    let now = SystemClock.now();
    let until = match args.order {
        _ if args.show => {
            let loaded = keepalive::load(&home, &machine, now)?;
            if let Some(warning) = loaded.warning {
                terminal::warn(warning);
            }
            loaded.until
        }
        Order::Cancel => {
            keepalive::cancel(&home)?;
            terminal::note("the node is not kept alive any more");
            return Ok(());
        }
        Order::For(length) => Some(Until::after(now, length)),
        Order::Forever => Some(Until::Forever),
    };
    if let (false, Some(until)) = (args.show, until) {
        keepalive::set(&home, &machine, until)?;
    }
    Ok(terminal::out(format_args!("{}\n", text(until)))?)
}

fn text(until: Option<Until>) -> String {
    match until {
        None => "none".to_owned(),
        Some(Until::Forever) => Until::Forever.to_string(),
        Some(Until::Time(time)) => local(time),
    }
}

/// ISO 8601 in the time zone of the machine, in whole seconds: `2026-11-24T02:14:53+01:00`.
fn local(time: Timestamp) -> String {
    let zoned = time.to_zoned_datetime(TimeZone::system());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
