//! A bound on the loads beyond those that demand alone would make.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::sync::Mutex;

/// Compares the loads that were made with those that demand alone would have made, and says whether
/// one more may be made ahead.
///
/// What demand alone would do is followed with one moment per entry: when the value would expire if
/// it had been loaded on demand. A preload counts as a load too many until it spares one.
///
/// Where nothing is bounded, nothing is counted.
#[derive(Debug)]
pub(crate) struct Spending {
    /// What each read asks, without a lock.
    is_bounded: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    /// The loads that may be made beyond those of demand, as a share of these.
    share: f64,
    needed: f64,
    made: f64,
}

/// Counts are halved at this number, so that a long quiet past does not pay for a burst.
const MEMORY: f64 = 20_000.0;
/// From half of the allowance on, only what is likelier and likelier is loaded, up to this.
const STRICTEST: f64 = 0.95;

impl Spending {
    /// Allows this share of loads more; any number, if there is none.
    pub(crate) fn new(share: Option<f64>) -> Self {
        let counts = Counts { share: share.unwrap_or_default(), needed: 0.0, made: 0.0 };
        Self { is_bounded: AtomicBool::new(share.is_some()), counts: Mutex::new(counts) }
    }

    /// Changes the share. What was counted stays, unless nothing was bounded before.
    pub(crate) fn tune(&self, share: Option<f64>) {
        let mut counts = self.counts.lock();
        let was_bounded = self.is_bounded.swap(share.is_some(), Relaxed);
        if !was_bounded {
            (counts.needed, counts.made) = (0.0, 0.0);
        }
        counts.share = share.unwrap_or_default();
    }

    /// Whether there is a bound.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.is_bounded.load(Relaxed)
    }

    /// Notes a load that demand alone would have made.
    pub(crate) fn needed(&self) {
        if !self.is_bounded() {
            return;
        }
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
        if self.is_bounded() {
            self.counts.lock().made += keys as f64;
        }
    }

    /// Notes one load ahead, if it is allowed: as long as there is something left, and the read is
    /// probable enough for how little that is.
    pub(crate) fn spend(&self, probability: f64, threshold: f64) -> bool {
        if !self.is_bounded() {
            return true;
        }
        let mut counts = self.counts.lock();
        let allowance = counts.needed * counts.share;
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
        let mut counts = self.counts.lock();
        // It may have been spent before anything was counted.
        counts.made = (counts.made - 1.0).max(0.0);
    }

    pub(crate) fn clear(&self) {
        let mut counts = self.counts.lock();
        (counts.needed, counts.made) = (0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_is_ever_spent() {
        let spending = Spending::new(Some(0.1));
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
        let spending = Spending::new(Some(0.01));
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
        let spending = Spending::new(Some(0.1));
        (0..1_000).for_each(|_| {
            spending.needed();
            spending.made(1);
        });
        let spend_at =
            |probability| (0..1_000).filter(|_| spending.spend(probability, 0.5)).count();
        assert!((45..=55).contains(&spend_at(0.5)));
        assert!((20..=30).contains(&spend_at(0.7)));
    }

    #[test]
    fn a_bound_that_comes_later_counts_from_then_on() {
        let spending = Spending::new(None);
        spending.made(1_000);
        assert!((0..1_000).all(|_| spending.spend(0.5, 0.5)));
        spending.tune(Some(0.1));
        let need = |count: usize| (0..count).for_each(|_| spending.needed());
        let spend = || std::iter::repeat_with(|| spending.spend(1.0, 0.5)).take_while(|it| *it);
        need(100);
        spending.made(100);
        assert_eq!(spend().count(), 10);
        // What was spent is not forgotten when the bound is changed.
        spending.tune(Some(0.2));
        assert_eq!(spend().count(), 10);
        spending.tune(None);
        assert_eq!(spend().take(1_000).count(), 1_000);
    }
}
