//! A bound on the loads beyond those that demand alone would make.

use crate::sync::Mutex;

/// Compares the loads that were made with those that demand alone would have made, and says whether
/// one more may be made ahead.
///
/// What demand alone would do is followed with one moment per entry: when the value would expire if
/// it had been loaded on demand. A preload counts as a load too many until it spares one.
#[derive(Debug)]
pub(crate) struct Spending {
    share: f64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    needed: f64,
    made: f64,
}

/// Counts are halved at this number, so that a long quiet past does not pay for a burst.
const MEMORY: f64 = 20_000.0;
/// From half of the allowance on, only what is likelier and likelier is loaded, up to this.
const STRICTEST: f64 = 0.95;

impl Spending {
    /// Allows this share of loads more.
    pub(crate) fn new(share: f64) -> Self {
        Self { share, counts: Mutex::new(Counts::default()) }
    }

    /// Notes a load that demand alone would have made.
    pub(crate) fn needed(&self) {
        let mut counts = self.counts.lock();
        counts.needed += 1.0;
        if counts.needed >= MEMORY {
            counts.needed /= 2.0;
            counts.made /= 2.0;
        }
    }

    /// Notes loads that were made.
    #[expect(clippy::cast_precision_loss, reason = "the keys of a call")]
    pub(crate) fn made(&self, keys: usize) {
        self.counts.lock().made += keys as f64;
    }

    /// Notes one load ahead, if it is allowed: as long as there is something left, and the read is
    /// probable enough for how little that is.
    pub(crate) fn spend(&self, probability: f64, threshold: f64) -> bool {
        let mut counts = self.counts.lock();
        let allowance = counts.needed * self.share;
        let spent = counts.made + 1.0 - counts.needed;
        let scarcity = (2.0 * spent / allowance.max(1.0) - 1.0).clamp(0.0, 1.0);
        let strict = threshold + (STRICTEST - threshold).max(0.0) * scarcity;
        let is_allowed = spent <= allowance && probability >= strict;
        if is_allowed {
            counts.made += 1.0;
        }
        is_allowed
    }

    /// Gives back what was not spent after all.
    pub(crate) fn give_back(&self) {
        self.counts.lock().made -= 1.0;
    }

    pub(crate) fn clear(&self) {
        *self.counts.lock() = Counts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_is_ever_spent() {
        let spending = Spending::new(0.1);
        let mut wasted = 0;
        for needed in 1..=100_000_u32 {
            spending.needed();
            spending.made(1);
            while spending.spend(1.0, 0.5) {
                wasted += 1;
            }
            assert!(f64::from(wasted) <= 0.1 * f64::from(needed) + 1e-6, "{wasted} of {needed}");
        }
        assert!(wasted > 9_900, "{wasted}");
    }

    #[test]
    fn what_spares_a_load_costs_nothing() {
        let spending = Spending::new(0.01);
        (0..1_000).for_each(|_| {
            spending.needed();
            spending.made(1);
        });
        for _ in 0..10_000 {
            assert!(spending.spend(0.9, 0.5));
            spending.needed();
        }
    }

    #[test]
    fn when_little_is_left_only_the_likely_is_loaded() {
        let spending = Spending::new(0.1);
        (0..1_000).for_each(|_| {
            spending.needed();
            spending.made(1);
        });
        let spend_at =
            |probability| (0..1_000).filter(|_| spending.spend(probability, 0.5)).count();
        assert!((45..=55).contains(&spend_at(0.5)));
        assert!((20..=30).contains(&spend_at(0.7)));
    }
}
