//! How the commands send.

use link::local::{self, Delivery, DeliveryState};
use link::outbox::Outbox;
use node::clock::{Clock, SystemClock};
use node::home::Home;
use node::settings::Settings;
use protocol::MessageType;
use serde::Serialize;

use crate::context;

/// Puts the message into the outbox, then asks the daemon to deliver it. Once it is in the outbox it is not lost, so a
/// server that is away is news and no failure.
pub(crate) fn send(kind: MessageType, data: &impl Serialize) -> anyhow::Result<()> {
    let home = context::initialized_home()?;
    let settings = context::settings(&home)?;
    keep(&home, &settings, kind, data)?;
    push(&home);
    Ok(())
}

/// Puts the message into the outbox. From here on it is not lost.
pub(crate) fn keep(
    home: &Home,
    settings: &Settings,
    kind: MessageType,
    data: &impl Serialize,
) -> anyhow::Result<()> {
    let sender = link::join::sender(settings);
    Outbox::new(home.outbox()).enqueue(&sender, SystemClock.now(), kind, data)?;
    Ok(())
}

/// Asks the daemon to deliver what is in the outbox, and tells the user if that does not succeed now.
pub(crate) fn push(home: &Home) {
    match local::deliver(&home.jetpackd_socket()) {
        Ok(Delivery {
            state: DeliveryState::Delivered,
            ..
        }) => {}
        Ok(Delivery { state, reason }) => {
            let why = match state {
                DeliveryState::Away => "the server is away",
                _ => "the server has not confirmed the message yet",
            };
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            terminal::note(format_args!(
                "{why}{reason}; the message is kept and will be delivered"
            ));
        }
        Err(error) => {
            let error = terminal::chain(&error);
            terminal::note(format_args!(
                "{error}; the message is kept and will be delivered to the server"
            ));
        }
    }
}
