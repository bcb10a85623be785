//! `jetpack report-host`: for the Python package, not for people.

use node::host;
use protocol::{Heartbeat, MessageType};

use crate::deliver::send;

/// Tells the server the host name and address that the machine has now, before the next heartbeat would.
pub(crate) fn run() -> anyhow::Result<()> {
    let heartbeat = Heartbeat {
        version: node::version(),
        hostname: host::short_hostname(),
        ipv4: host::first_ipv4().map(|address| address.to_string()),
    };
    send(MessageType::Heartbeat, &heartbeat)
}
