//! Growing, jittered pauses between tries.

use std::time::Duration;

/// How pauses grow: the first about `initial`, each next twice as long, none longer than `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Backoff {
    /// The pause after the `failures`-th failure in a row (from 1). `random` is from 0 to 1, see
    /// [`crate::random::fraction`]; it spreads the pause over a quarter to both sides, so that many nodes
    /// that failed together do not come back together.
    pub fn pause(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let grown = self.initial.saturating_mul(1 << doublings).min(self.max);
        grown.mul_f64(0.75 + 0.5 * random.clamp(0.0, 1.0)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_secs(5),
        max: Duration::from_secs(300),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=9).map(|n| BACKOFF.pause(n, 0.5).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_zero_and_never_too_long(failures: u32, random in 0.0..1.0) {
            let pause = BACKOFF.pause(failures, random);
            prop_assert!(pause >= BACKOFF.initial.mul_f64(0.75));
            prop_assert!(pause <= BACKOFF.max);
        }
    }
}
