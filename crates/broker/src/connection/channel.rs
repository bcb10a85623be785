//! What a connection knows about one of its channels.

use std::collections::VecDeque;

use super::content::Assembly;

/// Publisher confirms.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The number of the last message published.
    last: u64,
    /// Numbers that are not confirmed, the log position that each waits for, and whether it was taken.
    waiting: VecDeque<(u64, u64, bool)>,
}

/// What a publisher is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirmed {
    /// The last number.
    pub(super) tag: u64,
    /// It stands for several.
    pub(super) multiple: bool,
    /// Queues took it; else one refused it.
    pub(super) taken: bool,
}

impl Confirms {
    /// A message was published; `position` is where the log must be, 0 for nowhere. A queue may have refused it.
    pub(super) fn published(&mut self, position: u64, taken: bool) {
        self.last += 1;
        self.waiting.push_back((self.last, position, taken));
    }

    /// Takes what is confirmed now that the log is safe up to `position`, as far as one answer goes; to be called until there is
    /// nothing. In order: what needs no log waits for those before it.
    pub(super) fn take(&mut self, position: u64) -> Option<Confirmed> {
        let first = self.waiting.front()?.2;
        let mut confirmed = None;
        while let Some((tag, ..)) = self
            .waiting
            .pop_front_if(|(_, wanted, taken)| *wanted <= position && *taken == first)
        {
            let multiple = confirmed.is_some();
            confirmed = Some(Confirmed {
                tag,
                multiple,
                taken: first,
            });
        }
        confirmed
    }

    pub(super) fn waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    /// We closed it and wait for the client to agree; everything else is ignored.
    pub(super) closing: bool,
    pub(super) confirms: Option<Confirms>,
    /// A publish whose content is not complete.
    pub(super) assembly: Option<Assembly>,
    /// The queue declared last, which an empty name stands for.
    pub(super) last_queue: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirms_go_out_in_order() {
        let mut confirms = Confirms::default();
        let told = |tag, multiple, taken| Some(Confirmed { tag, multiple, taken });
        for (position, taken) in [(10, true), (0, true), (20, true), (0, false)] {
            confirms.published(position, taken);
        }
        assert_eq!(confirms.take(5), None, "the second waits for the first");
        assert_eq!(confirms.take(10), told(2, true, true));
        assert_eq!(confirms.take(30), told(3, false, true));
        assert_eq!(confirms.take(30), told(4, false, false));
        assert!(!confirms.waiting());
    }
}
