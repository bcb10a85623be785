//! The two ways out of the outbox.

use node::trace::chain;
use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use protocol::Envelope;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{Over, Worker};
use crate::amqp::{self, AmqpSession, Outcome, Pending};
use crate::https;
use crate::outbox::Entry;

/// Messages that may be unconfirmed at a time.
const WINDOW: usize = 100;
/// Messages of one HTTPS request, and their size: far below what the server takes.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 4 << 20;
/// Programs that write to the outbox knock, usually. This finds what those wrote that could not.
const LOOK: Duration = Duration::from_secs(1);
/// How long a message that no queue took waits before it is tried again.
const RETURNED_PAUSE: Duration = Duration::from_secs(30);
/// How long the last confirmations are waited for when the session ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Messages on their way, oldest first. A heartbeat has no entry.
#[derive(Default)]
struct Window {
    pending: VecDeque<(Option<Entry>, Pending)>,
    returned: HashSet<uuid::Uuid>,
}

impl Window {
    fn knows(&self, entry: &Entry) -> bool {
        self.returned.contains(&entry.id)
            || self
                .pending
                .iter()
                .any(|(known, _)| known.as_ref() == Some(entry))
    }

    /// The outcome of the oldest; never when there is none.
    async fn oldest(&mut self) -> Result<Outcome, amqp::Error> {
        match self.pending.front_mut() {
            Some((_, pending)) => pending.outcome().await,
            None => std::future::pending().await,
        }
    }
}

