//! Bodies that are on the disk need not be in memory as well: when there is not much room, they are read when they are wanted.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::message::Message;
use super::state::Engine;

impl Engine {
    /// The body of a message, from memory or from the log; none when the log cannot be read, which is told once.
    pub(super) fn body(&mut self, message: &Message) -> Option<Bytes> {
        if let Some(body) = message.body() {
            return Some(body);
        }
        let (segment, _) = message.place();
        match self.journal.read_tail(segment, message.end(), message.size()) {
            Ok(body) => {
                self.unreadable = false;
                Some(body.into())
            }
            Err(error) => {
                if !self.unreadable {
                    tracing::error!(%error, segment, "cannot read the message log; its messages wait until that works");
                }
                self.unreadable = true;
                None
            }
        }
    }

    /// Remembers a message of which the body may leave the memory once the log is safe up to `position`, if there is not much room.
    pub(super) fn page_later(&mut self, message: &Arc<Message>, position: u64) {
        if self.memory > self.limits.page_at {
            self.pageable.push_back((position, Arc::downgrade(message)));
        }
    }

    /// Lets the bodies go that are safe on the disk by now.
    pub(super) fn page_out(&mut self) {
        if self.pageable.is_empty() {
            return;
        }
        let safe = self.synced.borrow().position;
        while let Some((_, message)) = self.pageable.pop_front_if(|(position, _)| *position <= safe) {
            if let Some(message) = Weak::upgrade(&message)
                && message.logged()
            {
                self.memory = self.memory.saturating_sub(message.page_out());
            }
        }
    }
}
