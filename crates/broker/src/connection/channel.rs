//! What a connection knows about one of its channels.

use std::collections::VecDeque;

use super::content::Assembly;

/// Publisher confirms.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The number of the last message published.
    last: u64,
    /// Numbers that are not confirmed, and the log position that each waits for.
    waiting: VecDeque<(u64, u64)>,
}

impl Confirms {
    /// A message was published; `position` is where the log must be, 0 for nowhere.
    pub(super) fn published(&mut self, position: u64) {
        self.last += 1;
        self.waiting.push_back((self.last, position));
    }

    /// Takes what is confirmed now that the log is safe up to `position`: the last number, and whether it stands for several.
    /// In order: what needs no log waits for those before it.
    pub(super) fn take(&mut self, position: u64) -> Option<(u64, bool)> {
        let mut confirmed = None;
        let mut count = 0;
        while let Some((number, _)) = self.waiting.pop_front_if(|(_, wanted)| *wanted <= position) {
            confirmed = Some(number);
            count += 1;
        }
        confirmed.map(|number| (number, count > 1))
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
        for position in [10, 0, 20] {
            confirms.published(position);
        }
        assert_eq!(confirms.take(5), None, "the second waits for the first");
        assert_eq!(confirms.take(10), Some((2, true)));
        assert_eq!(confirms.take(30), Some((3, false)));
        assert!(!confirms.waiting());
    }
}
