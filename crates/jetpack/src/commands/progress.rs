//! Telling the server how a converge goes.

use std::time::Duration;

use converge::{Event, Progress, Reporter};
use link::local;
use link::outbox::{Outbox, Sender};
use node::clock::{Clock, SystemClock};
use node::home::Home;
use node::host;
use protocol::{Installation, InstallationStatus, MessageType};
use tokio::task::JoinHandle;

use super::screen::Screen;

/// A script that runs longer is reported when it begins. Of the others the last message gives the times; a message for
/// each would cost more than the script.
const WORTH_TELLING: Duration = Duration::from_millis(250);

/// Shows each step on the screen, puts those that concern the server into the outbox, and knocks at the daemon. To be used
/// in a runtime.
pub(crate) struct Telling {
    pub(crate) screen: Screen,
    home: Home,
    /// Who speaks; known better once the node has joined.
    pub(crate) sender: Sender,
    /// How long after a failure the daemon will try again; none when nobody will.
    retry_in: Option<Duration>,
    /// Tells that a script runs, if it still does.
    pending: Option<JoinHandle<()>>,
}

impl Telling {
    pub(crate) fn new(home: &Home, sender: Sender, retry_in: Option<Duration>) -> Self {
        Self {
            screen: Screen::default(),
            home: home.clone(),
            sender,
            retry_in,
            pending: None,
        }
    }

    fn message(&self, event: &Event<'_>, progress: &Progress) -> Installation {
        let ipv4 = host::first_ipv4().map(|address| address.to_string());
        let mut message = progress.installation(event, host::short_hostname(), ipv4);
        if let (InstallationStatus::Failed, Some(pause)) = (message.status, self.retry_in) {
            message.next_attempt = SystemClock.now().checked_add(pause).ok();
        }
        message
    }
}

fn send(home: &Home, sender: &Sender, message: &Installation) {
    let outbox = Outbox::new(home.outbox());
    match outbox.enqueue(sender, SystemClock.now(), MessageType::Installation, message) {
        Ok(_) => local::knock(&home.jetpackd_socket()),
        // The converge itself matters more than that the server hears of it.
        Err(error) => terminal::warn(format_args!(
            "the server is not told: {}",
            terminal::chain(&error)
        )),
    }
}

impl Reporter for Telling {
    fn report(&mut self, event: &Event<'_>, progress: &Progress) {
        if !matches!(event, Event::Downloading { .. })
            && let Some(pending) = self.pending.take()
        {
            pending.abort();
        }
        self.screen.report(event, progress);
        match event {
            Event::ScriptStarted { .. } => {
                let (home, sender) = (self.home.clone(), self.sender.clone());
                let message = self.message(event, progress);
                self.pending = Some(tokio::spawn(async move {
                    tokio::time::sleep(WORTH_TELLING).await;
                    send(&home, &sender, &message);
                }));
            }
            Event::PhaseStarted | Event::Failed { .. } | Event::Ready => {
                send(&self.home, &self.sender, &self.message(event, progress));
            }
            _ => {}
        }
    }
}
