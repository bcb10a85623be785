//! How far the downloads of a converge are.

use std::sync::atomic::{AtomicU64, Ordering};

use locker::Transfer;

/// Counts the bytes of all downloads together. May be told from any thread.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    /// So many bytes are still to come.
    pub(crate) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is here, of all that is to come; none while that is nothing.
    pub(crate) fn transfer(&self) -> Option<Transfer> {
        let total = self.total.load(Ordering::Relaxed);
        // A file that grew while it was fetched is refused; until then it is not more than the whole.
        let done = self.done.load(Ordering::Relaxed).min(total);
        (total > 0).then_some(Transfer { done, total })
    }

    /// Counts one file.
    pub(crate) fn file(&self) -> FileMeter<'_> {
        FileMeter {
            all: self,
            counted: AtomicU64::new(0),
        }
    }
}

/// Counts one file towards the whole.
#[derive(Debug)]
pub(crate) struct FileMeter<'a> {
    all: &'a Meter,
    counted: AtomicU64,
}

impl FileMeter<'_> {
    /// So much of the file is here. Tidings may overtake each other, and a download that begins again says less.
    pub(crate) fn told(&self, transfer: Transfer) {
        let before = self.counted.fetch_max(transfer.done, Ordering::Relaxed);
        let more = transfer.done.saturating_sub(before);
        self.all.done.fetch_add(more, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: u64) -> Transfer {
        Transfer { done, total: 10 }
    }

    #[test]
    fn files_add_up_and_nothing_counts_twice() {
        let meter = Meter::default();
        assert_eq!(meter.transfer(), None);
        meter.expect(10);
        meter.expect(5);
        let (first, second) = (meter.file(), meter.file());
        first.told(at(4));
        second.told(at(2));
        first.told(at(3));
        first.told(at(10));
        assert_eq!(meter.transfer(), Some(Transfer { done: 12, total: 15 }));
        second.told(at(50));
        assert_eq!(meter.transfer(), Some(Transfer { done: 15, total: 15 }));
    }
}