impl Worker {
    /// Runs over an open AMQP connection until it breaks (an error) or the session is to end.
    pub(super) async fn amqp(&mut self, mut session: AmqpSession) -> Result<(), amqp::Error> {
        let mut window = Window::default();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beat = interval(self.options.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forgive = Instant::now() + RETURNED_PAUSE;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                outcome = window.oldest() => {
                    self.settle(&mut window, outcome?)?;
                    if window.pending.len() < WINDOW / 2 {
                        self.fill(&session, &mut window).await?;
                    }
                }
                received = session.next_command() => {
                    // There is room for more than the broker sends ahead.
                    let _ = self.commands.send(received?).await;
                }
                () = self.wake.notified() => self.fill(&session, &mut window).await?,
                _ = look.tick() => {
                    if Instant::now() >= forgive {
                        forgive = Instant::now() + RETURNED_PAUSE;
                        window.returned.clear();
                    }
                    self.fill(&session, &mut window).await?;
                }
                _ = beat.tick() => {
                    if let Some(envelope) = self.heartbeat() {
                        let pending = session.publish(&envelope).await?;
                        window.pending.push_back((None, pending));
                    }
                }
            }
        }
        let last = async {
            while !window.pending.is_empty() {
                let outcome = window.oldest().await?;
                self.settle(&mut window, outcome)?;
            }
            Ok::<(), amqp::Error>(())
        };
        // What is not confirmed now is sent again by the next session.
        let _ = timeout(LAST_WORDS, last).await;
        session.close().await;
        Ok(())
    }

    async fn fill(&mut self, session: &AmqpSession, window: &mut Window) -> Result<(), amqp::Error> {
        if window.pending.len() >= WINDOW {
            return Ok(());
        }
        for entry in self.waiting() {
            if window.pending.len() >= WINDOW {
                break;
            }
            if window.knows(&entry) {
                continue;
            }
            if let Some(envelope) = self.load(&entry) {
                let pending = session.publish(&envelope).await?;
                window.pending.push_back((Some(entry), pending));
            }
        }
        Ok(())
    }

    /// Takes the oldest, and all after it whose outcome is known already, off the window.
    fn settle(&mut self, window: &mut Window, first: Outcome) -> Result<(), amqp::Error> {
        let mut confirmed = Vec::new();
        let mut result = Ok(());
        let mut outcome = Some(first);
        while let Some(known) = outcome.take() {
            let Some((entry, _)) = window.pending.pop_front() else {
                break;
            };
            match (known, entry) {
                (Outcome::Confirmed, Some(entry)) => confirmed.push(entry),
                (Outcome::Confirmed, None) => {}
                (Outcome::Returned(reason), entry) => self.returned(window, entry, &reason),
            }
            match window.oldest().now_or_never() {
                Some(Ok(next)) => outcome = Some(next),
                Some(Err(error)) => result = Err(error),
                None => {}
            }
        }
        self.remove_confirmed(window, &confirmed);
        result
    }

    fn remove_confirmed(&mut self, window: &Window, confirmed: &[Entry]) {
        if confirmed.is_empty() {
            self.contact(0);
        } else {
            self.remove(confirmed);
        }
        let returned = window.returned.len();
        self.state.send_if_modified(|state| {
            let changed = state.returned != returned;
            state.returned = returned;
            changed
        });
    }

    fn returned(&mut self, window: &mut Window, entry: Option<Entry>, reason: &str) {
        match entry {
            Some(entry) => {
                window.returned.insert(entry.id);
                if self.reported.insert(entry.id) {
                    tracing::warn!(
                        "the server has no queue for the message {} ({reason}); it waits in the outbox",
                        entry.id
                    );
                }
            }
            None => tracing::debug!("the server has no queue for heartbeats ({reason})"),
        }
    }

    /// Sends over HTTPS until `next` is there (its value) or the session is to end (none). A request that was
    /// begun is finished, so that what follows over another transport follows.
    pub(super) async fn https_until<T>(&mut self, next: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(next);
        let stop = self.stop.clone();
        let mut failures = 0;
        let mut pause = Duration::ZERO;
        let mut beat = Instant::now();
        loop {
            tokio::select! {
                value = &mut next => {
                    return Some(value);
                }
                () = stop.cancelled() => break,
                () = self.wake.notified(), if failures == 0 => {}
                () = sleep(pause) => {}
            }
            match self.post(&mut beat).await {
                Ok(()) => {
                    failures = 0;
                    pause = LOOK;
                }
                Err(error) => {
                    failures += 1;
                    pause = self.options.backoff.pause(failures, node::random::fraction());
                    self.https_failed(&error, failures, pause);
                }
            }
        }
        // Last words, if the server listens.
        if failures == 0 {
            let _ = timeout(LAST_WORDS, self.post(&mut beat)).await;
        }
        None
    }

    /// Posts everything that waits, and a heartbeat when it is time for one.
    async fn post(&mut self, beat: &mut Instant) -> Result<(), https::Error> {
        loop {
            let (entries, mut messages) = self.batch();
            let more = !entries.is_empty();
            if !more && Instant::now() >= *beat {
                *beat = Instant::now() + self.options.heartbeat;
                messages.extend(self.heartbeat());
            }
            if messages.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.options.api.post_messages(messages).await {
                // The next success tells at once that this node lives.
                *beat = Instant::now();
                return Err(error);
            }
            self.connected(Over::Https, self.options.api.url().to_string());
            self.remove(&entries);
        }
    }

    fn batch(&mut self) -> (Vec<Entry>, Vec<Envelope>) {
        let (mut entries, mut messages, mut bytes) = (Vec::new(), Vec::new(), 0);
        for entry in self.waiting() {
            if entries.len() >= BATCH || bytes >= BATCH_BYTES {
                break;
            }
            if let Some(envelope) = self.load(&entry) {
                bytes += envelope.data.to_string().len();
                messages.push(envelope);
                entries.push(entry);
            }
        }
        (entries, messages)
    }

    fn https_failed(&self, error: &https::Error, failures: u32, pause: Duration) {
        let text = chain(error);
        if failures.is_power_of_two() {
            tracing::warn!("{text}; try {failures}, next in {:.0} s", pause.as_secs_f64());
        }
        let refused = matches!(
            error,
            https::Error::Refused { .. } | https::Error::Unauthorised { .. }
        );
        let next = self.state.borrow().next_attempt;
        self.failed(text.clone(), refused.then_some(text), next);
    }
}
